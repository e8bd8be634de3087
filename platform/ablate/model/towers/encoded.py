"""What a tower returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Encoded(NamedTuple):
    """`pooled` [n, width]; `tokens` [n, L, width]; `mask` bool [n, L], true where a token is."""

    pooled: Tensor
    tokens: Tensor
    mask: Tensor | None = None
