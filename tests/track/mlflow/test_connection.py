"""Oracle: real files, real ports, a real web server that is not MLflow's, real processes."""

from __future__ import annotations

import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seedbed.errors import TrackingError
from seedbed.track.mlflow.address import default_tracking_uri, redacted
from seedbed.track.mlflow.connection import check_tracking, client, prepare_store

pytestmark = pytest.mark.slow

World = Any  # conftest.World


class Pages(http.server.BaseHTTPRequestHandler):
    """Any web server: a page for every path, or 401 where it says so."""

    def do_POST(self) -> None:
        self.send_response(401 if self.path.startswith("/locked") else 200)
        self.end_headers()
        self.wfile.write(b"<html>Ray Dashboard</html>")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def pages() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def silent() -> Iterator[str]:
    """A port that takes a connection and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_default_is_an_absolute_database_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEDBED_HOME", str(tmp_path))
    assert default_tracking_uri() == f"sqlite:///{tmp_path}/mlflow.db"
    assert default_tracking_uri().startswith("sqlite:////")
    check_tracking(default_tracking_uri())


@pytest.mark.parametrize("uri", ["", "mlruns", "./mlruns", "/tmp/mlruns", "file:///tmp/mlruns"])
def test_a_folder_of_files_is_refused_for_what_it_is(uri: str) -> None:
    with pytest.raises(TrackingError, match="a folder of files"):
        check_tracking(uri)


def test_an_unknown_scheme_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(TrackingError, match="Did you mean 'http'"):
        check_tracking("htp://localhost:5000")


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "sqlite://", "sqlite:///:memory:"])
def test_a_database_that_depends_on_the_working_directory_is_refused(uri: str) -> None:
    with pytest.raises(TrackingError, match="four slashes"):
        check_tracking(uri)


def test_a_path_that_cannot_hold_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database")
    with pytest.raises(TrackingError, match="a file of another kind"):
        check_tracking(f"sqlite:///{tmp_path}/notes.txt")
    with pytest.raises(TrackingError, match="it is a folder"):
        check_tracking(f"sqlite:///{tmp_path}")
    with pytest.raises(TrackingError, match=r"notes\.txt is a file"):
        check_tracking(f"sqlite:///{tmp_path}/notes.txt/mlflow.db")
    with pytest.raises(TrackingError, match="cannot be used"):
        check_tracking("sqlite:////proc/nowhere/mlflow.db")


def test_a_server_that_does_not_answer_is_found_out_soon(silent: str) -> None:
    for uri in (f"http://127.0.0.1:{closed_port()}", silent):
        start = time.monotonic()
        with pytest.raises(TrackingError, match="does not answer"):
            check_tracking(uri, timeout_s=1)
        assert time.monotonic() - start < 30  # MLflow's own retries take minutes


def test_a_database_server_that_does_not_answer_is_named_without_its_password() -> None:
    uri = f"postgresql+psycopg2://me:hunter2@127.0.0.1:{closed_port()}/mlflow"
    with pytest.raises(TrackingError, match="does not answer") as raised:
        check_tracking(uri, timeout_s=1)
    assert "hunter2" not in str(raised.value)


def test_another_web_server_is_not_taken_for_mlflow(pages: str) -> None:
    with pytest.raises(TrackingError, match="is not an MLflow server"):
        check_tracking(pages)


def test_a_server_that_wants_credentials_is_told_from_a_dead_one(pages: str) -> None:
    with pytest.raises(TrackingError, match="MLFLOW_TRACKING_TOKEN"):
        check_tracking(f"{pages}/locked")


def test_secrets_in_addresses_are_left_out() -> None:
    text = "cannot reach https://me:hunter2@host/a?token=abc (or 'mysql://u:p@db/x')"
    assert redacted(text) == "cannot reach https://host/a (or 'mysql://db/x')"


def test_a_deleted_experiment_is_an_error_that_says_how_to_restore_it(world: World) -> None:
    experiment = world.mlflow.get_experiment_by_name("text_depth").experiment_id
    world.mlflow.delete_experiment(experiment)
    with pytest.raises(TrackingError, match=f"restore --experiment-id {experiment}"):
        prepare_store(world.uri, "text_depth")


def test_a_database_of_another_mlflow_is_an_error_that_says_how_to_upgrade_it(
    world: World, tmp_path: Path
) -> None:
    import sqlite3

    old = tmp_path / "old.db"
    old.write_bytes(Path(world.uri.removeprefix("sqlite:///")).read_bytes())
    with sqlite3.connect(old) as database:
        database.execute("UPDATE alembic_version SET version_num = '0123'")
    with pytest.raises(TrackingError, match="mlflow db upgrade"):
        prepare_store(f"sqlite:///{old}", "text_depth")


def test_the_experiment_is_created_once_and_its_files_lie_beside_the_database(
    world: World, tmp_path: Path
) -> None:
    first = prepare_store(world.uri, "another study")
    assert prepare_store(world.uri, "another study") == first
    found = world.mlflow.get_experiment(first)
    assert found.artifact_location == f"file://{tmp_path}/mlartifacts/another_study"


def test_many_processes_may_open_a_fresh_database_at_once(tmp_path: Path) -> None:
    uri = default_tracking_uri(tmp_path / "a home")
    code = (
        "import sys; from seedbed.track.mlflow.connection import prepare_store;"
        "sys.stdin.readline(); print(prepare_store(sys.argv[1], 'study'))"
    )
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, uri]
    ready = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(4)
    ]
    for process in ready:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outs = [process.communicate(timeout=300) for process in ready]
    assert [process.returncode for process in ready] == [0] * 4, outs
    assert len({out for out, _ in outs}) == 1
    assert len(client(uri).search_experiments(filter_string="name = 'study'")) == 1
