"""How a recipe's weights move: the optimizer, and its rate over the budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from seedbed.checks import UNSAID, choice, numbers, switches


@dataclass(frozen=True)
class AdamW:
    """Optimizer and learning rate. Defaults: the paper's released YFCC15M configs.

    The rate climbs linearly from `warmup_lr` to `lr` over the budget's warm-up, then follows its
    `schedule`: a cosine to 0, or "wsd" (warm-up, stable, decay: Hu et al. 2024, arXiv:2404.06395),
    which stays at `lr` until the last `decay_share` of the budget and falls to 0 there as 1 - sqrt
    (Hägele et al. 2024, arXiv:2405.18392, whose share is 0.2). Weight decay applies to tensors of
    two or more dimensions, embeddings with them; `decay_attention_bias` adds the biases of queries,
    keys and values, which the paper's code decays because it recognises biases by their layer's
    class, and these are bare parameters.
    """

    lr: float = 1e-3
    warmup_lr: float = 1e-4
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.98
    eps: float = 1e-8
    decay_attention_bias: bool = False
    schedule: Literal["cosine", "wsd"] = field(default="cosine", metadata=UNSAID)
    decay_share: float = field(default=0.2, metadata=UNSAID)

    def __post_init__(self) -> None:
        numbers(self, "lr", "warmup_lr", "weight_decay", "eps", least=0)
        why = "it is the share of a running mean that is kept"
        numbers(self, "beta1", "beta2", least=0, below=1, why=why)
        switches(self, "decay_attention_bias")
        choice(self, "schedule", ("cosine", "wsd"), why="the rate follows one of the known laws")
        numbers(self, "decay_share", above=0, most=1, why="it is a share of the budget")
