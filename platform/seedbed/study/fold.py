"""A fraction folded over: its cells once more with levels exchanged, to tell effects apart.

Folding over all factors frees main effects from interactions of two; folding over one factor frees
it and all its interactions (Box, Hunter and Hunter, ch. 6). Both halves together are a fraction
again, by the words that hold in both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from seedbed.errors import StudyError, nearest
from seedbed.study.cell import Cell
from seedbed.study.cell_design import CellDesign
from seedbed.study.designs.fraction import Fraction
from seedbed.study.factor import Factor


@dataclass(frozen=True)
class FoldedOver(CellDesign):
    """The cells of `fraction`, and those cells with the levels of the factors `over` exchanged."""

    fraction: Fraction
    over: frozenset[str]

    @classmethod
    def parse(cls, given: Any, factors: Sequence[Factor], baseline: Cell) -> Self | None:
        """None: a study states its fraction, and is folded over by `folded`."""
        return None

    @property
    def whole(self) -> Fraction:
        """Both halves together: the fraction by the words that hold in both."""
        words = self.fraction.words
        turned = [word for word in words if len(word & self.over) % 2]
        kept = [word for word in words if word not in turned]
        return Fraction((*kept, *(turned[0] ^ word for word in turned[1:])))

    def cells(self, factors: Sequence[Factor], allowed: Callable[[Cell], bool]) -> list[Cell]:
        first = self.fraction.cells(factors, allowed)
        return [*first, *(self._turned(cell, factors) for cell in first)]

    def half(self, cell: Cell, factors: Sequence[Factor]) -> int:
        """1 for a cell of the fraction, 2 for one that was added."""
        second = {f.name for f in factors if cell[f.name] != next(iter(f.levels))}
        held = all(len(word & second) % 2 == 0 for word in self.fraction.words)
        return 1 if held else 2

    def _turned(self, cell: Cell, factors: Sequence[Factor]) -> Cell:
        other = dict(cell)
        for factor in factors:
            if factor.name in self.over:
                (other[factor.name],) = (one for one in factor.levels if one != cell[factor.name])
        return Cell(other)

    def aliases(self, factors: Sequence[Factor]) -> tuple[str, ...]:
        return (
            *(f"{line}  (before the fold-over)" for line in self.fraction.aliases(factors)),
            *(f"{line}  (after it)" for line in self.whole.aliases(factors)),
        ) + (() if self.whole.aliases(factors) else ("none is left after the fold-over",))

    def __str__(self) -> str:
        both = str(self.whole) if self.whole.words else "all combinations"
        return f"{self.fraction}, folded over {', '.join(sorted(self.over))}: {both}"


def folded(design: CellDesign | None, factors: Sequence[Factor], factor: str) -> FoldedOver:
    """`design` folded over all factors of its words, or over `factor`.

    Raises StudyError for what is no fraction, and where no cell would be new.
    """
    if not isinstance(design, Fraction):
        stated = "trains every combination" if design is None else f"is {design}"
        raise StudyError(
            f"--fold-over is given, and the study {stated}",
            why="what is folded over is a two-level fraction: Study(fraction=...)",
            mend="leave it out",
        )
    known = frozenset[str]().union(*design.words)
    if factor and factor not in {one.name for one in factors}:
        raise StudyError(
            f"--fold-over names the factor '{factor}'",
            why="the study has no such factor",
            mend=nearest(factor, known),
        )
    over = known & {factor} if factor else known
    if all(len(word & over) % 2 == 0 for word in design.words):
        said = f"over '{factor}'" if factor else "over all factors"
        raise StudyError(
            f"--fold-over {factor}".rstrip() + " would train no new cell",
            why=f"folded {said} the fraction is itself again: {design}",
            mend=f"fold over one of its words' factors, as --fold-over {min(known)}",
        )
    return FoldedOver(design, over)
