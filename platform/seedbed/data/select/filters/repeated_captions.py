"""A limit on the rows with the same caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from seedbed.data.select.filters.filter import (
    Bits,
    Deduplication,
    Mask,
    Rows,
    column,
    first_of_each,
    hashes,
)


@dataclass(frozen=True)
class RepeatedCaptions(Deduplication):
    """At most `most` rows of each caption; captions are equal up to case and white space.

    Those of the smallest hash of `key` stay, whatever the order of the rows.
    Ours: the paper's V1 to V2 rule is not known, only that V2's captions are "more balanced".
    """

    most: int = 20

    columns: ClassVar[frozenset[str]] = frozenset({"caption", "key"})

    def __post_init__(self) -> None:
        self._counts("most", least=1)

    def digest(self, rows: Rows) -> Bits:
        captions = column(rows, "caption", self.name)
        return hashes([" ".join(caption.casefold().split()) for caption in captions])

    def choose(self, digests: Bits, ranks: Bits) -> Mask:
        return first_of_each(digests, ranks, self.most)
