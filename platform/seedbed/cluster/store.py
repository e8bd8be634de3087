"""How many data tasks Ray's object store has room for: on each node all that wait to be taken.

What does not fit Ray writes to the node's disk and reads again, slower than it was rendered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seedbed.cluster.layout import Layout
from seedbed.cluster.memory import gigabytes
from seedbed.data.footprint import row_bytes, store_bytes, taken_bytes
from seedbed.data.render.render import Rendering
from seedbed.errors import ResourceError
from seedbed.plan.cohort import Cohort
from seedbed.plan.rendering import rendering_of

if TYPE_CHECKING:  # which imports Ray: a plan does not wait for it
    from seedbed.cluster.capacity import Capacity

STORE = "object_store_memory"  # Ray's name of it, among a node's resources
# Ray's own, where nobody says more: of the memory that a node type states, and at most. Of a file's
# types that is what Ray leaves beside the store, of Kubernetes' all of it: so it is no less.
STORE_SHARE, MOST_STORE = 0.3, 200e9
WORTH_A_WORD = 0.5  # of a store: below, whoever else is on the node has room


@dataclass(frozen=True)
class Stream:
    """What one of `num_workers` workers of a cohort reads."""

    cohort: Cohort
    rendering: Rendering
    num_workers: int

    @property
    def rows(self) -> int:
        """Of a round, which one task renders."""
        corpus = self.cohort.recipe.corpus
        return min(corpus.window_rows * corpus.lanes // self.num_workers, self.everything)

    @property
    def everything(self) -> int:
        """All rows that it reads."""
        return -(-self.cohort.samples // self.num_workers)

    def bytes(self, num_tasks: int) -> int:
        """At most in the store, with so many tasks at a time: no more than it reads in all."""
        held = store_bytes(self.rendering, self.rows, num_tasks)
        return min(held, self.everything * row_bytes(self.rendering))

    def words(self, num_tasks: int) -> str:
        """The arithmetic."""
        row = f"{row_bytes(self.rendering) / 1e3:,.0f} kB"
        if self.bytes(num_tasks) < store_bytes(self.rendering, self.rows, num_tasks):
            return f"all {self.everything:,} rows that it reads x {row}"
        tasks = f"{num_tasks} data task{'s' * (num_tasks != 1)}"
        return (
            f"{tasks} x a round of {self.rows:,} rows x {row} + "
            f"{gigabytes(taken_bytes(self.rendering))} that it has taken"
        )


@dataclass(frozen=True)
class Place:
    """A node's store, and how many workers may share it."""

    name: str
    store: float
    num_workers: int

    @property
    def each(self) -> float:
        return self.store / self.num_workers


def within_store(layout: Layout, cohorts: Sequence[Cohort], capacity: Capacity) -> Layout:
    """`layout` with as many data tasks at a time as the stores of all its nodes have room for.

    Raises ResourceError, with the arithmetic, where one has no room for one task of each worker.
    """
    places = list(_places(layout, capacity))
    if not places:
        return layout
    least = min(places, key=lambda place: place.each)
    streams = streams_of(cohorts, layout.num_workers)
    tasks = layout.data_tasks
    while tasks and max(stream.bytes(tasks) for stream in streams) > least.each:
        tasks -= 1
    worst = max(streams, key=lambda stream: stream.bytes(max(1, tasks)))
    if not tasks:
        raise _too_small(worst, least)
    held = least.num_workers * worst.bytes(tasks)
    if tasks == layout.data_tasks and held < WORTH_A_WORD * least.store:
        return layout
    need = gigabytes(held)
    words = f"; Ray's object store: up to {need} of {gigabytes(least.store)} on {least.name}"
    if tasks < layout.data_tasks:
        words += (
            f", which has room for {tasks} data tasks to a worker instead of {layout.data_tasks} "
            f"({worst.words(layout.data_tasks)})"
        )
    return replace(layout, data_tasks=tasks, words=f"{layout.words}{words}")


def streams_of(cohorts: Sequence[Cohort], num_workers: int) -> list[Stream]:
    """Of each kind of cohort: seeds read as much."""
    kinds = {}
    for cohort in cohorts:
        views = frozenset(v for trial in cohort.trials for v in trial.recipe.objective.views)
        of = cohort.recipe
        corpus = of.corpus
        kind = views, of.image.size, of.text.context, corpus.lanes, corpus.window_rows
        kinds[(*kind, cohort.samples)] = cohort
    return [Stream(cohort, rendering_of(cohort), num_workers) for cohort in kinds.values()]


def store_of(resources: Mapping[str, float]) -> float:
    """Bytes of the store of a node with these resources; 0 where they do not say."""
    stated = resources.get(STORE, 0.0)
    return stated or min(MOST_STORE, STORE_SHARE * resources.get("memory", 0.0))


def workers_on(node: Mapping[str, float], layout: Layout) -> int:
    """How many workers may come to a node, at most."""
    if layout.use_gpu:
        room = int(node.get("GPU", 0))
    else:
        room = int(node.get("CPU", 0) / layout.cpus_per_worker)
    if layout.worker_memory:
        room = min(room, int(node.get("memory", 0) // layout.worker_memory))
    return min(room, layout.concurrent * layout.num_workers)


def _places(layout: Layout, capacity: Capacity) -> Iterator[Place]:
    """The nodes that workers may come to, and whose store is known."""
    nodes = [(one.name, one.resources) for one in capacity.node_types]
    nodes += [(name or "a node that is there", node) for name, node in capacity.present]
    for name, node in nodes:
        num_workers = workers_on(node, layout)
        if num_workers and (store := store_of(node)):
            yield Place(name, store, num_workers)


def _too_small(stream: Stream, place: Place) -> ResourceError:
    need = place.num_workers * stream.bytes(1)
    corpus, batch = stream.cohort.recipe.corpus, stream.cohort.recipe.budget.batch
    ways = []
    step = max(1, batch // corpus.lanes)  # a window has whole steps
    for rows in range(corpus.window_rows - step, 0, -step):
        smaller = rows * corpus.lanes // stream.num_workers
        if store_bytes(stream.rendering, smaller, 1) <= place.each:
            ways.append(f"--set corpus.window_rows={rows} (another order of the samples)")
            break
    ways.append(
        f"start Ray there with --object-store-memory={need}, of a /dev/shm of as many bytes"
    )
    ways.append("take nodes with more memory or fewer GPUs")
    return ResourceError(
        f"the stream needs {gigabytes(need)} of Ray's object store on {place.name}, and it has "
        f"{gigabytes(place.store)}",
        why=f"{place.num_workers} worker{'s' * (place.num_workers != 1)} x ({stream.words(1)}), "
        "and what does not fit would go through the node's disk",
        mend=", or ".join(ways),
    )
