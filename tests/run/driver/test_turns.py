"""Whose turn it is. Oracle: what was made, counted, by several who all need it at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from tests.fixtures.rays import SharedRay
from tests.fixtures.studies import opened, small_plan

from seedbed.data.render import kept
from seedbed.data.render.render import Rendering, TestSet
from seedbed.data.rows import Rows
from seedbed.run.driver.turns import Turns
from seedbed.run.worker.assignment import Assignment
from seedbed.run.worker.held_out import HeldOutPairs, read_held_out
from seedbed.storage.folder import Folder


async def _waits(waiting: asyncio.Task[None]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not waiting.done()


def test_one_at_a_time_and_each_thing_by_itself() -> None:
    async def play() -> None:
        turns = Turns()
        await turns.take("pictures", "a")
        await turns.take("others", "b")
        b, c = (asyncio.create_task(turns.take("pictures", cohort)) for cohort in "bc")
        assert await _waits(b) and await _waits(c)
        await turns.leave("pictures", "b")  # it is not b's
        assert await _waits(b)
        await turns.leave("pictures", "a")
        assert [await _waits(b), await _waits(c)].count(True) == 1
        first = "b" if b.done() else "c"
        await turns.leave("pictures", first)
        await asyncio.wait_for(asyncio.gather(b, c), 1)

    asyncio.run(play())


def test_workers_that_have_ended_keep_nobody_waiting_and_get_no_turn() -> None:
    async def play() -> None:
        turns = Turns()
        await turns.take("pictures", "a")
        dead = asyncio.create_task(turns.take("pictures", "b"))
        other = asyncio.create_task(turns.take("pictures", "c"))
        assert await _waits(dead) and await _waits(other)
        await turns.ended("b")
        await turns.ended("a")
        await asyncio.wait_for(other, 1)
        again = asyncio.create_task(turns.take("pictures", "b"))  # its next workers
        assert await _waits(again)
        await turns.take("pictures", "c")  # c's next workers, whose first have died at it
        await turns.leave("pictures", "c")
        await asyncio.wait_for(again, 1)

    asyncio.run(play())


def test_one_that_is_silent_for_too_long_keeps_nobody_waiting() -> None:
    async def play() -> None:
        turns = Turns(wait_seconds=0.2)
        await turns.take("pictures", "a")
        began = time.monotonic()
        await asyncio.wait_for(turns.take("pictures", "b"), 5)
        assert time.monotonic() - began >= 0.2
        await turns.leave("pictures", "a")  # which was slow, and not lost: it is b's now
        third = asyncio.create_task(turns.take("pictures", "c"))
        assert await _waits(third)
        await turns.leave("pictures", "b")
        await asyncio.wait_for(third, 1)

    asyncio.run(play())


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that have rendered a test set, each of which takes its time."""
    by: list[str] = []
    render = kept.test_set_parts

    def slowly(rows: Rows, rendering: Rendering) -> Iterator[TestSet]:
        by.append(threading.current_thread().name)
        time.sleep(0.5)
        if threading.current_thread().name == "fails":
            raise OSError("no space left")
        yield from render(rows, rendering)

    monkeypatch.setattr(kept, "test_set_parts", slowly)
    return by


def read_at_once(jobs: dict[str, Assignment]) -> dict[str, HeldOutPairs | Exception]:
    """What each job's thread, of its name, has read."""
    found: dict[str, HeldOutPairs | Exception] = {}

    def read(name: str) -> None:
        try:
            found[name] = read_held_out(jobs[name], 0, 1)
        except Exception as error:
            found[name] = error

    threads = [threading.Thread(target=read, args=(name,), name=name) for name in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


@pytest.fixture
def assignments(shapes: Path, tmp_path: Path) -> dict[str, Assignment]:
    """Of three cohorts that score the same pairs."""
    plan = small_plan(shapes, depths=(1, 2, 3), cohort_size=1)
    data, store = opened(plan, tmp_path), Folder(str(tmp_path / "results"))
    assert len({cohort.id for cohort in plan.cohorts}) == 3
    names = ("fails", "second", "third")
    return {
        name: Assignment(
            study="small", scale="smoke", cohort=cohort, data=data, storage=store.uri,
            code_version={}, threads=1, data_parallel=1, num_tasks=1, checkpoint_seconds=None,
            costs=plan.costs(),
        )
        for name, cohort in zip(names, plan.cohorts, strict=True)
    }  # fmt: skip


@pytest.mark.slow
def test_cohorts_that_begin_together_render_their_held_out_pairs_once(
    shared_ray: SharedRay, assignments: dict[str, Assignment], made: list[str], tmp_path: Path
) -> None:
    shared_ray.join()
    turns: Any = ray.remote(num_cpus=0)(Turns).remote()
    jobs = {f"{name} of all": replace(job, turns=turns) for name, job in assignments.items()}
    found = read_at_once(jobs)
    assert len(made) == 1
    assert len({pairs.digest for pairs in found.values()}) == 1  # type: ignore[union-attr]
    for path in (tmp_path / "results").rglob("*.arrow"):
        path.unlink()
    made.clear()
    read_at_once({f"{name} alone": job for name, job in assignments.items()})
    assert len(made) == 3, "without turns each renders them"
    ray.kill(turns)


@pytest.mark.slow
def test_one_that_fails_at_it_leaves_it_to_the_next(
    shared_ray: SharedRay, assignments: dict[str, Assignment], made: list[str]
) -> None:
    shared_ray.join()
    turns: Any = ray.remote(num_cpus=0)(Turns).remote()
    jobs = {name: replace(job, turns=turns) for name, job in assignments.items()}
    ray.get(turns.take.remote("nothing", "nobody"))  # it is up
    found = read_at_once(jobs)
    assert isinstance(found["second"], HeldOutPairs) and isinstance(found["third"], HeldOutPairs)
    # It failed if it was first, and else found what another had made.
    assert isinstance(found["fails"], OSError) == (made[0] == "fails")
    assert len(made) == 1 + (made[0] == "fails")
    ray.kill(turns)
