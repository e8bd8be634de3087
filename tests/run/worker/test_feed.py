"""Batches made ahead on a thread. Oracle: the same batches made one by one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from tests.run.worker.random_batches import STEPS, batch, cohort, recipe

from seedbed.data.render.render import Columns
from seedbed.run.worker.batch import Batch, make_batch
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.feed import AHEAD, Feed
from seedbed.variants import DEFILIP

CPU = torch.device("cpu")


def columns(num_batches: int) -> Iterator[Columns]:
    for number in range(num_batches):
        yield {"id": np.array([number])}


def made(one: Columns) -> Batch:
    return Batch(one["id"], (), {"id": torch.from_numpy(one["id"])}, (1,), 0)


@pytest.mark.slow
def test_a_variant_fed_by_it_has_the_weights_of_one_that_is_not() -> None:
    members = cohort(recipe(objective=DEFILIP))
    fed, plain = (CohortTraining(members, CPU) for _ in range(2))
    with Feed((batch(members, step) for step in range(STEPS)), fed.prepare, CPU) as feed:
        for one in feed:
            fed.step(one)
    for step in range(STEPS):
        plain.step(plain.prepare(batch(members, step)))
    key = members.recipe.key()
    ours, theirs = (t.variants[key].model.state_dict() for t in (fed, plain))
    assert all(torch.equal(ours[n], v) for n, v in theirs.items() if isinstance(v, torch.Tensor))
    assert [p.metrics for p in fed.collect()] == [p.metrics for p in plain.collect()]
    assert fed.order_hash == plain.order_hash


def test_leaving_it_ends_its_thread_and_closes_its_source() -> None:
    before, closed = threading.active_count(), threading.Event()

    def endless() -> Iterator[Columns]:
        try:
            yield from columns(10**9)
        finally:
            closed.set()

    with Feed(endless(), made, CPU) as feed:
        next(iter(feed))
    assert threading.active_count() == before
    assert closed.is_set()


@pytest.mark.gpu
def test_on_a_gpu_its_copies_are_the_plain_ones_while_the_gpu_is_busy() -> None:
    """Many batches in turn, so that memory is used again; each is read after other work."""
    device, members = torch.device("cuda", 0), cohort(recipe(objective=DEFILIP))
    busy = torch.randn(4096, 4096, device=device)
    num, kept = 50, []
    source = (batch(members, step) for step in range(num))
    with Feed(source, CohortTraining(members, device).prepare, device) as feed:
        for one in feed:
            busy = busy @ busy / busy.norm()
            kept.append({name: tensor.clone() for name, tensor in one.tensors.items()})
    for step, ours in enumerate(kept):
        theirs = make_batch(batch(members, step), members.recipe, CPU).tensors
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name].cpu(), theirs[name]) for name in theirs)


def test_batches_come_in_their_order_and_all() -> None:
    with Feed(columns(50), made, CPU) as feed:
        assert [int(one.tensors["id"]) for one in feed] == list(range(50))
        assert feed.waited > 0


def test_no_more_is_begun_than_may_be_ahead() -> None:
    begun: list[int] = []

    def make(one: Columns) -> Batch:
        begun.append(int(one["id"][0]))
        return made(one)

    with Feed(columns(50), make, CPU) as feed:
        for number, _ in zip(range(10), feed, strict=False):
            time.sleep(0.02)  # of training, in which the thread has all the time it could want
            assert begun == list(range(number + 1 + AHEAD))
    assert begun == list(range(10 + AHEAD))


@pytest.mark.parametrize("fails", ["reading", "making"])
def test_an_error_is_raised_where_its_batch_is_asked_for(fails: str) -> None:
    def read() -> Iterator[Columns]:
        yield from columns(3)
        if fails == "reading":
            raise OSError("the shard is gone")
        yield {"id": np.array([3])}

    def make(one: Columns) -> Batch:
        if one["id"][0] == 3:
            raise OSError("the shard is gone")
        return made(one)

    got: list[int] = []
    with pytest.raises(OSError, match="the shard is gone"), Feed(read(), make, CPU) as feed:
        got.extend(int(one.ids[0]) for one in feed)
    assert got == [0, 1, 2]


@pytest.mark.timeout(60)
def test_workers_that_stop_at_a_step_leave_nobody_waiting_in_an_exchange() -> None:
    """An exchange waits for all; workers are ahead by different numbers of batches."""
    num_workers, stop = 3, 7
    meet = threading.Barrier(num_workers, timeout=20)
    came: list[list[int]] = [[] for _ in range(num_workers)]

    def exchanging(worker: int) -> Callable[[Columns], Batch]:
        def make(one: Columns) -> Batch:
            meet.wait()
            came[worker].append(int(one["id"][0]))
            return made(one)

        return make

    def train(worker: int) -> None:
        with Feed(columns(50), exchanging(worker), CPU) as feed:
            for one in feed:
                time.sleep(0.002 * worker)
                if one.ids[0] == stop:
                    break

    workers = [threading.Thread(target=train, args=(n,)) for n in range(num_workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=30)
    assert not meet.broken and not any(worker.is_alive() for worker in workers)
    assert came == [list(range(stop + 1 + AHEAD))] * num_workers
