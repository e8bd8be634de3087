"""`seedbed status`: how far a study is, from any machine that can read its results."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from seedbed.home import home

if TYPE_CHECKING:
    from rich.console import RenderableType

    from seedbed.storage.folder import Folder
    from seedbed.track.state import Planned, Seen

NAME = "status"
HELP = "how far a study is: trials, pace, time left, failures"

WATCH_SECONDS = 2.0
LOG_COLUMNS = 1_000  # where no terminal has a width: nothing is wrapped
MAX_CELLS, MAX_FAILURES = 40, 20  # that are shown; --json has all
WORDS = {"completed": "done", "interrupted": "stopped"}


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

    from seedbed.track.state import study_folder

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
    from seedbed.track.state import read_state, settled

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
            "failure": _failure(seen, number),
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


def table_of(seen: Seen) -> RenderableType:
    """What a person looks at: some lines, cells by seeds, cohorts that run, and failures."""
    from rich.console import Group

    parts: list[RenderableType] = ["\n".join(_head(seen)), _cells(seen)]
    if seen.state.cohorts:
        parts.append(_cohorts(seen))
    if failures := _failures(seen):
        parts.append("\n".join(failures))
    return Group(*parts)


def _head(seen: Seen) -> list[str]:
    state, progress = seen.state, seen.progress()
    counts = ", ".join(f"{n:,} {WORDS.get(name, name)}" for name, n in state.counts.items())
    share = sum(progress) / max(1, len(progress))
    pace = ""
    if state.samples_per_second:
        pace = f", {state.samples_per_second:,.0f} samples/s, {clock(state.seconds_left)} left"
    run_of = seen.planned.run_of
    named = f"{seen.planned.study}, a run of {run_of}" if run_of else seen.planned.study
    return [
        f"study   {named} ({seen.planned.variation}): {_phase(seen)}",
        f"trials  {len(progress):,}: {counts}; {100 * share:.0f} %{pace}",
        f"time    {clock(state.job_seconds)} of training in {clock(state.total_seconds)}, "
        f"{_counted(state.starts, 'start')}, {_counted(state.recoveries, 'recovery')}",
        f"results {seen.place}",
    ]


def _phase(seen: Seen) -> str:
    state = seen.state
    ago = f"{clock(seen.age_seconds)} ago"
    if seen.lost:
        return (
            f"its driver ({state.driver}) was last heard of {ago}; the same command goes on where "
            "it was"
        )
    if state.over:
        said = f"{state.phase} ({state.words})" if state.words else state.phase
        goes_on = "" if state.phase == "complete" else "; the same command goes on"
        return f"{said}, {ago}{goes_on}"
    job = f", Ray job {state.job}" if state.job else ""
    asked = f"; {state.words}" if state.words else ""
    return f"{state.phase} by {state.driver}{job}{asked}"


def _cells(seen: Seen) -> RenderableType:
    from rich.table import Table

    seeds = sorted({trial.seed for trial in seen.planned.trials})
    rows: dict[tuple[Any, ...], dict[int, int]] = {}
    for number, trial in enumerate(seen.planned.trials):
        rows.setdefault(trial.labels, {})[trial.seed] = number
    letters, progress = seen.state.outcomes, seen.progress()

    def dull(members: dict[int, int]) -> bool:
        return {letters[number] for number in members.values()} <= {"c", "."}

    # Where not all can be shown, those with something to see come first; in the plan's order.
    chosen = sorted(rows, key=lambda labels: dull(rows[labels]))[:MAX_CELLS]
    table = Table(box=None, pad_edge=False)
    for name in seen.planned.factors:
        table.add_column(name)
    for seed in seeds:
        table.add_column(f"s={seed}", justify="right")
    for labels, members in rows.items():
        if labels in chosen:
            told = [_told(members.get(seed), letters, progress) for seed in seeds]
            table.add_row(*map(str, labels), *told)
    if len(rows) > len(chosen):
        table.add_row(f"… and {len(rows) - len(chosen):,} more (--json has all)")
    return table


def _told(number: int | None, letters: str, progress: list[float]) -> str:
    from seedbed.track.state import OUTCOMES

    if number is None:
        return ""
    name = OUTCOMES[letters[number]]
    return f"{100 * progress[number]:.0f} %" if name == "running" else WORDS.get(name, name)


def _cohorts(seen: Seen) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("cohort", "samples", "samples/s", "left", "recoveries", "training", "in"):
        table.add_column(name, justify="left" if name == "cohort" else "right")
    for one in seen.state.cohorts[:MAX_CELLS]:
        rate = one.samples_per_second
        table.add_row(
            f"seed {one.seed}, {_counted(len(one.trials), 'variant')}",
            f"{one.samples:,} of {one.total_samples:,}",
            f"{rate:,.0f}" if rate else "starting",
            clock((one.total_samples - one.samples) / rate) if rate else "",
            str(one.recoveries),
            clock(one.job_seconds),
            clock(one.total_seconds),
        )
    return table


def _failures(seen: Seen) -> list[str]:
    letters = seen.state.outcomes
    numbers = [number for number, letter in enumerate(letters) if letter in "fd"]
    lines = [
        f"{_ended_by(seen, number)}  {seen.planned.name(number)}: "
        f"{seen.state.reasons.get(str(number), 'see its record')}"
        for number in numbers[:MAX_FAILURES]
    ]
    if len(numbers) > MAX_FAILURES:
        counts = Counter(_ended_by(seen, number) for number in numbers)
        lines.append(", ".join(f"{count:,} {words}" for words, count in counts.most_common()))
        lines.append(f"… and {len(numbers) - MAX_FAILURES:,} more (--json has all)")
    return lines


def _failure(seen: Seen, number: int) -> str:
    """The class of the failure that a trial has ended by; "" where none is known."""
    from seedbed.errors import DIVERGED

    diverged = seen.state.outcomes[number] == "d"
    return DIVERGED if diverged else seen.state.failures.get(str(number), "")


def _ended_by(seen: Seen, number: int) -> str:
    """`diverged`, `failed`, or `failed (out of memory)`."""
    from seedbed.failure import said

    if seen.state.outcomes[number] == "d":
        return "diverged"
    kind = said(_failure(seen, number))
    return f"failed ({kind})" if kind else "failed"


def _counted(count: int, word: str) -> str:
    plural = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{count:,} {word if count == 1 else plural}"


def clock(seconds: float | None) -> str:
    """`1:02:03`, `2:03`; `?` where it is not known."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
