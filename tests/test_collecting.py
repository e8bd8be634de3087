"""How often Python looks for garbage. Oracle: its collector, and cycles seen by weak references."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.commanding import run_here

from seedbed.collecting import SELDOM, USUAL, as_usual, restored, seldom

ROOT = Path(__file__).parents[1]


class Cycle:
    """One that only the collector can take away."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    with restored():
        gc.enable()
        gc.set_threshold(*USUAL)
        yield


def lives_through(new_objects: int) -> bool:
    """Whether a cycle is still there when so many objects have been made after it."""
    gc.collect()
    cycle = weakref.ref(Cycle())
    held = [[] for _ in range(new_objects)]
    assert len(held) == new_objects
    return cycle() is not None


def test_seldom_and_as_usual() -> None:
    assert USUAL[0] < 10_000 < SELDOM[0]
    seldom()
    assert lives_through(10_000)
    as_usual()
    assert gc.get_threshold() == USUAL and not lives_through(10_000)


def test_as_usual_is_said_once() -> None:
    seldom()
    as_usual()
    frozen = gc.get_freeze_count()
    kept = Cycle()
    as_usual()
    assert gc.get_freeze_count() <= frozen and kept.itself is kept


def test_what_there_was_before_is_never_looked_at_again() -> None:
    seldom()
    kept = [Cycle() for _ in range(1_000)]
    seen = len(gc.get_objects())
    as_usual()
    assert gc.get_freeze_count() >= seen - 1_000
    assert not any(isinstance(one, Cycle) for one in gc.get_objects())
    assert len(kept) == 1_000


def test_a_plan_in_this_process_leaves_it_as_it_was(home: Path) -> None:
    gc.set_threshold(701, 11, 12)
    done = run_here(ROOT / "studies" / "text_encoder_depth.py", "--plan", "--scale", "smoke")
    assert done.returncode == 0 and "16 trials" in done.stdout
    assert gc.isenabled() and gc.get_threshold() == (701, 11, 12)
    with restored():
        gc.disable()
        seldom()
    assert gc.isenabled() and gc.get_threshold() == (701, 11, 12)
