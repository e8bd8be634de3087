"""Selections of 0.1 % to 100 % in order and reads. Oracle: plain loops over a bitmap."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seedbed.data import reads as reading
from seedbed.data.order import Order
from seedbed.data.reads import Reads, plan_reads
from seedbed.data.rounds import Round, Span, rounds
from seedbed.data.rows import Chosen, Rows
from seedbed.data.shards.starts import SourceStarts, Starts

NUM_EPOCHS, BLOCK, GROUP = 2, 512, 7
Row = tuple[int, int]  # shard, and the row's number there


@dataclass(frozen=True)
class Selected:
    """Simulated shards, by turns tars and parquets of row groups, and a bitmap of each."""

    bitmaps: tuple[NDArray[np.bool_], ...]
    starts: tuple[NDArray[np.uint32], ...]

    @classmethod
    def drawn(cls, sizes: list[int], fraction: float, seed: int) -> Selected:
        rng = np.random.default_rng(seed)
        bitmaps = [rng.random(size) < fraction for size in sizes]
        if not any(bitmap.any() for bitmap in bitmaps):  # one row at least, wherever it is
            shard = int(np.argmax(sizes))
            bitmaps[shard][rng.integers(sizes[shard])] = True
        starts = []
        for shard, size in enumerate(sizes):
            blocks = np.append(0, np.cumsum(rng.integers(2, 40, size)))
            groups = np.append(np.arange(0, size, GROUP), size)
            starts.append((groups if shard % 2 else blocks).astype(np.uint32))
        return cls(tuple(bitmaps), tuple(starts))

    @property
    def rows(self) -> Rows:
        """As a selection leaves them."""
        names = [f"{n}.{'parquet' if n % 2 else 'tar'}" for n in range(len(self.bitmaps))]
        source = SourceStarts.of(dict(zip(names, self.starts, strict=True)))
        return Rows(
            tuple(names),
            tuple(len(bitmap) for bitmap in self.bitmaps),
            "f",
            Starts.of([(source, name) for name in names]),
            chosen=Chosen.of(np.flatnonzero(bitmap) for bitmap in self.bitmaps),
        )

    @property
    def every(self) -> set[Row]:
        return {
            (shard, row)
            for shard, bitmap in enumerate(self.bitmaps)
            for row, chosen in enumerate(bitmap.tolist())
            if chosen
        }

    def picked(self, part: Round) -> list[tuple[int, int, int]]:
        """Epoch, shard and row of a round's picks."""
        kept = [[n for n, chosen in enumerate(b.tolist()) if chosen] for b in self.bitmaps]
        picks = part.picks
        return [
            (epoch, shard, kept[shard][position])
            for epoch, shard, position in zip(
                picks.epoch.tolist(), picks.shard.tolist(), picks.position.tolist(), strict=True
            )
        ]

    def ranges(self, wanted: set[Row], gap: int) -> list[tuple[int, ...]]:
        """What is read of each shard: its number and, of a tar, rows and bytes, else the group."""
        found: list[tuple[int, ...]] = []
        for shard in range(len(self.bitmaps)):
            last: list[int] = []
            for row in sorted(row for which, row in wanted if which == shard):
                if shard % 2:
                    found += [] if (shard, row // GROUP) in found else [(shard, row // GROUP)]
                    continue
                begin, end = (int(self.starts[shard][row + n]) * BLOCK for n in (0, 1))
                if last and begin - last[3] <= gap:
                    last[1], last[3] = row + 1, end
                else:
                    found += [(shard, *last)] if last else []
                    last = [row, row + 1, begin, end]
            found += [(shard, *last)] if last else []
        return found


def planned(reads: Reads) -> list[tuple[int, ...]]:
    """The same of what was planned."""
    numbers = [shard.number for shard in reads.shards]
    return [
        (numbers[r.shard], r.group)
        if numbers[r.shard] % 2
        else (numbers[r.shard], r.first, r.last, r.start, r.stop)
        for r in reads.ranges
    ]


SELECTED = st.builds(
    Selected.drawn,
    st.lists(st.integers(0, 400), min_size=1, max_size=5).filter(any),
    st.sampled_from([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.9, 1.0]) | st.floats(0.001, 1.0),
    st.integers(0, 2**32 - 1),
)
FEW = Selected.drawn([1_500, 3, 700], 0.001, seed=0)
ALL = Selected.drawn([200, 0, 13, 90], 1.0, seed=0)
LANES = st.sampled_from([1, 2, 4, 8])
EACH, STEPS = st.sampled_from([2, 5, 16]), st.integers(1, 4)  # rows of a lane in a step; of a round


def ordered(selected: Selected, lanes: int, window: int) -> Order:
    blocks = selected.rows.blocks
    return Order(blocks, fingerprint="f", seed=0, lanes=lanes, window_rows=window)


def read(selected: Selected, order: Order, span: Span) -> list[tuple[int, int, int]]:
    return [row for part in rounds(order, span) for row in selected.picked(part)]


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(SELECTED, LANES, EACH, STEPS, st.integers(0, 10**6))
@example(FEW, 8, 16, 4, 1)
@example(ALL, 4, 5, 3, 17)
def test_every_chosen_row_comes_once_an_epoch_for_any_ranks_and_from_any_step(
    selected: Selected, lanes: int, each: int, steps: int, anywhere: int
) -> None:
    order, batch = ordered(selected, lanes, each * steps), lanes * each
    assert order.num_samples == len(selected.every)
    num_steps = -(-NUM_EPOCHS * order.num_samples // batch)
    stop = num_steps * batch
    whole = read(selected, order, Span(0, stop, batch))
    times = Counter(whole)
    assert max(times.values()) == 1
    for epoch in range(NUM_EPOCHS):
        assert {(shard, row) for e, shard, row in times if e == epoch} == selected.every
    assert {(shard, row) for _, shard, row in times} == selected.every  # and no other row
    first = anywhere % num_steps
    for world in (w for w in (2, 4, 8) if lanes % w == 0):
        parts = [
            read(selected, order, Span(first * batch, stop, batch, rank, world))
            for rank in range(world)
        ]
        share = batch // world
        together = [
            row
            for step in range(num_steps - first)
            for part in parts
            for row in part[step * share : (step + 1) * share]
        ]
        assert together == whole[first * batch :]
    assert read(selected, order, Span(first * batch, stop, batch)) == whole[first * batch :]


@pytest.mark.slow
@pytest.mark.parametrize("gap", [0, 20_000])
@settings(max_examples=25, deadline=None)
@given(SELECTED, LANES, EACH, STEPS, st.integers(0, 10**6))
@example(FEW, 8, 16, 4, 1)
@example(ALL, 4, 5, 3, 17)
def test_what_is_read_of_a_round_is_its_rows_and_no_byte_twice(
    gap: int, selected: Selected, lanes: int, each: int, steps: int, anywhere: int
) -> None:
    order, batch, rows = ordered(selected, lanes, each * steps), lanes * each, selected.rows
    stop = -(-NUM_EPOCHS * order.num_samples // batch) * batch
    world = [w for w in (1, 2, 4, 8) if lanes % w == 0][anywhere % (lanes.bit_length())]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "GAP_BYTES", gap)
        for rank in range(world):
            for part in rounds(order, Span(0, stop, batch, rank, world)):
                reads, picked = plan_reads(rows, part.picks), selected.picked(part)
                assert planned(reads) == selected.ranges({(s, row) for _, s, row in picked}, gap)
                numbers = [shard.number for shard in reads.shards]
                asked = [(e, numbers[s], row, copy) for e, s, row, copy in reads.picks.tolist()]
                assert asked == [(*row, 0) for row in picked]


def test_no_byte_is_in_two_ranges_of_the_oracle_and_a_gap_is_read_over() -> None:
    few, near = ALL.ranges({(0, 3), (0, 5)}, 0), ALL.ranges({(0, 3), (0, 5)}, 20_000)
    assert [one[1:3] for one in few] == [(3, 4), (5, 6)] and few[0][4] <= few[1][3]
    assert [one[1:3] for one in near] == [(3, 6)]
    assert ALL.ranges({(3, 0), (3, GROUP), (3, 1)}, 0) == [(3, 0), (3, 1)]
