"""A batch of columns on its way to the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedbed.data.render.render import Columns
from seedbed.data.views import View
from seedbed.model.gather import largest_over_ranks
from seedbed.recipe.recipe import Recipe

Agree = Callable[[list[int]], list[int]]


def to_tensors(columns: Columns, recipe: Recipe, device: torch.device) -> dict[str, Tensor]:
    """A batch on the device: faulty samples left out, captions cut to the longest one's end."""
    host = in_host_memory(
        columns, recipe, device, agree=lambda longest: largest_over_ranks(longest, device)
    )
    return on_device(host, device)


def in_host_memory(
    columns: Columns, recipe: Recipe, device: torch.device, *, agree: Agree = list
) -> dict[str, Tensor]:
    """`to_tensors` in host memory: pinned where `device` is a GPU, so that it is copied there
    while others compute.

    What follows the longest caption is padding, which no feature reads, so that cutting it
    changes nothing but the time it takes. Ranks agree where to cut, since a term may gather tokens:
    `agree` gives each number's maximum over them.
    """
    sound = np.array([not fault for fault in columns["fault"]], dtype=bool)
    texts = [name for name in sorted(columns) if View(name, "text").length in columns]
    longest = [-(-int(columns[View(name, "text").length].max()) // 8) * 8 for name in texts]
    longest = [min(recipe.text.context, n) for n in agree(longest)]
    cuts: dict[str, int] = {}
    for name, cut in zip(texts, longest, strict=True):
        cuts[name] = cuts[View(name, "text").target] = cut
    batch: dict[str, Tensor] = {}
    for name, column in columns.items():
        if name == "fault":
            continue
        kept = column if sound.all() else column[sound]
        kept = kept[:, : cuts[name]] if name in cuts else kept
        batch[name] = _copied(kept, pinned=device.type == "cuda")
    return batch


def on_device(host: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """The batch on `device`; from pinned memory the copies are only begun."""
    return {name: tensor.to(device, non_blocking=True) for name, tensor in host.items()}


def _copied(column: np.ndarray[Any, np.dtype[Any]], *, pinned: bool) -> Tensor:
    """A copy: Ray's blocks are read-only. Straight into pinned memory, which saves a second."""
    if not pinned:
        return torch.from_numpy(np.array(column))
    dtype = torch.from_numpy(np.empty(0, column.dtype)).dtype
    held = torch.empty(column.shape, dtype=dtype, pin_memory=True)
    np.copyto(held.numpy(), column)
    return held
