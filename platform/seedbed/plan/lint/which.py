"""How the lint says which cells are to be left out, as a rule that would do so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from seedbed.study.factor import Factor
from seedbed.study.label import Label
from seedbed.study.levels_of import common_levels
from seedbed.study.trial import Trial


def levels_in(
    chosen: Collection[int], cells: Sequence[Trial], factors: Sequence[Factor]
) -> dict[str, tuple[Label, ...]]:
    """`common_levels` of trials, one of each cell."""
    return common_levels(chosen, [trial.cell for trial in cells], factors)


def leaving_out(levels: Mapping[str, tuple[Label, ...]]) -> str:
    """How a study leaves the combinations of `levels` out, in the words of its file."""
    if len(levels) == 1:
        (name, labels), *_ = levels.items()
        return f"take {', '.join(map(repr, labels))} out of the levels of '{name}'"
    given = ", ".join(
        f"{name}={(labels[0] if len(labels) == 1 else labels)!r}" for name, labels in levels.items()
    )
    return f"leave them out: constraints=(forbid({given}),)"
