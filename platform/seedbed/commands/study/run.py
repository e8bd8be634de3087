"""Carries a plan out: what it needs is made ready, its trials run, its report written."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from seedbed.commands.study.alone import run_alone
from seedbed.commands.study.around import record_centre
from seedbed.commands.study.corpora import opened_corpora
from seedbed.commands.study.named import check_name
from seedbed.commands.study.settings import tracking_uri
from seedbed.commands.study.starts import check_starts_of
from seedbed.commands.study.tests import with_open_tests
from seedbed.errors import INFRASTRUCTURE, failure_in
from seedbed.exits import COMPLETE, FAILING, MISSING, PASSING, STOPPED

MOST_NAMED = 50  # trials that are missing: status and report have all

if TYPE_CHECKING:
    from seedbed.commands.study.alone import Corpora
    from seedbed.commands.study.options import Options
    from seedbed.plan.plan import Plan
    from seedbed.run.driver.live import Live
    from seedbed.run.driver.outcome import Outcome


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
        if options.surface is None:
            record_centre(options.plan.study, store)
        from seedbed.run.driver.heartbeat import heartbeat  # which imports Ray

        with heartbeat(store, options.plan) as live:
            if options.plan.nuisance is not None:
                from seedbed.commands.study.tuned import tuned

                options = tuned(options, corpora, store, live)
            if options.plan.study.looks is None:
                chosen = options.plan
                outcome, _ = run_alone(options, corpora, store, live)
            else:
                from seedbed.commands.study.looked import look_by_look

                alone = partial(run_alone, corpora=corpora, store=store, live=live)
                chosen, outcome = look_by_look(options, alone, store, live)
            return _ended(chosen, outcome, live)


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
