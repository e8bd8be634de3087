"""CLIP's pair loss. Oracles: a naive float64 loop, open_clip's ClipLoss, and one rank."""

from __future__ import annotations

import math
import os
import socket

import pytest
import torch
import torch.multiprocessing as mp
from open_clip.loss import ClipLoss

from ablate.model.gather import Gather
from ablate.model.terms.infonce import info_nce


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


def _rank(
    rank: int, sizes: tuple[int, ...], port: int, results: dict[int, list[torch.Tensor]]
) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=len(sizes))
    image, text = _features(sum(sizes))
    first = sum(sizes[:rank])
    mine = slice(first, first + sizes[rank])
    weight = torch.nn.Parameter(torch.eye(6).double())
    gather = Gather.of_batch(sizes[rank], torch.device("cpu"))
    loss = info_nce(image[mine] @ weight, text[mine] @ weight, 9.0, gather=gather)
    loss.backward()
    for value in (loss.detach(), weight.grad):  # what DDP does: the mean over ranks
        assert value is not None
        torch.distributed.all_reduce(value)
        value /= len(sizes)
    results[rank] = [loss.detach(), weight.grad]
    torch.distributed.destroy_process_group()


def _features(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return tuple(torch.randn(n, 6, generator=generator).double() for _ in range(2))


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(6, 6), (3, 3, 3, 3), (7, 5)], ids=["2", "4", "2 uneven"])
def test_ranks_give_the_gradient_of_one(sizes: tuple[int, ...]) -> None:
    image, text = _features(sum(sizes))
    weight = torch.nn.Parameter(torch.eye(6).double())
    loss = info_nce(image @ weight, text @ weight, 9.0)
    loss.backward()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with mp.Manager() as manager:
        results = manager.dict()
        mp.spawn(_rank, args=(sizes, port, results), nprocs=len(sizes))
        for rank in range(len(sizes)):
            assert torch.allclose(results[rank][0], loss.detach(), rtol=1e-10)
            assert torch.allclose(results[rank][1], weight.grad, rtol=1e-8, atol=1e-10)
