"""Copies that processes share. Oracles: fetches counted in a file, processes that live or end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from seedbed.storage.copies import KEPT, forget_copy, shared_copy
from seedbed.storage.scratch import remove_stale

ASK = """
import pathlib, sys, tempfile, time
tempfile.tempdir = sys.argv[1]
from seedbed.storage.copies import shared_copy
def fetch(target):
    with open(sys.argv[2], "a") as fetched:
        fetched.write("fetched\\n")
    target.write_bytes(b"half")
    time.sleep(0.3)
    target.write_bytes(b"the whole file")
path = shared_copy("s3://bucket/results/a.arrow", "e1", fetch)
assert path.read_bytes() == b"the whole file" and path.name == "a.arrow"
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def test_processes_that_ask_at_a_time_fetch_once_and_the_copy_goes_with_the_last_of_them(
    place: Path, tmp_path: Path
) -> None:
    fetched = tmp_path / "fetched"
    command = [sys.executable, "-c", ASK, str(place), str(fetched)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    several = [subprocess.Popen(command, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    for process in several:
        assert process.stdout.readline() == "held\n"
    assert fetched.read_text() == "fetched\n"
    (folder,) = place.iterdir()
    several[0].kill()
    several[0].wait()
    several[1].communicate("\n")
    remove_stale()
    assert (folder / "a.arrow").read_bytes() == b"the whole file"
    several[2].communicate("\n")
    assert list(place.iterdir()) == []


def test_what_killed_processes_held_is_found_stale(
    place: Path,
    tmp_path: Path,
    second_process: Callable[..., AbstractContextManager[subprocess.Popen[str]]],
) -> None:
    with second_process(ASK, str(place), str(tmp_path / "fetched")) as killed:
        killed.kill()
        killed.wait()
        assert len(list(place.iterdir())) == 1
        remove_stale()
    assert list(place.iterdir()) == []


def test_another_etag_is_another_copy_a_forgotten_one_is_fetched_anew_and_few_are_kept(
    place: Path,
) -> None:
    fetched: list[str] = []

    def ask(name: str, etag: str) -> Path:
        def fetch(target: Path) -> None:
            fetched.append(f"{name}{etag}")
            target.write_text(f"{name}{etag}")

        path = shared_copy(f"s3://bucket/{name}", etag, fetch)
        assert path.read_text() == f"{name}{etag}"
        return path

    assert ask("a", "1") == ask("a", "1")
    assert ask("a", "2") != ask("a", "1")
    assert fetched == ["a1", "a2"]
    forget_copy("s3://bucket/a", "1")
    ask("a", "1")
    assert fetched == ["a1", "a2", "a1"]
    paths = [ask("b", str(number)) for number in range(KEPT + 1)]
    assert [path.exists() for path in paths] == [False, *[True] * KEPT]
    assert len(list(place.iterdir())) == KEPT


def test_a_fetch_that_fails_leaves_nothing_that_looks_whole(place: Path) -> None:
    def broken(target: Path) -> None:
        target.write_bytes(b"half")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        shared_copy("s3://bucket/a", "1", broken)
    path = shared_copy("s3://bucket/a", "1", lambda target: target.write_bytes(b"whole"))
    assert path.read_bytes() == b"whole"
