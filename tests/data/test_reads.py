"""Rows by ranges of bytes. Oracles: shards read whole, and bytes counted where they are read."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from seedbed.data import reads as reading
from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.order import Order, Picks
from seedbed.data.reads import plan_reads, samples
from seedbed.data.rounds import Span, rounds
from seedbed.data.select.filters.length import Length
from seedbed.data.shards.samples import read_shard
from seedbed.errors import DataError

LANES, WINDOW, BATCH = 8, 16, 32


@pytest.fixture(scope="module")
def tars(shapes: Path) -> Path:
    return shapes


@pytest.fixture(scope="module")
def parquets(tmp_path_factory: pytest.TempPathFactory, shapes: Path) -> Path:
    """The same pairs in parquet files of row groups of some rows, which do not divide."""
    folder = tmp_path_factory.mktemp("parquet")
    for path in sorted(shapes.glob("*.tar")):
        rows = [
            {"key": s.key, "image": s.image(), "txt": s.caption("txt")}
            for s in read_shard(str(path))
        ]
        table = pa.Table.from_pylist(rows)
        pq.write_table(table, folder / f"{path.stem}.parquet", row_group_size=7)
    return folder


def opened(folder: Path, home: Path, **fields: object) -> OpenCorpus:
    return open_corpus(Corpus(uri=str(folder), caption="txt", **fields), home)  # type: ignore[arg-type]


def order_of(corpus: OpenCorpus) -> Order:
    return Order(corpus.train.blocks, fingerprint="f", seed=0, lanes=LANES, window_rows=WINDOW)


@pytest.mark.parametrize("form", ["tars", "parquets"])
@pytest.mark.parametrize(
    "fields", [{}, {"fraction": 0.3}, {"filters": (Length(min_words=3),)}, {"take": 5}]
)
def test_what_is_read_by_ranges_is_what_shards_hold_whole(
    form: str, fields: dict[str, object], home: Path, request: pytest.FixtureRequest
) -> None:
    corpus = opened(request.getfixturevalue(form), home, **fields)
    rows = corpus.train
    whole = [read_shard(path) for path in rows.paths]
    picks = Picks.of_all(rows.counts)
    mixed = picks.at(np.random.default_rng(0).permutation(len(picks)))
    found = list(samples(plan_reads(rows, mixed)))
    assert len(found) == rows.num_samples > 0
    for (number, name, sample), shard, position in zip(
        found, mixed.shard.tolist(), mixed.position.tolist(), strict=True
    ):
        row = int(rows.of_shard(shard)[position])
        assert (number >> 32, number & 0xFFFFFF) == (shard, row)
        assert Path(rows.paths[shard]).name == name
        assert sample.key == whole[shard][row].key
        assert sample.image() == whole[shard][row].image()
        assert sample.caption("txt") == whole[shard][row].caption("txt")


@pytest.fixture
def large_groups(tmp_path: Path) -> Path:
    """Two files of 1,000 rows of some 2 kB in two groups each, of which a window wants few."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "large"
    folder.mkdir()
    for number in range(2):
        out = io.BytesIO()
        Image.new("RGB", (2, 2)).save(out, "PNG")
        pictures = [out.getvalue() + rng.bytes(2_000) for _ in range(1_000)]
        table = pa.table({"image": pictures, "txt": [f"row {n}" for n in range(1_000)]})
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=500)
    return folder


