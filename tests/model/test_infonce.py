"""CLIP's pair loss. Oracles: a naive float64 loop, open_clip's ClipLoss, and one rank."""

from __future__ import annotations

import math

import pytest
import torch
from open_clip.loss import ClipLoss
from tests.fixtures.ranks import OverRanks
from torch import Tensor

from seedbed.model.gather import Gather
from seedbed.model.terms.infonce import info_nce


def naive(image: torch.Tensor, text: torch.Tensor, scale: float) -> float:
    n = len(image)
    unit = [[v / math.sqrt(sum(x * x for x in row)) for v in row] for row in image.tolist()]
    unit_text = [[v / math.sqrt(sum(x * x for x in row)) for v in row] for row in text.tolist()]
    logits = [
        [scale * sum(a * b for a, b in zip(i, t, strict=True)) for t in unit_text] for i in unit
    ]
    total = 0.0
    for i in range(n):
        row = [logits[i][j] for j in range(n)]
        column = [logits[j][i] for j in range(n)]
        for line in (row, column):
            total += math.log(sum(math.exp(v) for v in line)) - logits[i][i]
    return total / (2 * n)


def test_equals_a_naive_loop() -> None:
    torch.manual_seed(0)
    image, text = torch.randn(7, 5).double(), torch.randn(7, 5).double()
    assert info_nce(image, text, 14.3).item() == pytest.approx(naive(image, text, 14.3), rel=1e-12)


def test_equals_open_clip() -> None:
    torch.manual_seed(1)
    image, text = torch.randn(32, 16), torch.randn(32, 16)
    unit = torch.nn.functional.normalize
    peer = ClipLoss()(unit(image, dim=-1), unit(text, dim=-1), torch.tensor(20.0))
    assert info_nce(image, text, 20.0).item() == pytest.approx(peer.item(), rel=1e-5)


def test_a_permuted_batch_changes_nothing() -> None:
    torch.manual_seed(2)
    image, text = torch.randn(9, 4).double(), torch.randn(9, 4).double()
    line = torch.randperm(9)
    assert info_nce(image[line], text[line], 5.0).item() == pytest.approx(
        info_nce(image, text, 5.0).item(), rel=1e-12
    )


def test_starts_near_the_logarithm_of_the_batch() -> None:
    """Random unit features: ln B + s^2 / (2 d), on average over draws."""
    torch.manual_seed(3)
    draws = [info_nce(*torch.randn(2, 512, 512), 14.286).item() for _ in range(16)]
    expected = math.log(512) + 14.286**2 / (2 * 512)
    assert sum(draws) / len(draws) == pytest.approx(expected, abs=0.03)


ROWS = 12


def loss_and_gradient(mine: slice, gather: Gather) -> list[Tensor]:
    """Of rows `mine` among ROWS, by shared weights."""
    generator = torch.Generator().manual_seed(4)
    image, text = (torch.randn(ROWS, 6, generator=generator).double() for _ in range(2))
    weight = torch.eye(6).double().requires_grad_()
    loss = info_nce(image[mine] @ weight, text[mine] @ weight, 9.0, gather=gather)
    loss.backward()
    assert weight.grad is not None
    return [loss.detach(), weight.grad]


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(6, 6), (3, 3, 3, 3), (7, 5)], ids=["2", "4", "2 uneven"])
def test_ranks_give_the_gradient_of_one(over_ranks: OverRanks, sizes: tuple[int, ...]) -> None:
    loss, gradient = loss_and_gradient(slice(0, ROWS), Gather())
    for found in over_ranks(loss_and_gradient, sizes):
        torch.testing.assert_close(found[0], loss, rtol=1e-10, atol=0)
        torch.testing.assert_close(found[1], gradient, rtol=1e-8, atol=1e-10)
