"""What a server says of itself. Oracle: real MLflow servers, one of which wants a password."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from seedbed.cluster.doctor.check import Scope
from seedbed.cluster.doctor.checks.tracking import CHECK
from seedbed.errors import TrackingError
from seedbed.track.mlflow.connection import check_tracking
from seedbed.track.mlflow.server import is_local, lets_anyone_in, server_version

if TYPE_CHECKING:
    from tests.track.conftest import Server

pytestmark = pytest.mark.slow


def examined(uri: str) -> tuple[str, str]:
    (finding,) = CHECK.judge(Scope(tracking_uri=uri), [])
    return finding.status, finding.what


def test_one_that_anybody_may_read_says_so(server: Server) -> None:
    server.start()
    assert lets_anyone_in(server.uri) and server_version(server.uri) == version("mlflow")
    status, what = examined(server.uri)
    assert status == "ok" and "answers whoever asks, on this machine" in what


def test_one_with_a_password_refuses_who_has_none_and_tells_its_version_to_who_has_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_FLASK_SERVER_SECRET_KEY", "of this test")
    monkeypatch.setenv("MLFLOW_AUTH_ADMIN_PASSWORD", "the password of this test")
    store = f"sqlite:///{server.folder / 'mlflow.db'}"
    server.start(
        [
            *("mlflow", "server", "--app-name", "basic-auth", "--host", "127.0.0.1"),
            *("--port", str(server.port), "--backend-store-uri", store),
        ]
    )
    assert not lets_anyone_in(server.uri)
    with pytest.raises(TrackingError, match="refuses us"):
        check_tracking(server.uri)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "the password of this test")
    assert server_version(server.uri) == version("mlflow")
    status, what = examined(server.uri)
    assert status == "ok" and "wants a password" in what


@pytest.mark.parametrize(
    ("uri", "local"),
    [
        ("http://127.0.0.1:5000", True),
        ("http://localhost:5000", True),
        ("http://[::1]:5000", True),
        ("http://10.0.0.1:5000", False),
        ("https://mlflow.example.com", False),
    ],
)
def test_only_a_loopback_address_is_this_machine_s(uri: str, local: bool) -> None:
    assert is_local(uri) is local
