"""The store that runs are tracked in: whether it can be used, and a client for it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from seedbed.errors import TrackingAwayError, TrackingError, first_line, nearest
from seedbed.storage.lock import file_lock
from seedbed.track.mlflow.address import (
    artifact_location,
    default_tracking_uri,
    redacted,
    sqlite_path,
)

DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
SCHEMES = ("http", "https", "sqlite", *DATABASE_PORTS)
SQLITE_MAGIC = b"SQLite format 3\x00"  # https://www.sqlite.org/fileformat.html, section 1.3


def client(uri: str) -> Any:
    """An `MlflowClient` for `uri`, and nothing global: no active run, no current experiment."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def check_tracking(uri: str, *, timeout_s: float = 5.0) -> None:
    """Raise TrackingError when `uri` cannot be used, within some `timeout_s` and a second."""
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme in ("", "file"):
        raise TrackingError(
            f"the tracking URI is {redacted(uri)!r}, a folder of files",
            why="MLflow 3.17 no longer writes its file store",
            mend=f"give a server's http:// address or a database: {default_tracking_uri()}",
        )
    if scheme not in SCHEMES:
        raise TrackingError(
            f"the tracking URI {redacted(uri)!r} begins with '{scheme}'",
            why="no tracking store of that kind is supported",
            mend=nearest(scheme, SCHEMES),
        )
    if scheme == "sqlite":
        _check_sqlite(uri)
    elif scheme in DATABASE_PORTS:
        _check_port(uri, DATABASE_PORTS[scheme], timeout_s)
    else:
        _check_server(uri, timeout_s)


def prepare_store(uri: str, experiment: str, *, timeout_s: float = 5.0) -> str:
    """Create the database and the experiment where they are missing; the experiment's id.

    For the driver, before anything starts: two processes that open a fresh sqlite at once break
    its schema migration, so this happens under a file lock. Raises TrackingError.
    """
    check_tracking(uri, timeout_s=timeout_s)
    with _explained(uri):
        return experiment_id(uri, experiment)


def find_experiment(uri: str, name: str, *, timeout_s: float = 5.0) -> str:
    """The id of the experiment `name`, for readers: nothing is created.

    Raises TrackingError where there is none.
    """
    path = sqlite_path(uri)
    # Checked first: MLflow would create a missing database.
    if path is not None and path.is_absolute() and _is_missing(path):
        raise _never_ran(name, uri, f"there is no database {path}")
    check_tracking(uri, timeout_s=timeout_s)
    with _explained(uri):
        mlflow = client(uri)
        experiment = mlflow.get_experiment_by_name(name)
        if experiment is None:
            names = [experiment.name for experiment in mlflow.search_experiments()]
            raise _never_ran(
                name,
                uri,
                "a study has an experiment of its name from its first run on, and there is none",
                nearest(name, names),
            )
    return _active(experiment, name, uri)


def _is_missing(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except (FileNotFoundError, NotADirectoryError):
        return True


def _never_ran(study: str, uri: str, why: str, hint: str = "") -> TrackingError:
    mend = "run the study first, or give the --tracking-uri (MLFLOW_TRACKING_URI) it ran with"
    return TrackingError(
        f"there are no runs of study '{study}' at {redacted(uri)}",
        why=why,
        mend=f"{mend}. {hint}".rstrip(". ") + ("." if hint else ""),
    )


@contextlib.contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Raise TrackingError for what MLflow raises when it opens a store."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        outdated = "out-of-date database schema" in str(error)
        raise TrackingError(
            f"the tracking store {redacted(uri)} cannot be opened",
            why=redacted(first_line(error)),
            mend=f"back it up and run: mlflow db upgrade {redacted(uri)}"
            if outdated
            else "mend the store, or give another with --tracking-uri",
        ) from None


def experiment_id(uri: str, name: str) -> str:
    """The id of the experiment `name`, created when there is none.

    Raises TrackingError when it was deleted, and MLflow's own errors.
    """
    from mlflow.exceptions import MlflowException

    path = sqlite_path(uri)
    with _locked(path) if path else contextlib.nullcontext():
        mlflow = client(uri)
        experiment = mlflow.get_experiment_by_name(name)
        if experiment is None:
            try:
                return str(mlflow.create_experiment(name, artifact_location(uri, name)))
            except MlflowException:
                experiment = mlflow.get_experiment_by_name(name)  # somebody else was quicker
                if experiment is None:
                    raise
    return _active(experiment, name, uri)


def _active(experiment: Any, name: str, uri: str) -> str:
    """The id of the experiment `found`. Raises TrackingError when it was deleted."""
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"the experiment '{name}' was deleted at {redacted(uri)}",
            why="MLflow keeps a deleted experiment's name and takes no runs for it",
            mend=f"run: mlflow experiments restore --experiment-id {experiment.experiment_id}",
        )
    return str(experiment.experiment_id)


def _locked(database: Path) -> contextlib.AbstractContextManager[None]:
    return file_lock(database.with_name(database.name + ".lock"))


def _check_sqlite(uri: str) -> None:
    path = sqlite_path(uri)
    if path is None or not path.is_absolute():
        raise TrackingError(
            f"the tracking URI {uri!r} is not an absolute path",
            why="a job runs in a temporary copy of the directory, and what it writes there is lost",
            mend=f"give four slashes and the whole path: {default_tracking_uri()}",
        )
    why = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            why = "it is a folder"
        elif path.exists():
            with path.open("r+b") as file:  # also finds a file that cannot be written
                if file.read(len(SQLITE_MAGIC)) not in (SQLITE_MAGIC, b""):
                    why = "it is a file of another kind"
        else:
            with _locked(path):
                pass
    except FileExistsError:
        why = f"{path.parent} is a file"
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise TrackingError(
            f"the tracking database {path} cannot be used",
            why=why,
            mend=f"give a path that can be written, as in {default_tracking_uri()}",
        )


def _check_port(uri: str, default_port: int, timeout_s: float) -> None:
    parts = urlsplit(uri)
    host, port = parts.hostname or "localhost", parts.port or default_port
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except OSError as error:
        raise TrackingAwayError(
            f"the tracking database {redacted(uri)} does not answer",
            why=f"{host}:{port}: {error}",
            mend="start it, or give another with --tracking-uri",
        ) from None


def _check_server(uri: str, timeout_s: float) -> None:
    """One small request to the API itself: /health is missing behind some proxies."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    endpoint = "/api/2.0/mlflow/experiments/search"
    try:
        answer = http_request(
            get_default_host_creds(uri.rstrip("/")),
            endpoint,
            "POST",
            json={"max_results": 1},
            max_retries=0,
            timeout=timeout_s,
            raise_on_status=False,
        )
    except Exception as error:
        reason = error.__context__ or error
        raise TrackingAwayError(
            f"the MLflow server {redacted(uri)} does not answer",
            why=redacted(first_line(reason))[:300],
            mend=f"start it or correct the address; without one: {default_tracking_uri()}",
        ) from None
    if answer.status_code in (401, 403):
        raise TrackingError(
            f"the MLflow server {redacted(uri)} refuses us ({answer.status_code})",
            why="it wants credentials",
            mend="set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD",
        )
    if answer.status_code != 200 or not answer.text.lstrip().startswith("{"):
        raise TrackingError(
            f"{redacted(uri)} is not an MLflow server",
            why=f"{endpoint} answered {answer.status_code}: {answer.text[:80]!r}",
            mend="give the address that shows MLflow's pages, with its path if it has one",
        )
