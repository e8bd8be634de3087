"""`seedbed stop`: end a running study as Ctrl-C does, from wherever its results can be written."""

from __future__ import annotations

import argparse
import getpass
import socket
import time
from typing import TYPE_CHECKING

from seedbed.commands.status import add_storage
from seedbed.errors import StudyHeldError

if TYPE_CHECKING:
    from seedbed.storage.folder import Folder
    from seedbed.track.state import StudyState

NAME = "stop"
HELP = "stop a running study; the command that started it goes on later"

LOOK_SECONDS = 1.0
WAIT_SECONDS = 120.0  # a report is written first


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the study's name")
    add_storage(parser)
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=float,
        default=WAIT_SECONDS,
        help=f"for it to end ({WAIT_SECONDS:g}; 0: only ask)",
    )


def run(args: argparse.Namespace) -> None:
    """Ask the study's driver to stop, and wait until it has. Asking again does no more."""
    from seedbed.track.seen import read_state, study_folder

    store = study_folder(args.storage, args.name)
    seen = read_state(store)
    state = seen.state
    if state.over:
        print(f"{args.name} does not run: {state.phase}")
        return
    if seen.lost:
        print(
            f"{args.name} does not run: its driver ({state.driver}) was last heard of "
            f"{seen.age_seconds:.0f} s ago; the command that started it goes on where it was"
        )
        return
    ask(store, state)
    print(f"asked {state.driver} to stop", flush=True)
    until = time.monotonic() + args.wait
    while time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
        seen = read_state(store, seen.planned)
        if seen.state.token != state.token or seen.state.over or seen.lost:
            left = seen.state.outcomes.count("c")
            print(
                f"{args.name}: {seen.state.phase}, {left:,} of {len(seen.state.outcomes):,} trials "
                "are done; the command that started it goes on"
            )
            return
    if args.wait:
        raise _unheard(args.name, state, args.wait)


def ask(store: Folder, state: StudyState) -> None:
    """Leave the request for the driver that wrote `state`, and for no other."""
    from seedbed.track.state import STOP_NAME

    by = f"{getpass.getuser()} on {socket.gethostname()}"
    store.write_json({"start": state.token, "by": by}, STOP_NAME)


def _unheard(name: str, state: StudyState, seconds: float) -> StudyHeldError:
    direct = f"ray job stop {state.job}" if state.job else f"Ctrl-C (kill -INT) to {state.driver}"
    return StudyHeldError(
        f"study '{name}' still runs {seconds:g} s after it was asked to stop",
        why="its driver looks for the request every few seconds and writes a report first; it may "
        "also wait for its storage",
        mend=f"ask again with a longer --wait, or tell it directly: {direct}",
    )
