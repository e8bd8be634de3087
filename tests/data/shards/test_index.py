"""The index of a source. Oracles: the tars that were written, and reading each again."""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.data.shards.kept import before

from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpus
from seedbed.data.shards import index as indexing
from seedbed.data.shards.index import FOLDER, Index, index_source, read_shards, shards_of
from seedbed.data.shards.kept import stock
from seedbed.data.shards.kept.bad import BAD_NAME
from seedbed.data.shards.kept.stock import INDEX_NAME
from seedbed.data.shards.kept.table import RowTable
from seedbed.data.shards.samples import read_shard
from seedbed.data.shards.shard_index import IndexJob, Read, read_shard_index
from seedbed.data.shards.source import counts_at, index_places, open_source
from seedbed.errors import DataError


def picture(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (9, 9), shade % 256).convert("RGB").save(out, "PNG")
    return out.getvalue()


def tar(path: Path, samples: list[tuple[str, dict[str, bytes]]]) -> None:
    with tarfile.open(path, "w") as out:
        for key, members in samples:
            for extension, content in members.items():
                member = tarfile.TarInfo(f"{key}.{extension}")
                member.size = len(content)
                out.addfile(member, io.BytesIO(content))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pairs"
    made.mkdir()
    for shard in range(4):
        numbers = range(shard * 30, shard * 30 + 30)
        pairs = [(f"{n:04}", {"png": picture(n), "txt": f"no {n}".encode()}) for n in numbers]
        tar(made / f"{shard:05}.tar", pairs)
    time.sleep(0.02)  # past the tick of the disk's clock in which they were written
    return made


def indexed(uri: str, home: Path, **options: bool) -> Index:
    places = index_places(uri, home)
    return index_source(uri, places, places, **options)


def test_only_new_and_changed_shards_are_read(folder: Path, home: Path) -> None:
    assert indexed(str(folder), home).num_read == 4
    assert indexed(str(folder), home).num_read == 0
    tar(folder / "00002.tar", [("a", {"png": picture(1), "txt": b"one"})])
    tar(folder / "00009.tar", [("b", {"png": picture(2), "txt": b"two"})])
    again = indexed(str(folder), home)
    assert again.num_read == 2
    assert [s.num_samples for s in again.shards] == [30, 30, 1, 30, 1]
    (folder / "00000.tar").unlink()
    assert indexed(str(folder), home).shards[0].name == "00001.tar"


