"""An index that is interrupted. Oracle: one that is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.shards.kept.corpora import write_corpus

from seedbed.data.shards.index import Index, index_source
from seedbed.data.shards.kept import part as parts
from seedbed.data.shards.kept import stock
from seedbed.data.shards.kept import writer as writing
from seedbed.data.shards.kept.bad import BAD_NAME
from seedbed.data.shards.kept.part import part_of
from seedbed.data.shards.kept.stock import INDEX_NAME
from seedbed.data.shards.kept.table import RowTable
from seedbed.storage import s3 as store
from seedbed.storage.objects import read_object, write_object

SIZES = [5, 3, 8, 2, 6, 4, 7, 1, 9, 5, 3, 6]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve shards, of which about three fill a part."""
    monkeypatch.setattr(parts, "PART_BYTES", 900)
    return write_corpus(tmp_path / "pairs", SIZES, 0)


def indexed(folder: Path, kept: Path, spread: Any = None) -> Index:
    places = [str(kept)]
    return index_source(str(folder), places, places, **({"spread": spread} if spread else {}))


def held(place: Path) -> dict[str, bytes]:
    """What is kept in a place, but for the mark of an index under way."""
    files = (path for path in place.rglob("*") if path.is_file() and path.name != "begun")
    return {str(path.relative_to(place)): path.read_bytes() for path in files}


class StoppedError(Exception):
    """In the place of whatever ends a process."""


def stopping(after: int, read: list[str]) -> Callable[..., Iterator[Any]]:
    """Reads `after` shards, and stops; notes which."""

    def spread(work: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Any]:
        for number, job in enumerate(jobs):
            if number == after:
                raise StoppedError
            read.append(job.name)
            yield work(job)

    return spread


def test_stopped_after_any_shard_it_goes_on_and_ends_alike(folder: Path, tmp_path: Path) -> None:
    whole = indexed(folder, tmp_path / "whole")
    oracle = held(tmp_path / "whole")
    assert sum(name.endswith(".arrow") for name in oracle) > 3
    for after in range(len(SIZES)):
        kept, read = tmp_path / f"{after}", list[str]()
        with pytest.raises(StoppedError):
            indexed(folder, kept, stopping(after, read))
        assert INDEX_NAME not in held(kept)
        again = indexed(folder, kept, stopping(len(SIZES), read))
        assert again.shards == whole.shards
        assert held(kept) == oracle
        assert sorted(read) == [shard.name for shard in whole.shards]  # each once
        assert again.num_read == len(SIZES) - after


def test_stopped_again_and_again_it_ends_alike(folder: Path, tmp_path: Path) -> None:
    indexed(folder, tmp_path / "whole")
    read: list[str] = []
    for _ in SIZES[1:]:
        with pytest.raises(StoppedError):
            indexed(folder, tmp_path / "kept", stopping(1, read))
    indexed(folder, tmp_path / "kept", stopping(len(SIZES), read))
    assert len(read) == len(SIZES)
    assert held(tmp_path / "kept") == held(tmp_path / "whole")


def test_where_parts_end_does_not_depend_on_the_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed(folder, tmp_path / "whole")
    monkeypatch.setattr(writing, "SAVE_SECONDS", 0.0)  # after each shard
    indexed(folder, tmp_path / "kept")
    assert held(tmp_path / "kept") == held(tmp_path / "whole")


