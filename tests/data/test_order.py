"""The sample order. Oracles: sets and counts, and lanes dealt row by row as one deals cards."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.data.order import Blocks, Order, permutation
from seedbed.data.rounds import Span, rounds

COUNTS = st.lists(st.integers(0, 30), min_size=1, max_size=8).filter(any)
LANES = st.sampled_from([1, 2, 3, 4, 6, 8, 12, 64])
Row = tuple[int, int, int]  # epoch, shard, position


def make(
    counts: list[int], *, seed: int = 0, lanes: int = 4, window: int = 6, block: int = 5
) -> Order:
    return Order(
        Blocks.of_counts(counts, block),
        fingerprint="f",
        seed=seed,
        lanes=lanes,
        window_rows=window,
    )


def read(order: Order, span: Span) -> list[Row]:
    picks = [part.picks for part in rounds(order, span)]
    return [
        row
        for p in picks
        for row in zip(p.epoch.tolist(), p.shard.tolist(), p.position.tolist(), strict=True)
    ]


def dealt(num_rows: int, lanes: int, num_epochs: int) -> list[list[list[int]]]:
    """By lane and epoch, places of the epoch: as many to a lane as dealing gives."""
    sizes = [[0] * num_epochs for _ in range(lanes)]
    for card in range(num_rows * num_epochs):
        sizes[card % lanes][card // num_rows] += 1
    out: list[list[list[int]]] = [[] for _ in range(lanes)]
    for epoch in range(num_epochs):
        place = 0
        for lane in range(lanes):
            out[lane].append(list(range(place, place + sizes[lane][epoch])))
            place += sizes[lane][epoch]
        assert place == num_rows
    return out


def epoch_in_line(order: Order, counts: list[int], block: int, epoch: int) -> list[Row]:
    """The rows of an epoch, block after block, as a plain loop lays them."""
    blocks = [
        [(epoch, shard, position) for position in range(first, min(first + block, n))]
        for shard, n in enumerate(counts)
        for first in range(0, n, block)
    ]
    by = permutation(len(blocks), "f", 0, epoch, "blocks").tolist()
    return [row for number in by for row in blocks[number]]


@settings(max_examples=50, deadline=None)
@given(COUNTS, LANES, st.integers(1, 3), st.integers(1, 3), st.integers(1, 9))
@pytest.mark.slow
def test_lanes_are_what_dealing_row_by_row_gives(
    counts: list[int], lanes: int, each: int, steps: int, block: int
) -> None:
    order = make(counts, lanes=lanes, window=each * steps, block=block)
    num_epochs = 3
    lines = [epoch_in_line(order, counts, block, epoch) for epoch in range(num_epochs)]
    places = dealt(order.num_samples, lanes, num_epochs)
    for lane in range(lanes):
        naive = [
            lines[epoch][place] for epoch in range(num_epochs) for place in places[lane][epoch]
        ]
        for number in range(len(naive) // order.window_rows):
            window = order.window(lane, number)
            found = list(
                zip(
                    window.epoch.tolist(),
                    window.shard.tolist(),
                    window.position.tolist(),
                    strict=True,
                )
            )
            wanted = naive[number * order.window_rows : (number + 1) * order.window_rows]
            assert sorted(found) == sorted(wanted)
            assert [row[0] for row in found] == sorted(row[0] for row in found)  # epochs in turn


@settings(max_examples=50, deadline=None)
@given(COUNTS, LANES, st.integers(1, 4), st.integers(1, 4))
@pytest.mark.slow
def test_every_row_comes_once_in_each_epoch(
    counts: list[int], lanes: int, each: int, steps: int
) -> None:
    order, batch = make(counts, lanes=lanes, window=each * steps), lanes * each
    num_epochs = 3
    num_steps = -(-num_epochs * order.num_samples // batch) + 1
    times = Counter(read(order, Span(0, num_steps * batch, batch)))
    every = {(s, p) for s, n in enumerate(counts) for p in range(n)}
    for epoch in range(num_epochs):
        assert {(s, p) for e, s, p in times if e == epoch} == every
    assert max(times.values()) == 1


@settings(max_examples=50, deadline=None)
@given(COUNTS, LANES, st.integers(1, 4), st.integers(1, 4), st.integers(0, 9), st.integers(1, 9))
def test_any_number_of_ranks_reads_the_same_global_batches_from_any_step(
    counts: list[int], lanes: int, each: int, steps: int, first: int, num_steps: int
) -> None:
    order, batch = make(counts, lanes=lanes, window=each * steps), lanes * each
    whole = read(order, Span(0, (first + num_steps) * batch, batch))[first * batch :]
    for world in (w for w in range(1, lanes + 1) if lanes % w == 0):
        span = (first * batch, (first + num_steps) * batch, batch)
        parts = [
            np.array(read(order, Span(*span, rank, world))).reshape(num_steps, -1, 3)
            for rank in range(world)
        ]
        together = np.concatenate(parts, axis=1).reshape(-1, 3).tolist()
        assert [tuple(row) for row in together] == whole


@settings(max_examples=40, deadline=None)
@given(COUNTS, LANES, st.integers(1, 4))
@pytest.mark.slow
def test_no_lane_is_ever_more_than_a_row_ahead(counts: list[int], lanes: int, window: int) -> None:
    """Else the ends of epochs would move apart, and a batch have rows of three of them."""
    order = make(counts, lanes=lanes, window=window)
    num_windows = 3 * order.num_samples // (lanes * window) + 2
    for epoch in (1, 2, 3):
        before = [
            sum(
                int((order.window(lane, number).epoch < epoch).sum())
                for number in range(num_windows)
            )
            for lane in range(lanes)
        ]
        assert sum(before) == epoch * order.num_samples
        assert max(before) - min(before) <= 1


def test_rounds_of_a_rank_hold_whole_steps_and_begin_where_they_say() -> None:
    order = make([100, 33, 60], lanes=4, window=6)
    found = list(rounds(order, Span(5 * 8, 17 * 8, 8, rank=1, world=2)))
    assert [part.number for part in found] == [1, 2, 3, 4, 5]
    assert [part.first_step for part in found] == [5, 6, 9, 12, 15]
    assert [len(part.picks) for part in found] == [4, 12, 12, 12, 8]


def test_another_seed_epoch_or_corpus_is_another_order() -> None:
    counts = [50, 50, 50]
    span = Span(0, 144, 8)
    base = read(make(counts), span)
    assert read(make(counts), span) == base
    assert read(make(counts, seed=1), span) != base
    other = Order(Blocks.of_counts(counts, 5), fingerprint="g", seed=0, lanes=4, window_rows=6)
    assert read(other, span) != base
    later = [(s, p) for _, s, p in read(make(counts), Span(152, 296, 8))]
    assert later != [(s, p) for _, s, p in base]


def test_a_batch_mixes_rows_from_all_over_the_corpus() -> None:
    """As a permutation of all rows would: the median distance of two rows of a batch, to 5 %."""
    num_shards, rows = 150, 1_000
    order = Order(
        Blocks.of_counts([rows] * num_shards), fingerprint="f", seed=0, lanes=64, window_rows=1_024
    )
    batch = 1_024
    distances, free = [], []
    rng = np.random.default_rng(0)
    for step in range(0, 64, 4):
        picks = next(iter(rounds(order, Span(step * batch, (step + 1) * batch, batch)))).picks
        place = picks.shard * rows + picks.position
        distances.append(np.abs(place - rng.permutation(place)))
        any_rows = rng.permutation(num_shards * rows)[:batch]
        free.append(np.abs(any_rows - rng.permutation(any_rows)))
    ratio = np.median(np.concatenate(distances)) / np.median(np.concatenate(free))
    assert ratio > 0.95


@pytest.mark.slow
def test_order_does_not_depend_on_the_process() -> None:
    code = "from seedbed.data.order import permutation; print(permutation(20, 'a', 1).tolist())"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in (1, 2)
    }
    assert seen == {str(permutation(20, "a", 1).tolist())}


def test_permutations_are_uniform() -> None:
    """Each of 3! orders comes about equally often over 6,000 seeds (chi-square, p > 0.001)."""
    seen: dict[tuple[int, ...], int] = {}
    for seed in range(6000):
        key = tuple(permutation(3, "uniform", seed).tolist())
        seen[key] = seen.get(key, 0) + 1
    assert len(seen) == 6
    assert sum((n - 1000) ** 2 / 1000 for n in seen.values()) < 20.5
