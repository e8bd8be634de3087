"""Captions of a script that the text tower can read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from seedbed.data.select.filters.filter import Filter, Mask, Rows, column, each

# U+4E00-U+9FA5, the common Chinese characters: the released code (Sense-GVT/DeCLIP) rejects a
# caption with any one of them.
CHINESE = re.compile("[\u4e00-\u9fa5]")


@dataclass(frozen=True)
class Characters(Filter):
    """Captions mostly of ASCII letters, and without Chinese characters.

    `min_ascii_share` of the letters (characters that Unicode calls letters; digits and marks are
    left out of the count) must be ASCII; a caption without any letter has the share 0.
    Ours: the paper's V1 to V2 rule is not known, only that V2 has fewer words that are not
    English. The refusal of U+4E00-U+9FA5 is the released code's.
    """

    min_ascii_share: float = 0.9
    refuse_chinese: bool = True

    columns: ClassVar[frozenset[str]] = frozenset({"caption"})
    by_row: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._numbers("min_ascii_share", least=0, most=1)
        self._switches("refuse_chinese")

    def keep(self, rows: Rows) -> Mask:
        return each(column(rows, "caption", self.name), self._keeps)

    def _keeps(self, caption: str) -> bool:
        if self.refuse_chinese and CHINESE.search(caption):
            return False
        letters = [c for c in caption if c.isalpha()]
        ascii_letters = sum(c.isascii() for c in letters)
        return ascii_letters >= self.min_ascii_share * max(len(letters), 1)