def test_who_opened_an_index_reads_from_it_while_it_grows(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    indexed(folder, kept)
    opened = RowTable.in_places([str(kept)])
    oracle = {name: opened[name] for name in RowTable.in_places([str(kept)]).number}
    unread = RowTable.in_places([str(kept)])  # none of its files is mapped yet
    (folder / "004.tar").unlink()
    write_corpus(tmp_path / "more", SIZES[:2], 1)
    for path in (tmp_path / "more").iterdir():
        path.rename(folder / f"9{path.name}")
    time.sleep(0.02)
    grown = indexed(folder, kept)
    assert grown.num_read == 2
    left = read_manifest(kept)["left"]
    assert left  # the part that had another shard
    for name, (digests, starts) in oracle.items():
        assert np.array_equal(unread.digests(name), digests)
        assert np.array_equal(unread.starts(name), starts)
    assert not indexed(folder, kept).num_read  # what is left is not taken for a part
    monkeypatch.setattr(stock, "LEFT_SECONDS", -1.0)
    (folder / "9000.tar").unlink()
    (folder / "9001.parquet").write_bytes((folder / "001.parquet").read_bytes())
    time.sleep(0.02)
    indexed(folder, kept)
    assert "left" not in read_manifest(kept)
    assert not any((kept / one).exists() for one in left)


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_part_that_is_not_whole_is_no_part(folder: Path, tmp_path: Path, damage: str) -> None:
    with pytest.raises(StoppedError):
        indexed(folder, tmp_path / "kept", stopping(9, []))
    first = sorted((tmp_path / "kept" / "rows").glob("*.arrow"))[0]
    content = bytearray(first.read_bytes())
    if damage == "cut":
        del content[-9:]
    else:
        content[part_of("", bytes(content)).digests_at] ^= 1
    first.write_bytes(content)
    again = indexed(folder, tmp_path / "kept")
    assert again.num_read > len(SIZES) - 9
    assert read_manifest(tmp_path / "kept")["rows"] == sum(SIZES)


def read_manifest(place: Path) -> dict[str, Any]:
    return json.loads((place / INDEX_NAME).read_text())  # type: ignore[no-any-return]


def test_shards_that_change_and_go_leave_no_rows_behind(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "LEFT_SECONDS", -1.0)  # nothing is kept for anybody
    indexed(folder, tmp_path / "kept")
    (folder / "004.tar").unlink()
    (folder / "006.tar").write_bytes((folder / "008.tar").read_bytes())
    time.sleep(0.02)
    again = indexed(folder, tmp_path / "kept")
    assert again.num_read == 1 and len(again.shards) == len(SIZES) - 1
    manifest = read_manifest(tmp_path / "kept")
    assert manifest["rows"] == sum(SIZES) - SIZES[4] - SIZES[6] + SIZES[8]
    named = {Path(one["place"]).name for one in manifest["parts"]}
    assert {path.name for path in (tmp_path / "kept" / "rows").iterdir()} == named


def test_a_damaged_part_is_told_of_and_its_shards_are_read_anew(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = indexed(folder, tmp_path / "kept")
    oracle = held(tmp_path / "kept")
    one = read_manifest(tmp_path / "kept")["parts"][1]
    path = tmp_path / "kept" / one["place"]
    for damage in (path.unlink, lambda: path.write_bytes(path.read_bytes()[:-1])):
        damage()
        again = indexed(folder, tmp_path / "kept")
        assert f"its {one['num_shards']} shards are read anew" in capsys.readouterr().err
        assert again.num_read == one["num_shards"] and again.shards == whole.shards
        assert held(tmp_path / "kept").keys() == oracle.keys()


DRIVER = """
import sys, time
from pathlib import Path
from seedbed.data.shards.kept import part, writer
from seedbed.data.shards.index import index_source
uri, kept, notes, seconds = sys.argv[1:]
part.PART_BYTES, writer.SAVE_SECONDS = 900, 0.0

def spread(work, jobs):
    for job in jobs:
        with open(notes, "a") as out:
            out.write(job.name + "\\n")
        yield work(job)
        time.sleep(float(seconds))

print(index_source(uri, [kept], [kept], spread=spread).num_read)
"""


def killed_in_the_middle(uri: str, kept: str, notes: Path) -> None:
    """SIGKILL for a driver that has read half of the shards."""
    command = [sys.executable, "-c", DRIVER, uri, kept, str(notes), "0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as driver:
        until = time.monotonic() + 60
        while not notes.exists() or len(notes.read_text().split()) < len(SIZES) // 2:
            assert driver.poll() is None and time.monotonic() < until
            time.sleep(0.01)
        os.kill(driver.pid, signal.SIGKILL)


def gone_on(uri: str, kept: str, notes: Path) -> int:
    """The rest in a new process: how many shards it read."""
    command = [sys.executable, "-c", DRIVER, uri, kept, str(notes), "0"]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.mark.slow
def test_a_driver_that_is_killed_is_gone_on_with(folder: Path, tmp_path: Path) -> None:
    indexed(folder, tmp_path / "whole")
    kept, notes = tmp_path / "kept", tmp_path / "notes"
    killed_in_the_middle(str(folder), str(kept), notes)
    assert INDEX_NAME not in held(kept)
    before = notes.read_text().split()
    assert gone_on(str(folder), str(kept), notes) <= len(SIZES) - len(before) + 1
    read = notes.read_text().split()
    assert set(read[:-1]) < set(read) and len(read) <= len(SIZES) + 1  # the one in its hands
    assert {n: c for n, c in held(kept).items() if not Path(n).name.startswith(".")} == held(
        tmp_path / "whole"
    )


@pytest.mark.slow
@pytest.mark.s3
def test_a_driver_that_is_killed_is_gone_on_with_in_a_bucket(
    folder: Path, tmp_path: Path, s3: dict[str, str]
) -> None:
    for path in sorted(folder.iterdir()):
        write_object(f"s3://corpus/killed/{path.name}", path.read_bytes())
    uri, notes = "s3://corpus/killed", tmp_path / "notes"
    whole, kept = "s3://corpus/whole/_seedbed", "s3://corpus/killed/_seedbed"
    index_source(uri, [whole], [whole])
    killed_in_the_middle(uri, kept, notes)
    before = notes.read_text().split()
    assert gone_on(uri, kept, notes) <= len(SIZES) - len(before) + 1
    assert len(notes.read_text().split()) <= len(SIZES) + 1

    def named(place: str) -> dict[str, bytes]:
        entries, _ = store.files(f"{place}/", deep=True)
        return {entry.uri.removeprefix(place): read_object(entry.uri) for entry in entries}

    assert named(kept) == named(whole)
    assert f"/{BAD_NAME}" in named(kept) and f"/{INDEX_NAME}" in named(kept)
