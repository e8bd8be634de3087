"""Which levels some cells of a study have in common."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from seedbed.study.cell import Cell
from seedbed.study.factor import Factor
from seedbed.study.label import Label


def common_levels(
    chosen: Collection[int], cells: Sequence[Cell], factors: Sequence[Factor]
) -> dict[str, tuple[Label, ...]]:
    """The levels whose combinations are the cells of the indices `chosen`, and no others.

    Factors of which they have every level are left out; empty where there is no such rule.
    """
    levels: dict[str, tuple[Label, ...]] = {}
    for factor in factors:
        seen = {cells[index][factor.name] for index in chosen}
        if len(seen) < len(factor.levels):
            levels[factor.name] = tuple(label for label in factor.levels if label in seen)
    covered = sum(all(cell[name] in labels for name, labels in levels.items()) for cell in cells)
    return levels if covered == len(chosen) else {}
