"""The whole cluster: its servers and its head, started together and ended to the last process."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from seedbed.errors import ResourceError
from seedbed_local.config import LocalConfig
from seedbed_local.credentials import Credentials, write_secret
from seedbed_local.head import RayHead
from seedbed_local.postgres import Postgres
from seedbed_local.reach import Reach
from seedbed_local.s3 import REGION, S3Server
from seedbed_local.service import Service, is_free, kill, tree
from seedbed_local.tracking import DATABASES, MlflowServer, connections

CHECKOUT = Path(__file__).parents[2]
# In the environment of every process of a cluster: its own name. Ray's workers overwrite theirs,
# and are found as what descends from the others.
MARK = "SEEDBED_LOCAL_CLUSTER"
DOWN_SECONDS = 60.0


class Cluster:
    """A cluster by `config`, with its state in `folder`; jobs begin in `checkout`.

    What its S3 server and its Postgres hold stays when it is ended, and is there again when another
    is started from the same folder.
    """

    def __init__(self, config: LocalConfig, folder: Path, checkout: Path = CHECKOUT) -> None:
        self.config, self.folder = config, folder
        self.mark = secrets.token_hex(8)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        marks = {MARK: self.mark}
        self.credentials = Credentials(folder / "home")
        servers = config.servers
        self.s3 = S3Server(
            folder / "s3",
            bucket=config.bucket,
            port=servers["s3"]["port"],
            keys=self.credentials.s3_keys(),
            marks=marks,
        )
        pools = {key: servers["mlflow"][key] for key in ("workers", "pool_size", "max_overflow")}
        self.postgres = Postgres(
            folder / "postgres",
            password=self.credentials.postgres_password(),
            databases=DATABASES,
            port=servers["postgres"]["port"],
            max_connections=connections(**pools),
            marks=marks,
        )
        self.mlflow = MlflowServer(
            folder / "mlflow",
            self.credentials,
            self.postgres,
            self.s3,
            port=servers["mlflow"]["port"],
            marks=marks,
            **pools,
        )
        self.temp = Path(tempfile.mkdtemp(prefix="sc"))
        self.ray = RayHead(
            folder / "ray",
            config.scaling,
            checkout=checkout,
            temp=self.temp,
            env=self.job_environment,
            token_path=self.credentials.ray_token_path,
            ports={"ray": servers["ray"]["port"], "dashboard": servers["ray"]["dashboard"]},
            marks=marks,
        )

    @property
    def services(self) -> tuple[Service, ...]:
        return self.postgres, self.s3, self.mlflow, self.ray

    @property
    def job_environment(self) -> dict[str, str]:
        """What every job and every node has: addresses, and a home that holds the secrets."""
        return {
            "HOME": str(self.credentials.home),
            "SEEDBED_HOME": str(self.folder / "seedbed"),
            "MLFLOW_TRACKING_URI": self.mlflow.uri,
            "AWS_ENDPOINT_URL": self.s3.reach["AWS_ENDPOINT_URL"],
            "AWS_REGION": REGION,
            **self.config.job_environment,
        }

    @property
    def reach(self) -> Reach:
        return Reach(
            home=str(self.credentials.home),
            jobs=self.ray.jobs,
            mlflow=self.mlflow.uri,
            s3=self.s3.reach["AWS_ENDPOINT_URL"],
            region=REGION,
            bucket=self.config.bucket,
        )

    def up(self) -> None:
        """Start it all. Raises ResourceError where a port is taken or a server does not come."""
        self.check_ports()
        self.credentials.write(self.postgres.pass_line)
        try:
            for first in (self.postgres, self.s3, self.ray):
                first.launch()
            self.postgres.wait()
            self.mlflow.launch()
            for service in self.services:
                service.wait()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End every process of it, and remove what only they needed."""
        for service in reversed(self.services):
            service.stop()
        kill(members(self.mark))
        shutil.rmtree(self.temp, ignore_errors=True)

    def check_ports(self) -> None:
        mlflow, s3 = self.mlflow.port, self.s3.ports[0]
        ports = {"postgres": self.postgres.port, "s3": s3, "mlflow": mlflow, **self.ray.ports}
        for name, port in ports.items():
            if not is_free(port):
                raise ResourceError(
                    f"port {port} of {name} is taken",
                    why="another process listens there, of another cluster or of something else",
                    mend="make cluster-down, or change the port in clusters/local.yaml",
                )

    def __enter__(self) -> Cluster:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()


def members(mark: str) -> list[psutil.Process]:
    """Every process of the cluster that is marked so."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process.pid)
    return tree(found)


class State:
    """What is known of the cluster that runs from a folder: for `down`, and for submitting."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.json"
        self.env_path = folder / "env.sh"

    @contextlib.contextmanager
    def kept(self, cluster: Cluster) -> Iterator[None]:
        """While this process starts, holds and ends `cluster`."""
        values = {"pid": os.getpid(), "created": psutil.Process().create_time()}
        values |= {"mark": cluster.mark, "temp": str(cluster.temp)}
        values["reach"] = cluster.reach.to_json()
        write_secret(self.path, json.dumps(values))
        lines = [f"export {name}={value}\n" for name, value in cluster.reach.submitting.items()]
        write_secret(self.env_path, "".join(lines))
        try:
            yield
        finally:
            self.path.unlink(missing_ok=True)
            self.env_path.unlink(missing_ok=True)

    def read(self) -> Mapping[str, Any] | None:
        return json.loads(self.path.read_text()) if self.path.exists() else None

    def holder(self) -> psutil.Process | None:
        """The process that holds the cluster, if it lives."""
        values = self.read()
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(values["pid"]) if values else None
            if process is not None and values and process.create_time() == values["created"]:
                return process
        return None

    def reach(self) -> Reach:
        """Of the cluster that is up. Raises ResourceError where none is."""
        values = self.read()
        if values is None or self.holder() is None:
            raise ResourceError(f"no cluster is up from {self.path.parent}", mend="make cluster")
        return Reach.from_json(values["reach"])

    def down(self) -> str:
        """End the cluster that runs from this folder, and what one left whose holder was killed."""
        values, holder = self.read(), self.holder()
        if values is None:
            return "no cluster is up"
        if holder is not None:
            holder.terminate()
            _, alive = psutil.wait_procs([holder], timeout=DOWN_SECONDS)
            if not alive:
                return "the cluster is down"
        left = members(values["mark"])
        kill(left)
        shutil.rmtree(values["temp"], ignore_errors=True)
        self.path.unlink(missing_ok=True)
        self.env_path.unlink(missing_ok=True)
        return f"the cluster is down: {len(left)} processes were left of it"
