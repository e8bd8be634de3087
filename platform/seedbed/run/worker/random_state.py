"""A variant's own random numbers, whatever its neighbours draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


class RandomState:
    """A variant's own state of torch's generators, in force only while it steps."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
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
        return {"cpu": self._cpu, "cuda": self._cuda}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._cpu = state["cpu"].cpu()
        if self._cuda is not None and state["cuda"] is not None:
            self._cuda = state["cuda"].cpu()
