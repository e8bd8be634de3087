"""A term that is being trained: its description, and its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor, nn

from seedbed.model.similarity import Encoders, Similarity


class Described(Protocol):
    """The part of `Term` that is used here; `Term` itself imports this module."""

    def loss(self, features: Any, layers: nn.ModuleDict) -> Tensor:
        """The loss of a batch, []."""

    def comparison(self, layers: nn.ModuleDict, encoders: Encoders) -> Similarity:
        """How pictures are compared with captions."""


class TermModule(nn.ModuleDict):
    """A term's layers by name, and its loss over them: `forward(features) -> []`."""

    def __init__(self, term: Described, layers: Mapping[str, nn.Module]) -> None:
        super().__init__(layers)
        self.term = term

    def forward(self, features: Any) -> Tensor:
        return self.term.loss(features, self)

    def similarity(self, encoders: Encoders) -> Similarity:
        """How pictures are compared with captions after training (see `Term.comparison`)."""
        return self.term.comparison(self, encoders)
