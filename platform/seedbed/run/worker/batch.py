"""A batch of columns on its way to the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from seedbed.data.render.tokenizer import PAD
from seedbed.data.views import View
from seedbed.model.gather import Gather
from seedbed.model.terms.masked_lm import IGNORED
from seedbed.recipe.recipe import Recipe

# Numbers of this process to those of all that train the same variants, a list for each.
Agree = Callable[[list[int]], list[list[int]]]


@dataclass(frozen=True)
class Batch:
    """A batch that variants can be stepped on.

    `ids` [b] are of all its samples, `faults` the words of those that cannot be used, `tensors`
    of the others, on the device; `sizes` how many these are in each process that trains the same
    variants, of which this is number `part`. `ready` is the end of the copy to a GPU.
    """

    ids: NDArray[np.int64]
    faults: tuple[str, ...]
    tensors: dict[str, Tensor]
    sizes: tuple[int, ...]
    part: int
    ready: Any = None

    def gather(self) -> Gather:
        """What the losses see other processes through."""
        return Gather(self.sizes, self.part) if len(self.sizes) > 1 else Gather()

    def wait(self) -> None:
        """Let the current stream of the device wait for the copy."""
        if self.ready is None:
            return
        stream = torch.cuda.current_stream()
        stream.wait_event(self.ready)
        for tensor in self.tensors.values():  # made on another stream, which may not reuse it yet
            tensor.record_stream(stream)


def alone(numbers: list[int]) -> list[list[int]]:
    """The agreement of one process."""
    return [numbers]


def make_batch(
    columns: Mapping[str, Any],
    recipe: Recipe,
    device: torch.device,
    agree: Agree = alone,
    part: int = 0,
) -> Batch:
    """A batch on the device: faulty samples left out, captions cut to the longest one's end.

    Columns are arrays, and tensors where they are on the device already.

    What follows the longest caption is padding, which no feature reads, so that cutting it
    changes nothing but the time it takes. All that train the same variants agree where to cut: a
    term may gather tokens.
    """
    sound = np.array([not fault for fault in columns["fault"]], dtype=bool)
    texts = [name for name in sorted(columns) if View(name, "text").length in columns]
    longest = [-(-int(columns[View(name, "text").length].max()) // 8) * 8 for name in texts]
    told = agree([int(sound.sum()), *longest])
    cuts: dict[str, int] = {}
    for name, lengths in zip(texts, list(zip(*told, strict=True))[1:], strict=True):
        cuts[name] = cuts[View(name, "text").target] = min(recipe.text.context, max(lengths))
    return Batch(
        # A copy: the column is a view, which would keep its whole block of pictures in memory.
        ids=np.array(columns["id"]),
        faults=tuple(str(fault) for fault in columns["fault"] if fault),
        tensors=to_tensors(columns, sound, cuts, device),
        sizes=tuple(rows for rows, *_ in told),
        part=part,
    )


def to_tensors(
    columns: Mapping[str, Any],
    sound: NDArray[np.bool_],
    cuts: dict[str, int],
    device: torch.device,
) -> dict[str, Tensor]:
    """The rows of `columns` that are `sound` on the device, some columns cut to a width.

    On a GPU the copy is begun on the current stream, and may not have ended.
    """
    tensors: dict[str, Tensor] = {}
    for name, column in columns.items():
        if name == "fault":
            continue
        if isinstance(column, Tensor):
            kept = column
            if not sound.all():  # what is sent to a GPU for it waits there for all before
                kept = column[torch.from_numpy(np.flatnonzero(sound)).to(device)]
            tensors[name] = (kept[:, : cuts[name]] if name in cuts else kept).contiguous()
            continue
        kept = column if sound.all() else column[sound]
        kept = kept[:, : cuts[name]] if name in cuts else kept
        tensors[name] = _copied(kept, pinned=device.type == "cuda").to(device, non_blocking=True)
    return tensors


def _copied(column: NDArray[Any], *, pinned: bool) -> Tensor:
    """A copy: Ray's blocks are read-only. Straight into pinned memory, which saves a second."""
    if not pinned:
        return torch.from_numpy(np.array(column))
    dtype = torch.from_numpy(np.empty(0, column.dtype)).dtype
    held = torch.empty(column.shape, dtype=dtype, pin_memory=True)
    np.copyto(held.numpy(), column)
    return held


def padded(batch: Mapping[str, Tensor], context: int) -> dict[str, Tensor]:
    """The batch with its captions, cut to the longest, brought back to the whole context."""
    out = dict(batch)
    for name, column in batch.items():
        if View(name, "text").length in batch:
            more = context - column.shape[1]
            out[name] = F.pad(column, (0, more), value=PAD)
            target = View(name, "text").target
            if target in batch:
                out[target] = F.pad(batch[target], (0, more), value=IGNORED)
    return out
