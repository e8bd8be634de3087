"""A ring buffer of rows from earlier batches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seedbed.model.gather import Gather


class Queue(torch.nn.Module):
    """A ring buffer of all ranks' latest texts, saved with the model: [size, width], normalised.

    Every rank holds the same rows. A local queue is `size` rows for each rank, by the rank that
    pushed them.
    """

    rows: Tensor
    owner: Tensor

    def __init__(self, size: int, width: int, *, full: bool = False, num_owners: int = 1) -> None:
        super().__init__()
        total = size * num_owners
        self.num_owners = num_owners
        self.register_buffer("rows", torch.zeros(total, width))
        self.register_buffer("owner", torch.arange(total, dtype=torch.int32) % num_owners)
        self.next, self.valid = 0, 0
        if full:
            self.rows.copy_(F.normalize(torch.randn(total, width), dim=-1))
            self.valid = total

    def known(self, rank: int | None = None) -> Tensor:
        """The rows pushed so far, [m, width]; with `rank`, only those that it pushed."""
        rows = self.rows[: self.valid]
        mine = rank is not None and self.num_owners > 1
        return rows[self.owner[: self.valid] == rank] if mine else rows

    @torch.no_grad()
    def push(self, rows: Tensor, gather: Gather) -> None:
        """Add the rows of all ranks, in rank order, over the oldest ones."""
        size = len(self.rows)
        owner = torch.zeros(len(rows), dtype=torch.int32, device=rows.device)
        if self.num_owners > 1:
            ends = torch.tensor(gather.sizes, device=rows.device).cumsum(0)
            places = torch.arange(len(rows), device=rows.device)
            owner = torch.searchsorted(ends, places, right=True).to(torch.int32)
        owner = owner[-size:]
        rows = F.normalize(rows, dim=-1)[-size:].to(self.rows.dtype)
        place = (torch.arange(len(rows), device=rows.device) + self.next) % size
        self.rows[place], self.owner[place] = rows, owner
        self.next = (self.next + len(rows)) % size
        self.valid = min(size, self.valid + len(rows))

    def get_extra_state(self) -> dict[str, int]:
        return {"next": self.next, "valid": self.valid}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.next, self.valid = state["next"], state["valid"]