def test_a_study_uses_the_index_beside_its_corpus(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed(str(folder), home)

    def read(job: IndexJob) -> Read:
        raise AssertionError(f"{job.name} was read again")

    monkeypatch.setattr(indexing, "read_shard_index", read)
    source = open_source(str(folder), home)
    assert [s.num_samples for s in source.manifest.shards] == [30] * 4
    assert source.manifest.captions == ("txt",)


def test_a_folder_that_cannot_be_written_has_its_index_at_home(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = stock.write_object

    def refuse(uri: str, content: bytes) -> None:
        if uri.startswith(str(folder)):
            raise DataError(f"{uri} cannot be written")
        write(uri, content)

    monkeypatch.setattr(stock, "write_object", refuse)
    assert indexed(str(folder), home).kept.startswith(str(home))
    assert not (folder / FOLDER).exists()
    assert indexed(str(folder), home).num_read == 0


def test_faults_that_show_without_decoding_are_listed(folder: Path, home: Path) -> None:
    bad = {
        "none": ({"txt": b"a word"}, "no picture (it has txt)"),
        "empty": ({"png": b"", "txt": b"a word"}, "the picture has zero bytes"),
        "blank": ({"png": picture(1), "txt": b" \n"}, "caption is empty"),
        "latin": ({"png": picture(1), "txt": b"caf\xe9"}, "caption is not UTF-8 at byte 3"),
        "long": ({"png": picture(1), "txt": b"x" * 100_000}, "caption of 100,000 bytes"),
        "mute": ({"png": picture(1)}, "no caption: neither txt nor json"),
    }
    tar(folder / "00007.tar", [(key, members) for key, (members, _) in bad.items()])
    found = indexed(str(folder), home)
    assert [s.num_bad for s in found.shards] == [0, 0, 0, 0, 6]
    rows = pq.read_table(folder / FOLDER / BAD_NAME).to_pylist()
    assert {row["key"]: row["reason"] for row in rows} == {k: why for k, (_, why) in bad.items()}
    assert {row["shard"] for row in rows} == {"00007.tar"}
    tar(folder / "00008.tar", [("z", {"png": b"", "txt": b"z"})])
    indexed(str(folder), home)  # what was known stays listed beside what is new
    assert pq.read_table(folder / FOLDER / BAD_NAME).num_rows == 7


def test_a_shard_that_changes_after_it_was_indexed_stops_with_its_name(
    folder: Path, home: Path
) -> None:
    opened = open_corpus(Corpus(uri=str(folder), caption="txt"), home)
    path = folder / "00002.tar"
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    shard = opened.train.paths.index(str(path))
    read_shard(opened.train.paths[0], opened.train.etag(0))
    with pytest.raises(DataError, match=r"00002\.tar has changed since the corpus was indexed"):
        read_shard(str(path), opened.train.etag(shard))


def test_any_changed_byte_is_another_fingerprint(folder: Path, home: Path) -> None:
    path = folder / "00002.tar"
    content = path.read_bytes()
    sound = open_source(str(folder), home).manifest.fingerprint
    places = [n + 5 for n in range(len(content)) if content[n : n + 4] == b"IDAT"]
    places.append(len(content) - 1)  # in the zeros at the end
    found = {sound}
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        indexed(str(folder), home)
        found.add(open_source(str(folder), home).manifest.fingerprint)
    assert len(found) == len(places) + 1
    path.write_bytes(content)
    indexed(str(folder), home)
    assert open_source(str(folder), home).manifest.fingerprint == sound


def opens(folder: Path, home: Path) -> tuple[int, int]:
    """How many pairs a study finds, and those that its plan counts."""
    counted = counts_at(str(folder), home)
    assert counted is not None
    shards = open_source(str(folder), home).manifest.shards
    return sum(s.num_samples for s in shards), sum(counted.rows.values())


def shorter(folder: Path) -> None:
    tar(folder / "00002.tar", [("a", {"png": picture(1), "txt": b"one"})])


def touched(folder: Path) -> None:
    (folder / "00002.tar").touch()


def added(folder: Path) -> None:
    tar(folder / "00009.tar", [("b", {"png": picture(2), "txt": b"two"})])


def removed(folder: Path) -> None:
    (folder / "00000.tar").unlink()


@pytest.mark.parametrize(
    ("change", "words", "pairs"),
    [
        (
            shorter,
            r"4 shards were indexed and there are 4; 1 changed: 00002\.tar \(71,680 bytes "
            r"then, [\d,]+ now\)",
            91,
        ),
        (touched, r"1 changed: 00002\.tar \(71,680 bytes, written since\)", 120),
        (added, r"4 shards were indexed and there are 5; 1 new: 00009\.tar", 121),
        (removed, r"4 shards were indexed and there are 3; 1 gone: 00000\.tar", 90),
    ],
)
def test_an_index_that_is_older_than_the_shards_is_refused_until_it_is_made_anew(
    folder: Path, home: Path, change: Callable[[Path], None], words: str, pairs: int
) -> None:
    indexed(str(folder), home)
    assert opens(folder, home) == (120, 120)
    change(folder)
    time.sleep(0.02)
    for opened in (open_source, counts_at):
        with pytest.raises(DataError, match=r"is older than its shards") as caught:
            opened(str(folder), home)
        assert re.search(words, caught.value.why)
        assert f"seedbed index {folder}" in caught.value.mend
    indexed(str(folder), home)
    assert opens(folder, home) == (pairs, pairs)
    assert indexed(str(folder), home).num_read == 0


def test_an_index_at_home_stands_in_for_an_older_one_beside_the_shards(
    folder: Path, home: Path
) -> None:
    beside, at_home = index_places(str(folder), home)
    index_source(str(folder), (), (beside,))
    removed(folder)
    with pytest.raises(DataError, match="is older than its shards"):
        open_source(str(folder), home)
    index_source(str(folder), (beside, at_home), (at_home,))  # who may not write beside them
    assert opens(folder, home) == (90, 90)


def test_shards_of_a_part_that_is_lost_are_read_again_without_a_word(
    folder: Path, home: Path
) -> None:
    indexed(str(folder), home)
    for part in (folder / FOLDER / "rows").glob("*.arrow"):
        part.unlink()
    assert sum(s.num_samples for s in open_source(str(folder), home).manifest.shards) == 120


def as_before(folder: Path, home: Path) -> Index:
    """An index of `folder` beside it, as it was kept before there were parts."""
    new = indexed(str(folder), home)
    table = RowTable.in_places([str(folder / FOLDER)])
    known = {(shard.name, shard.etag): table[shard.name] for shard in new.shards}
    shutil.rmtree(folder / FOLDER / "rows")
    before.write_rows(folder / FOLDER, known)
    before.write_index(folder / FOLDER, new.shards, time.time_ns())
    return new


def test_an_index_of_the_format_before_is_taken_up_without_reading_a_shard(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tar(folder / "00007.tar", [("a", {"txt": b"no picture"}), ("b", {"png": picture(1)})])
    time.sleep(0.02)
    fingerprint = open_source(str(folder), home).manifest.fingerprint
    shutil.rmtree(home)
    new = as_before(folder, home)
    oracle = before.read_rows(folder / FOLDER)

    def read(job: IndexJob) -> Read:
        raise AssertionError(f"{job.name} was read again")

    monkeypatch.setattr(indexing, "read_shard_index", read)
    assert read_shards(str(folder / FOLDER)) == list(new.shards)  # as it is, by whoever plans
    source = open_source(str(folder), home)  # a study writes to its home alone
    assert source.manifest.fingerprint == fingerprint and source.num_bad == 2
    again = indexed(str(folder), home)
    assert again.num_read == 0 and again.shards == new.shards
    for place in source.kept_in:
        table = RowTable.in_places([place])
        assert len(table) == 5 if place == source.kept_in[1] else not len(table)
    for (name, _), rows in oracle.items():
        assert (RowTable.in_places([source.kept_in[1]]).starts(name) == rows.starts).all()
        assert (RowTable.in_places([source.kept_in[1]]).digests(name) == rows.digests).all()
    assert pq.read_table(Path(source.kept_in[1]) / BAD_NAME).num_rows == 2
    shutil.rmtree(home)
    assert indexed(str(folder), home).num_read == 0  # `seedbed index` writes beside the shards
    assert len(RowTable.in_places([str(folder / FOLDER)])) == 5
    assert not (folder / FOLDER / "rows.parquet").exists()


def test_an_index_of_an_older_format_is_read_anew_and_says_so(
    folder: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = as_before(folder, home)
    path = folder / FOLDER / INDEX_NAME
    text = path.read_text()
    path.write_text(
        text.replace("seedbed-index/3", "seedbed-index/2").replace('"digest"', '"sha256"')
    )
    assert not capsys.readouterr().err
    again = indexed(str(folder), home)
    assert again.num_read == 4 and again.shards == new.shards
    told = capsys.readouterr().err
    assert f"{path} is of an older version of seedbed and is not used: 4 shards are read" in told
    assert indexed(str(folder), home).num_read == 0
    assert not capsys.readouterr().err


def test_a_shard_that_is_replaced_after_it_was_listed_is_refused(folder: Path) -> None:
    path = folder / "00002.tar"
    job = IndexJob("00002.tar", shards_of(str(folder))["00002.tar"])
    assert read_shard_index(job).shard.num_samples == 30
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of equal size
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"00002\.tar has changed since the corpus was indexed"):
        read_shard_index(job)


def test_two_patterns_of_one_folder_have_an_index_each(folder: Path, home: Path) -> None:
    few = indexed(f"{folder}/{{00000..00001}}.tar", home)
    assert [s.name for s in few.shards] == ["00000.tar", "00001.tar"]
    assert len(indexed(str(folder), home).shards) == 4
    assert (folder / FOLDER / INDEX_NAME).exists()
    assert indexed(f"{folder}/0000[0-2].tar", home).num_samples == 90


def parquet(path: Path, numbers: range, image: pa.Array) -> None:
    pq.write_table(
        pa.table(
            {
                "image": image,
                "caption": [f"no {n}" for n in numbers],
                "uid": [f"{n:032x}" for n in numbers],
                "width": [9 for _ in numbers],
            }
        ),
        path,
    )


@pytest.mark.parametrize("form", ["bytes", "struct"])
def test_a_parquet_file_is_a_shard_of_its_rows(tmp_path: Path, home: Path, form: str) -> None:
    made = tmp_path / "rows"
    made.mkdir()
    for shard in range(2):
        numbers = range(shard * 50, shard * 50 + 50)
        pictures = [picture(n) for n in numbers]
        values = pictures if form == "bytes" else [{"bytes": p, "path": "x"} for p in pictures]
        parquet(made / f"{shard}.parquet", numbers, pa.array(values))
    opened = open_corpus(Corpus(uri=str(made), caption="caption"), home)
    assert opened.train.num_samples + opened.test.num_samples == 100
    samples = read_shard(str(made / "1.parquet"))
    assert [s.caption("caption") for s in samples] == [f"no {n}" for n in range(50, 100)]
    assert samples[7].image() == picture(57)
    with pytest.raises(DataError, match="caption"):
        open_corpus(Corpus(uri=str(made), caption="captoin"), home)


def test_a_parquet_file_without_pictures_names_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"url": ["x"], "text": ["y"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"no column of pictures\n.*url, text"):
        read_shard(str(tmp_path / "a.parquet"))
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"b\.parquet is cut short or is not a parquet file"):
        read_shard(str(tmp_path / "b.parquet"))


def test_img2datasets_layout_is_read_as_it_is(tmp_path: Path, home: Path) -> None:
    """Tars with a table of the same name and a file of statistics beside each."""
    made = tmp_path / "laion"
    made.mkdir()
    for shard in range(3):
        keys = [f"{shard:05}{n:04}" for n in range(40)]
        fields = (
            b'{"caption": "no %d", "uid": "%032x", "status": "success", "width": 9, "height": 9}'
        )
        tar(
            made / f"{shard:05}.tar",
            [
                (key, {"jpg": picture(n), "txt": b"no %d" % n, "json": fields % (n, int(key))})
                for n, key in enumerate(keys)
            ],
        )
        table = {"key": keys, "caption": ["x"] * 40, "similarity": [n / 40 for n in range(40)]}
        pq.write_table(pa.table(table), made / f"{shard:05}.parquet")
        (made / f"{shard:05}_stats.json").write_text("{}")
    source = open_source(str(made), home)
    assert [s.name for s in source.manifest.shards] == [f"{n:05}.tar" for n in range(3)]
    opened = open_corpus(Corpus(uri=str(made), caption="caption"), home)
    from seedbed.data.select.filters.clip_score import ClipScore

    # The score stands in the table alone.
    kept = open_corpus(
        Corpus(uri=str(made), caption="caption", filters=(ClipScore(least=0.5),)), home
    )
    assert kept.train.num_samples < opened.train.num_samples
    for shard in range(3):
        rows = opened.train.of_shard(shard)
        assert list(kept.train.of_shard(shard)) == [row for row in rows if row / 40 >= 0.5]
