"""The residual that tests and intervals use, and whether they may."""

from __future__ import annotations

from dataclasses import dataclass

from seedbed.analyze.trials.observations import Observations

_ZERO_RESIDUAL = 1e-22  # of the total sum of squares: what rounding leaves of an exact fit
# With two seeds a contrast has so few degrees of freedom that only a pooled error is usable.
MIN_POOLED_DF = 6


@dataclass(frozen=True)
class ErrorTerm:
    """The residual of a model and whether it may be used: `refusal` says why not."""

    sum_sq: float
    df: int
    refusal: str

    @property
    def mean_sq(self) -> float:
        return self.sum_sq / self.df if self.df else float("nan")


def judged_error(
    seen: Observations, sum_sq: float, df: int, *, any_residual: bool = False
) -> ErrorTerm:
    """A residual, and whether tests and intervals may use it.

    With `any_residual` also one that is not of repetitions, but of terms left out of the model.
    """
    one, two, agree = _words(seen)
    refusal = ""
    if seen.is_constant:
        sum_sq, refusal = 0.0, "the response is the same in every completed trial"
    elif df == 0:
        refusal = "no test: no error degrees of freedom"
        if seen.num_seeds < 2:
            refusal = f"{one}: no interval and no p; {refusal}"
    elif any_residual:
        pass
    elif seen.num_seeds < 2:
        refusal = f"{one}: no interval and no p"
    elif seen.num_seeds == 2 and df < MIN_POOLED_DF:
        refusal = f"{two}: the pooled error has {df} degrees of freedom, {MIN_POOLED_DF} needed"
    elif sum_sq <= _ZERO_RESIDUAL * float(seen.y @ seen.y):
        refusal = f"{agree}: there is no error to test against"
    return ErrorTerm(sum_sq, df, refusal)


def _words(seen: Observations) -> tuple[str, str, str]:
    """What one and two repetitions are, and that they agree. Runs that share nothing have no seed
    to be told apart by."""
    if seen.block is None:
        return "one run a cell", "two runs a cell", "the runs of every cell agree exactly"
    return "one seed", "two seeds", "the seeds agree exactly"
