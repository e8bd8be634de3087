"""Whether a plan fits the cluster, decided with the arithmetic before anything starts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seedbed.cluster.asked import Asked
from seedbed.cluster.cores import DATA_CPUS, cores_of
from seedbed.errors import ResourceError
from seedbed.plan.cohort import Cohort
from seedbed.plan.ladder import ladders_of
from seedbed.plan.plan import Plan
from seedbed.plan.weights import WEIGHT_BYTES, weights_bytes

# Of a GPU's data tasks: a core decodes about 500 pairs a second at 224 px, and a large GPU trains
# on several thousand. A node with fewer cores to a GPU gets help from nodes that have only cores.
CORES_A_GPU = 16
# Adam keeps two moments beside each weight, and a record keeps the weights once more.
CHECKPOINT_COPIES = 3
KEPT_CHECKPOINTS = 2
# Of one core of a laptop in fp32 (measured: 10 to 40), and how long a cohort must take for
# another worker, which starts in about 10 s, to be worth it.
CORE_FLOPS, WORTH_SECONDS = 20e9, 60.0


@dataclass(frozen=True)
class Layout:
    """How cohorts are laid on the cluster; `words` say it, with the reason."""

    num_workers: int
    data_parallel: int  # workers that train one variant together
    cpus_per_worker: float
    use_gpu: bool
    concurrent: int
    threads: int  # of torch, in each worker
    data_tasks: int  # of each worker, at a time
    variants: int = 0  # at most on one worker's device, where that is known
    accelerator: str = ""  # of the workers' GPUs, where one was asked for
    labels: tuple[tuple[str, str], ...] = ()  # of the workers' nodes, where not all may be used
    one_node: bool = False  # all workers of a cohort on one
    worker_memory: float = 0.0  # bytes of its node's that each worker has
    device_memory: float = 0.0  # bytes of its device that each worker may use, where stated
    on_cpu: bool = False  # workers hold GPUs, and compute without them
    task_cpus: float = float(DATA_CPUS)  # of a core, that each data task asks for
    task_memory: float = 0.0  # bytes of its node's, that it asks for at most, where they are kept
    words: str = ""

    @property
    def resources_per_worker(self) -> dict[str, float]:
        """By Ray's names."""
        asked = {
            "CPU": self.cpus_per_worker,
            "GPU": float(self.use_gpu),
            "memory": self.worker_memory,
        }
        return {name: amount for name, amount in asked.items() if amount}

    @property
    def backend(self) -> str | None:
        """Of the workers' process group; None: by Ray, for what the workers hold."""
        return "gloo" if self.on_cpu else None

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "labels": dict(self.labels)}


@dataclass(frozen=True)
class Shares:
    """Into how many shares a cohort's variants may be split, ascending, and why no further."""

    allowed: tuple[int, ...] = (1,)
    why: str = "one was asked for"


def shares_of(plan: Plan, cohorts: Sequence[Cohort], data_parallel: int = 1) -> Shares:
    """Of the largest of `cohorts`. A worker more takes seconds to start, and must be worth it."""
    costs = plan.costs()
    seconds = max(sum(costs[t.key].train_flops for t in c.trials) / CORE_FLOPS for c in cohorts)
    if seconds < WORTH_SECONDS:
        return Shares(why=f"a cohort takes about {seconds:.0f} s of one core")
    lanes = {trial.recipe.corpus.lanes for cohort in cohorts for trial in cohort.trials}
    # Trials of one ladder share steps, and so a worker.
    most = max(len(ladders_of(cohort.trials)) for cohort in cohorts)
    fitting = [n for n in range(1, most + 1) if all(x % (n * data_parallel) == 0 for x in lanes)]
    return Shares(tuple(fitting) or (1,), f"a cohort has up to {most} variants")


