"""An MLflow server as on a cluster: behind a password, on Postgres, its files in a bucket."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from seedbed_local.credentials import ADMIN, Credentials, write_secret
from seedbed_local.postgres import Postgres
from seedbed_local.s3 import S3Server
from seedbed_local.service import Service, free_ports

DATABASES = ("mlflow", "mlflow_auth")  # its runs, and who may read and write them
# Checking a password takes 50 ms of a core, at every request.
CACHE_SECONDS = 60


def connections(workers: int, pool_size: int, max_overflow: int) -> int:
    """What a server of so many workers may open at most; one more pool is that of its users."""
    return workers * (pool_size + max_overflow + 15) + 10


class MlflowServer(Service):
    """`mlflow server --app-name basic-auth`, on `port` or a free one.

    A worker's pool has `pool_size` connections and `max_overflow` beyond: MLflow's own 5 and 10
    lose runs where 32 processes write at once.
    """

    name = "mlflow"

    def __init__(
        self,
        folder: Path,
        credentials: Credentials,
        postgres: Postgres,
        s3: S3Server,
        *,
        port: int = 0,
        workers: int = 2,
        pool_size: int = 30,
        max_overflow: int = 20,
        marks: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, marks)
        self.credentials, self.postgres, self.s3 = credentials, postgres, s3
        self.port = port or free_ports(1)[0]
        self.workers, self.pool_size, self.max_overflow = workers, pool_size, max_overflow

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        hosts = [f"{host}:{self.port}" for host in ("127.0.0.1", "localhost")]
        return [
            *(sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--workers", str(self.workers)),
            *("--allowed-hosts", ",".join(hosts)),
            *("--backend-store-uri", self.postgres.url(DATABASES[0])),
            *("--artifacts-destination", f"s3://{self.s3.bucket}/mlflow"),
        ]

    def environment(self) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "MLFLOW_"))}
        return kept | {
            "HOME": str(self.credentials.home),
            "PGPASSFILE": str(self.credentials.pgpass_path),
            "AWS_REGION": self.s3.reach["AWS_REGION"],
            "AWS_ENDPOINT_URL": self.s3.reach["AWS_ENDPOINT_URL"],
            "MLFLOW_AUTH_CONFIG_PATH": str(self._config_path),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": self.credentials.mlflow_secret_key(),
            "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(self.pool_size),
            "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": str(self.max_overflow),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # processes for nothing
            "TMPDIR": str(self.folder),  # it leaves locks there
        }

    def launch(self) -> None:
        write_secret(
            self._config_path,
            "[mlflow]\n"
            "default_permission = READ\n"
            f"database_uri = {self.postgres.url(DATABASES[1])}\n"
            f"admin_username = {ADMIN}\n"
            f"admin_password = {self.credentials.mlflow_password()}\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
            f"auth_cache_ttl_seconds = {CACHE_SECONDS}\n",
        )
        super().launch()

    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @property
    def _config_path(self) -> Path:
        return self.folder / "basic_auth.ini"
