"""Pairs that another model scores as matching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seedbed.data.select.filters.filter import Filter, Mask, Rows, column
from seedbed.errors import DataError


@dataclass(frozen=True)
class ClipScore(Filter):
    """Pairs whose `clip_score` is at least `least`; a pair without a score (NaN) is removed.

    The column comes with the corpus (img2dataset and DataComp bring one); it is not computed.
    Not in the paper. 0.3 is LAION-400M's threshold, of ViT-B/32 (Schuhmann et al. 2021).
    """

    least: float = 0.3

    columns: ClassVar[frozenset[str]] = frozenset({"clip_score"})
    by_row: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._numbers("least", least=-1, most=1)

    def keep(self, rows: Rows) -> Mask:
        scores = column(rows, "clip_score", self.name)
        try:
            return np.asarray(scores.astype(np.float64) >= self.least)
        except (TypeError, ValueError) as error:
            raise DataError(
                "the column 'clip_score' does not hold numbers",
                why=f"{self.name} compares it with {self.least:g}: {error}",
                mend="write the column as floating-point numbers, NaN where there is no score",
            ) from error
