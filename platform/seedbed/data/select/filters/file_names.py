"""Captions that describe the picture, not its file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from seedbed.data.select.filters.filter import Filter, Mask, Rows, column, each

# A name with the extension of a picture, anywhere in the caption.
EXTENSION = re.compile(r"\S\.(?:jpe?g|png|gif|bmp|tiff?|webp|svg|cr2|nef|heic)\b", re.IGNORECASE)
# What cameras call their files (Design rule for Camera File system, JEITA CP-3461: four letters or
# digits, then four digits) and the common prefixes of phones and scanners. Nothing but that:
# "IMG_1234 my dog" is a caption.
CAMERA = re.compile(
    r"^\W*(?:(?:IMG|DSC|DSCN|DSCF|DCP|PICT|MVI|CIMG|IMGP|SANY|SCAN|PHOTO|IMAGE|PIC|VID|P)"
    r"[A-Z]?[\s_.-]*\d{2}|[A-Z_]{3}[A-Z\d_]\d{4})[\d\s_.()-]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class FileNames(Filter):
    """Captions that are neither a file name nor mostly digits.

    Refused are a camera's names (IMG_1234, DSC00012), a name with a picture's extension where
    `refuse_extensions`, and captions of which more than `max_digit_share` of the characters,
    white space aside, are digits. Ours: the paper's V1 to V2 rule is not known.
    """

    max_digit_share: float = 0.5
    refuse_extensions: bool = True

    columns: ClassVar[frozenset[str]] = frozenset({"caption"})
    by_row: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._numbers("max_digit_share", least=0, most=1)
        self._switches("refuse_extensions")

    def keep(self, rows: Rows) -> Mask:
        return each(column(rows, "caption", self.name), self._keeps)

    def _keeps(self, caption: str) -> bool:
        if CAMERA.match(caption) or (self.refuse_extensions and EXTENSION.search(caption)):
            return False
        characters = [c for c in caption if not c.isspace()]
        return sum(c.isdigit() for c in characters) <= self.max_digit_share * len(characters)
