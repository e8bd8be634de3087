"""NT-Xent. Oracle: a float64 loop written out here."""

from __future__ import annotations

import math

import pytest
import torch
from tests.fixtures.ranks import OverRanks
from torch import Tensor

from seedbed.model.gather import Gather
from seedbed.model.terms.simclr import SimCLR, nt_xent


def rand(*shape: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


def naive(z_a: Tensor, z_b: Tensor, temperature: float) -> float:
    n, views = len(z_a), [*z_a, *z_b]
    losses = []
    for i, anchor in enumerate(views):
        positive = math.exp(cosine(anchor, views[(i + n) % (2 * n)]) / temperature)
        others = [
            math.exp(cosine(anchor, view) / temperature) for j, view in enumerate(views) if j != i
        ]
        losses.append(-math.log(positive / sum(others)))
    return sum(losses) / (2 * n)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_equals_the_naive_loop(temperature: float) -> None:
    z_a, z_b = rand(7, 5, seed=1), rand(7, 5, seed=2)
    expected = naive(z_a, z_b, temperature)
    assert nt_xent(z_a, z_b, temperature).item() == pytest.approx(expected, abs=1e-12)


def test_the_default_temperature_is_slip_s() -> None:
    z_a, z_b = rand(7, 5, seed=1), rand(7, 5, seed=2)
    assert nt_xent(z_a, z_b) == nt_xent(z_a, z_b, 0.1)


def test_gradients_pass_gradcheck() -> None:
    z_a, z_b = rand(4, 3, seed=1).requires_grad_(), rand(4, 3, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, 0.5), (z_a, z_b))


def test_starts_near_the_logarithm_of_its_candidates() -> None:
    z_a, z_b = rand(256, 256, seed=1), rand(256, 256, seed=2)
    expected = math.log(2 * 256 - 1) + 0.1**-2 / (2 * 256)
    assert nt_xent(z_a, z_b).item() == pytest.approx(expected, abs=0.05)


def test_views_may_change_places() -> None:
    z_a, z_b = rand(7, 5, seed=1), rand(7, 5, seed=2)
    torch.testing.assert_close(nt_xent(z_a, z_b), nt_xent(z_b, z_a))


def test_the_head_has_the_released_size() -> None:
    term = SimCLR()
    with torch.device("meta"):
        module = term.build(dict.fromkeys(term.needs, 768))
    # Sense-GVT/DeCLIP's, without the output norm that it builds and never runs.
    assert sum(p.numel() for p in module.parameters()) == 20_996_352


def test_its_gradient_is_the_textbook_form_s() -> None:
    found = []
    for ours in (True, False):
        a, b = rand(7, 5, seed=1).requires_grad_(), rand(7, 5, seed=2).requires_grad_()
        if ours:
            loss = nt_xent(a, b, 0.2)
        else:
            z = torch.cat([a, b])
            z = z / z.norm(dim=1, keepdim=True)
            alike = (z[:, None] * z[None]).sum(-1) / 0.2
            others = alike.exp() * (1 - torch.eye(14, dtype=z.dtype))
            loss = (others.sum(1).log() - alike.diagonal(7).repeat(2)).mean()
        loss.backward()
        found.append((loss, a.grad, b.grad))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_permuted_batch_changes_nothing() -> None:
    z_a, z_b = rand(7, 5, seed=1), rand(7, 5, seed=2)
    line = torch.tensor([3, 6, 5, 0, 2, 1, 4])
    torch.testing.assert_close(nt_xent(z_a[line], z_b[line]), nt_xent(z_a, z_b))


def loss_and_gradient(mine: slice, gather: Gather) -> list[Tensor]:
    """Of rows `mine` among 8, by shared weights."""
    z_a, z_b = rand(8, 6, seed=5)[mine], rand(8, 6, seed=6)[mine]
    weight = torch.eye(6).double().requires_grad_()
    loss = nt_xent(z_a @ weight, z_b @ weight, gather=gather)
    loss.backward()
    assert weight.grad is not None
    return [loss.detach(), weight.grad]


@pytest.mark.slow
def test_ranks_of_unlike_size_give_the_gradient_of_one(over_ranks: OverRanks) -> None:
    ranks = over_ranks(loss_and_gradient, (5, 3))
    one = loss_and_gradient(slice(0, 8), Gather())
    for found in ranks:
        for ours, theirs in zip(found, one, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)
