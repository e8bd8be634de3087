"""Folders that outlive nobody. Oracle: processes that hold one, live on, or are killed."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from seedbed.storage.scratch import PREFIX, remove_stale, scratch_folder

HOLD = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from seedbed.storage.scratch import scratch_folder
with scratch_folder() as folder:
    open(folder + "/state", "w").close()
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_nothing_is_left_of_a_folder_even_by_an_error(place: Path) -> None:
    with pytest.raises(KeyError), scratch_folder() as folder:
        (Path(folder) / "state").touch()
        assert Path(folder).name.startswith(PREFIX)
        raise KeyError
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_nothing_of_one_that_lives(
    place: Path, second_process: Callable[..., AbstractContextManager[subprocess.Popen[str]]]
) -> None:
    with second_process(HOLD, str(place)) as killed:
        (of_killed,) = place.iterdir()
        with second_process(HOLD, str(place)):
            (of_living,) = set(place.iterdir()) - {of_killed}
            killed.kill()
            killed.wait()
            assert (of_killed / "state").exists()
            with scratch_folder() as ours:
                remove_stale()
                assert set(place.iterdir()) == {of_living, Path(ours)}
                assert (of_living / "state").exists()
            assert list(place.iterdir()) == [of_living]
