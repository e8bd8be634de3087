"""An index that is kept in a bucket: what is asked of it. Oracle: the same index in a folder."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.data.shards.kept.corpora import write_corpus

from seedbed.data.shards.index import index_source
from seedbed.data.shards.kept import part as parts
from seedbed.data.shards.kept import table as tables
from seedbed.data.shards.kept.part import Part
from seedbed.data.shards.kept.stock import parts_in
from seedbed.data.shards.kept.table import RowTable
from seedbed.data.shards.starts import SourceStarts, Starts
from seedbed.errors import DataError
from seedbed.storage import s3 as store

pytestmark = [pytest.mark.s3, pytest.mark.slow]
SIZES = [40, 30, 50, 20, 60, 10]


@pytest.fixture
def both(
    s3: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Part], list[Part]]:
    """The parts of one index in a bucket, and in a folder."""
    monkeypatch.setattr(parts, "PART_BYTES", 1_500)
    folder = write_corpus(tmp_path / "pairs", SIZES, 0)
    here, there = str(tmp_path / "kept"), "s3://corpus/table/_seedbed"
    for place in (here, there):
        index_source(str(folder), [place], [place])
    return parts_in(there), parts_in(here)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each reading request from here on."""
    sizes: list[int] = []
    whole = store.read

    def noted(uri: str, start: int = 0, stop: int | None = None, *, etag: str = "") -> bytes | None:
        content = whole(uri, start, stop, etag=etag)
        sizes.append(len(content or b""))
        return content

    monkeypatch.setattr(store, "read", noted)
    return sizes


@pytest.mark.parametrize("held_bytes", [0, 10**6])
def test_it_is_that_of_a_folder_whether_it_is_held_or_not(
    both: tuple[list[Part], list[Part]], monkeypatch: pytest.MonkeyPatch, held_bytes: int
) -> None:
    monkeypatch.setattr(tables, "HELD_BYTES", held_bytes)
    ours, theirs = map(RowTable, both)
    assert len(both[0]) > 1 and ours.number.keys() == theirs.number.keys()
    every = dict(ours.all_digests(ours.number))
    for name in theirs.number:
        assert np.array_equal(ours.starts(name), theirs.starts(name))
        assert np.array_equal(ours.digests(name), theirs.digests(name))
        assert np.array_equal(every[name], theirs.digests(name))
    names = sorted(ours.number)
    sent = pickle.dumps(Starts.of([(SourceStarts.of_table(ours), name) for name in names]))
    oracle = Starts.of([(SourceStarts.of_table(theirs), name) for name in names])
    arrived = pickle.loads(sent).of_shards([4, 0, 5])
    for mine, shard in zip(arrived, (4, 0, 5), strict=True):
        assert np.array_equal(mine, oracle.of_shard(shard))


def test_the_rows_of_a_shard_are_one_small_request(
    both: tuple[list[Part], list[Part]], monkeypatch: pytest.MonkeyPatch, asked: list[int]
) -> None:
    monkeypatch.setattr(tables, "HELD_BYTES", 0)
    table = RowTable(both[0])
    assert len(asked) == 2 * len(both[0])  # what lies before and after the numbers
    del asked[:]
    assert len(table.starts("004.tar")) == 61 and asked == [4 * 61]
    del asked[:]
    assert len(table.digests("002.tar")) == 50 and asked == [8 * 50]
    del asked[:]
    assert sum(len(one) for _, one in table.all_digests(table.number)) == sum(SIZES)
    assert sorted(asked) == sorted(8 * part.num_rows for part in both[0])


def test_what_is_few_is_asked_for_once(
    both: tuple[list[Part], list[Part]], asked: list[int]
) -> None:
    table = RowTable(both[0])
    starts = SourceStarts.of_table(table)
    names = sorted(table.number)
    del asked[:]
    for _ in range(2):
        Starts.of([(starts, name) for name in names]).of_shards(range(len(names)))
    assert sorted(asked) == sorted(4 * part.num_starts for part in both[0])


def test_a_part_that_goes_while_it_is_used_is_told_of(
    both: tuple[list[Part], list[Part]],
) -> None:
    table = RowTable(both[0])
    for part in both[0]:
        store.delete(part.place)
    with pytest.raises(DataError, match="a part of the index, is gone or cut short"):
        table.starts("000.tar")
