"""Memory for arrays of pictures that is used again."""

from __future__ import annotations

import math
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

POOLED_BYTES = 1_000_000  # malloc gives less than that again by itself


class Memory:
    """Memory for arrays, used again when they and all views of them are gone.

    The pages of fresh memory cost the copy of a batch of pictures as much again (measured).
    """

    def __init__(self) -> None:
        self._free: list[bytearray] = []

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """An array of anything, in memory that is at most twice as large."""
        size = math.prod(shape) * dtype.itemsize
        fitting = (n for n, held in enumerate(self._free) if size <= len(held) <= 2 * size)
        place = next(fitting, None)
        if place is None:
            self._free.clear()  # of other sizes, which nobody asks for any more
            memory = bytearray(size)
        else:
            memory = self._free.pop(place)
        array = np.frombuffer(memory, dtype, count=math.prod(shape))
        # A view's base is this array, not its memory, since that is none.
        weakref.finalize(array, self._free.append, memory).atexit = False
        return array.reshape(shape)
