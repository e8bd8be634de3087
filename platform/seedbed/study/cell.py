"""A cell of a study: one level of each factor, named by its labels."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from seedbed.study.label import Label, label_text


class Cell(Mapping[str, Label]):
    """Labels by factor, in the study's order of factors: immutable, hashable, plain JSON.

    Labels are canonical: a whole number is an int (2.0 and NumPy's 2 are 2), another number a
    float, everything else text. Two cells are equal where each label has the same text, whatever
    the order of factors, so that a cell read back from JSON or from a tag is the cell that was
    planned.
    """

    def __init__(self, labels: Mapping[str, Label] | Iterable[tuple[str, Label]] = ()) -> None:
        self._labels = {str(name): canonical(label) for name, label in dict(labels).items()}

    @cached_property
    def _texts(self) -> frozenset[tuple[str, str]]:
        return frozenset((name, label_text(label)) for name, label in self._labels.items())

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """The labels alone, in the study's order of factors."""
        return tuple(self._labels.values())

    def __getitem__(self, factor: str) -> Label:
        return self._labels[factor]

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self._texts == (other if isinstance(other, Cell) else Cell(other))._texts

    def __hash__(self) -> int:
        return hash(self._texts)

    def without(self, factor: str) -> Cell:
        """The other factors' labels: equal for cells that differ in `factor` only."""
        left = Cell()
        left._labels = {name: label for name, label in self._labels.items() if name != factor}
        left._texts = frozenset([pair for pair in self._texts if pair[0] != factor])
        return left

    def to_json(self) -> dict[str, Label]:
        """Labels by factor as plain JSON values."""
        return dict(self._labels)

    def __str__(self) -> str:
        """`depth=3 supervision=clip`, for people."""
        return " ".join(f"{name}={label_text(label)}" for name, label in self._labels.items())

    def __repr__(self) -> str:
        return f"Cell({self._labels!r})"


def canonical(label: Any) -> Label:
    """The label as JSON keeps it: int, float or text."""
    if type(label) in (str, int):  # as most are, of 10,000 cells
        return label
    if isinstance(label, bool) or not isinstance(label, numbers.Real):
        return str(label)
    if isinstance(label, numbers.Integral):
        return int(label)
    value = float(label)
    # Beyond 2**53 neighbouring whole numbers are one float: it stays what it was.
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
