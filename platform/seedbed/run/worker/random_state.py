"""A variant's own random numbers, whatever its neighbours draw.

Of several ranks that train it each has its own: row i of one is not row i of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from seedbed.data.order import derive
from seedbed.model.gather import of_every_rank, own_rank


class RandomState:
    """A variant's own state of torch's generators, in force only while it steps."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device, rank = device, own_rank()
        seed = derive(f"train/{rank}" if rank else "train", seed) % 2**63
        self._cpu = torch.Generator().manual_seed(seed).get_state()
        self._cuda = (
            torch.Generator(device).manual_seed(seed).get_state() if device.type == "cuda" else None
        )

    @contextmanager
    def own(self) -> Iterator[None]:
        outside = torch.get_rng_state()
        torch.set_rng_state(self._cpu)
        if self._cuda is not None:
            torch.cuda.set_rng_state(self._cuda, self.device)
        try:
            yield
        finally:
            self._cpu = torch.get_rng_state()
            torch.set_rng_state(outside)
            if self._cuda is not None:
                self._cuda = torch.cuda.get_rng_state(self.device)

    def state_dict(self) -> dict[str, Any]:
        """Of all ranks, which call this together: the first's, and beside it those of `others`."""
        first, *others = of_every_rank({"cpu": self._cpu, "cuda": self._cuda})
        return first | {"others": others} if others else first

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """This rank's; one that was not there before begins with its own first numbers."""
        states = [state, *state.get("others", [])]
        if own_rank() >= len(states):
            return
        mine = states[own_rank()]
        self._cpu = mine["cpu"].cpu()
        if self._cuda is not None and mine["cuda"] is not None:
            self._cuda = mine["cuda"].cpu()
