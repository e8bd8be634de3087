"""Finished trials on a test set, on the cluster: one stream of pictures for several models.

Ray Data reads a shard a task, decodes its pictures and prepares them as the models take them; each
of some actors holds the models of a group, and scores the batches that come to it with all of them.
Many prompts are read before, by as many tasks as there are actors, a part by each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import ray
import ray.data

from seedbed.cluster.capacity import Capacity, cluster_capacity
from seedbed.data.footprint import PROCESS_BYTES, TASK_CHUNKS
from seedbed.data.promptly import look_often
from seedbed.errors import ResourceError, ours
from seedbed.evaluate.scores import Scores
from seedbed.evaluate.test_set import TestSet
from seedbed.interchange.described import Described
from seedbed.interchange.found import OLD_WEIGHTS, THREADS, WEIGHTS, Finished
from seedbed.run.scorers import BATCH, Kind, Reading, Scoring, texts_of
from seedbed.storage.objects import find_object

BLOCK_BYTES = 128 << 20  # of what a task hands on at a time: Ray Data's own target
ACTOR_BYTES = 700_000_000  # of a process with torch, before it holds a model
WEIGHT_COPIES = 2  # as a file's bytes, and as a model
# Times a batch's pixels in fp32: a ResNet's first layers keep most, five times them and copies.
ACTIVATIONS = 16
# Fewer each actor reads itself: to share them models are loaded once more.
WORTH_SHARING = 2_048


def classify_trials(
    trials: Sequence[Finished],
    test_set: TestSet,
    templates: Sequence[str],
    *,
    at_once: int = 8,
    actors: int = 0,
) -> Iterator[tuple[Finished, Scores]]:
    """Each trial's scores; the models of a cohort on one stream, and of several cohorts together
    while they are no more than `at_once`. Call it connected to a Ray.

    `actors` score at a time; 0 is one for each GPU of the cluster, or for each core but one. How
    many there are changes no number: a shard's pictures come in the same batches to any of them.
    Raises ResourceError where no node holds the models of a group, and StudyError for weights that
    were not kept, before anything is read.
    """
    if not trials:
        return
    groups = groups_of(trials, at_once)
    kinds = [_kinds(group) for group in groups]
    reader = _reader_bytes(test_set, kinds)
    sizes, capacity = weight_bytes(trials), cluster_capacity()
    pools = [
        actor_pool(capacity, _actor_bytes(group, own, sizes), reader, actors, len(group))
        for group, own in zip(groups, kinds, strict=True)
    ]
    for group, own, pool in zip(groups, kinds, pools, strict=True):
        scored = _scored(group, own, test_set, templates, reader, pool)
        columns = {name: np.asarray(scored[name]) for name in scored.columns}
        line = np.argsort(columns["id"], kind="stable")
        for trial in group:
            yield trial, _scores(columns, line, trial.record.key, len(test_set.classes))


def _scored(
    group: Sequence[Finished],
    kinds: Sequence[Kind],
    test_set: TestSet,
    templates: Sequence[str],
    reader: int,
    pool: Mapping[str, Any],
) -> Any:
    """A table of all pictures: their ids and labels, and each model's columns."""
    look_often(len(test_set.shards) + 1)  # readers, and at least one that scores
    context = ray.data.DataContext.get_current()
    # An error keeps its cause on its way only so: wrapped, it arrives as Ray's "UDF failed".
    context.raise_original_map_exception = True
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    numbers = list(range(len(test_set.shards)))
    # A block a shard: then no block has pictures of two, however many cores there are.
    shards = ray.data.from_items(numbers, override_num_blocks=len(numbers))
    pictures = shards.map_batches(
        Reading(test_set, tuple(kinds)), batch_size=1, num_cpus=1, memory=reader
    )
    texts = _shared_texts(group, test_set.classes, templates, pool)
    arguments = (group, kinds, test_set.classes, tuple(templates), texts)
    scored = pictures.map_batches(Scoring, fn_constructor_args=arguments, batch_size=None, **pool)
    try:
        return scored.to_pandas()
    except Exception as error:
        known = ours(error)
        if known is None:
            raise
        raise known from None


def _shared_texts(
    group: Sequence[Finished],
    classes: Sequence[str],
    templates: Sequence[str],
    pool: Mapping[str, Any],
) -> list[Any]:
    """References to what tasks like the pool's actors make of the prompts, a part by each; none
    where each actor reads them itself."""
    number = pool["compute"].max_size
    if number == 1 or len(classes) * len(templates) < WORTH_SHARING:
        return []
    asked = {name: amount for name, amount in pool.items() if name != "compute"}
    task = ray.remote(num_returns=2, **asked)(texts_of)
    parts = [task.remote(group, classes, tuple(templates), n, number) for n in range(number)]
    # To their end: an actor that waits for them would hold the device that they wait for.
    ray.get([done for _, done in parts])
    return [texts for texts, _ in parts]


