"""`seedbed retry`: failed trials are tried again by the study's next start, as if they were new.

Every start tries again what failed, but apart from the neighbours that it failed with, from their
checkpoint. Here a person says that the cause is mended: the failure is put out of the way. So are
those of candidates that a search has given up, which no start tries again by itself.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from seedbed.commands.status import add_storage
from seedbed.errors import StudyError, StudyHeldError, nearest
from seedbed.study.cell import Cell
from seedbed.study.label import label_text

if TYPE_CHECKING:
    from seedbed.run.driver.failures import GivenUp
    from seedbed.storage.folder import Folder
    from seedbed.track.seen import Seen
    from seedbed.track.state import Planned

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
    from seedbed.run.driver.failures import forgive, given_up
    from seedbed.track.seen import study_folder
    from seedbed.track.state import STATE_NAME

    store = study_folder(args.storage, args.name)
    with not_running(store, args.name, "tries again") as seen:
        planned, letters = seen.planned, seen.state.outcomes
        candidates = {Cell(one.cell) for one in given_up(store, planned.variation).values()}
        wanted = wanted_cells([*cells_of(planned), *candidates], args.cell)
        chosen = chosen_trials(planned, wanted, args.seed)
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
        # Their seeds are those of the search.
        again = [] if args.seed else _candidates_again(store, planned.variation, wanted)
        if not failed and not again:
            print(f"no trial of {args.name} has failed{' there' if args.cell or args.seed else ''}")
        if outcomes:
            print(
                f"diverged {outcomes:,}, which stay: that is an outcome of the recipe, and the "
                "same seed would diverge again"
            )
    if failed or again:
        print(f"go on   {seen.state.command or 'with the command that started it'}")


@contextmanager
def not_running(store: Folder, name: str, does: str) -> Iterator[Seen]:
    """Hold the study's lock, and what is known of it. Raises StudyHeldError where it runs."""
    from seedbed.storage.lock import study_lock
    from seedbed.track.seen import read_state, settled

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


def _candidates_again(
    store: Folder, variation: str, wanted: Callable[[Cell], bool]
) -> list[GivenUp]:
    """Let a search try again what it has given up of the wanted cells, and say which."""
    from seedbed.run.driver.failures import try_again

    again = try_again(store, variation, wanted)
    for one in again[:MAX_SHOWN]:
        why = one.reason.partition("\n")[0] or "no reason is known"
        print(f"again   {one.name}: the search had given it up: {why}")
    if len(again) > MAX_SHOWN:
        print(f"again   … and {len(again) - MAX_SHOWN:,} more of the search")
    if again:
        print("        a cell that is then tuned to other values is compared anew")
    return again


def cells_of(planned: Planned) -> list[Cell]:
    """The cell of each planned trial, in order."""
    return [planned.cell(number) for number in range(len(planned.trials))]


def wanted_cells(cells: Iterable[Cell], said: Sequence[str]) -> Callable[[Cell], bool]:
    """Which of `cells` have the levels that were said; all where none were.

    Raises StudyError for a level or a cell that is not among them.
    """
    own = {cell: _level_names(cell) for cell in cells}
    every = set().union(*own.values())
    wanted = [_levels(words, every) for words in said]
    for words, levels in zip(said, wanted, strict=True):
        if not any(levels <= has for has in own.values()):
            raise StudyError(
                f"--cell '{words}' is no cell of the study", mend=nearest(words, map(str, own))
            )
    return lambda cell: not said or any(levels <= _level_names(cell) for levels in wanted)


def _level_names(cell: Cell) -> set[str]:
    return {f"{name}={label_text(label)}" for name, label in cell.items()}


def chosen_trials(
    planned: Planned, wanted: Callable[[Cell], bool], seeds: Sequence[int]
) -> list[int]:
    """The numbers of the trials of the wanted cells and these seeds; of all where none are said.

    Raises StudyError for a seed that the study does not have.
    """
    known_seeds = {trial.seed for trial in planned.trials}
    for seed in seeds:
        if seed not in known_seeds:
            raise StudyError(
                f"--seed {seed} is none of the study's", mend=nearest(seed, known_seeds)
            )
    return [
        number
        for number, cell in enumerate(cells_of(planned))
        if (not seeds or planned.trials[number].seed in seeds) and wanted(cell)
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
