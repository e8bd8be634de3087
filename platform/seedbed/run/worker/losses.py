"""The losses since a curve's last point, on their way through a checkpoint.

A checkpoint may fall between two points; what goes on from it gives the same next one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seedbed.model.gather import of_every_rank, own_rank

Losses = list[dict[str, Tensor]]  # of each step, by name
Told = list[list[dict[str, float]]]  # the same of every rank, which averages its own rows


def told(pending: Losses) -> Told:
    """To plain values, by all ranks together."""
    if not pending:
        return of_every_rank([])
    names = sorted(pending[0])
    table = torch.stack([torch.stack([p[n] for n in names]).float() for p in pending]).cpu()
    return of_every_rank([dict(zip(names, row, strict=True)) for row in table.tolist()])


def taken_up(parts: Told, num_ranks: int, device: torch.device) -> Losses:
    """Of this rank; where there were more or fewer, each takes the mean over those."""
    if len(parts) == num_ranks:
        mine = parts[own_rank()]
    else:
        mine = [
            {name: sum(step[name] for step in steps) / len(steps) for name in steps[0]}
            for steps in zip(*parts, strict=True)
        ]
    return [
        {name: torch.tensor(value, dtype=torch.float32, device=device) for name, value in s.items()}
        for s in mine
    ]
