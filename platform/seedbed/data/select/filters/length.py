"""Captions that are neither too short nor too long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from seedbed.data.select.filters.filter import Filter, Mask, Rows, column, each


@dataclass(frozen=True)
class Length(Filter):
    """Captions of `min_words` to `max_words` words and `min_characters` to `max_characters`.

    Words are what white space separates; characters are counted without it at the ends.
    Ours: the paper's V1 to V2 rule is not known. 77 tokens is the context of the paper's text
    tower, so that 60 words are about what it can read.
    """

    min_words: int = 2
    max_words: int = 60
    min_characters: int = 5
    max_characters: int = 400

    columns: ClassVar[frozenset[str]] = frozenset({"caption"})
    by_row: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._counts("min_words", least=0)
        self._counts("max_words", least=self.min_words)
        self._counts("min_characters", least=0)
        self._counts("max_characters", least=self.min_characters)

    def keep(self, rows: Rows) -> Mask:
        return each(column(rows, "caption", self.name), self._keeps)

    def _keeps(self, caption: str) -> bool:
        words = self.min_words <= len(caption.split()) <= self.max_words
        return words and self.min_characters <= len(caption.strip()) <= self.max_characters
