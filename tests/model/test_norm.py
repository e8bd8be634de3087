"""Norms over ranks. Oracles: torch's own norm of all rows at once; what Dynamo counts."""

from __future__ import annotations

import pytest
import torch
from tests.fixtures.ranks import OverRanks, Values
from torch import Tensor, nn

from seedbed.model.gather import Gather
from seedbed.model.norm import synced_norm
from seedbed.model.towers.image import ImageTower

SIZES = (5, 3)


def inputs() -> tuple[Tensor, Tensor]:
    """Maps [8, 4, 3, 3] far from 0, and a gradient."""
    rng = torch.Generator().manual_seed(0)
    x, grad = (torch.randn(8, 4, 3, 3, generator=rng) for _ in range(2))
    return 3 * x + 10, grad


def made(device: str) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(4, device=device)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 0.5, -1.0]))
        norm.bias.copy_(torch.tensor([0.0, 1.0, -1.0, 2.0]))
    return norm


def found(norm: nn.BatchNorm2d, x: Tensor, y: Tensor, share: float) -> list[Tensor]:
    """What is summed over ranks: outputs and gradients of rows in their place, of weights, and
    running statistics, of which each rank has all."""
    assert x.grad is not None and norm.weight.grad is not None and norm.bias.grad is not None
    assert norm.running_mean is not None and norm.running_var is not None
    assert norm.num_batches_tracked is not None and int(norm.num_batches_tracked) == 1
    out = [y, x.grad, norm.weight.grad, norm.bias.grad]
    return [v.detach().cpu() for v in (*out, norm.running_mean * share, norm.running_var * share)]


def of_rank(mine: slice, device: str) -> list[Tensor]:
    x, grad = inputs()
    norm = made(device)
    rows = x[mine].to(device).requires_grad_()
    y = synced_norm(rows, norm)
    y.backward(grad[mine].to(device))
    own = found(norm, rows, y, 1 / len(SIZES))
    places = [torch.zeros_like(x) for _ in range(2)]
    for place, value in zip(places, own, strict=False):
        place[mine] = value
    # `over_ranks` gives means.
    return [len(SIZES) * value for value in (*places, *own[2:])]


def on_cpu(mine: slice, gather: Gather) -> list[Tensor]:
    return of_rank(mine, "cpu")


def on_gpu(mine: slice, gather: Gather) -> list[Tensor]:
    return of_rank(mine, "cuda:0")


def all_at_once() -> list[Tensor]:
    x, grad = inputs()
    norm = made("cpu")
    x.requires_grad_()
    y = norm(x)
    y.backward(grad)
    return found(norm, x, y, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("form", [on_cpu, pytest.param(on_gpu, marks=pytest.mark.gpu)])
def test_ranks_of_unlike_size_compute_what_one_does_of_all_rows(
    over_ranks: OverRanks, form: Values
) -> None:
    for rank in over_ranks(form, SIZES):
        for ours, theirs in zip(rank, all_at_once(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def graphs(mine: slice, gather: Gather) -> list[Tensor]:
    """How many graphs a tower of many norms is compiled into."""
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    tower = ImageTower("modified_resnet_small", 32).build()
    tower.compile(backend="eager")
    pixels = torch.zeros(8, 32, 32, 3, dtype=torch.uint8)[mine]
    tower(pixels).pooled.sum().backward()
    assert not counters["graph_break"]
    return [torch.tensor(float(counters["stats"]["unique_graphs"]))]


@pytest.mark.slow
def test_a_tower_is_compiled_in_one_piece_over_ranks_too(over_ranks: OverRanks) -> None:
    assert [count.item() for (count,) in over_ranks(graphs, SIZES)] == [1, 1]
