"""Screening: many factors in few trials, for main effects alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from seedbed.checks import one_of
from seedbed.errors import StudyError
from seedbed.study.cell import Cell
from seedbed.study.cell_design import CellDesign
from seedbed.study.factor import Factor
from seedbed.study.label import label_text

KINDS = ("plackett_burman", "definitive")
LEAST_FACTORS = {"plackett_burman": 3, "definitive": 3}
LEVELS = {"plackett_burman": 2, "definitive": 3}


@dataclass(frozen=True)
class Screening(CellDesign):
    """`Study(screening="plackett_burman")`: k two-level factors in the next multiple of 4 above k
    trials, or where pydoe constructs none in the next that it does (Plackett and Burman, Biometrika
    33, 1946). `screening="definitive"`: k factors of three
    ordered levels, low, middle and high, in about 2 k + 1 (Jones and Nachtsheim, Journal of
    Quality Technology 43, 2011). The generators are pydoe's.
    """

    order = 1

    kind: str

    @classmethod
    def parse(cls, given: Any, factors: Sequence[Factor], baseline: Cell) -> Self | None:
        """Raises StudyError for an unknown kind, for too few factors and for their levels."""
        if given is None:
            return None
        one_of("Study.screening", given, KINDS, why="each is a design of its own")
        kind = str(given)
        for factor in factors:
            if len(factor.levels) != LEVELS[kind]:
                raise StudyError(
                    f"screening='{kind}': '{factor.name}' has {len(factor.levels)} levels",
                    why=f"its factors have {LEVELS[kind]} levels each"
                    + (", low, middle and high" if kind == "definitive" else ""),
                    mend=f"give it {LEVELS[kind]}, or state optimal=N, which takes any number",
                )
        if len(factors) < LEAST_FACTORS[kind]:
            raise StudyError(
                f"screening='{kind}' of {len(factors)} factors",
                why=f"it takes {LEAST_FACTORS[kind]} or more",
                mend="state no design: every combination of so few is hardly more",
            )
        return cls(kind)

    def cells(self, factors: Sequence[Factor], allowed: Callable[[Cell], bool]) -> list[Cell]:
        import pydoe

        if self.kind == "plackett_burman":
            # Its last run has every factor at +1: read so, that it is the cell of first levels.
            runs, order = -pydoe.pbdesign(num_runs(len(factors)) - 1), {-1: 0, 1: 1}
        else:
            runs = pydoe.definitive_screening_design(len(factors))
            order = {-1: 0, 0: 1, 1: 2}
        labels = [list(factor.levels) for factor in factors]
        cells = [
            Cell(
                (factor.name, labels[n][order[round(float(run[n]))]])
                for n, factor in enumerate(factors)
            )
            for run in runs
        ]
        return list(dict.fromkeys(cells))

    def aliases(self, factors: Sequence[Factor]) -> tuple[str, ...]:
        if self.kind == "definitive":
            return (
                "main effects are clear of each other, of interactions and of curvature; "
                "interactions and curvatures are correlated among themselves",
            )
        return tuple(self._mixed(factors))

    def _mixed(self, factors: Sequence[Factor]) -> list[str]:
        """Of each main effect the interactions of two that it holds, and how much of each."""
        import itertools

        import numpy as np

        first = {factor.name: label_text(next(iter(factor.levels))) for factor in factors}
        cells = self.cells(factors, lambda cell: True)
        coded = {
            name: np.array([-1 if label_text(cell[name]) == label else 1 for cell in cells])
            for name, label in first.items()
        }
        lines = []
        for name, column in coded.items():
            others = [other for other in coded if other != name]
            shares = {
                f"{a} * {b}": float(column @ (coded[a] * coded[b])) / len(cells)
                for a, b in itertools.combinations(others, 2)
            }
            whole = [
                f"{'-' if share < 0 else ''}{p}" for p, share in shares.items() if share**2 == 1
            ]
            parts = sorted({f"{abs(share):.2g}" for share in shares.values() if 0 < share**2 < 1})
            number = sum(0 < share**2 < 1 for share in shares.values())
            words = [" = ".join([name, *whole])] if whole else [name]
            if number:
                words.append(f"holds {' or '.join(parts)} of {number} interactions of two")
            if whole or number:
                lines.append(" ".join(words))
        return lines

    def __str__(self) -> str:
        name = {"plackett_burman": "Plackett-Burman", "definitive": "definitive"}[self.kind]
        return f"{name} screening: main effects only"


def num_runs(num_factors: int) -> int:
    """The trials of a Plackett-Burman design: 4, 12 or 20, doubled as often as it takes.

    Those are the matrices that pydoe has; of 28, 36, 44, 52 and 56 runs it has none.
    """
    number = 4 * (num_factors // 4 + 1)
    while number // (number & -number) not in (1, 3, 5):
        number += 4
    return number
