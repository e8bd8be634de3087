"""What the final weights of a study's trials take, which are kept beside their records."""

from __future__ import annotations

from seedbed.errors import StudyError
from seedbed.plan.plan import Plan

WEIGHT_BYTES = 4  # of a parameter: weights are fp32, whatever a trial computes in
# Kept unless it is said otherwise. Above it they are a disk's worth, and most studies of so many
# trials ask for numbers alone.
MOST_WEIGHTS = 1e12


def weights_bytes(plan: Plan) -> int:
    """Bytes of the final weights of all trials, with what is kept beside the parameters."""
    costs = plan.costs().values()
    return sum(WEIGHT_BYTES * cost.num_params + cost.buffer_bytes for cost in costs)


def check_weights(plan: Plan) -> None:
    """Raise StudyError where weights that nobody asked for would take more than MOST_WEIGHTS."""
    held = weights_bytes(plan)
    if held > MOST_WEIGHTS:
        raise StudyError(
            f"the final weights of {len(plan.trials):,} trials take {held / 1e12:.1f} TB",
            why=f"they are kept beside the records, by default up to {MOST_WEIGHTS / 1e12:g} TB; "
            "without them a trial cannot be exported, loaded or evaluated on another task",
            mend="say --keep-weights final or --keep-weights none",
        )


def weights_line(plan: Plan, keep: bool) -> str:
    """What is kept of finished trials, in words."""
    held = f"{weights_bytes(plan) / 1e9:,.3g} GB of final weights"
    if keep:
        return f"{held} are kept beside the records (--keep-weights none leaves them out)"
    return f"none is kept (--keep-weights none): {held} are left out"
