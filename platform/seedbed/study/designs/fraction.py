"""A fraction of a two-level factorial, by its defining words (Box, Hunter and Hunter, ch. 6)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from seedbed.errors import StudyError, nearest
from seedbed.study.arguments import several
from seedbed.study.cell import Cell
from seedbed.study.cell_design import CellDesign
from seedbed.study.crossing import crossed
from seedbed.study.factor import Factor

LEAST_RESOLUTION = 3
_ROMAN = ("0", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")


@dataclass(frozen=True)
class Fraction(CellDesign):
    """The cells in which an even number of each word's factors is at its second level.

    `words` are sets of factor names: `Fraction.parse(("a * b * c * d * e",), factors)` keeps half
    of 32 cells. The cell of all first levels, usually the baseline, is always kept.
    """

    words: tuple[frozenset[str], ...]

    @classmethod
    def parse(cls, given: Any, factors: Sequence[Factor]) -> Self | None:
        """`given` are the words. Raises StudyError for unknown or many-levelled factors, and for
        too coarse a fraction."""
        words = several(given, str, "fraction")
        if not words:
            return None
        by_name = {factor.name: factor for factor in factors}
        sets: list[frozenset[str]] = []
        for word in words:
            names = [name.strip() for name in word.split("*")]
            for name in names:
                if name not in by_name:
                    raise StudyError(
                        f"the fraction '{word}' names the factor '{name}'",
                        why="the study has no such factor",
                        mend=nearest(name, by_name),
                    )
                if len(by_name[name].levels) != 2:
                    raise StudyError(
                        f"the fraction '{word}' names '{name}', which has "
                        f"{len(by_name[name].levels)} levels",
                        why="a word multiplies factors coded -1 and +1",
                        mend="leave it out of the word, or give it two levels",
                    )
            sets.append(frozenset(n for n in names if names.count(n) % 2))
        fraction = cls(tuple(sets))
        if fraction.resolution < LEAST_RESOLUTION:
            raise StudyError(
                f"the fraction {', '.join(repr(word) for word in words)} has resolution "
                f"{fraction.resolution}",
                why="a main effect could not be told from another, or from the mean",
                mend="use longer words, or independent ones",
            )
        return fraction

    @property
    def resolution(self) -> int:
        """The length of the shortest product of words; at 5 no two pairs of factors are aliased."""
        shortest: float = math.inf
        for number in range(1, len(self.words) + 1):
            for some in itertools.combinations(self.words, number):
                product: frozenset[str] = frozenset()
                for word in some:
                    product = product ^ word
                shortest = min(shortest, len(product))
        return 99 if math.isinf(shortest) else int(shortest)

    def cells(self, factors: Sequence[Factor]) -> list[Cell]:
        first = {factor.name: next(iter(factor.levels)) for factor in factors}

        def keeps(cell: Cell) -> bool:
            second = {name for name, label in cell.items() if label != first[name]}
            return all(len(word & second) % 2 == 0 for word in self.words)

        return [cell for cell in crossed(factors) if keeps(cell)]

    def __str__(self) -> str:
        parts = 2 ** len(self.words)
        roman = _ROMAN[min(self.resolution, len(_ROMAN) - 1)]
        # Coded -1 and +1, an even number of second levels multiplies to the word's parity.
        words = ", ".join(
            f"I = {'-' if len(word) % 2 else ''}{' * '.join(sorted(word))}" for word in self.words
        )
        return f"1/{parts} fraction of resolution {roman} ({words})"
