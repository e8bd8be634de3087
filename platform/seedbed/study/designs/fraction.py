"""A fraction of a two-level factorial, by its defining words (Box, Hunter and Hunter, ch. 6)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from seedbed.checks import is_integer
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

    `words` are sets of factor names: `Study(fraction=("a * b * c * d * e",))` keeps half of 32
    cells; `fraction=5` is the smallest fraction of resolution 5, or better, of all factors. The
    cell of all first levels, usually the baseline, is always kept.
    """

    words: tuple[frozenset[str], ...]

    @classmethod
    def parse(cls, given: Any, factors: Sequence[Factor], baseline: Cell) -> Self | None:
        """`given` are the words, or a resolution. Raises StudyError for unknown or many-levelled
        factors, and for too coarse a fraction."""
        if is_integer(given):
            given = words_of_resolution(given, factors)
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
        return min(map(len, self._words()), default=99)

    def cells(self, factors: Sequence[Factor], allowed: Callable[[Cell], bool]) -> list[Cell]:
        first = {factor.name: next(iter(factor.levels)) for factor in factors}

        def keeps(cell: Cell) -> bool:
            second = {name for name, label in cell.items() if label != first[name]}
            return all(len(word & second) % 2 == 0 for word in self.words)

        return [cell for cell in crossed(factors) if keeps(cell)]

    def aliases(self, factors: Sequence[Factor]) -> tuple[str, ...]:
        return tuple(" = ".join(group) for group in self.aliased([f.name for f in factors]))

    def aliased(self, names: Sequence[str]) -> list[list[str]]:
        """Main effects and interactions of two that cannot be told apart, in groups of two or more.

        Each group starts with its first effect in the order of `names`, mains first; the others
        carry the sign at which they are added to it.
        """
        shortest = self._words()
        position = {name: n for n, name in enumerate(names)}
        effects = [frozenset([a]) for a in names]
        effects += [frozenset(pair) for pair in itertools.combinations(names, 2)]
        seen: set[frozenset[str]] = set()
        groups = []
        for effect in effects:
            if effect in seen:
                continue
            twins = [word ^ effect for word in shortest if 0 < len(word ^ effect) <= 2]
            twins.sort(key=lambda twin: (len(twin), sorted(position[name] for name in twin)))
            seen.update(twins)
            if twins:
                groups.append(
                    [_product(effect, position)]
                    # Coded -1 and +1, a word multiplies to +1 or -1 by its number of letters.
                    + [
                        ("-" if len(effect ^ twin) % 2 else "") + _product(twin, position)
                        for twin in twins
                    ]
                )
        return groups

    def _words(self) -> list[frozenset[str]]:
        """The defining words and all their products."""
        products: list[frozenset[str]] = [frozenset()]
        for word in self.words:
            products += [product ^ word for product in products]
        return products[1:]

    def __str__(self) -> str:
        parts = 2 ** len(self.words)
        roman = _ROMAN[min(self.resolution, len(_ROMAN) - 1)]
        # Coded -1 and +1, an even number of second levels multiplies to the word's parity.
        words = ", ".join(
            f"I = {'-' if len(word) % 2 else ''}{' * '.join(sorted(word))}" for word in self.words
        )
        return f"1/{parts} fraction of resolution {roman} ({words})"


def words_of_resolution(resolution: int, factors: Sequence[Factor]) -> tuple[str, ...]:
    """The defining words of the smallest regular fraction of `factors` at `resolution`, or better.

    None where only all cells have it. The generators are pydoe's. Raises StudyError.
    """
    import numpy as np
    import pydoe

    if resolution < LEAST_RESOLUTION:
        raise StudyError(
            f"fraction={resolution}: a resolution",
            why="below 3 a main effect cannot be told from another, or from the mean",
            mend="give 3, 4 or 5, or the defining words themselves",
        )
    names = [factor.name for factor in factors]
    if len(names) < resolution:
        return ()  # the shortest word is longer than all factors together
    column = np.asarray(pydoe.fracfact_by_res(len(names), resolution)).T
    # Base columns are those that no product of earlier ones gives; each other one gives a word.
    products: dict[bytes, frozenset[int]] = {}
    words = []
    for n, one in enumerate(column):
        for sign in (1, -1):
            found = products.get((sign * one).astype(np.int8).tobytes())
            if found is not None:
                words.append(" * ".join(names[i] for i in sorted(found | {n})))
                break
        else:
            known = [(one, frozenset([n]))]
            for key, members in list(products.items()):
                known.append((np.frombuffer(key, np.int8) * one, members | {n}))
            products |= {value.astype(np.int8).tobytes(): members for value, members in known}
    return tuple(words)


def _product(effect: frozenset[str], position: dict[str, int]) -> str:
    return " * ".join(sorted(effect, key=position.__getitem__))
