"""A factor: one thing that a study varies, and its levels."""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

from seedbed.errors import StudyError, nearest
from seedbed.recipe.paths import is_whole, overlap
from seedbed.recipe.recipe import Recipe, flattened
from seedbed.study.arguments import check_names, several
from seedbed.study.label import Label, label_text, same_label

WHOLE = ("objective", "corpus")  # parts of a recipe that are one thing, whatever of them is set
# How a trial is trained, against what is trained on what. A tower may bring its width: that is a
# level by nature. A rate of its own is a slip more often than a question.
TRAINING = ("optimizer", "augment", "budget", "precision", "micro_batch")


class Factor:
    """A named factor with labelled levels.

    `levels` is a sequence of values, or a mapping of labels to values, for the recipe field at
    `at` (`text.layers`); without `at`, a mapping of labels to patches `{path: value}`.
    `baseline` is the label to compare with; without it, the level that the base recipe has
    already, or else the first. `also_moves` declares fields in which the levels differ beside their
    main part (`main`): `{"image.name": ..., "embed_dim": ...}` with `also_moves=("embed_dim",)` is
    a comparison of towers with their widths, and meant to be.
    `within` nests it in a factor before it: `within={"supervision": "declip"}` sets something of
    DeCLIP's alone, and in all other cells it sets nothing and stands at its baseline.
    Raises StudyError for levels that cannot be told apart.
    """

    def __new__(cls, *args: Any, **fields: Any) -> Factor:
        check_names(cls, fields)
        return super().__new__(cls)

    def __init__(
        self,
        name: str,
        levels: Sequence[Any] | Mapping[Any, Any],
        *,
        at: str | None = None,
        baseline: Label | None = None,
        also_moves: Sequence[str] = (),
        within: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.at = name, at
        self.within = _outer(name, within)
        if isinstance(levels, str) or not isinstance(levels, Sequence | Mapping):
            letters = "; a text would be taken letter by letter" if isinstance(levels, str) else ""
            raise StudyError(
                f"Factor '{name}': its levels are {levels!r}",
                why=f"they are a sequence of values, or labels with their values{letters}",
                mend=f"give two or more: levels=({levels!r}, ...)",
            )
        pairs = list(levels.items()) if isinstance(levels, Mapping) else [(v, v) for v in levels]
        self._check_levels(pairs)
        self.levels: dict[Label, dict[str, Any]] = {
            label: ({at: value} if at else dict(value)) for label, value in pairs
        }
        if baseline is not None and baseline not in self.levels:
            raise StudyError(
                f"Factor '{name}': the baseline '{baseline}' is not one of its levels",
                why="every contrast is taken against the baseline",
                mend=nearest(baseline, self.levels),
            )
        self._baseline = baseline
        self.also_moves = several(also_moves, str, f"Factor '{name}': also_moves")
        for path in self.also_moves:
            if not any(overlap(path, own) for own in self.paths):
                raise StudyError(
                    f"Factor '{name}': also_moves names '{path}'",
                    why="none of its levels sets that field",
                    mend=nearest(path, self.paths),
                )

    def _check_levels(self, pairs: list[tuple[Any, Any]]) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise StudyError(
                f"a factor is named '{self.name}'",
                why="its name becomes a column and a parameter",
                mend="use letters, digits and _, not starting with a digit",
            )
        if len(pairs) < 2:
            raise StudyError(
                f"Factor '{self.name}' has {len(pairs)} levels",
                why="with fewer than two there is nothing to compare",
                mend="give it at least two levels, or set the field in the base recipe",
            )
        seen: list[tuple[Label, Any]] = []
        for label, value in pairs:
            if isinstance(label, bool) or not isinstance(label, (str, int, float)):
                raise StudyError(
                    f"Factor '{self.name}': the level {label!r} has no label",
                    why="labels become columns and parameters: text or numbers",
                    mend='give levels as a mapping, like {"on": True, "off": False}',
                )
            if isinstance(label, float) and not math.isfinite(label):
                raise StudyError(
                    f"Factor '{self.name}' has a level labelled {label}",
                    why="it is no number, and equals nothing",
                    mend='give levels as a mapping, like {"none": ..., "some": ...}',
                )
            for other, its in seen:
                if same_label(label, other) or same_label(other, label):
                    raise StudyError(
                        f"Factor '{self.name}' has two levels with the label '{label_text(label)}'",
                        why="their trials could not be told apart",
                        mend=f"label them differently: {its!r} and {value!r}",
                    )
            seen.append((label, value))
            if self.at is None and not isinstance(value, Mapping):
                raise StudyError(
                    f"Factor '{self.name}': the level '{label}' is {value!r}",
                    why="without `at`, a level is a patch {path: value}",
                    mend=f'give at="path.to.field", or {{"{label}": {{"text.layers": 3}}}}',
                )

    def baseline(self, base: Recipe) -> Label:
        """The level to compare with, given the base recipe before any scale."""
        if self._baseline is not None:
            return self._baseline
        if self.within:  # the base recipe may have no such field
            return next(iter(self.levels))
        for label, patch in self.levels.items():
            if all(base.get(path) == value for path, value in patch.items()):
                return label
        return next(iter(self.levels))

    def applies(self, cell: Mapping[str, Label]) -> bool:
        """Whether its level says anything of `cell`: not where it is nested in another's levels."""
        return all(
            name in cell and label_text(cell[name]) in set(map(label_text, labels))
            for name, labels in self.within.items()
        )

    def only(self, labels: Collection[Label]) -> Factor:
        """The factor without its other levels: a recipe is what it was with them."""
        fewer = copy.copy(self)
        fewer.varied = self.varied
        fewer.levels = {label: patch for label, patch in self.levels.items() if label in labels}
        return fewer

    @cached_property
    def varied(self) -> frozenset[str]:
        """The fields within whole values (`objective`) that the levels have different values of.

        A field that only some of the levels have does not count: the others lack its term.
        """
        seen: dict[str, set[str]] = {}
        for patch in self.levels.values():
            for root, value in patch.items():
                for path, field_value in flattened(root, value).items() if is_whole(value) else ():
                    seen.setdefault(path, set()).add(repr(field_value))
        return frozenset(path for path, values in seen.items() if len(values) > 1)

    @property
    def paths(self) -> frozenset[str]:
        """The recipe fields that the factor sets."""
        return frozenset(path for patch in self.levels.values() for path in patch)

    @property
    def main(self) -> str:
        """What the factor is about, in whichever order its levels are written: of the paths that
        they set the first within an objective or a corpus, or else the first that says what is
        trained, or else the first that says how."""
        ordered = [path for patch in self.levels.values() for path in patch]
        whole = [path for path in ordered if path.partition(".")[0] in WHOLE]
        what = [path for path in ordered if path.partition(".")[0] not in TRAINING]
        return next(iter([*whole, *what, *ordered]), "")

    def __repr__(self) -> str:
        return f"Factor({self.name!r}, levels={list(self.levels)})"


def _outer(name: str, within: Mapping[str, Any] | None) -> dict[str, tuple[Label, ...]]:
    """The factor that `name` is nested in, with those of its levels that have it; {} for none."""
    if not within:
        return {}
    if not isinstance(within, Mapping) or len(within) > 1:
        raise StudyError(
            f"Factor '{name}': within is {within!r}",
            why="a factor is nested in some levels of one other",
            mend='give within={"supervision": "declip"}, or a tuple of levels',
        )
    return {
        outer: tuple(labels) if isinstance(labels, list | tuple) else (labels,)
        for outer, labels in within.items()
    }
