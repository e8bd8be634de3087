"""What a supervision term is: a frozen description that declares what it reads.

The union of the terms' needs decides which views are made, which towers run and which heads exist.
A term with weight 0 is absent: it costs and changes nothing.

A term's file does not import torch when it is loaded, so that a plan does not wait for it: only for
type checking, and inside the functions that compute.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from seedbed.checks import count, number, one_of
from seedbed.data.views import View
from seedbed.errors import StudyError
from seedbed.model.similarity import Cosines, Encoders, Similarity

if TYPE_CHECKING:
    from torch import Tensor, nn

    from seedbed.model.gather import Gather
    from seedbed.model.term_module import TermModule

Kind = Literal["embed", "pooled", "tokens", "context", "mask", "targets"]
Compared = Literal["embed", "tokens"]  # features by which pictures and captions are compared
LEARNED = frozenset(("embed", "pooled", "tokens", "context"))  # the others are given, not computed


@dataclass(frozen=True, order=True)
class Feature:
    """What a term can read of a view; made only where some term reads it.

    `embed` [n, embed_dim] is the projected embedding, `pooled` [n, width] the tower's output before
    that projection, `tokens` [n, L, width] its output by position. Of text views also `context`,
    the tokens of a separate pass with bidirectional attention; `mask` bool [n, L], true where a
    token is; and of masked ones `targets` int [n, L], -100 where nothing was masked.
    """

    view: View
    kind: Kind = "embed"


@dataclass(frozen=True, order=True)
class Temperature:
    """A learnable logit scale, exp(theta), shared by all terms that name it.

    Starts at 1 / `start`; `least` and `most` bound the scale after every step. CLIP (Radford et al.
    2021, sec. 2.5): start 0.07, bound 100. The paper's code bounds theta to [3, 6], which overrides
    that start at the first step: `floor_over_start` allows it. `cap` also limits the value that the
    terms read, without changing its gradient (a straight-through clamp, that code's second bound).
    """

    name: str = "logit"
    start: float = 0.07
    least: float = 1.0
    most: float = 100.0
    floor_over_start: bool = False
    cap: float | None = None

    def __post_init__(self) -> None:
        scale = 1 / self.start if self.start > 0 else math.inf
        floor_ok = self.least <= scale or self.floor_over_start
        if not (0 < self.least <= self.most and floor_ok and scale <= self.most):
            raise StudyError(
                f"Temperature '{self.name}' starts at scale {scale:.4g}",
                why=f"its bounds are {self.least:g} to {self.most:g}",
                mend="start inside the bounds",
            )

    @property
    def theta(self) -> float:
        return math.log(1 / self.start)


class Features:
    """What a term reads in one step: the features it declared, its scales, and the gather."""

    def __init__(
        self,
        values: Mapping[Feature, Tensor],
        scales: Mapping[str, Tensor],
        gather: Gather,
        half: str | None = None,
    ) -> None:
        self._values, self._scales, self.gather = values, scales, gather
        self._half = half

    def heads(self) -> AbstractContextManager[Any]:
        """A context in which a term's own layers run in the recipe's precision; losses are computed
        outside it, in single precision."""
        if self._half is None:
            return nullcontext()
        import torch

        return torch.autocast(self._half, torch.bfloat16)

    @property
    def half_products(self) -> bool:
        """Whether a loss that compares all tokens may do so in bf16: as the recipe says, and on
        GPUs alone, since few CPUs multiply such numbers faster than fp32's."""
        return self._half == "cuda"

    def __getitem__(self, feature: Feature) -> Tensor:
        return self._values[feature]

    def scale(self, temperature: Temperature) -> Tensor:
        """exp(theta) of the named temperature, a scalar with gradient."""
        return self._scales[temperature.name]

    def only(self, term: Term) -> Features:
        """The part that `term` declared: reading anything else is a KeyError."""
        return Features(
            {feature: self._values[feature] for feature in term.needs},
            {t.name: self._scales[t.name] for t in term.temperatures},
            self.gather,
            self._half,
        )


class Term(ABC):
    """One supervision signal. Subclasses are frozen dataclasses; `0.2 * term` weights one."""

    @property
    @abstractmethod
    def needs(self) -> frozenset[Feature]:
        """The features that the term reads, and no others."""

    @property
    def learns(self) -> frozenset[Feature]:
        """Those of its needs that get a gradient from it; the others are only read."""
        return frozenset(feature for feature in self.needs if feature.kind in LEARNED)

    @property
    def temperatures(self) -> frozenset[Temperature]:
        """The learnable scales that the term reads."""
        return frozenset()

    def layers(self, widths: Mapping[Feature, int]) -> Mapping[str, nn.Module]:
        """The term's own layers and buffers by name, for features of the given last dimensions;
        initialised from torch's generator in this order."""
        return {}

    @abstractmethod
    def loss(self, features: Features, layers: nn.ModuleDict) -> Tensor:
        """The loss of a batch, []; `layers` are its own."""

    def build(self, widths: Mapping[Feature, int]) -> TermModule:
        """The module that holds the layers and computes the loss."""
        from seedbed.model.term_module import TermModule

        return TermModule(self, self.layers(widths))

    def comparison(self, layers: nn.ModuleDict, encoders: Encoders) -> Similarity:
        """How pictures are compared with captions after training, where `similarity` says that
        they can be. The cosine of their embeddings, unless the term has a way of its own."""
        return Cosines(encoders)

    @property
    def reads_padding(self) -> bool:
        """Whether padding after a caption's end enters its loss."""
        return False

    @property
    def aligns(self) -> bool:
        """Whether it aligns pictures with their captions, so that zero-shot can work."""
        return {feature.view.modality for feature in self.learns} == {"image", "text"}

    @property
    def similarity(self) -> Compared | None:
        """The features by which a trained model compares pictures with captions for this term.

        "embed" is the cosine of the embeddings; a term that says "tokens" gives its own way in
        `comparison`. None where it does not align the two.
        """
        learns_embeddings = any(feature.kind == "embed" for feature in self.learns)
        return "embed" if self.aligns and learns_embeddings else None

    def flops(self, shapes: Mapping[Feature, tuple[int, ...]], batch: int) -> float:
        """Floating-point operations of one sample's forward pass through the term itself.

        `shapes` are those of its computed features without the batch dimension; `batch` is the
        number of samples that a sample is compared with. An estimate for plans: small parts are
        left out.
        """
        return 0.0

    def __rmul__(self, weight: float) -> Weighted:
        return Weighted(self, float(weight))


@dataclass(frozen=True)
class Weighted:
    """A term and its weight in the objective."""

    term: Term
    weight: float = 1.0

    def __post_init__(self) -> None:
        weight = number(
            f"the weight of {type(self.term).__name__}",
            self.weight,
            least=0,
            why="a term is a loss to lower: its weight is finite and at least 0",
            mend="give a weight of 0 (absent) or more",
        )
        object.__setattr__(self, "weight", weight)  # 1 and 1.0 are one key
        _check_fields(self.term)


def _check_fields(term: Any) -> None:
    """Raise StudyError for an unknown choice or an invalid size.

    Here for every term at once: a misspelt level would otherwise pass for one of the others.
    """
    if not dataclasses.is_dataclass(term):  # a term may be any subclass of Term
        return
    hints = get_type_hints(type(term))
    for field in dataclasses.fields(term):
        value, hint = getattr(term, field.name), hints[field.name]
        name = f"{type(term).__name__}.{field.name}"
        if get_origin(hint) is Literal:
            one_of(name, value, get_args(hint), why="it is one of a few named choices")
        # A number of things is 1 or more; 0 only where that is the default, and says "none".
        least = 0 if field.default == 0 else 1
        if hint is int:
            count(name, value, least=least, why="it counts dimensions, tokens or rows")
