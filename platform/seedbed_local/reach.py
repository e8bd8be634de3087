"""How a cluster is reached from outside: where it listens, and which files hold its secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seedbed_local.credentials import ADMIN, Credentials


@dataclass(frozen=True)
class Reach:
    """Addresses of a cluster on this machine; no secret is among them."""

    home: str
    jobs: str
    mlflow: str
    s3: str
    region: str
    bucket: str

    @property
    def credentials(self) -> Credentials:
        return Credentials(Path(self.home))

    @property
    def submitting(self) -> dict[str, str]:
        """The environment that submits jobs."""
        return {
            "RAY_ADDRESS": self.jobs,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.credentials.ray_token_path),
        }

    @property
    def reading(self) -> dict[str, str]:
        """The environment that reads the bucket and the runs, secrets among it: not for jobs."""
        return {
            **self.credentials.s3_keys(),
            "AWS_ENDPOINT_URL": self.s3,
            "AWS_REGION": self.region,
            "MLFLOW_TRACKING_URI": self.mlflow,
            "MLFLOW_TRACKING_USERNAME": ADMIN,
            "MLFLOW_TRACKING_PASSWORD": self.credentials.mlflow_password(),
        }

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Reach:
        return cls(**values)
