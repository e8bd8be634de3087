"""One row of each picture, by its exact bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seedbed.data.select.filters.filter import Filter, Mask, Rows, by_hash, column


@dataclass(frozen=True)
class ExactDuplicates(Filter):
    """One row of each `sha256` (of the picture's bytes): the one of the smallest hash of `key`.

    A row without a sha256 (its picture could not be read) is not a duplicate, and stays.
    """

    columns: ClassVar[frozenset[str]] = frozenset({"sha256", "key"})

    def keep(self, rows: Rows) -> Mask:
        digests = column(rows, "sha256", self.name)
        keep = np.zeros(len(digests), np.bool_)
        seen: set[str] = set()
        for row in by_hash(column(rows, "key", self.name)).tolist():
            digest = digests[row]
            keep[row] = not digest or digest not in seen
            seen.add(digest)
        return keep
