"""The stream of batches, as Ray Data tasks: one fused task per window of shards.

Each rank runs a dataset of its own over the same pure order and decodes only its part. A task
reads its shards whole, picks and decodes this rank's rows, and emits uint8 images and token ids;
`preserve_order` keeps the blocks in line, so a batch is the same whatever the tasks' timing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import ray
import ray.data

from ablate.data.order import Order
from ablate.data.rendering import Columns, Rendering, Span, render
from ablate.data.rows import Rows

LEG_WINDOWS = 512  # windows in one dataset: bounds the plan in memory, whatever the budget
CHUNK_ROWS = 256  # rows a task emits at a time: bounds its memory, and the first batch's delay


def stream(
    rows: Rows, order: Order, span: Span, rendering: Rendering, *, num_tasks: int = 1
) -> Iterator[Columns]:
    """This rank's batches of samples span.start to span.stop - 1, each of batch / world rows.

    `num_tasks` run at a time. Columns as in `render`.
    """
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    local = span.batch // span.world
    rest: Columns | None = None
    for leg in _legs(order, span):
        for block in _blocks(leg, rows, order, span, rendering, num_tasks):
            rest = block if rest is None else _joined(rest, block)
            while len(rest["id"]) >= local:
                yield {name: column[:local] for name, column in rest.items()}
                rest = {name: column[local:] for name, column in rest.items()}


def _legs(order: Order, span: Span) -> Iterator[list[dict[str, int]]]:
    leg: list[dict[str, int]] = []
    for window in order.between(span.start, span.stop):
        leg.append({"epoch": window.epoch, "window": window.index})
        if len(leg) == LEG_WINDOWS:
            yield leg
            leg = []
    if leg:
        yield leg


def _blocks(
    leg: list[dict[str, int]],
    rows: Rows,
    order: Order,
    span: Span,
    rendering: Rendering,
    num_tasks: int,
) -> Iterator[Columns]:
    def task(plan: dict[str, Any]) -> Iterator[Columns]:
        epoch, index = int(plan["epoch"][0]), int(plan["window"][0])
        window = next(w for w in order.windows(epoch) if w.index == index)
        yield from render(rows, order, window, span, rendering, CHUNK_ROWS)

    dataset = ray.data.from_items(leg, override_num_blocks=len(leg)).map_batches(
        task, batch_size=1, concurrency=num_tasks
    )
    # Blocks come as the tasks emitted them; batching is ours, since it spans legs.
    for block in dataset.iter_batches(batch_size=None, prefetch_batches=2, batch_format="numpy"):
        yield {name: np.asarray(column) for name, column in block.items()}


def _joined(first: Columns, second: Columns) -> Columns:
    if not len(first["id"]):
        return second
    return {name: np.concatenate([first[name], second[name]]) for name in first}
