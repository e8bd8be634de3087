"""Tunes a study's cells: the rounds of its search run, and become the plan of what is compared.

A search has a ledger of its own, NAME_search, as a rehearsal has: its trials never stand among
those that are compared. Its records lie beside theirs, under keys of their own.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from seedbed.commands.study.alone import take_over
from seedbed.commands.study.entry import code_version, entry_of
from seedbed.commands.study.settings import checkpoint_seconds, tracking_uri
from seedbed.commands.study.stated import stated_claims
from seedbed.commands.study.tune import TUNING_NAME
from seedbed.errors import (
    INFRASTRUCTURE,
    ClusterAwayError,
    DataError,
    StudyError,
    TooManyFailuresError,
    failure_in,
)
from seedbed.plan.tuned import Tuned
from seedbed.study.trial import SEARCH, Trial

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options
    from seedbed.data.corpus import Corpus
    from seedbed.data.opening import OpenCorpus
    from seedbed.plan.plan import Plan
    from seedbed.run.driver.live import Live
    from seedbed.run.driver.outcome import Outcome
    from seedbed.storage.folder import Folder
    from seedbed.study.cell import Cell
    from seedbed.study.record import TrialRecord
    from seedbed.track.ledger import Ledger

    Corpora = Mapping[Corpus, OpenCorpus]

NONE_COMPLETED = "no candidate completed"
ATTEMPTS = 2  # at a candidate that fails, before its cell's search goes on without it
CLOSE_SECONDS = 30.0


def tuned(options: Options, corpora: Corpora, store: Folder, live: Live) -> Options:
    """`options` with each cell's tuned values in its plan.

    Raises KeyboardInterrupt where the study is stopped: the same command goes on. Raises StudyError
    where no candidate of a cell completed, unless that is forced.
    """
    from seedbed.run.driver.asha import kept
    from seedbed.tuning.rounds import tune_cells

    searching = _Searching(options, corpora, store, live)
    try:
        found = tune_cells(options.plan, searching.measure, kept)
        searching.tell(found)
    finally:
        searching.close()
    untuned = _untuned(found)
    if untuned and not options.force:
        raise _unequal(options, found, untuned)
    chosen = options.plan.with_tuned(found)
    store.write_json(found.to_json(), chosen.variation, TUNING_NAME)
    for one in found.cells:
        values = ", ".join(f"{path} {value:g}" for path, value in one.values.items())
        print(f"tuned   {one.cell}: {values or NONE_COMPLETED}", file=sys.stderr)
    live.turns_to(chosen, "")
    words = tuple(f"{cell} has the recipe's own values: {NONE_COMPLETED}" for cell in untuned)
    return replace(options, plan=chosen, untuned=words)


def _untuned(found: Tuned) -> list[Cell]:
    """The cells of whose candidates none completed."""
    return [one.cell for one in found.cells if one.chosen is None]


def _unequal(options: Options, found: Tuned, untuned: Sequence[Cell]) -> StudyError:
    """The error of a comparison in which some cells would be tuned and others not."""
    ended = Counter(
        candidate.status
        for one in found.cells
        if one.chosen is None
        for candidate in one.candidates
    )
    ways = ["--force compares it with the recipe's own values, and the results say so"]
    if ended["diverged"]:
        ways.insert(0, "give values that do not diverge (--tune PATH=LOW:HIGH)")
    if ended["failed"]:
        again = f"seedbed retry {'/'.join(options.folder)}"
        ways.insert(0, f"mend why candidates failed, `{again}`, and give the same command again")
    became = ", ".join(f"{num} {status}" for status, num in ended.items())
    return StudyError(
        f"{NONE_COMPLETED} of {', '.join(map(str, untuned))} ({became})",
        why="beside cells that are tuned it would lose, or win, for want of tuning",
        mend="; or ".join(ways),
    )


def ended_before(options: Options, corpora: Corpora, store: Folder, wanted: Plan) -> Outcome:
    """What there is already of the candidates `wanted`: here, or in another study of the storage,
    as of trials that are compared."""
    from seedbed.run.driver.outcome import read_outcome

    outcome = read_outcome(store, wanted.trials, corpora)
    if options.surface is None:
        asked = replace(options, plan=wanted)
        take_over(asked, corpora, store, outcome, keep_weights=False)
        note_ended(options, outcome.records)
    return outcome


def note_ended(options: Options, keys: Iterable[str]) -> None:
    """Let other studies of the storage know of candidates; what a rehearsal made up is its own."""
    from seedbed.storage.folder import Folder
    from seedbed.track.finished import note_finished

    if options.surface is None:
        with suppress(DataError):  # the next start writes it
            note_finished(Folder(options.storage), options.name, keys)


class _Searching:
    """Runs the rounds of a search. Its ledger is opened with the first."""

    def __init__(self, options: Options, corpora: Corpora, store: Folder, live: Live) -> None:
        from seedbed.run.driver.failures import given_up

        self.options, self.corpora, self.store, self.live = options, corpora, store, live
        # Tried often enough at an earlier start; tried again, later candidates would be others.
        self.given_up = given_up(store, options.plan.variation)
        self.ledger: Ledger | None = None
        self.trials: dict[str, Trial] = {}  # of all rounds
        self.stated: dict[str, str] = {}

    def measure(self, chosen: Plan, number: int) -> dict[str, TrialRecord]:
        """The records of a round's trials, which are trained where they have none."""
        from seedbed.run.driver.failures import GivenUp, note_given_up
        from seedbed.run.driver.outcome import files_of_records

        wanted = chosen.of_trials([t for t in chosen.trials if t.key not in self.given_up])
        if not wanted.trials:
            return {}
        self.live.turns_to(wanted, f"searching, round {number}")
        outcome = ended_before(self.options, self.corpora, self.store, wanted)
        self.trials |= {trial.key: trial for trial in wanted.trials}
        if self.ledger is None:
            # Claims are stated before the first trial of the search.
            ended = len(outcome.records) + len(outcome.stale)
            self.stated = stated_claims(self.store, self.options.plan, ended)
            self.ledger = self._opened(wanted)
        for key, files in files_of_records(self.store, outcome.records):
            self.ledger.finish(outcome.records[key], files)  # as for those that are compared
        for _ in range(ATTEMPTS):
            if len(outcome.records) == len(wanted.trials):
                break
            outcome = self._run(wanted, number)
            note_ended(self.options, outcome.records)
            if outcome.limit:
                raise TooManyFailuresError(
                    outcome.limit,
                    why="so many candidates of the search have failed",
                    mend="mend the cause and give the same command again: what was done is kept",
                )
            if outcome.interrupted:
                raise KeyboardInterrupt
        left = [trial for trial in wanted.trials if trial.key not in outcome.records]
        reasons = {trial.key: outcome.reasons.get(trial.key, "") for trial in left}
        lost = [why for why in reasons.values() if failure_in(why) == INFRASTRUCTURE]
        if lost:
            raise ClusterAwayError(
                f"{len(lost)} candidates of a search were lost: {lost[0]}",
                why="later candidates depend on how they do",
                mend="give the same command again: it goes on where it was",
            )
        if left:
            self.given_up |= {
                trial.key: GivenUp(trial.cell.to_json(), trial.name, reasons[trial.key])
                for trial in left
            }
            note_given_up(self.store, self.options.plan.variation, self.given_up)
            print(
                f"caution {len(left)} candidates failed twice, and are left out; once the cause is "
                f"mended, `seedbed retry {'/'.join(self.options.folder)}` lets them be tried again",
                file=sys.stderr,
            )
        return outcome.records

    def _run(self, wanted: Plan, number: int) -> Outcome:
        from seedbed.cluster.connect import connect
        from seedbed.run.driver.launch import run_plan
        from seedbed.run.driver.preflight import check_workers

        options, nuisance = self.options, self.options.plan.nuisance
        assert nuisance is not None and self.ledger is not None
        print(f"search  {nuisance.all_words}; round {number}", file=sys.stderr)
        print(f"ray     {connect()}", file=sys.stderr)
        check_workers(wanted, options.asked, trains=options.surface is None)
        return run_plan(
            wanted,
            self.corpora,
            self.store,
            self.ledger,
            asked=options.asked,
            checkpoint_seconds=checkpoint_seconds(),
            code_version=code_version(),
            surface=options.surface,
            live=self.live,
            keep_weights=False,
            tests=options.tests,
            most_failures=options.most_failures,
        )

    def _opened(self, chosen: Plan, found: Tuned | None = None) -> Ledger:
        """The search's ledger, with the design of `chosen` and with what was found, if known."""
        from seedbed.track.mlflow.address import redacted
        from seedbed.track.mlflow.connection import prepare_store
        from seedbed.track.mlflow.ledger import MlflowLedger

        options, nuisance = self.options, self.options.plan.nuisance
        assert nuisance is not None
        uri, name = tracking_uri(options), f"{options.name}_{SEARCH}"
        prepare_store(uri, name)
        entry = entry_of(replace(options, plan=chosen), self.corpora, self.stated)
        response = nuisance.tuning.response or chosen.responses[0]
        tuned = found or Tuned(nuisance=nuisance, response=response)
        design = replace(entry.design, study=name, claims=(), tuned=tuned)
        tags = {"seedbed.role": SEARCH, "seedbed.results": redacted(self.store.uri)}
        ledger = MlflowLedger(uri, name)
        ledger.open_study(
            replace(
                entry,
                study=name,
                design=design,
                tags={**entry.tags, **tags},
                storage=self.store.mark(),
            )
        )
        return ledger

    def tell(self, found: Tuned) -> None:
        """The search has ended: its run has all of its trials, and what they came to."""
        self.close()
        if self.trials:
            whole = self.options.plan.of_trials(list(self.trials.values()))
            self.ledger = self._opened(whole, found)

    def close(self) -> None:
        if self.ledger is not None:
            unsent = self.ledger.close(timeout_s=CLOSE_SECONDS)
            self.ledger = None
            if unsent:
                print(
                    f"MLflow has not received all of the search ({unsent.reason})", file=sys.stderr
                )
