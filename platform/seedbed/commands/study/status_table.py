"""How far a study is, as a table for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from seedbed.track.seen import Seen

MAX_CELLS, MAX_FAILURES = 40, 20  # that are shown; --json has all
WORDS = {"completed": "done", "interrupted": "stopped"}


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


def failure(seen: Seen, number: int) -> str:
    """The class of the failure that a trial has ended by; "" where none is known."""
    from seedbed.errors import DIVERGED

    diverged = seen.state.outcomes[number] == "d"
    return DIVERGED if diverged else seen.state.failures.get(str(number), "")


def _ended_by(seen: Seen, number: int) -> str:
    """`diverged`, `failed`, or `failed (out of memory)`."""
    from seedbed.failure import said

    if seen.state.outcomes[number] == "d":
        return "diverged"
    kind = said(failure(seen, number))
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
