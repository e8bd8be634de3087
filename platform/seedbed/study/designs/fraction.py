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
from seedbed.study.defining import determined, remainder, shortest
from seedbed.study.factor import Factor

LEAST_RESOLUTION = 3
MOST_LETTERS = 99  # of a word that is not there: a crossing has no shortest one
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
        names = sorted(frozenset[str]().union(*self.words))
        return shortest(self._bits(names)) if self.words else MOST_LETTERS

    def cells(self, factors: Sequence[Factor], allowed: Callable[[Cell], bool]) -> list[Cell]:
        """In the order of all combinations: the last factor of each word follows from the others,
        so that no combination is looked at which is not kept."""
        labels = [list(factor.levels) for factor in factors]
        by_last = determined(self._bits([factor.name for factor in factors]))
        free = [n for n in range(len(factors)) if n not in by_last]
        found = []
        for levels in itertools.product(*(range(len(labels[n])) for n in free)):
            at = dict(zip(free, levels, strict=True))
            second = sum(1 << n for n, level in at.items() if level)
            at |= {last: (word & second).bit_count() % 2 for last, word in by_last.items()}
            found.append(Cell((f.name, labels[n][at[n]]) for n, f in enumerate(factors)))
        return found

    def aliases(self, factors: Sequence[Factor]) -> tuple[str, ...]:
        return tuple(" = ".join(group) for group in self.aliased([f.name for f in factors]))

    def aliased(self, names: Sequence[str]) -> list[list[str]]:
        """Main effects and interactions of two that cannot be told apart, in groups of two or more.

        Each group starts with its first effect in the order of `names`, mains first; the others
        carry the sign at which they are added to it.
        """
        by_last = determined(self._bits(names))
        numbers = range(len(names))
        effects = [(n,) for n in numbers] + [*itertools.combinations(numbers, 2)]
        alike: dict[int, list[tuple[int, ...]]] = {}
        for effect in effects:
            alike.setdefault(remainder(sum(1 << n for n in effect), by_last), []).append(effect)
        return [
            [
                # Coded -1 and +1, a word multiplies to +1 or -1 by its number of letters.
                ("-" if len({*first} ^ {*twin}) % 2 else "") + " * ".join(names[n] for n in twin)
                for twin in (first, *twins)
            ]
            for first, *twins in alike.values()
            if twins
        ]

    def _bits(self, names: Sequence[str]) -> list[int]:
        """The words, with a bit for each of `names`."""
        return [sum(1 << n for n, name in enumerate(names) if name in word) for word in self.words]

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
