"""N cells from which the stated effects are estimated best (D-optimal; Fedorov, 1972)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from seedbed.checks import is_integer
from seedbed.errors import StudyError, nearest
from seedbed.study.cell import Cell
from seedbed.study.cell_design import CellDesign
from seedbed.study.crossing import some_of
from seedbed.study.factor import Factor
from seedbed.study.label import label_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[Any]

MOST_CANDIDATES = 20_000  # cells to choose from: an exchange looks at each
STARTS = 4  # of the exchange, which ends in a local optimum
RIDGE = 1e-6  # keeps a start with too few different cells invertible
# Of exchanges that gain equally, as in most symmetric designs, the first is made: which of them is
# the largest in the last digits differs between machines. Relative, as after a start near singular.
TIED = 1e-6


@dataclass(frozen=True)
class Optimal(CellDesign):
    """`Study(optimal=12)` for main effects, `optimal={"cells": 16, "interactions": ("a * b",)}`
    with interactions of two that are to be estimated, too. Any numbers of levels; cells that a
    constraint forbids are not chosen. The baseline is always among them.
    """

    number: int
    interactions: tuple[tuple[str, str], ...]
    baseline: Cell

    @classmethod
    def parse(cls, given: Any, factors: Sequence[Factor], baseline: Cell) -> Self | None:
        """Raises StudyError for fewer cells than effects, and for unknown factors."""
        if given is None:
            return None
        stated = given if isinstance(given, Mapping) else {"cells": given}
        for key in stated:
            if key not in ("cells", "interactions"):
                raise StudyError(
                    f"optimal has '{key}'",
                    why="it takes the number of cells, and interactions",
                    mend=nearest(str(key), ("cells", "interactions")),
                )
        number: Any = stated.get("cells")
        pairs = tuple(_pair(word, factors) for word in stated.get("interactions", ()))
        effects = _num_effects(factors, pairs)
        if not is_integer(number) or number < effects:
            raise StudyError(
                f"optimal is {given!r}",
                why=f"it is a number of cells, and {effects} effects (the mean, "
                f"{len(factors)} factors and {len(pairs)} interactions) need as many at least",
                mend=f"give optimal={effects} or more",
            )
        return cls(int(number), pairs, baseline)

    def cells(self, factors: Sequence[Factor], allowed: Callable[[Cell], bool]) -> list[Cell]:
        """Raises StudyError where there are not so many cells, or they cannot tell the effects."""
        import numpy as np

        candidates = some_of(factors, allowed, MOST_CANDIDATES)
        if candidates is None:
            every = math.prod(len(factor.levels) for factor in factors)
            raise StudyError(
                f"optimal={self.number} chooses among {every:,} combinations of levels",
                why=f"the exchange looks at each allowed one again and again, and stops being "
                f"quick at {MOST_CANDIDATES:,}",
                mend="state screening= or fraction=, which construct their cells",
            )
        if self.number >= len(candidates):
            raise StudyError(
                f"optimal={self.number}, and there are {len(candidates)} cells",
                why="nothing is left to choose",
                mend="state no design",
            )
        model = model_of(candidates, factors, self.interactions)
        if np.linalg.matrix_rank(model) < model.shape[1]:
            raise StudyError(
                f"the {len(candidates)} allowed cells cannot tell the stated effects apart",
                why="some effects change together in all of them",
                mend="name fewer interactions, or loosen the constraints",
            )
        kept = [n for n, cell in enumerate(candidates) if cell == self.baseline]
        chosen = max(
            (exchanged(model, self.number, start, kept) for start in range(STARTS)),
            key=lambda found: (round(_log_det(model[found]), 6), [-n for n in found]),
        )
        return [candidates[n] for n in chosen]

    @property
    def order(self) -> int:  # type: ignore[override]
        return 2 if self.interactions else 1

    def aliases(self, factors: Sequence[Factor]) -> tuple[str, ...]:
        named = ["main effects", *(" * ".join(pair) for pair in self.interactions)]
        return (f"{', '.join(named)} are estimated; any other interaction is mixed with them",)

    def __str__(self) -> str:
        also = "".join(f", {' * '.join(pair)}" for pair in self.interactions)
        return f"D-optimal for main effects{also}"


def _pair(word: Any, factors: Sequence[Factor]) -> tuple[str, str]:
    names = [name.strip() for name in str(word).split("*")]
    known = [factor.name for factor in factors]
    for name in names:
        if name not in known:
            raise StudyError(
                f"optimal's interaction '{word}' names the factor '{name}'",
                why="the study has no such factor",
                mend=nearest(name, known),
            )
    if len(set(names)) != 2:
        raise StudyError(
            f"optimal's interaction is '{word}'",
            why="it is of two different factors",
            mend=f'write "{known[0]} * {known[-1]}"',
        )
    return names[0], names[1]


def _num_effects(factors: Sequence[Factor], pairs: Sequence[tuple[str, str]]) -> int:
    free = {factor.name: len(factor.levels) - 1 for factor in factors}
    return 1 + sum(free.values()) + sum(free[a] * free[b] for a, b in pairs)


def model_of(
    cells: Sequence[Cell], factors: Sequence[Factor], pairs: Sequence[tuple[str, str]]
) -> Matrix:
    """[cells, effects]: the mean, and orthonormal contrasts of levels and of their products."""
    import numpy as np

    columns: dict[str, Matrix] = {}
    for factor in factors:
        labels = [label_text(label) for label in factor.levels]
        rows = [labels.index(label_text(cell[factor.name])) for cell in cells]
        # Contrasts that sum to zero: no level is treated otherwise than the others.
        contrasts = np.linalg.qr(np.column_stack([np.ones(len(labels)), np.eye(len(labels))]))[0]
        columns[factor.name] = contrasts[rows, 1 : len(labels)] * np.sqrt(len(labels))
    parts = [np.ones((len(cells), 1)), *columns.values()]
    for a, b in pairs:
        parts += [
            columns[a][:, [i]] * columns[b][:, [j]]
            for i, j in itertools.product(range(columns[a].shape[1]), range(columns[b].shape[1]))
        ]
    return np.hstack(parts)


def _log_det(rows: Matrix) -> float:
    import numpy as np

    sign, value = np.linalg.slogdet(rows.T @ rows)
    return float(value) if sign > 0 else -np.inf


def exchanged(model: Matrix, number: int, start: int, kept: Sequence[int]) -> list[int]:
    """Rows of `model` after exchanging one for one as long as the determinant grows."""
    import numpy as np

    rng = np.random.default_rng(start)
    others = rng.permutation(np.setdiff1d(np.arange(len(model)), kept))
    chosen = [*kept, *others[: number - len(kept)].tolist()]
    identity = RIDGE * np.eye(model.shape[1])
    while True:
        rows = model[chosen]
        inverse = np.linalg.inv(rows.T @ rows + identity)
        spread = np.einsum("ij,jk,ik->i", model, inverse, model)
        between = model @ inverse @ rows.T
        # Fedorov's delta of taking row i in for the chosen j.
        gain = np.outer(1 + spread, 1 - spread[chosen]) + between**2
        gain[chosen] = 0  # each cell once
        gain[:, : len(kept)] = 0
        best = gain.max()
        if best <= 1 + TIED:
            return sorted(chosen)
        taken, given = divmod(int((gain >= best * (1 - TIED)).argmax()), len(chosen))
        chosen[given] = taken
