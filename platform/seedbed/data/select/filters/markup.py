"""Captions without addresses and markup."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from seedbed.data.select.filters.filter import Filter, Mask, Rows, column, each

URL = re.compile(r"(?:https?|ftp)://|\bwww\.\w|\bmailto:|[\w.+-]@[\w-]{1,63}\.[a-z]{2}", re.I)
TAG = re.compile(
    r"</?[a-z][^<>]*>|&(?:[a-z]+|#\d+|#x[\da-f]+);|\[/?(?:url|img|b|i)\b[^][]*\]", re.I
)


@dataclass(frozen=True)
class Markup(Filter):
    """Captions without an address (URL, e-mail) and without a tag or entity of HTML or BBCode.

    Ours: the paper's V1 to V2 rule is not known.
    """

    refuse_urls: bool = True
    refuse_tags: bool = True

    columns: ClassVar[frozenset[str]] = frozenset({"caption"})
    by_row: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._switches("refuse_urls", "refuse_tags")

    def keep(self, rows: Rows) -> Mask:
        return each(column(rows, "caption", self.name), self._keeps)

    def _keeps(self, caption: str) -> bool:
        url = self.refuse_urls and URL.search(caption)
        return not (url or (self.refuse_tags and TAG.search(caption)))
