"""One row of each picture, by its exact bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seedbed.data.select.filters.filter import (
    Bits,
    Deduplication,
    Mask,
    Rows,
    column,
    first_of_each,
    hashes,
)

UNKNOWN = 0  # the digest of a picture that could not be read


@dataclass(frozen=True)
class ExactDuplicates(Deduplication):
    """One row of each `sha256` (of the picture's bytes): the one of the smallest hash of `key`.

    A row without a sha256 (its picture could not be read) is not a duplicate, and stays.
    """

    columns: ClassVar[frozenset[str]] = frozenset({"sha256", "key"})

    def digest(self, rows: Rows) -> Bits:
        digests = column(rows, "sha256", self.name)
        return np.where(digests == "", np.uint64(UNKNOWN), hashes(digests))

    def choose(self, digests: Bits, ranks: Bits) -> Mask:
        return first_of_each(digests, ranks) | (digests == UNKNOWN)
