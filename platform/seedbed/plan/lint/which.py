"""Which levels some cells of a study have in common, as a rule that would leave them out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from seedbed.study.factor import Factor
from seedbed.study.label import Label
from seedbed.study.trial import Trial


def common_levels(
    chosen: Collection[int], cells: Sequence[Trial], factors: Sequence[Factor]
) -> dict[str, tuple[Label, ...]]:
    """The levels whose combinations are the cells of the indices `chosen`, and no others.

    Factors of which they have every level are left out; empty where there is no such rule.
    """
    levels: dict[str, tuple[Label, ...]] = {}
    for factor in factors:
        seen = {cells[index].cell[factor.name] for index in chosen}
        if len(seen) < len(factor.levels):
            levels[factor.name] = tuple(label for label in factor.levels if label in seen)
    covered = sum(
        all(cell.cell[name] in labels for name, labels in levels.items()) for cell in cells
    )
    return levels if covered == len(chosen) else {}


def leaving_out(levels: Mapping[str, tuple[Label, ...]]) -> str:
    """How a study leaves the combinations of `levels` out, in the words of its file."""
    if len(levels) == 1:
        (name, labels), *_ = levels.items()
        return f"take {', '.join(map(repr, labels))} out of the levels of '{name}'"
    given = ", ".join(
        f"{name}={(labels[0] if len(labels) == 1 else labels)!r}" for name, labels in levels.items()
    )
    return f"leave them out: constraints=(forbid({given}),)"
