"""What one rank reads of an order: rounds, each a task's work.

The windows k of all lanes of a rank are its *round* k: with windows of R rows, L lanes and W ranks
R·L/W rows, those of R·L/B whole steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from seedbed.data.order import Order, Picks


@dataclass(frozen=True)
class Span:
    """Samples start to stop - 1 of the stream, in global batches, and one rank's part of them."""

    start: int
    stop: int
    batch: int
    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class Round:
    """One rank's rows of some neighbouring steps, in the order in which they are trained on."""

    number: int
    first_step: int
    picks: Picks


def rounds(order: Order, span: Span) -> Iterator[Round]:
    """This rank's rounds of `span`, the first and last without the steps that lie outside.

    The lanes, which `span.batch` and the ranks must divide into, take a batch in equal parts.
    """
    each, odd = divmod(span.batch, order.lanes)  # rows of a lane in a step
    if odd or order.window_rows % each or order.lanes % span.world:
        raise ValueError(
            f"a batch of {span.batch}, {order.lanes} lanes, windows of {order.window_rows} rows "
            f"and {span.world} ranks do not divide into each other"
        )
    steps = order.window_rows // each  # in a round
    mine = range(span.rank * order.lanes // span.world, (span.rank + 1) * order.lanes // span.world)
    first, last = span.start // span.batch, -(-span.stop // span.batch)
    for number in range(first // steps, -(-last // steps)):
        begin, end = max(first, number * steps), min(last, (number + 1) * steps)
        windows = [order.window(lane, number) for lane in mine]
        inside = np.arange((begin - number * steps) * each, (end - number * steps) * each)
        # Of step after step the rows of lane after lane.
        places = inside.reshape(-1, 1, each) + np.arange(len(mine)).reshape(1, -1, 1) * len(
            windows[0]
        )
        yield Round(number, begin, Picks.joined(windows).at(places.ravel()))
