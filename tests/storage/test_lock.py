"""One driver a study. Oracle: second processes that hold the lock, are killed, or are refused."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from seedbed.errors import StudyError, StudyHeldError
from seedbed.storage.folder import Folder
from seedbed.storage.held import LOCK_NAME
from seedbed.storage.lock import file_lock, study_lock

HOLD = """
import sys
from seedbed.storage.lock import study_lock
from seedbed.storage.folder import Folder
with study_lock(Folder(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""
STUDY = """
from seedbed import Factor, Recipe, Study, main
from seedbed.variants import CLIP

study = Study(
    name="held",
    question="?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
    scales={"smoke": {"image.name": "test_resnet"}},
)

if __name__ == "__main__":
    main(study)
"""


@pytest.fixture
def holder(second_process: Any) -> Any:
    """A second process that holds the study until it is told to go, or is killed."""
    return lambda folder: second_process(HOLD, str(folder))


def take(folder: Path) -> None:
    with study_lock(Folder(str(folder))):
        pass


def test_a_second_process_is_told_who_holds_the_study_and_what_to_do(
    holder: Any, tmp_path: Path
) -> None:
    with holder(tmp_path / "s") as other, pytest.raises(StudyHeldError) as caught:
        take(tmp_path / "s")
    words = str(caught.value)
    assert f"process {other.pid} on {socket.gethostname()}, since 20" in words
    assert "'s' is being run into" in words
    assert "wait" in words
    assert "--storage" in words


def test_a_lock_that_is_removed_while_it_is_waited_for_is_taken_anew(
    second_process: Any, tmp_path: Path
) -> None:
    path = tmp_path / LOCK_NAME
    code = """
import sys
from pathlib import Path
from seedbed.storage.lock import file_lock
with file_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
    Path(sys.argv[1]).unlink()
"""
    with second_process(code, str(path)) as other:

        def go(holder: object) -> None:
            """The file is open here, and its lock is about to be waited for."""
            other.stdin.write("\n")
            other.stdin.flush()

        with file_lock(path, held=go):
            assert str(os.getpid()) in path.read_text()


def test_another_study_and_another_folder_are_free(holder: Any, tmp_path: Path) -> None:
    with holder(tmp_path / "a" / "s"):
        take(tmp_path / "a" / "t")
        take(tmp_path / "b" / "s")


def test_a_killed_driver_frees_the_study(holder: Any, tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        other.kill()
        other.wait()
        assert str(other.pid) in (tmp_path / LOCK_NAME).read_text()  # it had no time to tidy up
        take(tmp_path)


def test_what_the_driver_starts_does_not_keep_the_lock(tmp_path: Path) -> None:
    code = HOLD.replace(
        "    sys.stdin",
        "    import os; os.fork() or (sys.stdin.readline(), os._exit(0))\n    sys.stdin",
    )
    ours, theirs = os.pipe()
    driver = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=ours,
        stdout=subprocess.PIPE,
        text=True,
    )
    with driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "held\n"
        with pytest.raises(StudyHeldError):
            take(tmp_path)
        driver.kill()
        driver.wait()
        take(tmp_path)  # the child waits still
        os.close(theirs)


def test_the_lock_is_free_again_after_an_error(holder: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyError), study_lock(Folder(str(tmp_path))):
        raise KeyError
    with holder(tmp_path):
        pass
    assert (tmp_path / LOCK_NAME).exists()


def test_a_disk_without_locks_is_a_caution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one fault that cannot be made for real here: what such a disk answers stands in."""

    def without(*arguments: object) -> NoReturn:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", without)
    with study_lock(Folder(str(tmp_path))):
        assert re.search(r"caution .*without locks \(No locks available\)", capsys.readouterr().err)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="cannot be written"):
        take(tmp_path / "file" / "s")


@pytest.mark.slow
def test_a_second_driver_ends_at_once_with_status_75_and_touches_nothing(
    holder: Any, home: Path, tmp_path: Path, shapes: Path
) -> None:
    (tmp_path / "held.py").write_text(STUDY)
    arguments = ("--data", str(shapes), "--scale", "smoke")
    with holder(home / "results" / "held") as other:
        done = subprocess.run(
            [sys.executable, str(tmp_path / "held.py"), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 75, done.stderr
    assert f"is being run into {home / 'results'} by process {other.pid} on" in done.stderr
    assert "Traceback" not in done.stderr
    assert "ray " not in done.stderr
    assert done.stdout == ""
    assert [path.name for path in (home / "results" / "held").iterdir()] == [LOCK_NAME]
    assert not (home / "mlflow.db").exists()
