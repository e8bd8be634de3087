"""Combinations of levels that a study does not train."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seedbed.errors import StudyError, nearest
from seedbed.study.cell import Cell
from seedbed.study.factor import Factor
from seedbed.study.label import Label, label_text

WORD = "impossible"


@dataclass(frozen=True)
class Forbidden:
    """A rule: no cell has one of these labels of each of these factors. Made by `forbid`.

    `why` is the reason where it follows from the recipe, "" of one that the study states.
    """

    labels: Mapping[str, tuple[Label, ...]]
    why: str = ""
    nested: bool = False  # it follows from a factor that is nested in another

    def covers(self, cell: Mapping[str, Label]) -> bool:
        """Whether the rule forbids `cell`."""
        return all(
            label_text(cell[name]) in {label_text(label) for label in labels}
            for name, labels in self.labels.items()
        )

    def __str__(self) -> str:
        return " with ".join(
            f"{name}={'|'.join(map(label_text, labels))}" for name, labels in self.labels.items()
        )


@dataclass(frozen=True)
class Impossible(Forbidden):
    """The word for what cannot be trained: it covers no cell itself, and the rules that follow
    from the recipes come to stand beside it (see `impossible`)."""

    labels: Mapping[str, tuple[Label, ...]] = field(default_factory=dict)

    def covers(self, cell: Mapping[str, Label]) -> bool:
        return False

    def __str__(self) -> str:
        return f"what is {WORD}"


def forbid(*words: str, **levels: Any) -> Forbidden:
    """Forbid cells with these levels together: `forbid(encoder="resnet", depth=(1, 3))`.

    A tuple or a list is any of its labels. `forbid("impossible")` forbids whatever cannot be
    trained: what the plan would refuse is left out of it, and printed with the reason. Raises
    StudyError for fewer than two factors: a level that may never be trained is no level.
    """
    if words:
        if words != (WORD,) or levels:
            raise StudyError(
                f"forbid({', '.join(map(repr, words))}{', ...' * bool(levels)})",
                why="it takes levels by their factors, or one word alone",
                mend=f'give forbid(encoder="resnet", depth=3), or forbid("{WORD}")',
            )
        return Impossible()
    if len(levels) < 2:
        raise StudyError(
            f"forbid({', '.join(f'{name}={label!r}' for name, label in levels.items())})",
            why="a rule is about levels of two or more factors that do not go together",
            mend="take the level out of its Factor, or name a second factor",
        )
    return Forbidden(
        {
            name: tuple(given) if isinstance(given, list | tuple) else (given,)
            for name, given in levels.items()
        }
    )


def check_constraints(rules: Sequence[Forbidden], factors: Sequence[Factor]) -> None:
    """Raise StudyError for a rule that names a factor or level that the study does not have."""
    by_name = {factor.name: factor for factor in factors}
    for rule in rules:
        for name, labels in rule.labels.items():
            _check_known(name, by_name, f"the rule '{rule}' names the factor '{name}'")
            known = {label_text(label) for label in by_name[name].levels}
            for label in labels:
                text = label_text(label)
                _check_known(text, known, f"the rule '{rule}' names the level {name}={text}")


def _check_known(name: str, known: Collection[str], what: str) -> None:
    if name not in known:
        raise StudyError(
            what,
            why="the study has none of that name, so that the rule would forbid nothing",
            mend=nearest(name, list(known)),
        )


def check_cells(
    cells: Sequence[Cell], rules: Sequence[Forbidden], factors: Sequence[Factor]
) -> None:
    """Raise StudyError where a design needs a cell that a rule forbids, or a level is left out."""
    for cell in cells:
        broken = next((rule for rule in rules if rule.covers(cell)), None)
        if broken is not None:
            raise StudyError(
                f"the design trains the cell {cell}, and '{broken}' is forbidden",
                why="it was chosen so that effects can be told apart, which they cannot be without",
                mend="choose among the allowed cells with optimal=N, or "
                + (
                    "name a centre where the nested factor is at its baseline and says something"
                    if broken.nested
                    else "loosen the constraint"
                ),
            )
    for factor in factors:
        left = {label_text(cell[factor.name]) for cell in cells}
        for label in factor.levels:
            if label_text(label) not in left:
                raise StudyError(
                    f"no cell with {factor.name}={label_text(label)} is trained",
                    why="a level that is never trained cannot be compared with the others",
                    mend="take it out of its Factor, or state a design that has it",
                )
