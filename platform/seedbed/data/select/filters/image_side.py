"""Pictures that are large enough for the image tower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seedbed.data.select.filters.filter import Filter, Mask, Rows, column


@dataclass(frozen=True)
class MinImageSide(Filter):
    """Pictures whose shorter side has at least `pixels` pixels.

    Ours: the paper's V1 to V2 rule is not known.
    """

    pixels: int = 64

    columns: ClassVar[frozenset[str]] = frozenset({"width", "height"})
    by_row: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._counts("pixels", least=1)

    def keep(self, rows: Rows) -> Mask:
        width, height = (column(rows, side, self.name) for side in ("width", "height"))
        return np.asarray(np.minimum(width, height) >= self.pixels)
