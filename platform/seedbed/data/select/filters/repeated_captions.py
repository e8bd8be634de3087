"""A limit on the rows with the same caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seedbed.data.select.filters.filter import Filter, Mask, Rows, by_hash, column


@dataclass(frozen=True)
class RepeatedCaptions(Filter):
    """At most `most` rows of each caption; captions are equal up to case and white space.

    Those of the smallest hash of `key` stay, whatever the order of the rows.
    Ours: the paper's V1 to V2 rule is not known, only that V2's captions are "more balanced".
    """

    most: int = 20

    columns: ClassVar[frozenset[str]] = frozenset({"caption", "key"})

    def __post_init__(self) -> None:
        self._counts("most", least=1)

    def keep(self, rows: Rows) -> Mask:
        captions = column(rows, "caption", self.name)
        keep = np.zeros(len(captions), np.bool_)
        taken: dict[str, int] = {}
        for row in by_hash(column(rows, "key", self.name)).tolist():
            caption = " ".join(captions[row].casefold().split())
            taken[caption] = taken.get(caption, 0) + 1
            keep[row] = taken[caption] <= self.most
        return keep
