"""One driver a study in a bucket. Oracle: a real server, and second processes that are killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from typing import Any

import pytest

from seedbed.errors import DataError, StudyHeldError
from seedbed.storage.client import client
from seedbed.storage.folder import Folder
from seedbed.storage.held import LOCK_NAME
from seedbed.storage.lease import study_lease
from seedbed.storage.lock import study_lock
from seedbed.storage.objects import exists, write_object
from seedbed.storage.s3 import get, write_if

pytestmark = [pytest.mark.s3, pytest.mark.timeout(120)]

HOLD = """
import sys
from seedbed.storage.lease import study_lease
from seedbed.storage.folder import Folder
with study_lease(Folder(sys.argv[1]), lease_seconds=float(sys.argv[2]), beat_seconds=0.5):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(second_process: Any) -> Any:
    """A second process that holds the study until it is told to go, or is killed."""
    return lambda place, lease_seconds: second_process(HOLD, place, str(lease_seconds))


@pytest.fixture
def place(s3: dict[str, str]) -> str:
    return f"s3://corpus/{uuid.uuid4().hex}/study"


def test_the_server_keeps_both_conditions(place: str) -> None:
    uri = f"{place}/one"
    first = write_if(uri, b"1", etag=None)
    assert first and write_if(uri, b"2", etag=None) is None
    second = write_if(uri, b"3", etag=first)
    assert second and write_if(uri, b"4", etag=first) is None
    found = get(uri)
    assert found is not None and (found.body, found.etag) == (b"3", second)
    assert 0 <= found.age_seconds < 10
    assert get(f"{place}/none") is None and write_if(f"{place}/none", b"", etag=first) is None
    with pytest.raises(DataError, match="there is no bucket 'nowhere'"):
        get("s3://nowhere/x")


def test_a_second_driver_is_refused_with_the_name_of_the_first(holder: Any, place: str) -> None:
    with (
        holder(place, lease_seconds=60) as other,
        pytest.raises(StudyHeldError) as caught,
        study_lock(Folder(place)),
    ):
        pass
    words = str(caught.value)
    assert f"process {other.pid} on {socket.gethostname()}, since 20" in words
    assert "study 'study' is being run into s3://corpus/" in words
    assert f"the lock is {place}/{LOCK_NAME}" in words


def test_of_two_at_once_one_is_refused(place: str) -> None:
    command = [sys.executable, "-c", HOLD, place, "60"]
    both = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        end = time.monotonic() + 60
        while all(process.poll() is None for process in both) and time.monotonic() < end:
            time.sleep(0.1)
        (lost,) = [process for process in both if process.poll() is not None]
        (won,) = [process for process in both if process is not lost]
        assert won.stdout is not None and won.stdout.readline() == "held\n"
        assert lost.stderr is not None and f"process {won.pid} on" in lost.stderr.read()
        won.communicate("\n", timeout=30)
        assert won.returncode == 0
    finally:
        for process in both:
            process.kill()
            process.communicate()
    assert not exists(f"{place}/{LOCK_NAME}")


def test_a_driver_that_was_killed_is_followed_when_its_lease_has_run_out(
    holder: Any, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with holder(place, lease_seconds=6) as other:
        other.kill()
        other.wait()
        began = time.monotonic()
        with study_lease(Folder(place)):
            assert 2 < time.monotonic() - began < 15
            assert f"process {other.pid} on" in capsys.readouterr().err
            found = get(f"{place}/{LOCK_NAME}")
            assert found is not None and json.loads(found.body)["pid"] == os.getpid()
    assert not exists(f"{place}/{LOCK_NAME}")


def test_a_driver_whose_lease_was_taken_stops_and_says_by_whom(place: str) -> None:
    with (
        pytest.raises(StudyHeldError, match="by process 7 on elsewhere"),
        study_lease(Folder(place), beat_seconds=0.2),
    ):
        other = {"pid": 7, "host": "elsewhere", "since": "now", "token": "x"}
        write_object(f"{place}/{LOCK_NAME}", json.dumps(other).encode())
        time.sleep(30)  # until Ctrl-C comes
        pytest.fail("nothing stopped us")
    assert exists(f"{place}/{LOCK_NAME}")  # it is the other's


def test_a_store_that_is_away_for_a_while_costs_nobody_the_lease(flaky_s3: Any, place: str) -> None:
    with study_lease(Folder(place), beat_seconds=0.2):
        flaky_s3.away = True
        time.sleep(1.5)
        flaky_s3.away = False
        time.sleep(1.5)
        found = get(f"{place}/{LOCK_NAME}")
        assert found is not None and json.loads(found.body)["beat"] > 2
    assert not exists(f"{place}/{LOCK_NAME}")


def test_a_server_that_ignores_conditions_is_a_caution_and_refuses_all_the_same(
    place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real server keeps them, so they are left out of this process' requests."""

    def without(request: Any, **_: Any) -> None:
        del request.headers["If-None-Match"], request.headers["If-Match"]

    events = client().meta.events
    events.register("before-sign.s3.PutObject", without)
    try:
        with study_lease(Folder(place), beat_seconds=0.2):
            assert "ignores conditional writes" in capsys.readouterr().err
            time.sleep(1)
            command = [sys.executable, "-c", HOLD, place, "60"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert f"by process {os.getpid()} on" in done.stderr
    finally:
        events.unregister("before-sign.s3.PutObject", without)
    assert not exists(f"{place}/{LOCK_NAME}")
