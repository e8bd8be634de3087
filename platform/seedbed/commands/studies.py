"""`seedbed studies`: the studies whose results are in a storage."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from seedbed.commands.status import LOG_COLUMNS, add_storage

if TYPE_CHECKING:
    from seedbed.track.listing import Listed
    from seedbed.track.seen import Seen

NAME = "studies"
HELP = "the studies of a results storage: how far each is, and how much it holds"

UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def arguments(parser: argparse.ArgumentParser) -> None:
    add_storage(parser)
    parser.add_argument("--json", action="store_true", help="a JSON array, an object a study")


def run(args: argparse.Namespace) -> None:
    """Print them, the last that was started first."""
    from rich.console import Console
    from rich.table import Table

    from seedbed.track.listing import listed

    found = listed(args.storage)
    if args.json:
        print(json.dumps([to_json(one) for one in found], sort_keys=True))
        return
    if not found:
        print(f"no study has been started into {args.storage}; give the --storage of one")
        return
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = LOG_COLUMNS
    table = Table(box=None, pad_edge=False)
    words = ("study", "scale", "cells x seeds", "done", "failed", "running", "is", "last start")
    for name in (*words, "size"):
        table.add_column(name, justify="left" if name in ("study", "scale", "is") else "right")
    for one in found:
        table.add_row(*_row(one))
    console.print(table)


def _row(one: Listed) -> list[str]:
    if one.seen is None:
        return [one.name, *[""] * 5, one.fault, "", size_text(one.num_bytes)]
    told = to_json(one)
    return [
        f"{one.name}, of {told['run_of']}" if told["run_of"] else one.name,
        told["scale"],
        f"{told['num_cells']:,} x {told['num_seeds']:,}",
        f"{told['completed']:,} of {told['num_trials']:,}",
        f"{told['failed'] + told['diverged']:,}",
        f"{told['running']:,}",
        told["phase"],
        told["started"].replace("T", " ").removesuffix("+00:00") or "?",
        size_text(one.num_bytes),
    ]


def to_json(one: Listed) -> dict[str, Any]:
    """What is known of a study; `error` says why nothing is."""
    told: dict[str, Any] = {"name": one.name, "num_bytes": one.num_bytes}
    if one.seen is None:
        return told | {"error": one.fault}
    planned, state = one.seen.planned, one.seen.state
    return told | {
        "study": planned.study,
        "run_of": planned.run_of,
        "scale": planned.variation,
        "num_cells": len({trial.labels for trial in planned.trials}),
        "num_seeds": len({trial.seed for trial in planned.trials}),
        "num_trials": len(planned.trials),
        "phase": phase_of(one.seen),
        "started": state.since,
        "command": state.command,
        "results": one.seen.place,
        **outcomes_of(one.seen),
    }


def phase_of(seen: Seen) -> str:
    """In one word; `lost` where its driver is gone without one."""
    return "lost" if seen.lost else seen.state.phase


def outcomes_of(seen: Seen) -> dict[str, int]:
    """How many trials have each outcome. Nothing runs of a study whose driver is lost."""
    from seedbed.track.state import LETTERS

    letters = seen.state.outcomes
    if seen.lost:
        letters = letters.replace(LETTERS["running"], LETTERS["interrupted"])
    return {name: letters.count(letter) for name, letter in LETTERS.items()}


def size_text(num_bytes: float) -> str:
    """`1.5 GB`; powers of 1,000, as disks and buckets are sold."""
    power = 0
    while num_bytes >= 1000 and power < len(UNITS) - 1:
        num_bytes, power = num_bytes / 1000, power + 1
    return f"{num_bytes:.0f} {UNITS[power]}" if power == 0 else f"{num_bytes:.1f} {UNITS[power]}"
