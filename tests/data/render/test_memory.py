"""Memory that is used again. Oracle: which object an array lies in."""

from __future__ import annotations

from typing import Any

import numpy as np

from seedbed.data.render.memory import Memory

BYTE, FLOAT = np.dtype(np.uint8), np.dtype(np.float32)


def place(array: Any) -> object:
    """The memory of an array, which outlives it."""
    return array.base.base.obj


def test_it_is_used_again_when_the_last_view_is_gone() -> None:
    memory = Memory()
    array = memory.array((4, 8), BYTE)
    view, first = array[1:3], place(array)
    del array
    other = memory.array((4, 8), BYTE)
    assert place(other) is not first
    del view
    assert place(memory.array((4, 8), BYTE)) is first


def test_what_is_a_little_smaller_lies_in_it_too_and_other_sizes_are_let_go() -> None:
    memory = Memory()
    first = place(memory.array((8,), FLOAT))
    array = memory.array((5, 1), FLOAT)
    assert (array.shape, array.dtype, place(array)) == ((5, 1), FLOAT, first)
    array[:] = 1
    assert array.sum() == 5
    del array
    assert place(memory.array((3,), FLOAT)) is not first
    assert place(memory.array((8,), FLOAT)) is not first
