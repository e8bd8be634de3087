"""Text self-supervision: predict the masked tokens of a caption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from seedbed.data.render.tokenizer import VOCABULARY
from seedbed.data.views import TEXT_MASKED, View
from seedbed.errors import StudyError
from seedbed.model.expect import expect
from seedbed.model.term import Feature, Features, Term

if TYPE_CHECKING:
    from torch import Tensor, nn

    from seedbed.model.gather import Gather

IGNORED = -100
_MASKED_SHARE = 0.15  # of the tokens, for a plan's arithmetic


def masked_lm_loss(logits: Tensor, targets: Tensor, *, gather: Gather | None = None) -> Tensor:
    """Cross-entropy at the masked positions, averaged over all of the global batch.

    logits [..., V], targets int [...] with -100 where nothing was masked -> loss []; 0 where
    nothing was masked at all. Devlin et al. 2019 (arXiv:1810.04805), sec. 3.1. (The paper's code
    averages on each rank, so that a token's weight depends on how many its rank has, and a rank
    without one divides 0 by 0.)
    """
    import torch.nn.functional as F

    from seedbed.model.gather import Gather

    flat, wanted = logits.flatten(0, -2), targets.flatten().long()
    total = F.cross_entropy(flat, wanted, ignore_index=IGNORED, reduction="sum")
    count = (wanted != IGNORED).sum().to(total.dtype)
    return (gather or Gather()).mean_of(total, count)


@dataclass(frozen=True)
class MaskedLM(Term):
    """`masked_lm_loss` through a linear map to the vocabulary, untied from the embedding.

    `attention="causal"` is the released code's (Sense-GVT/DeCLIP): the masked caption passes the
    text tower once, for this term and for the contrastive ones, so that a token is predicted from
    those before it. "both_ways" is BERT's bidirectional attention, in a separate pass; the default
    is the cheaper one, with which the published figures were reached.
    """

    text: View = TEXT_MASKED
    attention: Literal["causal", "both_ways"] = "causal"
    vocabulary: int = VOCABULARY

    def __post_init__(self) -> None:
        expect(self, "text", self.text)
        if self.text != TEXT_MASKED:
            raise StudyError(
                f"MaskedLM reads {self.text.name}",
                why="only a masked view has tokens to guess",
                mend=f"give it {TEXT_MASKED.name}",
            )

    @property
    def _tokens(self) -> Feature:
        return Feature(self.text, "tokens" if self.attention == "causal" else "context")

    @property
    def needs(self) -> frozenset[Feature]:
        return frozenset({self._tokens, Feature(self.text, "targets")})

    def flops(self, shapes: Mapping[Feature, tuple[int, ...]], batch: int) -> float:
        length, width = shapes[self._tokens]
        return 2.0 * _MASKED_SHARE * length * width * self.vocabulary

    def layers(self, widths: Mapping[Feature, int]) -> Mapping[str, nn.Module]:
        from torch import nn

        return {"head": nn.Linear(widths[self._tokens], self.vocabulary)}

    def loss(self, features: Features, layers: nn.ModuleDict) -> Tensor:
        targets = features[Feature(self.text, "targets")]
        # The head is by far the widest layer: it runs at the masked positions alone.
        # Where these are is asked for once: a GPU is waited for until it knows.
        masked = (targets != IGNORED).flatten().nonzero()[:, 0]
        with features.heads():
            logits = layers["head"](features[self._tokens].flatten(0, 1)[masked])
        return masked_lm_loss(logits.float(), targets.flatten()[masked], gather=features.gather)
