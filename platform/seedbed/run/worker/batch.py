"""A batch of columns on its way to the device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from seedbed.data.render.render import Columns
from seedbed.data.views import View
from seedbed.model.gather import largest_over_ranks
from seedbed.recipe.recipe import Recipe


def to_tensors(columns: Columns, recipe: Recipe, device: torch.device) -> dict[str, Tensor]:
    """A batch on the device: faulty samples left out, captions cut to the longest one's end.

    What follows the longest caption is padding, which no feature reads, so that cutting it
    changes nothing but the time it takes. Ranks agree where to cut: a term may gather tokens.
    """
    sound = np.array([not fault for fault in columns["fault"]], dtype=bool)
    texts = [name for name in sorted(columns) if View(name, "text").length in columns]
    longest = [-(-int(columns[View(name, "text").length].max()) // 8) * 8 for name in texts]
    longest = [min(recipe.text.context, n) for n in largest_over_ranks(longest, device)]
    cuts: dict[str, int] = {}
    for name, cut in zip(texts, longest, strict=True):
        cuts[name] = cuts[View(name, "text").target] = cut
    batch: dict[str, Tensor] = {}
    for name, column in columns.items():
        if name == "fault":
            continue
        kept = column if sound.all() else column[sound]
        kept = kept[:, : cuts[name]] if name in cuts else kept
        tensor = torch.from_numpy(np.array(kept))  # a copy: Ray's blocks are read-only
        if device.type == "cuda":
            tensor = tensor.pin_memory()
        batch[name] = tensor.to(device, non_blocking=True)
    return batch
