"""Carries a plan out: what it needs is made ready, its trials run, its report written."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from seedbed.commands.study.corpora import opened_corpora
from seedbed.commands.study.entry import code_version, entry_of
from seedbed.commands.study.lines import say_start, unscored_lines
from seedbed.commands.study.named import check_name
from seedbed.commands.study.settings import checkpoint_seconds, tracking_uri
from seedbed.commands.study.starts import check_starts_of
from seedbed.commands.study.stated import looks_before, stated_claims
from seedbed.commands.study.tests import with_open_tests
from seedbed.commands.study.written import Tracking, finish
from seedbed.errors import INFRASTRUCTURE, DataError, failure_in
from seedbed.exits import COMPLETE, FAILING, MISSING, PASSING, STOPPED

MOST_NAMED = 50  # trials that are missing: status and report have all
LINT = "lint.json"  # in the study's folder: what was found before it started

if TYPE_CHECKING:
    from seedbed.analyze.report.write import Report
    from seedbed.commands.study.options import Options
    from seedbed.data.corpus import Corpus
    from seedbed.data.opening import OpenCorpus
    from seedbed.plan.plan import Plan
    from seedbed.run.driver.live import Live
    from seedbed.run.driver.outcome import Outcome
    from seedbed.storage.folder import Folder

    Corpora = Mapping[Corpus, OpenCorpus]


def run(options: Options) -> int:
    """Run what is missing of the plan and write its report. Returns the exit status."""
    from seedbed.plan.lint.examine import check_lint
    from seedbed.run.driver.preflight import check_workers
    from seedbed.storage.folder import Folder
    from seedbed.storage.lock import study_lock
    from seedbed.storage.retry import retry_seconds
    from seedbed.track.mlflow.connection import check_tracking

    retry_seconds()
    if options.refused:
        check_lint(options.findings)
    check_workers(options.plan, options.asked)
    check_starts_of(options)
    store = Folder(options.storage).sub(*options.folder)
    corpora: Corpora = {}
    if options.surface is None:
        options, shown = with_open_tests(options)
        corpora = opened_corpora(options, shown)
    check_tracking(tracking_uri(options))
    check_name(store, options.plan.study)
    with study_lock(store):  # before the ledger is opened: that ends what still runs in it
        from seedbed.run.driver.heartbeat import heartbeat  # which imports Ray

        with heartbeat(store, options.plan) as live:
            if options.plan.nuisance is not None:
                from seedbed.commands.study.tuned import tuned

                options = tuned(options, corpora, store, live)
            if options.plan.study.looks is None:
                chosen = options.plan
                outcome, _ = _run_alone(options, corpora, store, live)
            else:
                from seedbed.commands.study.looked import look_by_look

                alone = partial(_run_alone, corpora=corpora, store=store, live=live)
                chosen, outcome = look_by_look(options, alone, store, live)
            return _ended(chosen, outcome, live)


def _run_alone(
    options: Options, corpora: Corpora, store: Folder, live: Live
) -> tuple[Outcome, Report]:
    """Run what is missing of the plan, and write the report of it."""
    from seedbed.cluster.connect import connect
    from seedbed.cluster.layout import check_disk
    from seedbed.recall import check_scored_alike
    from seedbed.run.driver.launch import run_plan
    from seedbed.run.driver.outcome import read_outcome, record_files
    from seedbed.run.driver.preflight import check_workers, kept_bytes
    from seedbed.run.driver.reuse import reuse
    from seedbed.storage.folder import Folder
    from seedbed.track.finished import note_finished
    from seedbed.track.mlflow.connection import prepare_store

    chosen = options.plan
    before = read_outcome(store, chosen.trials, corpora)
    top = Folder(options.storage)
    if options.surface is None:
        taken = reuse(
            top,
            store,
            chosen,
            before,
            corpora,
            tests=options.tests,
            keep_weights=options.keep_weights,
        )
        for study, number in Counter(taken.values()).most_common():
            print(f"reused  {number:,} trials from {study}", file=sys.stderr)
    live.knows(before)
    check_scored_alike(before.records.values())
    left = len(chosen.trials) - len(before.records)
    say_start(options, corpora, store, len(before.records))
    for line in unscored_lines(chosen.study, before.records.values()):
        print(line, file=sys.stderr)
    found = [finding.to_json() for finding in options.findings]
    store.write_json({"forced": bool(options.forced), "found": found}, chosen.variation, LINT)
    if left and options.surface is None:
        test_bytes = kept_bytes(chosen, corpora, options.tests)
        check_disk(
            chosen, store.free_bytes(), options.storage, test_bytes, keep=options.keep_weights
        )
    # A new store of runs takes seconds, and so does a new Ray: both at once.
    with ThreadPoolExecutor(1) as beside:
        experiment = beside.submit(prepare_store, tracking_uri(options), options.name)
        if left:
            print(f"ray     {connect()}", file=sys.stderr)
    if left:
        # Again: a cluster is known once it is joined.
        check_workers(chosen, options.asked, trains=options.surface is None)
    if options.surface is not None:
        store.write_json(options.surface.to_json(), "surface.json")
        print(
            f"surface {store.place('surface.json')}: change a copy, and give it to --rehearse",
            file=sys.stderr,
        )
    # Who states a claim now has seen those of other data, too.
    stated = stated_claims(store, chosen, len(before.records) + len(before.stale))
    looks = looks_before(store, chosen)
    tracking = _open_ledger(options, corpora, stated, looks, store, experiment.result())
    outcome = before
    try:
        # What an earlier ledger missed (a server that was down) is told again; it is idempotent.
        sizes = {} if store.local or not before.records else store.sizes("trials")
        for key, record in before.records.items():
            tracking.ledger.finish(record, record_files(store, key, sizes))
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


def _ended(chosen: Plan, outcome: Outcome, live: Live) -> int:
    """Name what is missing, and return the exit status."""
    missing = outcome.missing(chosen.trials)
    live.end("stopped" if outcome.interrupted else "ended" if missing else "complete")
    for trial in missing[:MOST_NAMED]:
        ended = outcome.records.get(trial.key)
        reason = ended.reason if ended else outcome.reasons.get(trial.key, "it never started")
        print(f"missing: {trial.name} ({trial.key}): {reason}", file=sys.stderr)
    if len(missing) > MOST_NAMED:
        print(
            f"missing: and {len(missing) - MOST_NAMED:,} more, which `seedbed status` counts by "
            "kind and the report names",
            file=sys.stderr,
        )
    if not missing:
        return COMPLETE
    if outcome.limit:
        print(
            f"stopped: {outcome.limit}: what was done is kept. Once the cause is mended the same "
            "command goes on, and tries again what failed",
            file=sys.stderr,
        )
        return FAILING
    if outcome.interrupted:
        return STOPPED
    lost = INFRASTRUCTURE in {failure_in(outcome.reasons.get(trial.key)) for trial in missing}
    return PASSING if lost else MISSING


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
