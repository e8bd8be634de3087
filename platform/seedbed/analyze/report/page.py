"""The parts of a page: sections of text, tables and figures, which the templates lay out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seedbed.analyze.numbers import number

LONG = 28  # letters of a cell that may be broken into lines


@dataclass(frozen=True)
class Table:
    """Cells of text; `numeric` are the columns set flush right; `tones` [rows] are style names."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
    tones: Sequence[str] = ()
    title: str = ""
    remark: str = ""

    @property
    def is_narrow(self) -> bool:
        """Whether it has few columns of short cells, far apart if set at full page width."""
        longest = max((len(cell) for row in self.rows for cell in row), default=0)
        return len(self.header) < 4 and longest <= LONG

    def tone(self, row: int) -> str:
        return self.tones[row] if row < len(self.tones) else ""


@dataclass(frozen=True)
class Section:
    """A heading, its paragraphs, then figures by name, tables and closing remarks."""

    title: str
    words: Sequence[str] = ()
    figures: Sequence[str] = ()
    tables: Sequence[Table] = ()
    remarks: Sequence[str] = ()
    is_small: bool = False


def noted_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: frozenset[int],
    notes: Sequence[str],
    tones: Sequence[str] = (),
) -> Table:
    """A table with a note per row: below it where all rows share one, else in a last column."""
    if len(set(notes)) == 1:
        return Table(header, rows, numeric, tones, remark=sentence(notes[0]))
    noted = [[*row, note] for row, note in zip(rows, notes, strict=True)]
    return Table([*header, "Note"], noted, numeric, tones)


def sentence(words: str) -> str:
    """`words` with a capital letter and a full stop; empty stays empty."""
    return f"{words[0].upper()}{words[1:].rstrip('.')}." if words else ""


def flat(values: Mapping[str, Any], prefix: str = "") -> list[list[str]]:
    """A nested mapping as rows of name and text."""
    rows = []
    for name, value in values.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            rows += flat(value, f"{path}.")
        elif isinstance(value, list | tuple):
            rows.append([path, ", ".join(map(str, value))])
        else:
            rows.append([path, number(value, 0) if type(value) is int else str(value)])
    return rows
