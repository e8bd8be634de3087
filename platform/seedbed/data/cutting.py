"""Batches out of blocks, whose borders are elsewhere. No Ray in here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.data.render.memory import POOLED_BYTES, Memory
from seedbed.data.render.render import Columns


def batches(blocks: Iterator[Columns], rows: int) -> Iterator[Columns]:
    """Batches of `rows` rows of the `blocks`, in their order; what is left at the end is dropped.

    One that lies in a block is a view of it. Another is a copy, in memory that is used again once
    nobody holds it.
    """
    memory = Memory()
    rest: list[Columns] = []  # less than a batch
    held = 0
    for block in blocks:
        first, size = 0, len(block["id"])
        while held + size - first >= rows:
            last = first + rows - held
            rest.append(_part(block, first, last))
            whole = [rest[0] if len(rest) == 1 else _joined(rest, memory)]
            rest, held, first = [], 0, last
            yield whole.pop()  # who asks for the next one may hold this one no more
        if first < size:
            rest.append(_part(block, first, size))
            held += size - first


def _part(columns: Columns, first: int, last: int) -> Columns:
    return {name: column[first:last] for name, column in columns.items()}


def _joined(parts: list[Columns], memory: Memory) -> Columns:
    return {name: _concatenated([part[name] for part in parts], memory) for name in parts[0]}


def _concatenated(parts: list[NDArray[Any]], memory: Memory) -> NDArray[Any]:
    dtype = np.result_type(*parts) if parts[0].dtype.kind != "O" else parts[0].dtype
    if dtype.kind == "O" or sum(part.nbytes for part in parts) < POOLED_BYTES:
        return np.concatenate(parts)
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    return np.concatenate(parts, out=memory.array(shape, dtype))
