"""From a base recipe, a scale and what a study says to the recipe of one trial.

A scale shapes what nobody said. What a study's own patches, a factor's levels and `--set` say
is what runs, each over the one before:

- A single field (`text.layers`) that is said is said, whatever its value.
- A whole value (`objective`, `budget`) says the fields that are not at their class's default,
  and those in which the whole levels of its factor differ: they are what it varies.
- The base recipe says nothing of what the scale patches, and of its terms and its tower's
  options what is not at the default.
- A tower of the paper is named in the paper's terms: the scale's small sibling stands for it,
  unless `--set` names it.

All that is checked together, once, so that no order of patches can refuse what makes sense.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seedbed.errors import SeedbedError, StudyError
from seedbed.model.objective import Objective
from seedbed.recipe.paths import beneath, is_default, is_whole, patched
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import Scale


@dataclass(frozen=True)
class Said:
    """Patches from one place, which `who` names in words.

    `varied` are fields of its whole values that are said though they may be at their default.
    `literal` keeps a tower of the paper that is named here.
    """

    who: str
    patches: Mapping[str, Any]
    varied: frozenset[str] = field(default_factory=frozenset)
    literal: bool = False


def resolve(base: Recipe, scale: Scale, said: Sequence[Said]) -> Recipe:
    """`base` at `scale` with all of `said`, the last of which wins.

    Raises StudyError, in the name of those who said what cannot be.
    """
    try:
        return _resolved(base, scale, said)
    except SeedbedError as error:
        raise _blamed(base, scale, said, error) from None


def _resolved(base: Recipe, scale: Scale, said: Sequence[Said]) -> Recipe:
    by_path: dict[str, tuple[Any, Said]] = {}
    for one in said:
        # Whole values first: a field said beside its whole is said of it.
        for path in sorted(one.patches, key=lambda path: path.count(".")):
            kept = {p: v for p, v in by_path.items() if not beneath(p, path)}
            by_path = kept | {path: (one.patches[path], one)}
    patches = {path: value for path, (value, _) in by_path.items()}
    # Whoever names the tower by `--set` means that one; its options may still be the sibling's.
    name = by_path.get("image.name")
    wishes = {**scale.patches} | _of_tower(base, scale, patches) | _of_terms(base, scale, patches)
    if name is not None and name[1].literal:
        wishes.pop("image.name", None)
    elif "image.name" in wishes:
        patches.pop("image.name", None)
    left = {p: v for p, v in wishes.items() if not _is_said(p, by_path)}
    return base.patched(left | patches)


def _is_said(path: str, by_path: Mapping[str, tuple[Any, Said]]) -> bool:
    """Whether the field at `path` is said, by itself or within a whole value."""
    for root, (value, one) in by_path.items():
        if root == path and path != "image.name":
            return True
        if root != path and beneath(path, root) and is_whole(value):
            within = path.removeprefix(f"{root}.")
            if path in ("image.name", "image.options"):  # see `_of_tower`
                return False
            return path in one.varied or not is_default(value, within)
    return False


def _of_tower(base: Recipe, scale: Scale, patches: Mapping[str, Any]) -> dict[str, Any]:
    """What the scale has in place of the tower that is named; options that it had stay."""
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
    """`error` in the name of the fewest whom it takes."""
    needed = tuple(said)
    for one in said:
        fewer = tuple(other for other in needed if other is not one)
        try:
            _resolved(base, scale, fewer)
        except SeedbedError as again:
            if again.what == error.what:
                needed = fewer
    who = " with ".join(one.who for one in needed) or f"scale '{scale.name}'"
    return StudyError(f"{who}: {error.what}", why=error.why, mend=error.mend)
