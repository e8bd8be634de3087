"""`seedbed retry`: failed trials are tried again by the study's next start, as if they were new.

Every start tries again what failed, but apart from the neighbours that it failed with, from their
checkpoint. Here a person says that the cause is mended: the failure is put out of the way.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from seedbed.commands.status import add_storage
from seedbed.errors import StudyError, StudyHeldError, nearest

if TYPE_CHECKING:
    from seedbed.storage.folder import Folder
    from seedbed.track.state import Planned, Seen

NAME = "retry"
HELP = "let the next start of a study try failed trials again, once their cause is mended"
MAX_SHOWN = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the study's name")
    add_storage(parser)
    parser.add_argument(
        "--cell",
        metavar="LEVELS",
        action="append",
        default=[],
        help='only of the cells with these levels, as "depth=1 objective=clip" (may be repeated)',
    )
    parser.add_argument(
        "--seed", type=int, action="append", default=[], help="only of this seed (may be repeated)"
    )


def run(args: argparse.Namespace) -> None:
    """Put the failures out of the way, and say which and how to go on."""
    from seedbed.run.driver.failures import forgive
    from seedbed.track.state import STATE_NAME, study_folder

    store = study_folder(args.storage, args.name)
    with not_running(store, args.name, "tries again") as seen:
        planned, letters = seen.planned, seen.state.outcomes
        chosen = chosen_trials(planned, args.cell, args.seed)
        failed = [n for n in chosen if letters[n] == "f"]
        outcomes = sum(letters[n] == "d" for n in chosen)
        if failed:
            moved = forgive(store, [planned.trials[n].key for n in failed])
            after = "".join("." if n in set(failed) else one for n, one in enumerate(letters))
            kept = {n: why for n, why in seen.state.reasons.items() if int(n) not in failed}
            words = f"{len(failed):,} failed trials are to be tried again"
            left = {n: one for n, one in seen.state.failures.items() if int(n) not in failed}
            state = replace(
                seen.state, outcomes=after, reasons=kept, failures=left, words=words, cohorts=()
            )
            store.write_json(state.to_json(), STATE_NAME)
            for number in failed[:MAX_SHOWN]:
                why = seen.state.reasons.get(str(number), "no reason is known").partition("\n")[0]
                print(f"again   {planned.name(number)}: it had failed: {why}")
            if len(failed) > MAX_SHOWN:
                print(f"again   … and {len(failed) - MAX_SHOWN:,} more")
            print(
                f"aside   {len(moved):,} failure.json in {store.place('trials')}, now "
                "failed_before.json"
            )
        else:
            print(f"no trial of {args.name} has failed{' there' if args.cell or args.seed else ''}")
        if outcomes:
            print(
                f"diverged {outcomes:,}, which stay: that is an outcome of the recipe, and the "
                "same seed would diverge again"
            )
    if failed:
        print(f"go on   {seen.state.command or 'with the command that started it'}")


@contextmanager
def not_running(store: Folder, name: str, does: str) -> Iterator[Seen]:
    """Hold the study's lock, and what is known of it. Raises StudyHeldError where it runs."""
    from seedbed.storage.lock import study_lock
    from seedbed.track.state import read_state, settled

    seen = read_state(store)
    if not (seen.state.over or seen.lost):
        raise StudyHeldError(
            f"study '{name}' is {seen.state.phase} by {seen.state.driver}",
            why=f"whoever {does} would change what it reads and writes",
            mend=f"seedbed stop {name}, and then this again",
        )
    with study_lock(store):
        seen = read_state(store)
        yield settled(store, seen) if seen.lost else seen


def chosen_trials(planned: Planned, cells: Sequence[str], seeds: Sequence[int]) -> list[int]:
    """The numbers of the trials of these cells and seeds; all where none are said.

    Raises StudyError for a level, a cell or a seed that the study does not have.
    """
    from seedbed.study.label import label_text

    known_seeds = {trial.seed for trial in planned.trials}
    for seed in seeds:
        if seed not in known_seeds:
            raise StudyError(
                f"--seed {seed} is none of the study's", mend=nearest(seed, known_seeds)
            )
    levels = [
        {f"{name}={label_text(x)}" for name, x in zip(planned.factors, t.labels, strict=True)}
        for t in planned.trials
    ]
    every = set().union(*levels)
    wanted = [_levels(said, every) for said in cells]
    for said, own in zip(cells, wanted, strict=True):
        if not any(own <= has for has in levels):
            names = dict.fromkeys(str(planned.cell(n)) for n in range(len(planned.trials)))
            raise StudyError(f"--cell '{said}' is no cell of the study", mend=nearest(said, names))
    return [
        number
        for number, (trial, has) in enumerate(zip(planned.trials, levels, strict=True))
        if (not seeds or trial.seed in seeds) and (not cells or any(own <= has for own in wanted))
    ]


def _levels(said: str, every: set[str]) -> set[str]:
    """The levels that `said` names; one whose label has spaces can be given alone."""
    if said.strip() in every:
        return {said.strip()}
    found = {word for word in re.split(r"[,\s]+", said) if word}
    for word in sorted(found - every):
        raise StudyError(f"--cell '{said}': '{word}' is no level of it", mend=nearest(word, every))
    if not found:
        raise StudyError("--cell is empty", mend=nearest(said, every))
    return found
