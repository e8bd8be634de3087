"""The text tower's description: depth, width, heads and context of CLIP's causal transformer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from seedbed.checks import UNSAID, choice, counts
from seedbed.data.render.tokenizer import VOCABULARY
from seedbed.errors import StudyError

if TYPE_CHECKING:
    from seedbed.model.towers.transformer import TextEncoder


@dataclass(frozen=True)
class TextTower:
    """A pre-norm causal transformer. The defaults are CLIP's (Radford et al. 2021, sec. 2.4).

    `activation` is that of its MLPs: OpenAI's models have "quick_gelu", most of open_clip's "gelu".
    """

    layers: int = 12
    width: int = 512
    heads: int = 8
    context: int = 77
    vocabulary: int = VOCABULARY
    activation: Literal["quick_gelu", "gelu"] = field(default="quick_gelu", metadata=UNSAID)

    def __post_init__(self) -> None:
        why = "a text tower without it encodes nothing"
        counts(self, "layers", "width", "heads", "vocabulary", why=why)
        if self.width % self.heads:
            raise StudyError(
                f"TextTower.width {self.width} does not divide by its {self.heads} heads",
                why="every head has width / heads dimensions",
                mend=f"try heads={_nearest_divisor(self.width, self.heads)}",
            )
        why = "a caption needs its start, its end and one token between"
        counts(self, "context", least=3, why=why)
        why = "an MLP has one of the known activations"
        choice(self, "activation", ("quick_gelu", "gelu"), why=why)

    def build(self) -> TextEncoder:
        """The encoder, initialised as CLIP's from torch's generator."""
        from seedbed.model.towers.transformer import TextEncoder

        return TextEncoder(
            layers=self.layers,
            width=self.width,
            heads=self.heads,
            context=self.context,
            vocabulary=self.vocabulary,
            activation=self.activation,
        )


def _nearest_divisor(width: int, heads: int) -> int:
    divisors = [d for d in range(1, width + 1) if width % d == 0]
    return min(divisors, key=lambda d: abs(d - heads))
