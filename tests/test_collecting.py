"""How often Python looks for garbage. Oracle: its collector, and cycles seen by weak references."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from seedbed.collecting import SELDOM, USUAL, as_usual, seldom


class Cycle:
    """One that only the collector can take away."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    as_usual.cache_clear()
    yield
    gc.set_threshold(*before)


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
