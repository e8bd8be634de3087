"""What a trial will cost, counted before it runs."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from seedbed.data.views import Modality, View
from seedbed.model.objective import Objective
from seedbed.model.term import LEARNED, Feature, Kind
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.plan.counts import Counts, count_image, count_term, count_text
from seedbed.recipe.recipe import Budget, Recipe

# bf16 at 40 % of an A100's 312 TFLOP/s: a round figure to compare plans by, not a promise.
REFERENCE_FLOPS = 1.25e14
COMPUTED: tuple[Kind, ...] = ("embed", "pooled", "tokens", "context")


@dataclass(frozen=True)
class Cost:
    """Counts for one trial: `train_flops` for forward and backward over the whole budget."""

    samples: int
    image_views: int
    text_tokens: int
    num_params: int
    train_flops: float
    num_frozen: int = 0  # of its parameters
    buffer_bytes: int = 0  # of what is kept with them, as a queue of texts

    @property
    def reference_hours(self) -> float:
        """Hours on one reference device (REFERENCE_FLOPS)."""
        return self.train_flops / REFERENCE_FLOPS / 3600

    def to_json(self) -> dict[str, Any]:
        return {
            "samples": self.samples,
            "image_views": self.image_views,
            "text_tokens": self.text_tokens,
            "num_params": self.num_params,
            "train_flops": self.train_flops,
            "reference_hours": self.reference_hours,
        }


def estimate(recipe: Recipe) -> Cost:
    """Count a trial's samples, views, tokens, parameters and arithmetic.

    Its parts are counted on torch's meta device, where they take no memory, or were cached by an
    earlier plan; FLOPs are torch's own count of matrix products and convolutions, the terms' from
    their own arithmetic, a backward pass counted as two forward ones. A frozen tower has none.
    """
    return _estimated(*counted(recipe))


Counted = tuple[ImageTower, TextTower, Objective, Budget, int, tuple[Modality, ...]]


def counted(recipe: Recipe) -> Counted:
    """What of a recipe its cost depends on."""
    return (
        recipe.image,
        recipe.text,
        recipe.objective,
        recipe.budget,
        recipe.embed_dim,
        recipe.freeze,
    )


@functools.lru_cache(maxsize=4_096)
def _estimated(
    image: ImageTower,
    text: TextTower,
    objective: Objective,
    budget: Budget,
    embed_dim: int,
    freeze: tuple[Modality, ...],
) -> Cost:
    samples = budget.steps * budget.batch
    demand: dict[View, set[str]] = {view: set() for view in objective.views}
    for need in objective.needs:
        demand[need.view].add(need.kind)
    of = {"image": set[str](), "text": set[str]()}
    for view, kinds in demand.items():
        of[view.modality] |= kinds
    parts = {
        "image": count_image(
            image, pooled=bool(of["image"] & {"embed", "pooled"}), tokens="tokens" in of["image"]
        )
        if of["image"]
        else Counts(0),
        "text": count_text(text, both_ways="context" in of["text"]) if of["text"] else Counts(0),
    }
    shapes: dict[Feature, tuple[int, ...]] = {}
    flops = 0.0
    for view, kinds in demand.items():
        part = parts[view.modality]
        for kind in COMPUTED:
            shapes[Feature(view, kind)] = _shape(part, kind, embed_dim)
        # Of three passes, forward and backward for activations and weights, a frozen tower has one.
        share = 1 / 3 if view.modality in freeze else 1
        flops += share * _pass_flops(part, kinds, embed_dim)
    widths = {need: shapes[need][-1] if need in shapes else 0 for need in objective.needs}
    num_params, num_frozen = len(objective.temperatures), 0
    buffer_bytes = sum(part.buffer_bytes for part in parts.values())
    for modality, part in parts.items():
        projection = embed_dim * (part.width + part.projection_bias)
        own = part.num_params + ("embed" in of[modality]) * projection
        num_params += own
        num_frozen += own if modality in freeze else 0
    terms = 0.0
    for _, weighted in objective.present():
        read = tuple((need, widths[need]) for need in sorted(weighted.term.needs))
        own_layers = count_term(weighted.term, read)
        num_params += own_layers.num_params
        buffer_bytes += own_layers.buffer_bytes
        terms += weighted.term.flops(shapes, budget.batch)
    num_text = sum(view.modality == "text" for view in demand)
    return Cost(
        samples=samples,
        image_views=samples * (len(demand) - num_text),
        text_tokens=samples * num_text * text.context,
        num_params=num_params,
        train_flops=3.0 * samples * (flops + terms),
        num_frozen=num_frozen,
        buffer_bytes=buffer_bytes,
    )


def _pass_flops(part: Counts, kinds: set[str], embed_dim: int) -> int:
    """FLOPs of one view of a sample: passes through the tower, projection of the embedding."""
    computed = kinds & LEARNED
    flops = part.flops if computed != {"context"} else 0
    flops += part.both_ways_flops if "context" in computed else 0
    return flops + (2 * part.width * embed_dim if "embed" in computed else 0)


def _shape(part: Counts, kind: str, embed_dim: int) -> tuple[int, ...]:
    shapes = {"embed": (embed_dim,), "pooled": (part.width,)}
    return shapes.get(kind, part.tokens or (0,))