def test_of_a_group_the_rows_that_are_asked_for_are_kept_and_the_rest_is_counted_as_it_is_read(
    large_groups: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = opened(large_groups, home).train
    few = Picks(*(np.array(values) for values in ([0] * 4, [0] * 4, [7, 3, 0, 700])))
    planned = plan_reads(rows, few)
    groups = [(one.first, one.last, len(one.wanted)) for one in planned.ranges]
    assert groups == [(0, 500, 3), (500, 1_000, 1)]
    size = Path(rows.paths[0]).stat().st_size
    assert planned.num_bytes == size // 2 * 2 > 2_000_000
    before = pa.total_allocated_bytes()
    kept = [reading.read_range(planned.shards[0], one) for one in planned.ranges]
    assert [len(found) for found in kept] == [3, 1]
    assert pa.total_allocated_bytes() - before < 100_000  # no part of a table keeps the whole
    assert planned.held_bytes == 3 * planned.num_bytes + size // 2 * 3 // 500 + size // 2 // 500
    # As many groups at a time as there is room for.
    monkeypatch.setattr(reading, "GROUPS_BYTES", 3 * (size // 2))
    assert planned.threads == 1
    assert planned.held_bytes < 3 * (size // 2) + 10_000
    assert [one.sample.caption("txt") for one in samples(planned)] == [
        f"row {rows.of_shard(0)[n]}" for n in few.position
    ]


@pytest.mark.parametrize(("window", "fraction"), [(32, 1.0), (128, 1.0), (1_024, 1.0), (32, 0.5)])
def test_how_often_groups_are_read_is_known_beforehand(
    large_groups: Path, home: Path, window: int, fraction: float
) -> None:
    rows = opened(large_groups, home, fraction=fraction).train
    stated = Corpus(window_rows=window)
    order = Order(rows.blocks, fingerprint="f", seed=0, lanes=1, window_rows=window)
    steps = 20 * order.num_samples // window
    parts = rounds(order, Span(0, steps * window, window, 0, 1))
    read = sum(plan_reads(rows, part.picks).num_bytes for part in parts)
    epochs = steps * window / order.num_samples
    once = sum(Path(path).stat().st_size for path in rows.paths)
    assert read / epochs / once == pytest.approx(stated.times_read(rows.group_rows), rel=0.15)


def test_a_row_that_comes_twice_is_read_once_and_is_two_samples(tars: Path, home: Path) -> None:
    corpus = open_corpus(Corpus(uri=f"{tars}@2", caption="txt"), home)
    once = opened(tars, home)
    twice = plan_reads(corpus.train, Picks.of_all(corpus.train.counts))
    assert twice.num_bytes == plan_reads(once.train, Picks.of_all(once.train.counts)).num_bytes
    ids = [sample.id for sample in samples(twice)]
    assert len(set(ids)) == len(ids) == 2 * once.train.num_samples


@pytest.mark.parametrize("world", [1, 2, 4, 8])
def test_however_many_ranks_each_row_is_read_once_and_nothing_beside_it(
    tars: Path, home: Path, world: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "GAP_BYTES", 0)  # all pictures here lie closer to each other
    corpus = opened(tars, home)
    order = order_of(corpus)
    sizes = [member_bytes(Path(path)) for path in corpus.train.paths]
    span = (0, 3 * order.num_samples // BATCH * BATCH, BATCH)
    total = wanted = 0
    for rank in range(world):
        for part in rounds(order, Span(*span, rank, world)):
            total += plan_reads(corpus.train, part.picks).num_bytes
            for shard, position in zip(part.picks.shard, part.picks.position, strict=True):
                wanted += sizes[shard][corpus.train.of_shard(shard)[position]]
    # Of the rows of a round none comes twice, but where an epoch ends in its middle.
    assert 0.97 * wanted < total <= wanted


def member_bytes(path: Path) -> list[int]:
    """Of each sample of a tar: its members with their headers, as the standard library has them."""
    sizes: dict[str, int] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key = member.name.split(".")[0]
            sizes[key] = sizes.get(key, 0) + 512 + member.size + -member.size % 512
    return list(sizes.values())


def test_rows_that_lie_close_are_one_request(
    tars: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = opened(tars, home)
    last = len(corpus.train.of_shard(0)) - 1
    picks = Picks(*(np.array(values) for values in ([0, 0, 0], [0, 0, 0], [0, 1, last])))
    monkeypatch.setattr(reading, "GAP_BYTES", 1_000_000)
    assert len(plan_reads(corpus.train, picks).ranges) == 1
    monkeypatch.setattr(reading, "GAP_BYTES", 1_024)
    near, far = plan_reads(corpus.train, picks).ranges
    assert near.last <= far.first and near.stop < far.start


def test_a_shard_that_changed_since_it_was_indexed_is_refused(
    tars: Path, home: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in tars.glob("*.tar"):
        (folder / path.name).write_bytes(path.read_bytes())
    corpus = opened(folder, home)
    planned = plan_reads(corpus.train, Picks.of_all(corpus.train.counts))
    path = Path(corpus.train.paths[0])
    path.write_bytes(path.read_bytes())
    with pytest.raises(DataError, match="has changed since the corpus was indexed"):
        list(samples(planned))
    path.unlink()
    with pytest.raises(DataError, match="is gone"):
        list(samples(planned))
