"""What a tower returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Encoded(NamedTuple):
    """`pooled` [n, width] and `tokens` [n, L, width], each where it was asked for; `mask` bool
    [n, L] of a text, true where a token is."""

    pooled: Tensor | None = None
    tokens: Tensor | None = None
    mask: Tensor | None = None