def groups_of(trials: Sequence[Finished], at_once: int) -> list[list[Finished]]:
    """Whole cohorts, together while they are at most `at_once`, and a larger one in parts."""
    cohorts: dict[str, list[Finished]] = {}
    for trial in trials:
        cohorts.setdefault(trial.record.cohort, []).append(trial)
    parts = [
        own[first : first + at_once]
        for own in cohorts.values()
        for first in range(0, len(own), at_once)
    ]
    groups: list[list[Finished]] = []
    for part in parts:
        if groups and len(groups[-1]) + len(part) <= at_once:
            groups[-1] += part
        else:
            groups.append(list(part))
    return groups


def _reader_bytes(test_set: TestSet, kinds: Sequence[Sequence[Kind]]) -> int:
    """Of a task that reads a shard: its bytes, and what it makes of them until it is handed on."""
    shard = max(find_object(place).num_bytes for place in test_set.shards)
    batch = max(sum(3 * size**2 for _, size in own) for own in kinds) * BATCH
    return int(PROCESS_BYTES + 2 * shard + TASK_CHUNKS * max(batch, BLOCK_BYTES))


def _actor_bytes(group: Sequence[Finished], kinds: Sequence[Kind], sizes: Mapping[str, int]) -> int:
    """Of an actor that holds the models of `group`, whose weights have `sizes` by key: on a GPU
    less, for they only pass through."""
    weights = sum(sizes[trial.record.key] for trial in group)
    pixels = BATCH * 3 * 4 * max(size**2 for _, size in kinds)
    return int(ACTOR_BYTES + WEIGHT_COPIES * (weights + BLOCK_BYTES) + ACTIVATIONS * pixels)


def weight_bytes(trials: Sequence[Finished]) -> dict[str, int]:
    """The size of each trial's weights by its key: they are asked for, some at a time.

    Raises StudyError for weights that were not kept.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        sizes = list(pool.map(_weight_bytes, trials))
    return {trial.record.key: size for trial, size in zip(trials, sizes, strict=True)}


def _weight_bytes(trial: Finished) -> int:
    """Raises StudyError for weights that were not kept."""
    sizes = (trial.store.num_bytes("trials", trial.record.key, n) for n in (WEIGHTS, OLD_WEIGHTS))
    found = next((size for size in sizes if size), 0)
    if not found:
        trial.state()
    return found


def actor_pool(
    capacity: Capacity, actor: int, reader: int, actors: int, num_models: int
) -> dict[str, Any]:
    """What Ray Data is told of the actors: how many there are, and what each asks for."""
    gpus, cores = (int(capacity.most.get(name, 0)) for name in ("GPU", "CPU"))
    nodes = [r for _, r in capacity.present] + [one.resources for one in capacity.node_types]
    known = [node["memory"] for node in nodes if node.get("memory")]
    if known and max(known) < actor + reader:
        raise ResourceError(
            f"{num_models} models on one stream need {actor / 1e9:.1f} GB, beside the "
            f"{reader / 1e9:.1f} GB of a task that reads, and no node has more than "
            f"{max(known) / 1e9:.1f} GB",
            why=f"each actor holds all of them: {ACTOR_BYTES / 1e9:g} GB for its process, the "
            "weights twice while they are read, and a batch's activations",
            mend="give fewer with --at-once" if num_models > 1 else "use nodes with more memory",
        )
    room = sum(int((memory - reader) // actor) for memory in known) or 1
    most = gpus or max(1, cores - 1)  # a core is left for those that read
    number = max(1, min(actors or most, most, room if known else most))
    on_cpu = {"num_cpus": 1 if cores > 1 else 0}
    asked = {"num_gpus": 1, "num_cpus": 0} if gpus else on_cpu
    return {"compute": ray.data.ActorPoolStrategy(size=number), "memory": actor, **asked}


def _kinds(trials: Sequence[Finished]) -> tuple[Kind, ...]:
    described = [Described.read(one.record.recipe, one.place) for one in trials]
    return tuple(dict.fromkeys((one.crop, one.image.size) for one in described))


def _scores(columns: Mapping[str, Any], line: Any, key: str, num_classes: int) -> Scores:
    own = {name: columns[f"{key}/{name}"][line] for name in ("predicted", "above")}
    ids = np.arange(len(line), dtype=np.int64)
    num_bad = int(columns[f"{key}/bad"].sum())
    return Scores(ids, {"label": columns["label"][line], **own}, num_classes, num_bad)
