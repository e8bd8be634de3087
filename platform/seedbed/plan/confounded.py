"""Confounded factors: what else the levels of a factor change beside its main part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from seedbed.recipe.paths import beneath, overlap
from seedbed.recipe.recipe import Value
from seedbed.study.factor import WHOLE, Factor
from seedbed.study.label import Label, label_text
from seedbed.study.study import Study
from seedbed.study.trial import Trial


class Planned(Protocol):
    """A study and its trials, as a plan has them."""

    @property
    def study(self) -> Study: ...

    @property
    def trials(self) -> Sequence[Trial]: ...

    @property
    def nuisance_paths(self) -> Sequence[str]: ...


VIEWS = "views"  # stands among the fields for the views that the terms read
ABSENT = "absent"  # the value of a field that a recipe does not have


@dataclass(frozen=True)
class Moved:
    """A recipe field that moves with a factor, and the values that it has at each level."""

    factor: Factor
    field: str
    values: Mapping[Label, tuple[Value, ...]]

    @property
    def declared(self) -> bool:
        """Whether the factor says itself that its levels differ in this field too."""
        return any(beneath(self.field, path) for path in self.factor.also_moves)

    def __str__(self) -> str:
        """`optimizer.lr moves with supervision: {slip, filip} = 0.0005, others 0.001`."""
        return f"{self.field} moves with {self.factor.name}: {equation(self.values)}"


def moved_fields(plan: Planned) -> list[Moved]:
    """The recipe fields beside their factor's main part that differ between its levels.

    The main part is what the factor's `main` sets: `objective` where its levels set the
    objective and a learning rate; a tower's options go with its name, and an objective and a corpus
    are whole. Fields are compared as the scale leaves them, between cells that differ in this
    factor only. One that is all that tells a level from the baseline does not count, nor does a
    nuisance field: each cell has its own best value.
    """
    cells = one_of_each(plan.trials)
    varying = varying_fields(cells)
    moved = []
    for factor in plan.study.factors:
        fields = _beside_main(factor, plan, cells, varying) - set(plan.nuisance_paths)
        by_level = _by_level(factor, cells)
        moved += [
            Moved(
                factor,
                field,
                {
                    label: tuple(dict.fromkeys(cell.flat.get(field, ABSENT) for cell in of_level))
                    for label, of_level in by_level.items()
                },
            )
            for field in sorted(fields)
        ]
    return moved


def moved_together(plan: Planned, read: Mapping[str, object] | None = None) -> dict[str, list[str]]:
    """By factor, the names of its `moved_fields`; factors that move none are left out.

    `views` is among them where the levels read different views of a sample (`read` is the answer of
    `views_read`, if known).
    """
    read = views_read(plan) if read is None else read
    by_factor: dict[str, set[str]] = {name: {VIEWS} for name in read}
    for moved in moved_fields(plan):
        by_factor.setdefault(moved.factor.name, set()).add(moved.field)
    names = [factor.name for factor in plan.study.factors]
    return {name: sorted(by_factor[name]) for name in names if name in by_factor}


def views_read(plan: Planned) -> dict[str, dict[Label, tuple[str, ...]]]:
    """For each factor whose levels read different views, the views that each level reads.

    Cells that differ in this factor only are compared; a fraction has no such cells, so there all
    cells of each level are.
    """
    cells = one_of_each(plan.trials)
    objectives = {id(cell.recipe.objective): cell.recipe.objective for cell in cells}
    read = {key: frozenset(v.name for v in own.views) for key, own in objectives.items()}
    if len(set(read.values())) < 2:  # as of most studies: 10,000 cells need not be compared
        return {}
    views = {cell.cell: read[id(cell.recipe.objective)] for cell in cells}
    by_factor: dict[str, dict[Label, tuple[str, ...]]] = {}
    for factor in plan.study.factors:
        levels: dict[Label, frozenset[str]] = dict.fromkeys(factor.levels, frozenset())
        for cell in cells:
            levels[cell.cell[factor.name]] |= views[cell.cell]
        groups = alike(factor, cells)
        differ = any(len({views[cell.cell] for cell in group}) > 1 for group in groups)
        if differ or (not groups and len(set(levels.values())) > 1):
            by_factor[factor.name] = {label: tuple(sorted(own)) for label, own in levels.items()}
    return by_factor


def one_of_each(trials: Sequence[Trial]) -> list[Trial]:
    """A trial of each cell, by one seed: what a recipe says of its cell is the same at every."""
    return [trial for trial in trials if trial.seed == trials[0].seed]


def varying_fields(cells: Sequence[Trial]) -> list[str]:
    """The fields that are not the same in all `cells`; an absent one differs from any."""
    first = cells[0].flat.items()
    return sorted({path for cell in cells[1:] for path, _ in cell.flat.items() ^ first})


def alike(factor: Factor, cells: Sequence[Trial]) -> list[list[Trial]]:
    """Groups of two cells or more that differ in `factor` only."""
    groups: dict[object, list[Trial]] = {}
    place = list(cells[0].cell).index(factor.name)
    for cell in cells:
        labels = cell.cell.labels
        groups.setdefault(labels[:place] + labels[place + 1 :], []).append(cell)
    return [group for group in groups.values() if len(group) > 1]


def equation(values: Mapping[Label, Any]) -> str:
    """What each level has: `{slip, filip} = 0.0005, others 0.001`.

    The most frequent value comes last, as that of the others, where it is not the only one of more
    than one level.
    """
    groups: dict[str, list[str]] = {}
    for label, value in values.items():
        groups.setdefault(_shown(value), []).append(label_text(label))
    most = max(groups, key=lambda shown: len(groups[shown]))
    rest = most if len(groups) > 1 and len(groups[most]) > 1 else None
    parts = [
        f"{_set_of(labels)} = {shown}" for shown, labels in groups.items() if shown != rest
    ] + ([f"others {rest}"] if rest is not None else [])
    return ", ".join(parts)


def _set_of(labels: Sequence[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{{{', '.join(labels)}}}"


_MOST_CHARACTERS = 60  # of a value: a list of filters has hundreds


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " or ".join(map(_shown, value))
    text = str(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}..."


def _by_level(factor: Factor, cells: Sequence[Trial]) -> dict[Label, list[Trial]]:
    by_level: dict[Label, list[Trial]] = {label: [] for label in factor.levels}
    for cell in cells:
        by_level[cell.cell[factor.name]].append(cell)
    return by_level


def _beside_main(
    factor: Factor, plan: Planned, cells: Sequence[Trial], varying: Sequence[str]
) -> set[str]:
    """The varying fields that tell a level from the baseline, and are not all that does."""
    if len(factor.paths) == 1:  # other fields would be another factor's
        return set()
    is_main = {path: _is_within(path, factor.main) for path in varying}
    groups = alike(factor, cells)
    if not groups:  # a fraction: no two cells differ in this factor only
        own = {path for path in varying if any(overlap(path, p) for p in factor.paths)}
        return {path for path in own if not is_main[path]}
    baseline = factor.baseline(plan.study.base)
    moved: set[str] = set()
    known: set[tuple[Any, ...]] = set()  # pairs of recipes that were compared
    for group in groups:
        base = next((cell for cell in group if cell.cell[factor.name] == baseline), group[0])
        base_values = tuple(base.flat.get(path, ABSENT) for path in varying)
        for cell in group:
            values = tuple(cell.flat.get(path, ABSENT) for path in varying)
            if values == base_values or (base_values, values) in known:
                continue
            known.add((base_values, values))
            differ = {
                path
                for path, one, other in zip(varying, values, base_values, strict=True)
                if one != other
            }
            beside = {path for path in differ if not is_main[path]}
            if len(beside) > 1 or beside != differ:
                moved |= beside
    return moved


def _is_within(path: str, main: str) -> bool:
    """Whether a field is part of what the path `main` sets."""
    root = main.partition(".")[0]
    if root in WHOLE:
        return beneath(path, root)
    return beneath(path, main) or (main == "image.name" and path == "image.options")


def described(fields: Iterable[str]) -> str:
    """`a, b and c`."""
    *first, last = fields
    return f"{', '.join(first)} and {last}" if first else last
