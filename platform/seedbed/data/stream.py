"""The stream of batches, as Ray Data tasks: one fused task for each round of the order.

Each rank plans its own rounds and runs a dataset over them. A task reads the ranges of bytes that
hold its round's rows, decodes these, and emits uint8 images and token ids; it is told the ranges
and the rows, and knows nothing of the corpus. `preserve_order` keeps the blocks in line, so a
batch is the same whatever the tasks' timing.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import chain
from threading import Thread
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import ray
import ray.data
from ray._private.state import available_resources_per_node

from seedbed.collecting import as_usual
from seedbed.data.cutting import batches
from seedbed.data.footprint import chunk_rows, limit_bytes, row_bytes, task_bytes
from seedbed.data.order import Order
from seedbed.data.promptly import look_often
from seedbed.data.reads import Reads, plan_reads
from seedbed.data.render.render import Columns, Rendering, render
from seedbed.data.rounds import Span, rounds
from seedbed.data.rows import Rows
from seedbed.errors import ours
from seedbed.storage.retry import RETRY_SECONDS, retrying_for

# Rounds in one dataset, the first and at most: bounds the plan in memory, whatever the budget.
FIRST_LEG, LEG_ROUNDS = 8, 128
NO_ASSETS: Mapping[str, Any] = MappingProxyType({})
T = TypeVar("T")
STALL_SECONDS = 1_800.0  # without a block from anywhere, when no store is away: Ray's own default


def stream(
    rows: Rows,
    order: Order,
    span: Span,
    rendering: Rendering,
    *,
    num_tasks: int = 1,
    task_cpus: float = 1.0,
    task_memory: float = 0.0,
    assets: Mapping[str, Any] = NO_ASSETS,
    retry_seconds: float = RETRY_SECONDS,
    placed: Callable[[], dict[str, Any]] = dict,
) -> Iterator[Columns]:
    """This rank's batches of samples span.start to span.stop - 1, each of batch / world rows.

    `num_tasks` run at a time, of `task_cpus` each, and repeat failing reads for `retry_seconds`;
    they ask Ray for the memory that they need, and for `task_memory` bytes at most where that is
    not 0: no node may have kept more for one, and it would wait for ever;
    `assets` are references to the packed assets of the views, by name, for nodes that have none;
    `placed` gives Ray's options for where the next task runs. Columns as in `render`. What a task
    raises as a SeedbedError is raised here as that, whatever Ray puts around it.
    """
    look_often(num_tasks)
    context = ray.data.DataContext.get_current()
    # An error keeps its cause on its way only so: wrapped, it arrives as Ray's "UDF failed".
    context.raise_original_map_exception = True
    # Ray ends a dataset that stands still for half an hour; waiting for a store is none of that.
    context.execution_no_progress_timeout_s = retry_seconds + STALL_SECONDS
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    local = span.batch // span.world
    chunk = chunk_rows(rendering, local)
    most = task_memory or math.inf
    datasets = _Datasets(
        rendering, chunk, num_tasks, task_cpus, most, assets, retry_seconds, placed
    )
    blocks = datasets.blocks(_planned_ahead(_legs(rows, order, span)))
    yield from batches(blocks, local)


def _legs(rows: Rows, order: Order, span: Span) -> Iterator[list[Reads]]:
    """The rounds of a span, a few at first, so that the first batch does not wait for a plan."""
    leg: list[Reads] = []
    most = FIRST_LEG
    for one in rounds(order, span):
        leg.append(plan_reads(rows, one.picks))
        if len(leg) == most:
            yield leg
            leg, most = [], min(LEG_ROUNDS, 4 * most)
    if leg:
        yield leg


def _planned_ahead(legs: Iterator[list[Reads]]) -> Iterator[list[Reads]]:
    """`legs`, each planned while the one before is read: a whole one takes seconds."""
    ahead = _aside(lambda: next(legs, None))
    while (leg := ahead.result()) is not None:
        ahead = _aside(lambda: next(legs, None))
        yield leg


@dataclass(frozen=True)
class _Datasets:
    """Runs legs as datasets of blocks of `chunk` rows; the other fields are as at `stream`."""

    rendering: Rendering
    chunk: int
    num_tasks: int
    task_cpus: float
    most_memory: float
    assets: Mapping[str, Any]
    retry_seconds: float
    placed: Callable[[], dict[str, Any]]

    def blocks(self, legs: Iterator[list[Reads]]) -> Iterator[Columns]:
        """The blocks of all `legs` in order.

        The last rounds of a leg leave ever more cores without work, and a new dataset's first
        block takes seconds: so the next leg begins when this one has no more rounds to come than
        there are tasks, and a core is free, which says that none of these waits for one: a task of
        the next would keep it from them, if it stood still with its share of the store full. Until
        its turn it may hold half of that, since what is to come of this leg is at most the rest.
        """
        ahead = _aside(lambda: self._begun(legs))
        while (leg := ahead.result()) is not None:
            leg.dataset.context.execution_options.resource_limits = leg.limits
            left = sum(len(reads.picks) for reads in leg.reads)
            last = self.num_tasks * max(len(reads.picks) for reads in leg.reads)
            begun = False
            for block in leg.blocks:
                left -= len(block["id"])
                if not begun and (not left or (left <= last and _is_free(self.task_cpus))):
                    ahead, begun = _aside(lambda: self._begun(legs)), True
                yield block

    def _begun(self, legs: Iterator[list[Reads]]) -> _Leg | None:
        """The next leg, when its first block is there."""
        leg = next(legs, None)
        if leg is None:
            return None
        rendering, chunk = self.rendering, self.chunk
        assets, retry_seconds = self.assets, self.retry_seconds

        def task(item: dict[str, Any]) -> Iterator[Columns]:
            as_usual()
            for asset in rendering.assets:
                if asset.name in assets:
                    asset.install(partial(ray.get, assets[asset.name]))
            with retrying_for(retry_seconds):
                yield from render(pickle.loads(item["reads"][0]), rendering, chunk)

        plans = [{"reads": pickle.dumps(reads)} for reads in leg]
        held = max(reads.held_bytes for reads in leg)
        rows = max(len(reads.picks) for reads in leg)
        # Each rank's dataset would take half of its node's store, whoever else is on it. Ray counts
        # what waits, and not what the rank has taken.
        share = limit_bytes(rendering, rows, self.num_tasks)
        dataset = ray.data.from_items(plans, override_num_blocks=len(leg)).map_batches(
            task,
            batch_size=1,
            concurrency=self.num_tasks,
            num_cpus=self.task_cpus,
            memory=min(task_bytes(rendering, held), self.most_memory),
            ray_remote_args_fn=self.placed,
        )
        dataset.context.execution_options.resource_limits = _limits(share // 2)
        # A chunk is a block, and not a part of one: Ray waits until it has more than its target,
        # and cuts what is half as large again, with a copy of all each time.
        dataset.context.target_max_block_size = max(1, round(chunk * row_bytes(rendering) / 1.2))
        blocks = _blocks(dataset)
        return _Leg(leg, dataset, _limits(share), chain([next(blocks)], blocks))


@dataclass(frozen=True)
class _Leg:
    """Rounds, the dataset that renders them, what it may take in its turn, and its blocks."""

    reads: list[Reads]
    dataset: ray.data.Dataset
    limits: ray.data.ExecutionResources
    blocks: Iterator[Columns]


def _is_free(cpus: float) -> bool:
    """Whether some node has them."""
    nodes = available_resources_per_node().values()
    return any(node.get("CPU", 0.0) >= cpus for node in nodes)


def _limits(num_bytes: int) -> ray.data.ExecutionResources:
    return ray.data.ExecutionResources.for_limits(object_store_memory=num_bytes)


def _blocks(dataset: ray.data.Dataset) -> Iterator[Columns]:
    """As the tasks emitted them; batching is ours, since it spans legs."""
    blocks = iter(dataset.iter_batches(batch_size=None, prefetch_batches=2, batch_format="numpy"))
    while True:
        try:
            block = next(blocks)
        except StopIteration:
            return
        except Exception as error:
            known = ours(error)
            if known is None:
                raise
            raise known from None
        yield {name: np.asarray(column) for name, column in block.items()}


def _aside(work: Callable[[], T]) -> Future[T]:
    """What `work` gives, from a thread that a process does not wait for at its end."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, name="ahead", daemon=True).start()
    return future
