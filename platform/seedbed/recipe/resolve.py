"""Resolves a base recipe, a scale and a study's settings into the recipe of one trial.

A scale changes only what is not set explicitly. A study's own patches, a factor's levels and
`--set` set fields explicitly, each overriding the one before:

- A single field (`text.layers`) is set explicitly, whatever its value.
- A whole value (`objective`, `budget`) sets the fields that are not at their class's default,
  and those in which the whole levels of its factor differ: they are what it varies.
- The base recipe yields to what the scale patches, except for those sizes of its terms and those
  options of its tower that are not at the default.
- A `Share` is of what the field would be without it.
- A tower of the paper is replaced by the scale's small sibling, unless `--set` names it.

All patches are checked together, once, so that no order of them can refuse a valid recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from seedbed.errors import SeedbedError, StudyError
from seedbed.model.objective import Objective
from seedbed.recipe.paths import is_default, is_whole, patched, patched_fields
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import Scale
from seedbed.recipe.share import Share


@dataclass(frozen=True, eq=False)
class Said:
    """Patches from one place, which `who` names in words.

    `varied` are fields of its whole values that are set even if they are at their default.
    `literal` keeps a tower of the paper that is named here, instead of the scale's sibling.
    """

    who: str
    patches: Mapping[str, Any]
    varied: frozenset[str] = field(default_factory=frozenset)
    literal: bool = False

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Of the recipe, those that it patches, whole or in part."""
        return tuple(dict.fromkeys(_field_of(path) for path in self.patches))


class Resolver:
    """Resolves many cells at one scale: each field of the recipe once for all that say the same.

    No field depends on what is said of another, but that they must fit together. What is said again
    is the same `Said`, by identity.
    """

    def __init__(self, base: Recipe, scale: Scale) -> None:
        self._base, self._scale = base, scale
        self._of_scale = {_field_of(path) for path in scale.patches} | {"image", "objective"}
        self._known: dict[tuple[str, tuple[Said, ...]], Any] = {}

    def recipe(self, said: Sequence[Said]) -> Recipe:
        """As `resolve` gives it."""
        places: dict[str, list[Said]] = {name: [] for name in self._of_scale}
        for one in said:
            for name in one.fields:
                places.setdefault(name, []).append(one)
        try:
            return replace(self._base, **{n: self._field(n, tuple(of)) for n, of in places.items()})
        except SeedbedError:
            return resolve(self._base, self._scale, said)  # which says whose patches fail

    def _field(self, name: str, said: tuple[Said, ...]) -> Any:
        """The field `name` by what is said of it."""
        if (name, said) not in self._known:
            alone = [replace(one, patches=_of_field(name, one.patches)) for one in said]
            patches = _of_field(name, _patches(self._base, self._scale, alone))
            fields = patched_fields(self._base, "Recipe", patches)
            self._known[name, said] = fields.get(name, getattr(self._base, name))
        return self._known[name, said]


def _field_of(path: str) -> str:
    return path.partition(".")[0]


def _of_field(name: str, patches: Mapping[str, Any]) -> dict[str, Any]:
    return {path: value for path, value in patches.items() if _field_of(path) == name}


def resolve(base: Recipe, scale: Scale, said: Sequence[Said]) -> Recipe:
    """`base` at `scale` with all of `said`, the last of which wins.

    Raises StudyError, naming the places whose patches are to blame.
    """
    try:
        return base.patched(_patches(base, scale, said))
    except SeedbedError as error:
        raise _blamed(base, scale, said, error) from None


def _patches(base: Recipe, scale: Scale, said: Sequence[Said]) -> dict[str, Any]:
    """All that is patched of `base`: what is said, and what the scale may add to it."""
    by_path: dict[str, tuple[Any, Said]] = {}
    for one in said:
        # Whole values first: a field that is set beside its whole value overrides a part of it.
        for path in sorted(one.patches, key=lambda path: path.count(".")):
            value = one.patches[path]
            if isinstance(value, Share):
                value = value.of(path, _without(base, scale, by_path, path))
            for known in [p for p in by_path if p == path or p.startswith(f"{path}.")]:
                del by_path[known]
            by_path[path] = value, one
    patches = {path: value for path, (value, _) in by_path.items()}
    # A tower that `--set` names is kept; its options may still be the sibling's.
    name = by_path.get("image.name")
    wishes = {**scale.patches} | _of_tower(base, scale, patches) | _of_terms(base, scale, patches)
    if name is not None and name[1].literal:
        wishes.pop("image.name", None)
    elif "image.name" in wishes:
        patches.pop("image.name", None)
    left = {p: v for p, v in wishes.items() if not _is_said(p, by_path)}
    return left | patches


def _without(base: Recipe, scale: Scale, by_path: Mapping[str, tuple[Any, Said]], path: str) -> Any:
    """What a single field at `path` is by what was said so far."""
    if path in by_path:
        return by_path[path][0]
    if path in scale.patches and not _is_said(path, by_path):
        return scale.patches[path]
    return base.patched({p: value for p, (value, _) in by_path.items()}).get(path)


def _is_said(path: str, by_path: Mapping[str, tuple[Any, Said]]) -> bool:
    """Whether the field at `path` is set explicitly, by itself or within a whole value."""
    for root, (value, one) in by_path.items():
        if root == path:
            if path != "image.name":
                return True
        elif path.startswith(f"{root}.") and is_whole(value):
            within = path.removeprefix(f"{root}.")
            if path in ("image.name", "image.options"):  # see `_of_tower`
                return False
            return path in one.varied or not is_default(value, within)
    return False


def _of_tower(base: Recipe, scale: Scale, patches: Mapping[str, Any]) -> dict[str, Any]:
    """The scale's replacement for the tower that is named; options that were given stay."""
    image = patches.get("image", base.image)
    name = patches.get("image.name", getattr(image, "name", None))
    small = dict(scale.towers.get(name, {}))
    if "image.options" in small:
        small["image.options"] = small["image.options"] | dict(getattr(image, "options", ()))
    return small


def _of_terms(base: Recipe, scale: Scale, patches: Mapping[str, Any]) -> dict[str, Any]:
    """The scale's sizes of the terms that the objective has, weighted or switched off."""
    sizes: dict[str, Any] = {}
    inside = {p.partition(".")[2]: v for p, v in patches.items() if p.startswith("objective.")}
    objective = patches.get("objective", base.objective)
    if not isinstance(objective, Objective):
        return {}  # of a wrong type: refused where it is set
    objective = patched(objective, "Recipe.objective", inside)
    for name, weighted in objective.items():
        for size, value in scale.terms.get(type(weighted.term).__name__, {}).items():
            if is_default(weighted, size):
                sizes[f"objective.{name}.{size}"] = value
    return sizes


def _blamed(base: Recipe, scale: Scale, said: Sequence[Said], error: SeedbedError) -> StudyError:
    """`error`, attributed to the smallest set of `said` that raises it."""
    needed = tuple(said)
    for one in said:
        fewer = tuple(other for other in needed if other is not one)
        try:
            base.patched(_patches(base, scale, fewer))
        except SeedbedError as again:
            if again.what == error.what:
                needed = fewer
    who = " with ".join(one.who for one in needed) or f"scale '{scale.name}'"
    return StudyError(f"{who}: {error.what}", why=error.why, mend=error.mend)
