"""What a TextTower builds: CLIP's causal transformer."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedbed.model.towers.encoded import Encoded


class TextEncoder(nn.Module):
    """Token ids [n, L] with L <= context, and lengths [n], to `Encoded`.

    Pooled at the stored end of text (the paper's code takes the largest id, which a mask token
    or a random replacement can move).
    """

    def __init__(
        self,
        *,
        layers: int,
        width: int,
        heads: int,
        context: int,
        vocabulary: int,
        activation: str = "quick_gelu",
    ) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(torch.empty(context, width))
        self.blocks = nn.ModuleList(Block(width, heads, activation) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self._initialise(width, layers)

    def _initialise(self, width: int, layers: int) -> None:
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.position, std=0.01)
        narrow, wide = width**-0.5, (2 * width) ** -0.5
        depth = (2 * layers) ** -0.5
        for block in self.blocks:
            assert isinstance(block, Block)
            for linear, std in (
                (block.attend, narrow),
                (block.attend_out, narrow * depth),
                (block.expand, wide),
                (block.contract, narrow * depth),
            ):
                nn.init.normal_(linear.weight, std=std)
                nn.init.zeros_(linear.bias)

    def forward(self, ids: Tensor, lengths: Tensor, *, both_ways: bool = False) -> Encoded:
        """With `both_ways` a token attends to all of its caption, not only to what precedes it."""
        x = self.embedding(ids) + self.position[: ids.shape[1]]
        mask = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        for block in self.blocks:
            x = block(x, mask[:, None, None] if both_ways else None)
        tokens = self.norm(x)
        rows = torch.arange(len(ids), device=ids.device)
        return Encoded(tokens[rows, lengths.long() - 1], tokens, mask)


class Block(nn.Module):
    """Attention and MLP, each with a layer norm before and a residual path: [n, L, width].

    Causal, or to where `attend_to` (bool, broadcast to [n, heads, L, L]) is true.
    """

    def __init__(self, width: int, heads: int, activation: str = "quick_gelu") -> None:
        super().__init__()
        self.heads = heads
        self.activate = ACTIVATIONS[activation]
        self.norm_1 = nn.LayerNorm(width)
        self.attend = nn.Linear(width, 3 * width)
        self.attend_out = nn.Linear(width, width)
        self.norm_2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, attend_to: Tensor | None = None) -> Tensor:
        n, length, width = x.shape
        heads = self.attend(self.norm_1(x)).view(n, length, 3, self.heads, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(
            q, k, v, attn_mask=attend_to, is_causal=attend_to is None
        )
        x = x + self.attend_out(attended.transpose(1, 2).reshape(n, length, width))
        return x + self.contract(self.activate(self.expand(self.norm_2(x))))


def quick_gelu(x: Tensor) -> Tensor:
    """x * sigmoid(1.702 x), CLIP's approximation of GELU."""
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"quick_gelu": quick_gelu, "gelu": F.gelu}
