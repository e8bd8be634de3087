"""How many tokens a term compares that compares token by token."""

from __future__ import annotations

from seedbed.model.objective import Objective
from seedbed.model.towers.image import ImageTower
from seedbed.plan.counts import count_image


def has_one_token(tower: ImageTower, objective: Objective) -> bool:
    """Whether a term reads the tower's tokens, and there is one only."""
    kinds = {need.kind for need in objective.needs if need.view.modality == "image"}
    if "tokens" not in kinds:
        return False
    tokens = count_image(tower, pooled=bool(kinds & {"embed", "pooled"}), tokens=True).tokens
    return tokens[:1] == (1,)
