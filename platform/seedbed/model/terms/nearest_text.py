"""Nearest-neighbour supervision: a picture also matches the caption most like its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from seedbed.data.views import IMAGE_A, IMAGE_B, TEXT_AUG, TEXT_MASKED, View
from seedbed.model.gather import Gather, world_size
from seedbed.model.term import Feature, Features, Temperature, Term, TermModule, expect


def nearest_text_loss(
    image: Tensor,
    text: Tensor,
    queue: Tensor,
    scale: Tensor | float,
    *,
    both_ways: bool = False,
    gather: Gather | None = None,
) -> Tensor:
    """Cross-entropy of each picture with the queued text nearest to its caption, against the
    others'.

    image [n, D], text [n, D], queue [m, D], all un-normalised -> loss []. The nearest texts get
    no gradient; an empty queue has none, and the loss is 0. Li et al. 2022, DeCLIP
    (arXiv:2110.05208), sec. 3.3, in the direction of the released code, image to text;
    `both_ways` adds text to image, with equal weight.
    """
    gather = gather or Gather()
    image = F.normalize(image, dim=-1)
    if not len(queue):
        return gather.mean(0 * image.sum(-1))
    with torch.no_grad():
        known = F.normalize(queue, dim=-1)
        nearest = known[(F.normalize(text, dim=-1) @ known.T).argmax(dim=-1)]
    target = gather.offset + torch.arange(len(image), device=image.device)
    losses = F.cross_entropy(scale * image @ gather.rows(nearest).T, target, reduction="none")
    if both_ways:
        to_image = scale * nearest @ gather.rows(image).T
        losses = (losses + F.cross_entropy(to_image, target, reduction="none")) / 2
    return gather.mean(losses)


@dataclass(frozen=True)
class NearestText(Term):
    """The mean of `nearest_text_loss` over image and text views, with a queue of past texts.

    The defaults are Sense-GVT/DeCLIP's: 65,536 texts; two image views with the masked and the
    augmented caption's neighbours; image to text. Three things of that code are levels, not
    defaults. `queue="local"`: each rank keeps only its own texts, so that the neighbours depend
    on the number of ranks. `start="random"`: the queue begins full of random directions, which
    are neighbours of nothing, where "empty" looks only at what has been seen. `both_ways`: False
    is that code's, and stays, since the term is then the one its figures were reached with.
    """

    image_a: View = IMAGE_A
    image_b: View = IMAGE_B
    text_a: View = TEXT_MASKED
    text_b: View = TEXT_AUG
    size: int = 65_536
    queue: Literal["gathered", "local"] = "gathered"
    start: Literal["empty", "random"] = "empty"
    both_ways: bool = False
    temperature: Temperature = Temperature()

    def __post_init__(self) -> None:
        expect(self, "image", self.image_a, self.image_b)
        expect(self, "text", self.text_a, self.text_b)

    @property
    def images(self) -> tuple[View, ...]:
        return tuple(dict.fromkeys((self.image_a, self.image_b)))

    @property
    def texts(self) -> tuple[View, ...]:
        return tuple(dict.fromkeys((self.text_a, self.text_b)))

    @property
    def needs(self) -> frozenset[Feature]:
        return frozenset(Feature(view) for view in (*self.images, *self.texts))

    @property
    def learns(self) -> frozenset[Feature]:
        """The pictures alone: the caption only says where to look."""
        return frozenset(Feature(view) for view in self.images)

    @property
    def temperatures(self) -> frozenset[Temperature]:
        return frozenset({self.temperature})

    def flops(self, shapes: Mapping[Feature, tuple[int, ...]], batch: int) -> float:
        width = shapes[Feature(self.text_a)][-1]
        pairs = len(self.images) * len(self.texts)
        return 2.0 * width * pairs * (self.size + batch * (1 + self.both_ways))

    def build(self, widths: Mapping[Feature, int]) -> TermModule:
        return _NearestTextModule(self, widths[Feature(self.text_a)])


class _NearestTextModule(TermModule):
    def __init__(self, term: NearestText, width: int) -> None:
        super().__init__()
        self.term = term
        num_owners = world_size() if term.queue == "local" else 1
        self.queue = Queue(term.size, width, full=term.start == "random", num_owners=num_owners)

    def forward(self, features: Features) -> Tensor:
        term, gather = self.term, features.gather
        scale = features.scale(term.temperature)
        known = self.queue.known(gather.rank if term.queue == "local" else None)
        losses = [
            nearest_text_loss(
                features[Feature(image)],
                features[Feature(text)],
                known,
                scale,
                both_ways=term.both_ways,
                gather=gather,
            )
            for image in term.images
            for text in term.texts
        ]
        if self.training:
            # After every view has asked, so that no caption finds itself.
            for text in reversed(term.texts):
                self.queue.push(gather.rows(features[Feature(text)].detach()), gather)
        return torch.stack(losses).mean()


class Queue(torch.nn.Module):
    """A ring of the last texts of all ranks, saved with the model: [size, width], normalised.

    Every rank holds the same rows. A local queue is `size` rows for each rank, told apart by
    who pushed them.
    """

    rows: Tensor
    owner: Tensor

    def __init__(self, size: int, width: int, *, full: bool = False, num_owners: int = 1) -> None:
        super().__init__()
        total = size * num_owners
        self.num_owners = num_owners
        self.register_buffer("rows", torch.zeros(total, width))
        self.register_buffer("owner", torch.arange(total, dtype=torch.int32) % num_owners)
        self.next, self.valid = 0, 0
        if full:
            self.rows.copy_(F.normalize(torch.randn(total, width), dim=-1))
            self.valid = total

    def known(self, rank: int | None = None) -> Tensor:
        """The rows pushed so far, [m, width]; with `rank`, only those that it pushed."""
        rows = self.rows[: self.valid]
        mine = rank is not None and self.num_owners > 1
        return rows[self.owner[: self.valid] == rank] if mine else rows

    @torch.no_grad()
    def push(self, rows: Tensor, gather: Gather) -> None:
        """Add the rows of all ranks, in rank order, over the oldest ones."""
        size = len(self.rows)
        owner = torch.zeros(len(rows), dtype=torch.int32, device=rows.device)
        if self.num_owners > 1:
            ends = torch.tensor(gather.sizes, device=rows.device).cumsum(0)
            places = torch.arange(len(rows), device=rows.device)
            owner = torch.searchsorted(ends, places, right=True).to(torch.int32)
        owner = owner[-size:]
        rows = F.normalize(rows, dim=-1)[-size:].to(self.rows.dtype)
        place = (torch.arange(len(rows), device=rows.device) + self.next) % size
        self.rows[place], self.owner[place] = rows, owner
        self.next = (self.next + len(rows)) % size
        self.valid = min(size, self.valid + len(rows))

    def get_extra_state(self) -> dict[str, int]:
        return {"next": self.next, "valid": self.valid}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.next, self.valid = state["next"], state["valid"]
