"""Addresses of tracking stores: the default, what lies beside a database, and what is secret."""

from __future__ import annotations

import re
from pathlib import Path

from seedbed.home import home as seedbed_home

SQLITE = "sqlite:///"  # and then the path, so four slashes for an absolute one


def default_tracking_uri(home: Path | None = None) -> str:
    """The sqlite database in the home folder, as an absolute URI."""
    return f"{SQLITE}{(home or seedbed_home()).absolute() / 'mlflow.db'}"


def sqlite_path(uri: str) -> Path | None:
    """The database file of an sqlite URI, else None."""
    return Path(uri.removeprefix(SQLITE).partition("?")[0]) if uri.startswith(SQLITE) else None


def artifact_location(uri: str, experiment: str) -> str | None:
    """The folder of an experiment's artifacts: beside an sqlite database, else the server's.

    Absolute, since MLflow would otherwise take `mlruns` in whichever directory it is started.
    """
    path = sqlite_path(uri)
    if path is None:
        return None
    return (path.parent / "mlartifacts" / re.sub(r"[^\w.-]", "_", experiment)).as_uri()


def redacted(text: str) -> str:
    """`text` without what may be secret in a URI: its user and password, and its query."""
    text = re.sub(r"(?<=://)[^/@\s'\"]+@", "", text)
    return re.sub(r"(://[^\s?'\"]*)\?[^\s'\"]+", r"\1", text)
