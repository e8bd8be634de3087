"""Batches made ahead by a thread. Oracle: the same batches made one by one, without it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch
from tests.run.worker.random_batches import STEPS, batch, cohort, recipe
from torch import Tensor

from seedbed.data.render.render import Columns
from seedbed.run.worker.batch import to_tensors
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.feed import Feed
from seedbed.variants import DEFILIP

CPU = torch.device("cpu")
MEMBERS = cohort(recipe(objective=DEFILIP))


def columns(num: int = STEPS) -> Iterator[Columns]:
    return (batch(MEMBERS, step) for step in range(num))


def on(device: torch.device) -> Feed[Columns]:
    return Feed(columns(), CohortTraining(MEMBERS, device).held, device)


def equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in theirs)


def test_it_gives_the_batches_of_its_source_in_order() -> None:
    with on(CPU) as feed:
        found = list(feed)
    expected = [to_tensors(one, MEMBERS.recipe, CPU) for one in columns()]
    assert [item["id"][0] for item, _ in found] == [one["id"][0] for one in columns()]
    assert all(equal(ours, theirs) for (_, ours), theirs in zip(found, expected, strict=True))
    assert {made["text_masked"].shape[1] for _, made in found} == {8, 16, 24}


def test_a_variant_fed_by_it_has_the_weights_of_one_that_is_not() -> None:
    fed, plain = (CohortTraining(MEMBERS, CPU) for _ in range(2))
    with Feed(columns(), fed.held, CPU) as feed:
        for item, made in feed:
            fed.step(item, made)
    for one in columns():
        plain.step(one)
    key = MEMBERS.recipe.key()
    ours, theirs = (t.variants[key].model.state_dict() for t in (fed, plain))
    assert all(torch.equal(ours[n], v) for n, v in theirs.items() if isinstance(v, Tensor))
    assert [p.metrics for p in fed.collect()] == [p.metrics for p in plain.collect()]
    assert fed.order_hash == plain.order_hash


def test_the_next_batch_is_made_while_the_last_one_is_used() -> None:
    made = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        made.set()
        yield 1

    with Feed(source(), lambda n: {"n": torch.tensor(n)}, CPU) as feed:
        line = iter(feed)
        next(line)
        assert made.wait(10)
        assert next(line)[0] == 1


@pytest.mark.parametrize("where", ["source", "held"])
def test_an_error_comes_out_where_its_batch_would_have_been_taken(where: str) -> None:
    def fail(n: int) -> None:
        if n == 2:
            raise OSError("the second is gone")

    def source() -> Iterator[int]:
        for n in range(4):
            fail(n if where == "source" else 0)
            yield n

    def held(n: int) -> dict[str, Tensor]:
        fail(n)
        return {"n": torch.tensor(n)}

    taken = []
    with Feed(source(), held, CPU) as feed, pytest.raises(OSError, match="the second is gone"):
        for n, _ in feed:
            taken.append(n)
    assert taken == [0, 1]


def test_leaving_it_ends_its_thread_and_closes_its_source() -> None:
    before = threading.active_count()
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            n = 0
            while True:
                yield n
                n += 1
        finally:
            closed.set()

    with Feed(endless(), lambda n: {"n": torch.tensor(n)}, CPU) as feed:
        next(iter(feed))
    assert threading.active_count() == before
    assert closed.wait(10)


def test_it_says_how_long_one_waited_for_it() -> None:
    def slow() -> Iterator[int]:
        for n in range(3):
            time.sleep(0.1)
            yield n

    with Feed(slow(), lambda n: {"n": torch.tensor(n)}, CPU) as feed:
        list(feed)
    assert 0.25 < feed.waited_seconds < 5


@pytest.mark.gpu
def test_on_a_gpu_its_copies_are_the_plain_ones_while_the_gpu_is_busy() -> None:
    """Many batches in turn, so that memory is used again; each is read after other work."""
    device = torch.device("cuda", 0)
    busy = torch.randn(4096, 4096, device=device)
    num = 50
    kept = []
    with Feed(columns(num), CohortTraining(MEMBERS, device).held, device, ahead=3) as feed:
        for _, made in feed:
            busy = busy @ busy / busy.norm()
            kept.append({name: tensor.clone() for name, tensor in made.items()})
    for ours, one in zip(kept, columns(num), strict=True):
        theirs = to_tensors(one, MEMBERS.recipe, CPU)
        assert equal({name: tensor.cpu() for name, tensor in ours.items()}, theirs)


@pytest.mark.gpu
def test_on_a_gpu_batches_wait_in_pinned_memory() -> None:
    held = CohortTraining(MEMBERS, torch.device("cuda", 0)).held(next(columns()))
    assert all(tensor.is_pinned() for tensor in held.values())
