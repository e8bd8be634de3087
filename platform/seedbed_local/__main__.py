"""The commands for a cluster on this machine.

`up` holds one until Ctrl-C, and `down` ends it; `copy NAME` puts a demo corpus into its bucket;
`demo` runs the demo study on the one that is up, or on one for the while.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from seedbed.errors import SeedbedError
from seedbed.home import home
from seedbed_local.cluster import CHECKOUT, Cluster, State
from seedbed_local.config import read
from seedbed_local.demo import CORPUS, copied, demo


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m seedbed_local", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "copy", "demo"))
    parser.add_argument("--config", type=Path, default=CHECKOUT / "clusters" / "local.yaml")
    parser.add_argument("--folder", type=Path, default=home() / "cluster", help="of its state")
    parser.add_argument("rest", nargs="*", metavar="ARGUMENT", help="of the study, or the corpus")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return carried_out(options)
    except SeedbedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nthe cluster is down; what its bucket and its database hold stays")
        return 130 if options.command == "demo" else 0


def carried_out(options: argparse.Namespace) -> int:
    state = State(options.folder)
    is_up = state.holder() is not None
    if options.command == "down":
        print(state.down())
        return 0
    if options.command == "copy":
        print(copied(state.reach(), *(options.rest or [CORPUS])))
        return 0
    if options.command == "demo" and is_up:
        return demo(state.reach(), CHECKOUT, options.rest)
    if is_up:
        raise SeedbedError(
            f"a cluster is up already, from {options.folder}",
            mend="make cluster-down, or give another --folder",
        )
    state.down()  # what one left whose holder was killed
    cluster = Cluster(read(options.config), options.folder)
    with state.kept(cluster):  # before anything starts, and until all has ended
        try:
            cluster.up()
            if options.command == "demo":
                return demo(cluster.reach, CHECKOUT, options.rest)
            print(words(cluster, state), flush=True)
            while True:
                signal.pause()
        finally:
            for name in (signal.SIGINT, signal.SIGTERM):
                signal.signal(name, signal.SIG_IGN)  # a second Ctrl-C would leave processes
            cluster.down()


def words(cluster: Cluster, state: State) -> str:
    """How to use it."""
    return (
        "A cluster is up. In another terminal, in the checkout:\n\n"
        f". {state.env_path}\n"
        f"{sys.executable} -m seedbed_local copy emoji\n"
        "ray job submit -- python studies/text_encoder_depth.py\n\n"
        f"jobs    {cluster.ray.jobs} (the token is in {cluster.credentials.ray_token_path})\n"
        f"runs    {cluster.mlflow.uri} (user and password are in "
        f"{cluster.credentials.password_path})\n"
        f"files   {cluster.reach.s3} bucket '{cluster.config.bucket}' (keys are in "
        f"{cluster.credentials.home / '.aws' / 'credentials'})\n\n"
        "Ctrl-C, or make cluster-down, ends all of it. What the bucket and the database hold stays "
        f"in {cluster.folder}."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
