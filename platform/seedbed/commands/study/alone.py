"""One plan carried out: what is recorded is read, what is missing runs, the report is written."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from seedbed.commands.study.entry import code_version, entry_of
from seedbed.commands.study.lines import say_start, unscored_lines
from seedbed.commands.study.settings import checkpoint_seconds, tracking_uri
from seedbed.commands.study.stated import looks_before, stated_claims
from seedbed.commands.study.written import Tracking, finish
from seedbed.errors import DataError

LINT = "lint.json"  # in the study's folder: what was found before it started

if TYPE_CHECKING:
    from seedbed.analyze.report.write import Report
    from seedbed.commands.study.options import Options
    from seedbed.data.corpus import Corpus
    from seedbed.data.opening import OpenCorpus
    from seedbed.run.driver.live import Live
    from seedbed.run.driver.outcome import Outcome
    from seedbed.storage.folder import Folder

    Corpora = Mapping[Corpus, OpenCorpus]


def run_alone(
    options: Options, corpora: Corpora, store: Folder, live: Live
) -> tuple[Outcome, Report]:
    """Run what is missing of the plan, and write the report of it."""
    from seedbed.recall import check_scored_alike
    from seedbed.run.driver.launch import run_plan
    from seedbed.run.driver.outcome import read_outcome
    from seedbed.storage.folder import Folder
    from seedbed.track.finished import note_finished

    chosen = options.plan
    before = read_outcome(store, chosen.trials, corpora)
    top = Folder(options.storage)
    if options.surface is None:
        take_over(options, corpora, store, before, keep_weights=options.keep_weights)
    live.knows(before)
    check_scored_alike(before.records.values())
    left = len(chosen.trials) - len(before.records)
    _say(options, corpora, store, before)
    if left:
        _check_room(options, corpora, store)
    experiment = _join(options, needs_ray=left > 0)
    if options.surface is not None:
        store.write_json(options.surface.to_json(), "surface.json")
        print(
            f"surface {store.place('surface.json')}: change a copy, and give it to --rehearse",
            file=sys.stderr,
        )
    # Who states a claim now has seen those of other data, too.
    stated = stated_claims(store, chosen, len(before.records) + len(before.stale))
    looks = looks_before(store, chosen)
    tracking = _open_ledger(options, corpora, stated, looks, store, experiment)
    outcome = before
    try:
        _tell_again(tracking, store, before)
        if left:
            outcome = run_plan(
                chosen,
                corpora,
                store,
                tracking.ledger,
                asked=options.asked,
                checkpoint_seconds=checkpoint_seconds(),
                code_version=code_version(),
                surface=options.surface,
                live=live,
                keep_weights=options.keep_weights,
                tests=options.tests,
                validate_every=options.validate_every,
                most_failures=options.most_failures,
            )
    finally:
        live.writes_report()
        report = finish(chosen, outcome, tracking, store)
    live.knows(outcome)
    if options.surface is None:  # what a rehearsal made up is nobody else's
        with suppress(DataError):  # the next start writes it
            note_finished(top, options.name, outcome.records)
    return outcome, report


def take_over(
    options: Options, corpora: Corpora, store: Folder, before: Outcome, *, keep_weights: bool
) -> None:
    """Take what other studies have finished of the plan into its results, and say so."""
    from seedbed.run.driver.reuse import reuse
    from seedbed.storage.folder import Folder

    taken = reuse(
        Folder(options.storage),
        store,
        options.plan,
        before,
        corpora,
        tests=options.tests,
        keep_weights=keep_weights,
    )
    for study, number in Counter(taken.values()).most_common():
        print(f"reused  {number:,} trials from {study}", file=sys.stderr)


def _say(options: Options, corpora: Corpora, store: Folder, before: Outcome) -> None:
    """Print what starts, and keep what the lint found in it."""
    chosen = options.plan
    say_start(options, corpora, store, len(before.records))
    for line in unscored_lines(chosen.study, before.records.values()):
        print(line, file=sys.stderr)
    found = [finding.to_json() for finding in options.findings]
    store.write_json({"forced": bool(options.forced), "found": found}, chosen.variation, LINT)


def _check_room(options: Options, corpora: Corpora, store: Folder) -> None:
    """Check that what the trials leave behind has room where it goes."""
    from seedbed.cluster.layout import check_disk
    from seedbed.run.driver.preflight import kept_bytes

    if options.surface is not None:
        return
    test_bytes = kept_bytes(options.plan, corpora, options.tests)
    free, weights = store.free_bytes(), options.keep_weights
    check_disk(options.plan, free, options.storage, test_bytes, keep=weights)


def _join(options: Options, *, needs_ray: bool) -> str:
    """Join Ray, if anything is left to run, and MLflow; returns the experiment's id."""
    from seedbed.cluster.connect import connect
    from seedbed.run.driver.preflight import check_workers
    from seedbed.track.mlflow.connection import prepare_store

    # A new store of runs takes seconds, and so does a new Ray: both at once.
    with ThreadPoolExecutor(1) as beside:
        experiment = beside.submit(prepare_store, tracking_uri(options), options.name)
        if needs_ray:
            print(f"ray     {connect()}", file=sys.stderr)
    if needs_ray:
        # Again: a cluster is known once it is joined.
        check_workers(options.plan, options.asked, trains=options.surface is None)
    return experiment.result()


def _tell_again(tracking: Tracking, store: Folder, before: Outcome) -> None:
    """Tell MLflow what an earlier start missed (a server that was down); it is idempotent."""
    from seedbed.run.driver.outcome import files_of_records

    for key, files in files_of_records(store, before.records):
        tracking.ledger.finish(before.records[key], files)


def _open_ledger(
    options: Options,
    corpora: Corpora,
    stated: Mapping[str, str],
    looks: Sequence[Mapping[str, int]],
    store: Folder,
    experiment: str,
) -> Tracking:
    from seedbed.track.mlflow.address import redacted
    from seedbed.track.mlflow.ledger import MlflowLedger

    uri = tracking_uri(options)
    ledger = MlflowLedger(uri, options.name)
    entry = entry_of(options, corpora, stated, looks)
    place = {"seedbed.results": redacted(store.uri)}
    entry = replace(entry, storage=store.mark(), tags={**entry.tags, **place})
    ledger.open_study(entry)
    return Tracking(ledger, uri, experiment, entry)