def lay_out(
    cluster: Mapping[str, Any],
    asked: Asked,
    *,
    num_cohorts: int,
    shares: Shares = Shares(),
    has: str = "has",
    nodes: Sequence[Mapping[str, float]] = (),
    places: float = math.inf,
) -> Layout:
    """Fit cohorts on `cluster` (Ray's resources: CPU, GPU), with the workers that were asked for.

    Those that it has, or `has` says "can have". `nodes` are the kinds of its nodes, where they are
    known: a worker computes on one of them, and so does a task that reads its data. Their memory
    has room for `places` workers in all.

    Where none were, as many as `shares` and the cluster allow, each with some of a cohort's
    variants: small models gain more by that than by threads. Raises ResourceError with the
    arithmetic where not even one cohort fits; Ray itself would wait for ever, and say nothing.
    """
    cpus, gpus = int(cluster.get("CPU", 0)), int(cluster.get("GPU", 0))
    use_gpu = gpus > 0
    num_workers, data_parallel = asked.least_workers, asked.data_parallel or 1
    need = num_workers + DATA_CPUS
    _check_one(cpus, gpus, places, asked, has)
    concurrent = min(cpus // need, gpus // num_workers if use_gpu else cpus, num_cohorts)
    concurrent = max(1, int(min(concurrent, places / num_workers)))
    share = cpus // concurrent
    why = "asked for"
    if not asked.workers:
        room = gpus // concurrent if use_gpu else share
        room = int(min(room, places / concurrent)) // data_parallel
        num_shares = max((n for n in shares.allowed if n <= room), default=1)
        num_workers = num_shares * data_parallel
        why = f"{shares.why}, and there is room for {_plural(room, 'worker')}"
    cores = cores_of(nodes or [cluster], num_workers, share, total=cpus, gpus=use_gpu)
    node_cpus = int(max((node.get("CPU", 0) for node in nodes), default=0)) or share
    threads = max(1, min(share // num_workers, node_cpus))
    return Layout(
        num_workers=num_workers,
        data_parallel=data_parallel,
        cpus_per_worker=cores.worker,
        task_cpus=cores.task,
        use_gpu=use_gpu,
        concurrent=concurrent,
        # Data tasks come in bursts between steps, so a worker computes with the whole share.
        threads=threads,
        data_tasks=max(1, int(share - num_workers * cores.worker) // num_workers),
        words=f"{_plural(concurrent, 'cohort')} at a time, each on "
        f"{_plural(num_workers, 'worker')} of {_plural(threads, 'thread')}, "
        f"{data_parallel} to a variant ({why})",
    )


def _check_one(cpus: int, gpus: int, places: float, asked: Asked, has: str) -> None:
    """Raise ResourceError where not even one cohort fits, of as few workers as were asked for."""
    num_workers = asked.least_workers
    need = num_workers + DATA_CPUS
    if need > cpus:
        raise ResourceError(
            f"a cohort needs {need} CPUs and the cluster {has} {cpus}",
            why=f"{num_workers} workers x 1 CPU + {DATA_CPUS} CPU for its data tasks = {need}",
            mend="add CPUs, or lower --workers" if num_workers > 1 else "add CPUs",
        )
    if 0 < gpus < num_workers:
        each = asked.worker_memory / 1e9
        raise ResourceError(
            f"a cohort needs {num_workers} GPUs and the cluster {has} {gpus}",
            why=f"{num_workers} workers x 1 GPU = {num_workers}"
            + (f", and no node takes more than its memory / {each:g} GB of them" if each else ""),
            mend="add GPUs, or lower --workers" + (" or --worker-memory" if each else ""),
        )
    if num_workers > places:
        raise ResourceError(
            f"a cohort needs {num_workers} workers, and the memory of the cluster is enough for "
            f"{places:g}",
            why=f"each has {asked.worker_memory / 1e9:g} GB of one node's, beside a data task of "
            f"{asked.task_memory / 1e9:.2g} GB on each node",
            mend="add nodes, or lower --workers or --worker-memory",
        )


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def checkpoint_bytes(plan: Plan) -> int:
    """Of one checkpoint of the largest cohort."""
    costs = plan.costs()
    largest = max(sum(costs[t.key].num_params for t in cohort.trials) for cohort in plan.cohorts)
    return WEIGHT_BYTES * largest * CHECKPOINT_COPIES


def check_disk(
    plan: Plan, free_bytes: int | None, place: str, test_bytes: int = 0, *, keep: bool = True
) -> None:
    """Raise ResourceError when the results would not fit on the disk.

    `test_bytes` are those of the pictures that trials are scored on, which are kept as they are
    scored, and `keep` says whether final weights are kept.
    """
    if free_bytes is None:
        return
    checkpoint = checkpoint_bytes(plan)
    num_kept = len(plan.trials) if keep else 0
    final = weights_bytes(plan) if keep else 0
    need = final + checkpoint * (KEPT_CHECKPOINTS + 1) + test_bytes
    if need > free_bytes:
        raise ResourceError(
            f"{place} has {free_bytes / 1e9:.1f} GB free and the study needs {need / 1e9:.1f} GB",
            why=f"weights of {num_kept} trials, {KEPT_CHECKPOINTS + 1} checkpoints "
            f"of the largest cohort at {checkpoint / 1e9:.2f} GB, and pictures "
            f"to be tested on of {test_bytes / 1e9:.2f} GB",
            mend="free some room, or give another place with --storage"
            + (", or keep no final weights with --keep-weights none" if keep else ""),
        )
