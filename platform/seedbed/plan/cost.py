"""What a trial will cost, counted before it runs."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from seedbed.errors import StudyError
from seedbed.model.objective import Objective
from seedbed.model.term import Feature
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.recipe.recipe import Budget, Recipe

# bf16 at 40 % of an A100's 312 TFLOP/s: a round figure to compare plans by, not a promise.
REFERENCE_FLOPS = 1.25e14


@dataclass(frozen=True)
class Cost:
    """Counts for one trial: `train_flops` for forward and backward over the whole budget."""

    samples: int
    image_views: int
    text_tokens: int
    num_params: int
    train_flops: float

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

    The towers are built on torch's meta device, so it takes no memory; FLOPs are torch's own
    count of matrix products and convolutions, the terms' from their own arithmetic, a backward
    pass counted as two forward ones. What many trials share is counted once.
    """
    return _estimated(recipe.image, recipe.text, recipe.objective, recipe.budget, recipe.embed_dim)


@functools.lru_cache(maxsize=4_096)
def _estimated(
    image: ImageTower, text: TextTower, objective: Objective, budget: Budget, embed_dim: int
) -> Cost:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from seedbed.model.pretrainer import Pretrainer

    samples = budget.steps * budget.batch
    views = objective.views
    with torch.device("meta"):
        model = Pretrainer(image, text, objective, embed_dim=embed_dim, seed=0)
        model.eval()  # batch norm refuses to learn from one example
        counter = FlopCounterMode(display=False)
        size = image.size
        shapes: dict[Feature, tuple[int, ...]] = {}
        with torch.no_grad(), counter:
            for view in views:
                if view.modality == "image":
                    columns: tuple[torch.Tensor, ...] = (
                        torch.zeros(1, size, size, 3, dtype=torch.uint8),
                    )
                else:
                    ids = torch.zeros(1, text.context, dtype=torch.int32)
                    columns = ids, torch.ones(1, dtype=torch.int32)
                try:
                    encoded = model.encode(view, columns)
                except RuntimeError as error:
                    raise StudyError(
                        f"'{image.name}' cannot read a {view.modality} of this recipe",
                        why=str(error),
                        mend=f"image.size is {size}; towers that halve their maps want a multiple "
                        "of 32",
                    ) from error
                shapes |= {feature: tuple(value.shape[1:]) for feature, value in encoded.items()}
    terms = sum(weighted.term.flops(shapes, budget.batch) for _, weighted in objective.present())
    num_text = sum(view.modality == "text" for view in views)
    return Cost(
        samples=samples,
        image_views=samples * sum(view.modality == "image" for view in views),
        text_tokens=samples * num_text * text.context,
        num_params=sum(p.numel() for p in model.parameters()),
        train_flops=3.0 * samples * (counter.get_total_flops() + terms),
    )
