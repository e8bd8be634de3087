"""A limit on the aspect ratio of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seedbed.data.select.filters.filter import Filter, Mask, Rows, column


@dataclass(frozen=True)
class AspectRatio(Filter):
    """Pictures whose longer side is at most `most` times the shorter; unknown sizes are removed.

    Ours: the paper's V1 to V2 rule is not known. 3 is DataComp's basic filter (Gadre et al.
    2023, "basic filtering").
    """

    most: float = 3.0

    columns: ClassVar[frozenset[str]] = frozenset({"width", "height"})
    by_row: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._numbers("most", least=1)

    def keep(self, rows: Rows) -> Mask:
        width, height = (column(rows, side, self.name) for side in ("width", "height"))
        short, long = np.minimum(width, height), np.maximum(width, height)
        return np.asarray((short > 0) & (long <= self.most * short))
