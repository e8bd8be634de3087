"""How long trials take on a kind of machine: measured, or by their arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from seedbed.plan.cost import Cost, counted
from seedbed.recipe.recipe import Recipe
from seedbed.study.trial import Trial

Kind = tuple[object, ...]


def kind_of(recipe: Recipe) -> Kind:
    """Equal for trials whose steps take as long: all but the seed, the data and how long."""
    image, text, objective, budget, embed_dim, freeze = counted(recipe)
    own = recipe.precision, recipe.compile, recipe.micro_batch
    return image, text, objective, embed_dim, freeze, budget.batch, *own


@dataclass(frozen=True)
class Speed:
    """Seconds of one device (a core, a GPU) by the kind of trial, for each sample; `words` say
    where from. What was not measured is taken by its arithmetic, at so many `flops` a second by
    the recipe's precision, but no step shorter than `least_step` seconds."""

    words: str
    flops: Mapping[str, float]
    by_kind: Mapping[Kind, float] = field(default_factory=dict)
    least_step: float = 0.0

    def seconds(self, trial: Trial, cost: Cost) -> float:
        """Of the whole trial."""
        known = self.by_kind.get(kind_of(trial.recipe)) if self.by_kind else None
        if known is not None:
            return known * cost.samples
        by_flops = cost.train_flops / self.flops[trial.recipe.precision]
        return max(by_flops, self.least_step * trial.recipe.budget.steps)

    @property
    def is_measured(self) -> bool:
        return bool(self.by_kind)


def measured_speed(words: str, found: Iterable[tuple[Recipe, Cost, float]]) -> Speed | None:
    """From trials, or steps, with the seconds that each took for all samples of its cost; others
    are taken to compute as fast as these did together."""
    by_kind: dict[Kind, list[float]] = {}
    flops = seconds = 0.0
    for recipe, cost, took in found:
        if took <= 0:
            continue
        by_kind.setdefault(kind_of(recipe), []).append(took / cost.samples)
        flops += cost.train_flops
        seconds += took
    if not by_kind:
        return None
    means = {kind: sum(own) / len(own) for kind, own in by_kind.items()}
    return Speed(words, dict.fromkeys(("fp32", "bf16"), flops / seconds), means)


def one_of_each_cell(trials: Iterable[Trial]) -> list[Trial]:
    """Seeds of a cell take as long."""
    return list({trial.cell: trial for trial in trials}.values())


def makespan(seconds: Iterable[float], places: int) -> float:
    """How long `places` devices take together: no shorter than the longest of what they do."""
    each = list(seconds)
    return max(max(each, default=0.0), sum(each) / places)
