"""Who may use the Ray that we start or join. Oracle: other processes that try, with real Rays."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seedbed.cluster.connect import AUTH_MODE, IN_JOB, TOKEN, TOKEN_PATH, authenticate, connect
from seedbed.errors import ResourceError

CONNECT = """
import ray
from seedbed.cluster.connect import connect
print(connect(), flush=True)
print(ray.get(ray.remote(lambda: "task done").remote()), flush=True)
print(ray.get_runtime_context().gcs_address, flush=True)
input()
"""
JOIN = """
import sys
from seedbed.errors import SeedbedError
from seedbed.cluster.connect import connect
import ray
try:
    print(connect())
    print(ray.get(ray.remote(lambda: "task done").remote()))
except SeedbedError as error:
    print("refused:", error)
"""


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """An environment that says nothing of authentication, in a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (AUTH_MODE, TOKEN, TOKEN_PATH, IN_JOB, "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return dict(os.environ)


@contextmanager
def started(environment: dict[str, str]) -> Iterator[tuple[list[str], str]]:
    """A driver with a private Ray: what it said, and the address."""
    process = subprocess.Popen(
        [sys.executable, "-c", CONNECT],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(3)]
        try:
            yield lines[:2], lines[2]
        finally:
            process.communicate("\n", timeout=60)


def join(address: str, *environments: dict[str, str]) -> list[str]:
    """What those say who try to join at the same time."""
    tries = [
        subprocess.Popen(
            [sys.executable, "-c", JOIN],
            env=environment | {"RAY_ADDRESS": address},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for environment in environments
    ]
    return [one.communicate(timeout=120)[0] for one in tries]


@pytest.mark.slow
@pytest.mark.ray
def test_a_private_ray_refuses_whoever_has_not_its_token_and_leaves_none_behind(
    bare: dict[str, str], tmp_path: Path
) -> None:
    with started(bare) as (said, address):
        assert said == [
            "a private Ray on this machine (RAY_ADDRESS joins another)",
            "task done",
        ]
        for told in join(address, bare | {AUTH_MODE: "disabled"}, bare | {TOKEN: "f" * 64}):
            assert f"refused: the Ray cluster at {address} cannot be joined" in told
    assert not (tmp_path / ".ray").exists()


@pytest.mark.slow
@pytest.mark.ray
def test_a_cluster_that_wants_a_token_is_joined_with_the_one_in_the_home(
    bare: dict[str, str], tmp_path: Path
) -> None:
    with started(bare | {TOKEN: "0123456789abcdef" * 4, AUTH_MODE: "token"}) as (_, address):
        (told,) = join(address, bare)
        assert "would be joined without a token" in told
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("0123456789abcdef" * 4)
        (told,) = join(address, bare)
        assert f"the Ray cluster at {address}\ntask done\n" in told


@pytest.mark.slow
@pytest.mark.ray
def test_an_open_cluster_is_joined_only_where_somebody_says_so(bare: dict[str, str]) -> None:
    with started(bare | {AUTH_MODE: "disabled"}) as (_, address):
        environments = bare | {TOKEN: "f" * 64}, bare | {AUTH_MODE: "disabled"}
        refused, joined = join(address, *environments)
        assert f"refused: the Ray cluster at {address} is open" in refused
        assert f"the Ray cluster at {address}\ntask done\n" in joined


def test_a_cluster_is_not_joined_without_a_token_unless_somebody_says_so(
    bare: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ResourceError, match="without a token") as caught:
        authenticate("10.0.0.1:6379")
    assert "RAY_AUTH_MODE=disabled" in caught.value.mend
    assert AUTH_MODE not in os.environ
    monkeypatch.setenv(AUTH_MODE, "disabled")
    authenticate("10.0.0.1:6379")
    assert os.environ[AUTH_MODE] == "disabled"


def test_a_submitted_job_keeps_what_its_cluster_gave_it(
    bare: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(IN_JOB, "{}")
    authenticate("10.0.0.1:6379")
    assert AUTH_MODE not in os.environ


@pytest.mark.parametrize("address", ["http://127.0.0.1:8265", "https://ray.example.org"])
def test_where_a_cluster_takes_jobs_is_not_joined(
    bare: dict[str, str], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setenv(AUTH_MODE, "disabled")
    with pytest.raises(ResourceError, match="ray job submit"):
        connect()
