"""The secrets of a cluster on this machine: files that nobody else may read, and nothing else.

They lie in a home folder of the cluster's own, each where its clients look for it. So none is in an
environment, which Ray passes on and shows (Ray Tune copies `AWS_SECRET_ACCESS_KEY` into the runtime
environments of its actors).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ADMIN = "admin"


def write_secret(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, from its first byte on."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


@dataclass(frozen=True)
class Credentials:
    """Made once, and kept in `home`."""

    home: Path

    def __post_init__(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.home.chmod(0o700)

    @property
    def ray_token_path(self) -> Path:
        return self.home / ".ray" / "auth_token"

    @property
    def password_path(self) -> Path:
        """For MLflow's clients."""
        return self.home / ".mlflow" / "credentials"

    @property
    def pgpass_path(self) -> Path:
        return self.home / ".pgpass"

    def ray_token(self) -> str:
        return self._kept("ray_token")

    def mlflow_password(self) -> str:
        return self._kept("mlflow_password")

    def mlflow_secret_key(self) -> str:
        return self._kept("mlflow_secret_key")

    def postgres_password(self) -> str:
        return self._kept("postgres_password")

    def s3_keys(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": self._kept("s3_secret"),
        }

    def every(self) -> dict[str, str]:
        """All secrets, by name."""
        return {path.name: path.read_text() for path in sorted((self.home / "secrets").iterdir())}

    def write(self, pass_line: str) -> None:
        """Put each where its clients look: Ray, MLflow, AWS and Postgres' own."""
        keys = self.s3_keys()
        write_secret(self.ray_token_path, self.ray_token())
        write_secret(self.pgpass_path, pass_line)
        mlflow = {
            "mlflow_tracking_username": ADMIN,
            "mlflow_tracking_password": self.mlflow_password(),
        }
        write_secret(self.password_path, _ini("mlflow", mlflow))
        aws = {name.lower(): value for name, value in keys.items()}
        write_secret(self.home / ".aws" / "credentials", _ini("default", aws))

    def _kept(self, name: str) -> str:
        path = self.home / "secrets" / name
        if not path.exists():
            write_secret(path, secrets.token_hex(32))
        return path.read_text()


def _ini(section: str, values: Mapping[str, str]) -> str:
    return f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())
