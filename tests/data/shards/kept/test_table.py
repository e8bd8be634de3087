"""The rows of an index by its parts. Oracle: the reader of all rows that was there before."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.shards.kept import before
from tests.data.shards.kept.corpora import write_corpus

from seedbed.data.shards.index import index_source, read_shards, shards_of
from seedbed.data.shards.kept import part as parts
from seedbed.data.shards.kept import table as tables
from seedbed.data.shards.kept.bad import read_bad
from seedbed.data.shards.kept.column import Held, Mapped
from seedbed.data.shards.kept.part import lines_of, name_of, packed, part_of, reads_of
from seedbed.data.shards.kept.stock import parts_in
from seedbed.data.shards.kept.table import RowTable
from seedbed.data.shards.row_index import RowIndex
from seedbed.data.shards.shard_index import IndexedShard, IndexJob, Read, read_shard_index
from seedbed.data.shards.starts import SourceStarts, Starts

NAMES = st.text("abc/é ", min_size=1, max_size=8)


@st.composite
def drawn_reads(draw: st.DrawFn) -> list[Read]:
    reads = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)):
        digests = draw(st.lists(st.integers(0, 2**64 - 1), max_size=9))
        starts = draw(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=9))
        bad = draw(st.lists(st.tuples(st.just(name), NAMES, NAMES), max_size=2))
        captions = tuple(draw(st.lists(NAMES, max_size=2)))
        digest = draw(st.sampled_from(["", "xxh3_128:0"]))
        shard = IndexedShard(name, len(digests), 7, f"e-{name}", digest, len(bad), captions)
        rows = RowIndex(np.array(digests, "<u8"), np.array(starts, "<u4"))
        reads.append(Read(shard, bad, rows))
    return reads


def same(ours: RowIndex, theirs: RowIndex) -> bool:
    return bool(np.array_equal(ours[0], theirs[0]) and np.array_equal(ours[1], theirs[1]))


@given(drawn_reads())
@settings(max_examples=60)
def test_a_part_gives_back_what_was_put_into_it(reads: list[Read]) -> None:
    content = packed(reads)
    assert packed(reads) == content  # or a part would have two names
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / name_of(content)
        place.write_bytes(content)
        known = {(r.shard.name, r.shard.etag): r.rows for r in reads}
        before.write_rows(Path(folder), known)
        oracle = before.read_rows(Path(folder))
        for part in (part_of(str(place), content), part_of("", content, held=True)):
            assert [line.shard for line in lines_of(part)] == [read.shard for read in reads]
            again = list(reads_of(part))
            assert [(a.shard, a.bad) for a in again] == [(r.shard, r.bad) for r in reads]
            assert part.num_bad == sum(len(read.bad) for read in reads)
            table = RowTable([part])
            every = dict(table.all_digests(table.number))
            for read, kept in zip(reads, again, strict=True):
                name = read.shard.name
                theirs = oracle[name, read.shard.etag]
                assert same(table[name], theirs) and same(kept.rows, theirs)
                assert np.array_equal(every[name], theirs.digests)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=7), st.integers(0, 2**32 - 1))
@settings(max_examples=12)
@pytest.mark.slow
def test_random_corpora_have_the_rows_that_they_had_before(sizes: list[int], seed: int) -> None:
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PART_BYTES", 600)
        folder = write_corpus(Path(root) / "pairs", sizes, seed)
        kept = str(Path(root) / "kept")
        index = index_source(str(folder), [kept], [kept])
        jobs = [IndexJob(name, found) for name, found in shards_of(str(folder)).items()]
        reads = [read_shard_index(job) for job in jobs]
        before.write_rows(Path(root), {(r.shard.name, r.shard.etag): r.rows for r in reads})
        oracle = before.read_rows(Path(root))
        assert list(index.shards) == [read.shard for read in reads] == read_shards(kept)
        assert read_bad(kept) == sorted(fault for read in reads for fault in read.bad)
        etags = dict(oracle.keys())
        table = RowTable(parts_in(kept), etags)
        assert table.number.keys() == etags.keys()
        assert all(same(table[name], rows) for (name, _), rows in oracle.items())
        theirs = SourceStarts.of({name: rows.starts for (name, _), rows in oracle.items()})
        names = sorted(etags, reverse=True)
        ours = Starts.of([(SourceStarts.of_table(table), name) for name in names])
        wanted = Starts.of([(theirs, name) for name in names])
        for n, mine in enumerate(ours.of_shards(range(len(names)))):
            assert np.array_equal(mine, wanted.of_shard(n))
            assert np.array_equal(mine, ours.of_shard(n))


def test_a_shard_of_another_etag_is_not_known() -> None:
    rows = RowIndex(np.arange(3, dtype="<u8"), np.arange(4, dtype="<u4"))
    shards = [IndexedShard(name, 3, 9, "old", "d", 0, ()) for name in "ab"]
    part = part_of("", packed([Read(shard, [], rows) for shard in shards]), held=True)
    table = RowTable([part], {"a": "old", "b": "new"})
    assert "a" in table and "b" not in table and len(table) == 1


def test_what_is_much_and_on_other_machines_too_is_sent_by_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = RowIndex(np.arange(5_000, dtype="<u8"), np.arange(5_001, dtype="<u4"))
    content = packed([Read(IndexedShard("a", 5_000, 9, "e", "d", 0, ()), [], rows)])
    place = tmp_path / "rows" / name_of(content)
    place.parent.mkdir()
    place.write_bytes(content)
    part = part_of(str(place), content)
    few = 10**6
    for private, held, kind, most in (
        (str(tmp_path), 0, Held, 25_000),
        ("", few, Held, 25_000),
        ("", 0, Mapped, 1_500),
    ):
        monkeypatch.setattr(tables, "HELD_BYTES", held)
        starts = SourceStarts.of_table(RowTable([part], private=private))
        sent = pickle.dumps(Starts.of([(starts, "a")]), protocol=5)
        assert len(sent) < most
        arrived = pickle.loads(sent)
        assert [type(column) for column in arrived.columns] == [kind]
        assert np.array_equal(arrived.of_shard(0), rows.starts)
