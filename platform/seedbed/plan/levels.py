"""What the levels of a plan's factors resolve to at its scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seedbed.model.objective import Objective
from seedbed.model.term import Weighted
from seedbed.recipe.paths import beneath
from seedbed.recipe.recipe import Recipe, Value, flattened
from seedbed.study.factor import Factor
from seedbed.study.label import Label
from seedbed.study.trial import Trial


def resolved(factor: Factor, trials: Sequence[Trial]) -> dict[Label, dict[str, Value]]:
    """By level, the recipe fields that `factor` sets and what they are in its trials."""
    return {
        label: {
            field: value
            for path in _shown(factor)
            for field, value in flattened(path, recipe.get(path)).items()
        }
        for label, recipe in _of_levels(factor, trials).items()
    }


def resolved_words(factor: Factor, trials: Sequence[Trial]) -> dict[Label, str]:
    """The same in words, for people: `text.layers 3`, `objective 1 InfoNCE`."""
    return {
        label: ", ".join(f"{path} {_words(recipe.get(path))}" for path in _shown(factor))
        for label, recipe in _of_levels(factor, trials).items()
    }


def _of_levels(factor: Factor, trials: Sequence[Trial]) -> dict[Label, Recipe]:
    """A recipe of each level, of a cell that it says something of; no other factor sets what this
    one does, so that any will do."""
    by_label: dict[Label, Recipe] = {}
    for trial in trials:
        if not factor.applies(trial.cell):
            continue
        by_label.setdefault(trial.cell[factor.name], trial.recipe)
        if len(by_label) == len(factor.levels):
            break
    return {label: by_label[label] for label in factor.levels if label in by_label}


def _shown(factor: Factor) -> list[str]:
    """The factor's fields, without those within another of them; a tower with its options."""
    paths = [p for p in factor.paths if not any(p != q and beneath(p, q) for q in factor.paths)]
    return sorted({*paths, *(["image.options"] if "image.name" in paths else [])})


def _words(value: Any) -> str:
    if isinstance(value, Objective):
        return " + ".join(_words(weighted) for _, weighted in value.present())
    if isinstance(value, Weighted):
        try:
            usual = flattened("", Weighted(type(value.term)()))
        except TypeError:  # a term of one's own, with fields that have no default
            usual = {}
        own = [
            f"{field.removeprefix('.')} {field_value}"
            for field, field_value in flattened("", value).items()
            if field != ".weight" and field_value != usual.get(field)
        ]
        beside = f" ({', '.join(own)})" if own else ""
        return f"{value.weight:g} {type(value.term).__name__}{beside}"
    parts = flattened("", value)
    if list(parts) == [""]:
        return str(parts[""])
    return f"({', '.join(f'{name} {part}' for name, part in parts.items())})"
