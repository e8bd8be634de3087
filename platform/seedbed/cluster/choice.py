"""How a study is laid out on a cluster, chosen with its reasons before anything starts."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace

from seedbed.cluster.asked import Asked
from seedbed.cluster.capacity import Capacity
from seedbed.cluster.cards import room
from seedbed.cluster.layout import CORES_A_GPU, Layout, Shares, lay_out, shares_of
from seedbed.cluster.limits import within
from seedbed.cluster.memory import check_gpus, parts_for, variants_for
from seedbed.cluster.node_memory import check_tasks, task_memory, within_memory, worker_places
from seedbed.cluster.store import within_store
from seedbed.plan.cohort import Cohort
from seedbed.plan.plan import Plan

DEVICE = "SEEDBED_DEVICE"  # "cpu": workers hold the GPUs that they are given, and compute without


def choose(
    plan: Plan,
    cohorts: Sequence[Cohort],
    asked: Asked,
    capacity: Capacity,
    *,
    trains: bool = True,
    pair_bytes: float = 0.0,
) -> Layout:
    """The layout of `cohorts`, some of `plan`'s, on what of `capacity` they may use.

    Of their corpora a pair has `pair_bytes` on average, where that is known. Raises ResourceError
    where they can never fit. Cohorts that do not train need no memory.
    """
    if trains:
        needed = task_memory(cohorts, asked.least_workers, pair_bytes)
        asked = replace(asked, task_memory=needed)
    allowed = within(capacity, asked)
    if trains:
        check_tasks(allowed, asked.task_memory)
    num_gpus = int(allowed.most.get("GPU", 0))
    memory = room(allowed, asked.device_memory) if trains and num_gpus else None
    why = ""
    if memory is not None and not asked.data_parallel:
        parts = parts_for(cohorts, memory, num_gpus, asked.workers)
        asked, why = replace(asked, data_parallel=parts.number), f"; memory: {parts.why}"
    shares = Shares(why="a rehearsal trains nothing")
    if trains:
        shares = shares_of(plan, cohorts, asked.data_parallel or 1)
    has = "may use" if asked.max_gpus or asked.max_price or asked.worker_memory else allowed.has
    layout = lay_out(
        allowed.most,
        asked,
        num_cohorts=len(cohorts),
        shares=shares,
        has=has,
        nodes=allowed.nodes,
        places=math.inf if num_gpus or not asked.worker_memory else worker_places(allowed, asked),
    )
    if layout.use_gpu:
        layout = _with_data(layout, allowed, asked)
    if asked.data_cpus:
        layout = replace(layout, data_tasks=asked.data_cpus)
    layout = replace(layout, worker_memory=asked.worker_memory, task_memory=asked.task_memory)
    if trains:
        layout = within_store(within_memory(layout, allowed, asked), cohorts, allowed)
    if memory is not None:
        for cohort in cohorts:  # one variant that fits no card is refused
            for trial in cohort.trials:
                check_gpus([Cohort((trial,))], memory.most, data_parallel=layout.data_parallel)
        layout = replace(layout, variants=variants_for(cohorts, memory, layout.data_parallel))
    return replace(
        layout,
        accelerator=asked.accelerator,
        labels=allowed.labels,
        one_node=1 < layout.num_workers <= asked.gpus_per_node,
        device_memory=asked.device_memory,
        on_cpu=layout.use_gpu and os.environ.get(DEVICE) == "cpu",
        words=f"{layout.words}{why}; {_limits(asked)}{allowed.words}",
    )


def _with_data(layout: Layout, allowed: Capacity, asked: Asked) -> Layout:
    """A GPU's data tasks have its node's cores first, and those of other nodes up to CORES_A_GPU.

    More would make the autoscaler start nodes for them that nothing waits for.
    """
    nodes = [one.resources for one in allowed.node_types]
    nodes += [node for _, node in allowed.present]
    near = min(node.get("CPU", 0) / node["GPU"] for node in nodes if node.get("GPU"))
    used = layout.concurrent * layout.num_workers
    others = sum(node.get("CPU", 0) for _, node in allowed.present if not node.get("GPU"))
    others += sum(
        one.most * one.resources.get("CPU", 0)
        for one in allowed.node_types
        if not one.resources.get("GPU")
    )
    own = near - layout.cpus_per_worker
    tasks = max(1, int(max(own, min(CORES_A_GPU, own + others / used))))
    return replace(
        layout,
        threads=max(1, int(near)),
        data_tasks=tasks,
        words=f"{layout.words}, with {tasks} data tasks to a worker, {int(max(own, 0))} of them "
        "beside its GPU",
    )


def _limits(asked: Asked) -> str:
    said = [
        f"GPUs of the kind {asked.accelerator}" if asked.accelerator else "",
        f"{asked.gpus_per_node} or more a node" if asked.gpus_per_node else "",
        f"{asked.worker_memory / 1e9:g} GB of its node's memory for each worker"
        if asked.worker_memory
        else "",
        f"at most {asked.max_gpus} GPUs" if asked.max_gpus else "",
        f"at most ${asked.max_price:g} an hour" if asked.max_price else "",
    ]
    words = ", ".join(filter(None, said))
    return f"asked for {words}: " if words else ""
