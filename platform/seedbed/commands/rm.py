"""`seedbed rm`: remove a study's results and checkpoints; its runs in MLflow stay."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.commands.retry import not_running
from seedbed.commands.status import add_storage
from seedbed.commands.studies import size_text
from seedbed.errors import StudyError

if TYPE_CHECKING:
    from seedbed.storage.folder import Folder

NAME = "rm"
HELP = "remove a study's results and checkpoints (asks first); its runs in MLflow stay"
THREADS = 16  # removals at a time


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the study's name")
    add_storage(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> None:
    """Say what goes, ask, and remove it."""
    from seedbed.storage.folder import Folder
    from seedbed.storage.held import LOCK_NAME
    from seedbed.track.finished import forget_finished
    from seedbed.track.seen import study_folder

    store = study_folder(args.storage, args.name)
    with not_running(store, args.name, "removes it"):
        sizes = store.sizes()
        trials = {path.split("/")[1] for path in sizes if path.startswith("trials/")}
        records = sum(p.startswith("trials/") and p.endswith("/record.json") for p in sizes)
        cohorts = sum(n for path, n in sizes.items() if path.startswith("cohorts/"))
        print(
            f"remove  {store.uri}: {len(trials):,} trials ({records:,} with a record), "
            f"{size_text(sum(sizes.values()))} in {len(sizes):,} files, "
            f"{size_text(cohorts)} of them checkpoints"
        )
        print("keep    its runs in MLflow: `seedbed report` reads them without these files")
        if not (args.yes or _agreed(args.name)):
            print("nothing was removed")
            return
        _remove(store, sorted(trials))
        forget_finished(Folder(args.storage), args.name.strip("/"))
        if store.local:  # a bucket's lock ends with the block, and folders are not there
            store.remove(LOCK_NAME)
            with suppress(OSError):  # a start has come since, and has the folder
                Path(store.path()).rmdir()
    print(f"removed {store.uri}")


def _agreed(name: str) -> bool:
    if not sys.stdin.isatty():
        raise StudyError(
            f"'{name}' is not removed: nobody can be asked",
            why="what was trained is lost with it",
            mend="add --yes",
        )
    return input(f"remove all of this? Type the study's name ({name}): ").strip() == name


def _remove(store: Folder, trials: list[str]) -> None:
    """All but the lock; by what the study is known last, so that this can be done again."""
    from seedbed.storage.held import LOCK_NAME
    from seedbed.track.state import PLANNED_NAME, STATE_NAME

    last = (PLANNED_NAME, STATE_NAME)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda key: store.remove("trials", key), trials))
        rest = [name for name in store.names() if name not in (*last, LOCK_NAME)]
        list(pool.map(store.remove, rest))
    for name in last:
        store.remove(name)
