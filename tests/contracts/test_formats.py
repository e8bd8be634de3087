"""What every format of shards promises, found by walking the folder.

Oracle: shards that the standard library and pyarrow wrote, and bytes counted as they are read.
"""

from __future__ import annotations

import io
import random
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.conftest import shape

import seedbed.data.shards.formats
from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpus
from seedbed.data.order import Picks
from seedbed.data.reads import plan_reads, samples
from seedbed.data.shards.formats import all_formats, format_of, suffixes
from seedbed.data.shards.formats.format import ShardFormat
from seedbed.data.shards.samples import read_shard, samples_of
from seedbed.errors import DataError

Pairs = list[tuple[bytes, str]]  # picture and caption
ROWS, GROUP = 60, 7


def a_tar(pairs: Pairs) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number, (picture, caption) in enumerate(pairs):
            for name, content in (("png", picture), ("txt", caption.encode())):
                member = tarfile.TarInfo(f"{number:05}.{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def a_parquet(pairs: Pairs) -> bytes:
    out = io.BytesIO()
    rows = [{"image": picture, "txt": caption} for picture, caption in pairs]
    pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=GROUP)
    return out.getvalue()


# How a shard of each format is written: a new format is asked for here.
WRITERS: dict[str, Callable[[Pairs], bytes]] = {".tar": a_tar, ".parquet": a_parquet}
EACH = pytest.mark.parametrize("kind", all_formats(), ids=lambda kind: type(kind).__name__)


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    rng = random.Random(0)
    return [shape(rng) for _ in range(ROWS)]


def test_every_format_has_an_end_of_its_own() -> None:
    assert set(suffixes()) == set(WRITERS)
    for kind in all_formats():
        assert format_of(f"s3://a/b{kind.suffix}") is kind
        assert not any(other.endswith(kind.suffix) for other in suffixes() if other != kind.suffix)
    with pytest.raises(DataError, match=r"of no known format(.|\n)*Did you mean '\.tar'"):
        format_of("/a/b.tarr")


@EACH
def test_a_shard_read_whole_is_what_was_written(kind: ShardFormat, pairs: Pairs) -> None:
    content = WRITERS[kind.suffix](pairs)
    found = samples_of(f"a{kind.suffix}", content)
    assert [(one.image(), one.caption("txt")) for one in found] == pairs
    assert len({one.key for one in found}) == ROWS


@EACH
def test_rows_read_by_their_ranges_are_those_of_the_whole_shard(
    kind: ShardFormat, pairs: Pairs, tmp_path: Path, home: Path
) -> None:
    path = tmp_path / f"a{kind.suffix}"
    path.write_bytes(WRITERS[kind.suffix](pairs))
    rows = open_corpus(Corpus(uri=str(tmp_path), caption="txt"), home).train
    whole = read_shard(str(path))
    own = rows.of_shard(0).tolist()
    every = Picks.of_all(rows.counts)
    found = list(samples(plan_reads(rows, every)))
    assert [(one.sample.key, one.sample.image()) for one in found] == [
        (whole[row].key, pairs[row][0]) for row in own
    ]
    # One row alone: its own bytes, or at the most its group.
    (last,) = plan_reads(rows, every.at(slice(len(own) - 1, len(own)))).ranges
    assert last.first <= own[-1] < last.last
    assert last.last - last.first <= (GROUP if kind.grouped else 1)
    blocks = rows.blocks
    assert blocks.num_rows == len(own)


@EACH
def test_a_shard_that_is_cut_or_is_something_else_is_refused_by_name(
    kind: ShardFormat, pairs: Pairs
) -> None:
    content = WRITERS[kind.suffix](pairs)
    for spoiled in (b"", b"nothing of the kind" * 500, content[: len(content) // 2]):
        with pytest.raises(
            DataError, match=rf"a\{kind.suffix} is cut short or is not a {kind.name}"
        ):
            samples_of(f"a{kind.suffix}", spoiled)


NEW = """
from seedbed.data.shards.formats.format import Indexed, ShardFormat
from seedbed.data.shards.sample import RawSample


class Lines(ShardFormat):
    '''A line a sample: the picture in hexadecimal digits, a tab and the caption.'''

    suffix = ".lines"
    name = "file of lines"

    def indexed(self, path, content):
        place = 0
        for number, line in enumerate(content.splitlines(keepends=True)):
            picture, _, words = line.rstrip().partition(b"\\t")
            sample = RawSample(str(number), {"png": bytes.fromhex(picture.decode()), "txt": words})
            yield Indexed(sample, place, place + len(line))
            place += len(line)

    def starts(self, path, content, bounds):
        return bounds

    def read(self, path, shard, one):
        content = shard.bytes_at(one.start, one.stop)
        return [indexed.sample for indexed in self.indexed(path, content)]
"""
USE = """
import pathlib, sys, seedbed.data.shards.formats as place
place.__path__.append(sys.argv[1])
from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpus
from seedbed.data.order import Picks
from seedbed.data.reads import plan_reads, samples
opened = open_corpus(Corpus(uri=sys.argv[2], caption="txt"), pathlib.Path(sys.argv[3]))
for rows in (opened.train, opened.test):
    for numbered in samples(plan_reads(rows, Picks.of_all(rows.counts))):
        print(numbered.sample.caption("txt"))
"""


@pytest.mark.slow
def test_a_format_is_one_new_file(pairs: Pairs, tmp_path: Path, home: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "lines.py").write_text(NEW)
    (tmp_path / "pairs").mkdir()
    lines = [f"{picture.hex()}\t{n} {words}\n" for n, (picture, words) in enumerate(pairs)]
    (tmp_path / "pairs" / "a.lines").write_text("".join(lines))
    arguments = [str(tmp_path / "new"), str(tmp_path / "pairs"), str(home)]
    line = [sys.executable, "-c", USE, *arguments]
    said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert sorted(said.splitlines()) == sorted(f"{n} {words}" for n, (_, words) in enumerate(pairs))
    assert len(seedbed.data.shards.formats.__path__) == 1
