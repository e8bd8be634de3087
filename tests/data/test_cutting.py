"""Batches cut out of blocks. Oracle: the rows of all blocks, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.data.cutting import POOLED_BYTES, batches
from seedbed.data.render.render import Columns

WIDTH = POOLED_BYTES // 4  # four rows of pictures are copied into memory that is used again


def block(first: int, size: int) -> Columns:
    numbers = np.arange(first, first + size)
    return {
        "image": np.repeat(numbers.astype(np.uint8)[:, None], WIDTH, axis=1),
        "id": numbers,
        "fault": np.array([f"fault {n}" * (n % 3) for n in numbers], dtype=object),
    }


def blocks(sizes: list[int]) -> Iterator[Columns]:
    first = 0
    for size in sizes:
        yield block(first, size)
        first += size


def check(batch: Columns, first: int, size: int) -> None:
    whole = block(first, size)
    for name, column in batch.items():
        assert column.dtype == whole[name].dtype
        assert np.array_equal(column, whole[name])


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 7))
def test_every_row_comes_once_in_its_order(sizes: list[int], rows: int) -> None:
    held = list(batches(blocks(sizes), rows))
    assert len(held) == sum(sizes) // rows
    for number, batch in enumerate(held):  # all are held: none may be written over
        check(batch, number * rows, rows)


def test_what_lies_in_a_block_is_a_view_of_it() -> None:
    whole = block(0, 8)
    first, second = batches(iter([whole]), 4)
    assert np.shares_memory(first["image"], whole["image"])
    assert np.shares_memory(second["image"], whole["image"])


def test_memory_is_used_again_once_no_view_of_it_is_held() -> None:
    found = batches(blocks([3] * 20), 4)
    memory = [next(found)["image"].base.base.obj for _ in range(6)]
    assert len({id(one) for one in memory}) < 6
    kept = next(found)["image"][1:3]
    before = kept.copy()
    for batch in found:
        assert not np.shares_memory(batch["image"], kept)
    assert np.array_equal(kept, before)


@pytest.mark.parametrize("rows", [1, 5])
def test_nothing_gives_nothing(rows: int) -> None:
    assert list(batches(iter([]), rows)) == []
    assert list(batches(blocks([0, 0]), rows)) == []
