"""The residual that tests and intervals use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorTerm:
    """The residual of a model and whether it may be used: `refusal` says why not."""

    sum_sq: float
    df: int
    refusal: str

    @property
    def mean_sq(self) -> float:
        return self.sum_sq / self.df if self.df else float("nan")
