"""Nearest-neighbour supervision: a picture also matches the caption most like its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from seedbed.data.views import IMAGE_A, IMAGE_B, TEXT_AUG, TEXT_MASKED, View
from seedbed.model.expect import expect
from seedbed.model.term import Feature, Features, Temperature, Term

if TYPE_CHECKING:
    from torch import Tensor, nn

    from seedbed.model.gather import Gather


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
    import torch
    import torch.nn.functional as F

    from seedbed.model.gather import Gather

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
        """The pictures alone: the caption is only used for the look-up."""
        return frozenset(Feature(view) for view in self.images)

    @property
    def temperatures(self) -> frozenset[Temperature]:
        return frozenset({self.temperature})

    def flops(self, shapes: Mapping[Feature, tuple[int, ...]], batch: int) -> float:
        width = shapes[Feature(self.text_a)][-1]
        pairs = len(self.images) * len(self.texts)
        return 2.0 * width * pairs * (self.size + batch * (1 + self.both_ways))

    def layers(self, widths: Mapping[Feature, int]) -> Mapping[str, nn.Module]:
        from seedbed.model.gather import world_size
        from seedbed.model.queue import Queue

        width, num_owners = widths[Feature(self.text_a)], 1
        if self.queue == "local":
            num_owners = world_size()
        return {
            "queue": Queue(self.size, width, full=self.start == "random", num_owners=num_owners)
        }

    def loss(self, features: Features, layers: nn.ModuleDict) -> Tensor:
        import torch

        from seedbed.model.queue import Queue

        queue, gather = layers["queue"], features.gather
        assert isinstance(queue, Queue)
        scale = features.scale(self.temperature)
        known = queue.known(gather.rank if self.queue == "local" else None)
        losses = [
            nearest_text_loss(
                features[Feature(image)],
                features[Feature(text)],
                known,
                scale,
                both_ways=self.both_ways,
                gather=gather,
            )
            for image in self.images
            for text in self.texts
        ]
        if layers.training:
            # After every look-up, so that no caption is its own neighbour.
            for text in reversed(self.texts):
                queue.push(gather.rows(features[Feature(text)].detach()), gather)
        return torch.stack(losses).mean()
