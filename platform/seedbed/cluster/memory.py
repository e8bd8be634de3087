"""Whether variants fit the GPUs, as far as that is sure before anything trains.

What surely cannot fit is refused with the arithmetic: weights, gradients, Adam's moments and the
batch. What else a step needs is measured in the first one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seedbed.cluster.capacity import Capacity
from seedbed.errors import ResourceError
from seedbed.plan.memory import STATE_BYTES, held_by
from seedbed.plan.plan import Cohort
from seedbed.study.trial import Trial

GB = 1e9
LABEL = "accelerator_type:"  # of Ray's resources that name a node's GPUs
# By Ray's names (ray.util.accelerators), of each the largest that is sold: NVIDIA's data sheets,
# rounded up, so that nothing is refused that some card of the name could hold.
GPU_GB: Mapping[str, int] = {
    "P4": 9,
    "K80": 13,
    "P100": 18,
    "T4": 18,
    "V100": 35,
    "A10G": 26,
    "L4": 26,
    "L40S": 52,
    "A100-40G": 43,
    "A100": 86,
    "A100-80G": 86,
    "H100": 101,
    "H20": 152,
    "H200": 152,
    "B200": 207,
    "GB200": 207,
    "B300": 310,
    "GB300": 310,
}


def largest_gpu(capacity: Capacity) -> int | None:
    """Bytes of the largest GPU that a cluster can have; None where some are of no known kind."""
    nodes = [*(one.resources for one in capacity.node_types), capacity.now]
    kinds = [
        {name.removeprefix(LABEL) for name in node if name.startswith(LABEL)}
        for node in nodes
        if node.get("GPU")
    ]
    if not kinds or not all(kind and kind <= GPU_GB.keys() for kind in kinds):
        return None
    return round(GB * max(GPU_GB[name] for kind in kinds for name in kind))


def check_gpus(
    cohorts: Sequence[Cohort], gpu_bytes: int, *, num_shares: int = 1, data_parallel: int = 1
) -> None:
    """Raise ResourceError where a cohort surely does not fit its GPUs.

    `num_shares` groups of `data_parallel` GPUs train some of its variants each.
    """
    for cohort in cohorts:
        rows = cohort.recipe.budget.batch // data_parallel
        for trial in cohort.trials:
            check_alone(trial, rows, gpu_bytes, data_parallel)
        held = held_by(cohort.trials)
        batch = rows * held.row
        # However they are split: no share is smaller than an equal one.
        least = sum(held.states) / num_shares + batch
        if least > gpu_bytes:
            fitting = max(1, int((gpu_bytes - batch) // max(held.states))) * num_shares
            count = len(cohort.trials)
            raise ResourceError(
                f"{count} variants need at least {gigabytes(least)} of each of {num_shares} GPUs, "
                f"and the largest has {gigabytes(gpu_bytes)}",
                why=f"{gigabytes(sum(held.states))} of weights, gradients and Adam's moments / "
                f"{num_shares} + a batch of {gigabytes(batch)}, and activations come on top",
                mend=f"--cohort-size {fitting}, or more --workers",
            )


def check_alone(trial: Trial, rows: int, gpu_bytes: int, data_parallel: int = 1) -> None:
    """Raise ResourceError where one variant surely does not fit, with `rows` of every batch."""
    held = held_by([trial])
    if held.total(rows) <= gpu_bytes:
        return
    (state,) = held.states
    mend = f"take GPUs of more than {gigabytes(held.total(rows))}, or a smaller model"
    room = (gpu_bytes - state) // held.row  # rows
    lanes = trial.recipe.corpus.lanes
    parts = [n for n in range(1, lanes + 1) if lanes % n == 0 and rows * data_parallel <= n * room]
    if parts:
        mend = f"--data-parallel {parts[0]}"
    raise ResourceError(
        f"'{trial.name}' needs at least {gigabytes(held.total(rows))} of a GPU, and the largest "
        f"has {gigabytes(gpu_bytes)}",
        why=f"{state // STATE_BYTES / 1e6:,.0f} M parameters x {STATE_BYTES} bytes (weight, "
        f"gradient, Adam's moments) = {gigabytes(state)}, and {rows:,} rows of a batch x "
        f"{held.row / 1e3:,.0f} kB = {gigabytes(rows * held.row)}, and activations come on top",
        mend=mend,
    )


def gigabytes(num_bytes: float) -> str:
    """`1.5 GB`."""
    return f"{num_bytes / GB:,.1f} GB"
