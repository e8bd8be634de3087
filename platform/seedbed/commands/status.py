"""`seedbed status`: how far a study is, from any machine that can read its results."""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import TYPE_CHECKING, Any

from seedbed.commands.study.status_table import failure, table_of
from seedbed.home import home

if TYPE_CHECKING:
    from seedbed.storage.folder import Folder
    from seedbed.track.seen import Seen
    from seedbed.track.state import Planned

NAME = "status"
HELP = "how far a study is: trials, pace, time left, failures"

WATCH_SECONDS = 2.0
LOG_COLUMNS = 1_000  # where no terminal has a width: nothing is wrapped


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the study's name")
    add_storage(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object, a line with --watch")
    parser.add_argument("--watch", action="store_true", help="show it anew until the study ends")


def add_storage(parser: argparse.ArgumentParser) -> None:
    """The option that says where results are, as the study was given it."""
    default = os.environ.get("SEEDBED_STORAGE") or str(home() / "results")
    parser.add_argument(
        "--storage", metavar="URI", default=default, help="where the study's results go"
    )


def run(args: argparse.Namespace) -> None:
    """Print it once, or again and again."""
    from rich.console import Console
    from rich.live import Live

    from seedbed.track.seen import study_folder

    store = study_folder(args.storage, args.name)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = LOG_COLUMNS
    seen = _look(store)
    if args.json or not (args.watch and console.is_terminal):
        _say(seen, console, args.json)
        while args.watch and _goes_on(seen):
            time.sleep(WATCH_SECONDS)
            seen = _look(store, seen.planned)
            _say(seen, console, args.json)
        return
    with Live(table_of(seen), console=console, auto_refresh=False) as shown:
        while _goes_on(seen):
            time.sleep(WATCH_SECONDS)
            seen = _look(store, seen.planned)
            shown.update(table_of(seen), refresh=True)


def _goes_on(seen: Seen) -> bool:
    return not (seen.state.over or seen.lost)


def _look(store: Folder, planned: Planned | None = None) -> Seen:
    from seedbed.track.seen import read_state, settled

    seen = read_state(store, planned)
    return settled(store, seen) if seen.lost else seen


def _say(seen: Seen, console: Any, as_json: bool) -> None:
    if as_json:
        print(json.dumps(to_json(seen), sort_keys=True), flush=True)
    else:
        console.print(table_of(seen))


def to_json(seen: Seen) -> dict[str, Any]:
    """All that is known; a trial's `progress` is the share of its samples that it has seen."""
    from seedbed.track.state import OUTCOMES

    state, progress = seen.state, seen.progress()
    told = state.to_json()
    for name in ("outcomes", "reasons", "failures", "planned", "schema"):
        told.pop(name)
    trials = [
        {
            "key": trial.key,
            "cell": dict(zip(seen.planned.factors, trial.labels, strict=True)),
            "seed": trial.seed,
            "status": OUTCOMES[letter],
            "progress": round(progress[number], 4),
            "reason": state.reasons.get(str(number), ""),
            "failure": failure(seen, number),
        }
        for number, (trial, letter) in enumerate(
            zip(seen.planned.trials, state.outcomes, strict=True)
        )
    ]
    return told | {
        "study": seen.planned.study,
        "run_of": seen.planned.run_of,
        "variation": seen.planned.variation,
        "results": seen.place,
        "age_seconds": round(seen.age_seconds, 1),
        "lost": seen.lost,
        "counts": state.counts,
        "progress": round(sum(progress) / max(1, len(progress)), 4),
        "samples_per_second": state.samples_per_second,
        "seconds_left": state.seconds_left,
        "trials": trials,
    }
