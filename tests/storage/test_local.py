"""The writer and the lock of a local disk. Oracle: processes that do the same at once."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from seedbed.errors import DataError
from seedbed.storage.held import Holder
from seedbed.storage.local import new_folder, read, write
from seedbed.storage.lock import file_lock

HOLD = """
import sys
from pathlib import Path
from seedbed.storage.lock import file_lock
with file_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_reader_beside_many_writers_sees_one_content_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    contents = [bytes([n]) * 100_000 for n in range(8)]
    write(path, contents[0])
    with ThreadPoolExecutor(8) as pool:
        done = pool.map(lambda content: write(path, content), contents * 4)
        seen = [read(str(path)) for _ in range(50)]
        list(done)
    assert set(seen) <= set(contents)
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be written"):
        write(tmp_path / "file" / "below", b"x")


def test_of_two_new_folders_the_first_stays_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with new_folder(target) as one, new_folder(target) as two:
        (one / "name").write_text("one")
        (two / "name").write_text("two")
    assert (target / "name").read_text() == "two"  # the inner block ended first
    with pytest.raises(KeyError), new_folder(tmp_path / "other"):
        raise KeyError
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_folder_that_is_not_whole_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with new_folder(target, is_whole=lambda folder: (folder / "name").exists()) as made:
        (made / "name").write_text("new")
    assert (target / "name").read_text() == "new"


def test_who_waits_for_a_file_lock_is_told_who_holds_it_and_then_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == "held\n"
        told: list[Holder | None] = []

        def wait(holder: Holder | None) -> None:
            told.append(holder)
            assert other.stdin is not None
            other.stdin.write("\n")
            other.stdin.flush()

        with file_lock(path, held=wait):
            assert told[0] is not None
            assert told[0].pid == other.pid
