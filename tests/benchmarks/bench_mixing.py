"""How far apart in the corpus two rows of one batch lie, over the same of a full permutation.

The median distance of pairs within a global batch, in rows, at the paper's size: lanes, windows,
batch and rows. Baseline: as many rows drawn from the whole corpus without replacement; to reach:
0.95. How many of a batch's rows have a neighbour of their own block beside them in it is looked at:
of a full permutation hardly any, of shards read whole nearly all.

    python tests/benchmarks/bench_mixing.py [--rows 15000000] [--batches 8] [--window 256]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from table import Row, run

from seedbed.data.order import BLOCK_ROWS, Blocks, Order, permutation
from seedbed.data.rounds import Span, rounds
from seedbed.recipe.scale import SCALES

TOY = ("--rows", "200000", "--batches", "2", "--batch", "256", "--lanes", "8")
NEEDS = ()
SHARD_ROWS = 10_000
PAPER = SCALES["paper"].patches


def batches(order: Order, batch: int, count: int) -> list[NDArray[np.int64]]:
    """The places in the corpus of the rows of `count` global batches, evenly over an epoch."""
    found = []
    steps = order.num_samples // batch
    for step in range(0, steps, max(1, steps // count)):
        span = Span(step * batch, (step + 1) * batch, batch)
        picks = next(iter(rounds(order, span))).picks
        found.append(picks.shard * SHARD_ROWS + picks.position)
        if len(found) == count:
            break
    return found


def median_distance(rows: Sequence[NDArray[np.int64]], seed: int) -> float:
    """Of pairs of different rows of one batch, a million of them drawn."""
    rng, apart = np.random.default_rng(seed), []
    for batch in rows:
        first = rng.integers(len(batch), size=1_000_000 // len(rows))
        second = (first + rng.integers(1, len(batch), size=len(first))) % len(batch)
        apart.append(np.abs(batch[first] - batch[second]))
    return float(np.median(np.concatenate(apart)))


def share_of_neighbours(rows: Sequence[NDArray[np.int64]]) -> float:
    """Of the rows of a batch those that share their block with another of it."""
    shares = []
    for batch in rows:
        _, inverse, counts = np.unique(batch // BLOCK_ROWS, return_inverse=True, return_counts=True)
        shares.append(float(np.mean(counts[inverse] > 1)))
    return float(np.mean(shares))


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=15_000_000)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--batch", type=int, default=4_096)
    parser.add_argument("--lanes", type=int, default=PAPER["corpus.lanes"])
    parser.add_argument("--window", type=int, default=PAPER["corpus.window_rows"], help="its rows")
    options = parser.parse_args(arguments)
    counts = [SHARD_ROWS] * (options.rows // SHARD_ROWS)
    order = Order(
        Blocks.of_counts(counts),
        fingerprint="bench",
        seed=0,
        lanes=options.lanes,
        window_rows=options.window,
    )
    ours = batches(order, options.batch, options.batches)
    full = permutation(order.num_samples, "bench", "full")
    theirs = [full[n * options.batch : (n + 1) * options.batch] for n in range(options.batches)]
    distances = [median_distance(rows, 1) for rows in (ours, theirs)]
    print(
        f"median distance of two rows of a batch: {distances[0]:,.0f} rows, "
        f"{distances[1]:,.0f} in a full permutation of {order.num_samples:,}"
    )
    blocks = np.mean([len(np.unique(rows // BLOCK_ROWS)) for rows in ours])
    shards = np.mean([len(np.unique(rows // SHARD_ROWS)) for rows in ours])
    print(f"a batch of {options.batch:,} has rows of {blocks:,.0f} blocks and {shards:,.0f} shards")
    return [
        Row(
            "median distance of two rows of a batch",
            distances[0] / distances[1],
            "a full permutation",
            0.95,
            at_least=True,
        ),
        Row("rows of a batch beside one of their own block", share_of_neighbours(ours), "all rows"),
    ]


if __name__ == "__main__":
    run(main, TOY)
