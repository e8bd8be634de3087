"""Masked tokens for masked language modelling, drawn per sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seedbed.checks import choice, refused, shares
from seedbed.data.render.augmentation import Augmentation
from seedbed.data.render.tokenizer import MASK, START, VOCABULARY

NOT_MASKED = -100  # PyTorch's cross entropy leaves targets of this value out

# The released code (Sense-GVT/DeCLIP) draws replacements from the whole vocabulary, so that a
# start or end of text, or the mask itself, may land inside a caption. That moves the place at
# which the text is pooled, and says nothing about words: the default leaves those three out.
RANDOM_FROM = {"ordinary": START, "all": VOCABULARY}


@dataclass(frozen=True)
class Masking(Augmentation):
    """Which tokens are hidden, and what stands in their place. Defaults: the released code's.

    Each ordinary token is masked with `probability`; a share `mask_share` of those becomes the
    mask token, `random_share` a random id, and the rest keeps its own id.
    """

    probability: float = 0.15
    mask_share: float = 0.8
    random_share: float = 0.1
    random_from: Literal["ordinary", "all"] = "ordinary"

    def __post_init__(self) -> None:
        shares(self, "probability", "mask_share", "random_share")
        if self.mask_share + self.random_share > 1 + 1e-9:
            why = f"with random_share {self.random_share} it makes more than all masked tokens"
            raise refused(self, "mask_share", why, "give shares that sum to 1 or less")
        choice(self, "random_from", RANDOM_FROM, why="it names the ids to draw from")

    def __call__(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        rngs: Sequence[np.random.Generator],
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Masked ids [n, L] and targets [n, L], NOT_MASKED where nothing is to be predicted.

        ids int32 [n, L], lengths int32 [n] with start and end of text counted, one generator a
        row. Start and end of text, the mask token and padding are never masked.
        """
        # A row's numbers depend on its generator and length only, not on its neighbours.
        draws = np.ones((3, *ids.shape))
        for row, (length, rng) in enumerate(zip(lengths.tolist(), rngs, strict=True)):
            draws[:, row, :length] = rng.random((3, length))
        within = np.arange(ids.shape[1]) < lengths[:, None]
        chosen = within & (ids < START) & (draws[0] < self.probability)
        to_mask = chosen & (draws[1] < self.mask_share)
        to_random = chosen & ~to_mask & (draws[1] < self.mask_share + self.random_share)
        masked = np.where(to_mask, MASK, ids).astype(np.int32)
        choices = RANDOM_FROM[self.random_from]
        masked[to_random] = (draws[2][to_random] * choices).astype(np.int32)
        return masked, np.where(chosen, ids, NOT_MASKED).astype(np.int32)
