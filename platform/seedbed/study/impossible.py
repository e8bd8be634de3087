"""Combinations of levels that cannot be trained, left out by one word: `forbid("impossible")`.

What cannot be follows from the terms, the towers and the recipe: the study need not list it, and
goes on saying it when a level is added. What is left out is printed, with why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from seedbed.errors import StudyError
from seedbed.study.cell import Cell
from seedbed.study.constraint import WORD, Forbidden, Impossible
from seedbed.study.crossing import MOST_SEEN, some_of
from seedbed.study.factor import Factor
from seedbed.study.levels_of import common_levels


def asks(rules: Sequence[Forbidden]) -> bool:
    """Whether a study leaves out what cannot be trained."""
    return any(isinstance(rule, Impossible) for rule in rules)


def narrowed(
    rules: Sequence[Forbidden], factors: Sequence[Factor], check: Callable[[Cell], object]
) -> tuple[Forbidden, ...]:
    """`rules`, and where they ask for it those that leave out what `check` refuses, with why.

    Cells are told by levels that they have in common where there are such, else one by one. Raises
    the fault itself where it is that of a level, or of every cell: then nothing is left to compare.
    """
    if not asks(rules):
        return tuple(rules)
    cells = some_of(factors, lambda c: not any(rule.covers(c) for rule in rules), MOST_SEEN)
    if cells is None:
        raise StudyError(
            f'forbid("{WORD}") of more than {MOST_SEEN:,} combinations of levels',
            why="each is tried, and stops being quick there",
            mend="name the levels that do not go together: forbid(...)",
        )
    faults: dict[str, dict[int, StudyError]] = {}
    for index, cell in enumerate(cells):
        try:
            check(cell)
        except StudyError as fault:
            # What is said alike of all cells that have this fault.
            reason = fault.what.removeprefix(f"the cell {cell} ").replace(f" '{cell}'", "")
            faults.setdefault(reason, {})[index] = fault
    found: list[Forbidden] = []
    for reason, chosen in faults.items():
        levels = common_levels(chosen, cells, factors)
        if len(chosen) == len(cells) or len(levels) == 1:
            raise next(iter(chosen.values()))
        alone = ({name: (own,) for name, own in cells[index].items()} for index in chosen)
        found += [Forbidden(one, reason) for one in ([levels] if levels else alone)]
    return (*rules, *found)
