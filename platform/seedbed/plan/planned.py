"""What a design has of each factor and of each trial; a part of its schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seedbed.plan.design_data import known_fields
from seedbed.recipe.recipe import Value
from seedbed.study.cell import Cell
from seedbed.study.label import Label


@dataclass(frozen=True, kw_only=True)
class PlannedFactor:
    """What a study varies: `levels` in the study's order, and the one to compare with.

    `at` are the recipe's fields that it sets, joined by ", "; `also_moves` what its levels differ
    in beside that, None if not checked; `views` what each level reads of a sample, where that
    differs.
    """

    name: str
    levels: tuple[Label, ...]
    baseline: Label
    at: str = ""
    also_moves: tuple[str, ...] | None = None
    views: tuple[tuple[str, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "levels": list(self.levels),
            "baseline": self.baseline,
            "at": self.at,
            **({} if self.also_moves is None else {"also_moves": list(self.also_moves)}),
            **({"views": [list(read) for read in self.views]} if self.views else {}),
        }

    @classmethod
    def from_json(cls, name: str, values: Mapping[str, Any]) -> PlannedFactor:
        """The factor that `to_json` wrote; `resolved`, which a printed plan has, is left out."""
        moves = values.get("also_moves")
        return cls(
            name=name,
            levels=tuple(values["levels"]),
            baseline=values["baseline"],
            at=str(values.get("at") or ""),
            also_moves=None if moves is None else tuple(moves),
            views=tuple(map(tuple, values.get("views", ()))),
        )


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One trial; `recipe` holds the fields that vary in the study."""

    key: str
    cell: Cell
    seed: int
    cohort: str = ""
    recipe: Mapping[str, Value] = field(default_factory=dict)
    half: int = 0

    def to_json(self) -> dict[str, Any]:
        half = {"half": self.half} if self.half else {}
        return {
            "key": self.key,
            "cell": self.cell.to_json(),
            "seed": self.seed,
            "cohort": self.cohort,
            "recipe": dict(self.recipe),
            **half,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PlannedTrial:
        cell = Cell(values["cell"])
        return cls(**known_fields(cls, values) | {"key": str(values["key"]), "cell": cell})
