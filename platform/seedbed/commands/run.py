"""Carries a plan out: what it needs is made ready, its trials run, its report written."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.commands.describe import code_version, entry_of, identity_of, say_start
from seedbed.home import home
from seedbed.plan.plan import Plan
from seedbed.study.claim import ERROR_ID, digest_of

if TYPE_CHECKING:
    import pandas as pd

    from seedbed.analyze.report.sections.learning_curves import CurveReader
    from seedbed.commands.options import Options
    from seedbed.data.corpus import Corpus
    from seedbed.data.opening import OpenCorpus
    from seedbed.run.driver.outcome import Outcome
    from seedbed.storage.folder import Folder
    from seedbed.track.ledger import Ledger, StudyEntry

    Corpora = Mapping[Corpus, OpenCorpus]

COMPLETE, TRIALS_MISSING = 0, 1
CLOSE_SECONDS = 30.0
UI_PORT = 5000


def run(options: Options) -> int:
    """Run what is missing of the plan and write its report. Returns the exit status."""
    from seedbed.errors import StudyHeldError
    from seedbed.run.driver.preflight import check_workers
    from seedbed.storage.folder import Folder
    from seedbed.storage.lock import study_lock
    from seedbed.storage.retry import retry_seconds
    from seedbed.track.mlflow.connection import check_tracking, default_tracking_uri

    retry_seconds()
    check_workers(options.plan, options.workers)
    store = Folder(options.storage).sub(*options.folder)
    corpora = {} if options.surface else _opened_corpora(options)
    check_tracking(options.tracking_uri or default_tracking_uri(home()))
    try:
        with study_lock(store):  # before the ledger is opened: that ends what still runs in it
            return _run_alone(options, corpora, store)
    except StudyHeldError as held:
        print(f"error: {held}", file=sys.stderr)
        return TRIALS_MISSING


def _opened_corpora(options: Options) -> Corpora:
    """What the trials read, made ready and opened; raises where they would not be comparable."""
    from seedbed.data.opening import open_corpora
    from seedbed.run.driver.launch import check_one_test
    from seedbed.run.driver.preflight import check_epochs, check_names

    chosen = options.plan
    stated = [trial.recipe.corpus for trial in chosen.trials]
    _prepare(stated)
    _prepare_assets(chosen)
    corpora = open_corpora(stated, home())
    check_one_test(corpora.values())
    check_names(corpora.values(), chosen.responses)
    pairs = {corpus: opened.train.num_samples for corpus, opened in corpora.items()}
    for warning in check_epochs(chosen, pairs, options.max_epochs):
        print(warning, file=sys.stderr)
    return corpora


def _run_alone(options: Options, corpora: Corpora, store: Folder) -> int:
    from seedbed.cluster.connect import connect
    from seedbed.cluster.layout import check_disk
    from seedbed.recall import check_scored_alike
    from seedbed.run.driver.launch import run_plan
    from seedbed.run.driver.outcome import read_outcome, record_files
    from seedbed.run.driver.preflight import check_workers

    chosen = options.plan
    before = read_outcome(store, chosen.trials, corpora)
    check_scored_alike(record.to_json() for record in before.records.values())
    left = len(chosen.trials) - len(before.records)
    say_start(options, corpora, store, len(before.records))
    if left:
        if options.surface is None:
            check_disk(chosen, store.free_bytes(), options.storage)
        print(f"ray     {connect()}", file=sys.stderr)
        check_workers(chosen, options.workers)  # again: a cluster is known once it is joined
    if options.surface is not None:
        store.write_json(options.surface.to_json(), "surface.json")
        print(
            f"surface {store.place('surface.json')}: change a copy, and give it to --rehearse",
            file=sys.stderr,
        )
    # Who states a claim now has seen those of other data, too.
    stated = stated_claims(store, chosen, len(before.records) + len(before.stale))
    tracking = _open_ledger(options, corpora, stated, looks_before(store, chosen), store)
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
                num_workers=options.workers,
                checkpoint_seconds=float(os.environ.get("SEEDBED_CHECKPOINT_SECONDS", "30")),
                code_version=code_version(),
                surface=options.surface,
            )
    finally:
        _finish(options, outcome, tracking, store)
    missing = outcome.missing(chosen.trials)
    for trial in missing:
        ended = outcome.records.get(trial.key)
        reason = ended.reason if ended else outcome.reasons.get(trial.key, "it never started")
        print(f"missing: {trial.name} ({trial.key}): {reason}", file=sys.stderr)
    return TRIALS_MISSING if missing else COMPLETE


def stated_claims(store: Folder, chosen: Plan, num_ended: int) -> dict[str, str]:
    """When each claim was stated, by its id, in words; a new one is written down as of now.

    A claim is known by the digest of all that it says: one that was changed is a new one. So is
    the error that intervals rest on (by `ERROR_ID`), where the study says another than the default.
    """
    design = chosen.design()
    claims = design.get("claims", [])
    known: dict[str, int] = store.read_json(chosen.variation, "claims.json") or {}
    marks = {claim["id"]: digest_of(claim) for claim in claims}
    if "error" in design:
        marks[ERROR_ID] = digest_of(design["error"])
    new = [mark for mark in marks.values() if mark not in known]
    if new:
        known |= dict.fromkeys(new, num_ended)
        store.write_json(known, chosen.variation, "claims.json")
    return {
        name: f"after {known[mark]} of the trials had ended"
        if known[mark]
        else "before the first trial"
        for name, mark in marks.items()
    }


def looks_before(store: Folder, chosen: Plan) -> list[dict[str, int]]:
    """What earlier reports of this study were written from: seeds and completed trials."""
    found: list[dict[str, int]] = store.read_json(chosen.variation, "looks.json") or []
    return found


def _note_look(store: Folder, chosen: Plan, table: pd.DataFrame) -> None:
    """Write down that a report was written; one of the same trials is the same look."""
    done = table[table["status"] == "completed"]
    look = {"num_seeds": int(done["seed"].nunique()), "num_completed": len(done)}
    looks = looks_before(store, chosen)
    if len(done) and look not in looks:
        store.write_json([*looks, look], chosen.variation, "looks.json")


def _prepare_assets(chosen: Plan) -> None:
    """Fetch what the views of some trial read beside the samples, and is nowhere yet."""
    from seedbed.data.render.augmentation import all_assets

    for asset in all_assets(chosen.cohorts):
        asset.prepare(home())


def _prepare(corpora: Sequence[Corpus]) -> None:
    """Build the demo corpora that are not there yet; an own folder needs nothing."""
    from seedbed.data.provided import PREFIX, provider
    from seedbed.storage.address import parse_sources

    places = {uri for corpus in corpora for uri in (corpus.uri, corpus.test_uri) if uri}
    for uri in sorted({source.uri for place in places for source in parse_sources(place)}):
        if uri.startswith(PREFIX):
            provider().prepare(uri.removeprefix(PREFIX), home())


@dataclass(frozen=True)
class _Tracking:
    """The ledger of this run, and where a person looks at it."""

    ledger: Ledger
    uri: str
    experiment: str
    entry: StudyEntry


def _open_ledger(
    options: Options,
    corpora: Corpora,
    stated: Mapping[str, str],
    looks: Sequence[Mapping[str, int]],
    store: Folder,
) -> _Tracking:
    from seedbed.track.mlflow.connection import default_tracking_uri, prepare_store, redacted
    from seedbed.track.mlflow.ledger import MlflowLedger

    uri = options.tracking_uri or default_tracking_uri(home())
    experiment = prepare_store(uri, options.name)
    ledger = MlflowLedger(uri, options.name)
    entry = entry_of(options, corpora, stated, looks)
    place = {"seedbed.results": redacted(store.uri)}
    entry = replace(entry, storage=store.mark(), tags={**entry.tags, **place})
    ledger.open_study(entry)
    return _Tracking(ledger, uri, experiment, entry)


def _rows(chosen: Plan, outcome: Outcome) -> list[dict[str, Any]]:
    """A row for each trial that has one, as the analysis reads them."""
    rows = [record.to_json() for record in outcome.records.values()]
    known = {row["key"] for row in rows}
    left = (t for t in chosen.trials if t.key not in known and t.key in outcome.reasons)
    rows += [
        {
            "key": trial.key,
            "cell": trial.cell.to_json(),
            "seed": trial.seed,
            "status": "interrupted" if trial.key in outcome.stopped else "failed",
            "reason": outcome.reasons[trial.key],
            "metrics": {},
        }
        for trial in left
    ]
    return rows


def _finish(options: Options, outcome: Outcome, tracking: _Tracking, store: Folder) -> None:
    """Write the report, send what is left to MLflow, and say where everything is."""
    chosen = options.plan
    # Until the ledger has sent the files on.
    with _report_folder(store, chosen.variation) as folder:
        try:
            report = _reported(chosen, outcome, tracking, store, folder)
        finally:
            # Whatever stops the report, no run is left behind that says it is running.
            unsent = tracking.ledger.close(timeout_s=CLOSE_SECONDS)
    print(report.summary)
    print(f"\nreport  {store.place(chosen.variation, 'report', 'report.html')}")
    _print_ui(tracking.uri, tracking.experiment, tracking.entry.view)
    if unsent:
        print(
            f"MLflow has not received {len(unsent.what)} things ({unsent.reason});\n"
            "nothing is lost: the same command sends them again",
            file=sys.stderr,
        )


def _reported(
    chosen: Plan, outcome: Outcome, tracking: _Tracking, store: Folder, folder: Path
) -> Any:
    """The report of what there is, written and handed to the ledger."""
    from seedbed.analyze.report.sections.bad_samples import lines, with_bad_samples
    from seedbed.recall import table_of

    design = tracking.entry.design
    table = table_of(design, _rows(chosen, outcome))
    design = with_bad_samples(design, table, _reader(store, "bad_samples.parquet"))
    correct = _correct(store, table, chosen.responses[0])
    curves = _curves(outcome)
    report = _write_report(design, table, folder, correct, curves)
    if not store.local:
        store.upload(folder, chosen.variation, "report")
    for line in lines(design):
        print(line, file=sys.stderr)
    _note_look(store, chosen, table)
    completed = sum(record.status == "completed" for record in outcome.records.values())
    tracking.ledger.attach({f"report/{report.page.name}": report.page})
    # Each state of the study is an analysis of its own; the same state is the same run.
    of = f"{completed} of {len(chosen.trials)} trials"
    tracking.ledger.attach(dict(report.paths), analysis=of)
    return report


def _print_ui(uri: str, experiment: str, view: str) -> None:
    """The command that shows the runs (none where a server does already), and the links."""
    from seedbed.track.mlflow.view import ui_command, ui_link

    def link(**kind: bool) -> str:
        return ui_link(uri, experiment, view=view, port=UI_PORT, **kind)

    show = ui_command(uri, port=UI_PORT)
    beside = Path(sys.executable).parent / "mlflow"
    if show and shutil.which("mlflow") is None and beside.exists():
        show = str(beside) + show.removeprefix("mlflow")  # the environment is not activated
    print("runs    " + "\n        ".join(line for line in (show, link()) if line))
    print(f"charts  {link(charts=True)}")
    print(f"cells   {link(cells=True)}")


def _correct(store: Folder, table: pd.DataFrame, response: str) -> dict[str, Any]:
    """Which test pictures each completed trial named right, by the files beside its record."""
    from seedbed.analyze.trials.per_example import correct_by_trial

    done = table.loc[table["status"] == "completed", "key"]
    return correct_by_trial(done, response, _reader(store, "examples.parquet"))


def _reader(store: Folder, name: str) -> Callable[[str], bytes | None]:
    """Reads the file `name` beside a trial's record, by the trial's key; None without one."""

    def read(key: str) -> bytes | None:
        parts = ("trials", key, name)
        return store.read_bytes(*parts) if store.exists(*parts) else None

    return read


def _curves(outcome: Outcome) -> CurveReader:
    """Reads a trial's curve from its record."""

    def read(key: str, names: Sequence[str]) -> Sequence[Mapping[str, float]]:
        return outcome.records[key].curve_of(names) if key in outcome.records else []

    return read


@contextmanager
def _report_folder(store: Folder, variation: str) -> Iterator[Path]:
    """Where the report is written: in a bucket's stead, a folder that goes with the block."""
    if store.local:
        yield Path(store.path(variation, "report"))
        return
    with tempfile.TemporaryDirectory(prefix="seedbed-report-") as folder:
        yield Path(folder)


def _write_report(
    design: Mapping[str, Any],
    table: pd.DataFrame,
    folder: Path,
    correct: Mapping[str, Any],
    curves: CurveReader,
) -> Any:
    from seedbed.analyze.report.write import write_report

    provenance = {"code_version": code_version()}
    return write_report(dict(design), table, folder, provenance, correct, curves)


def report_from_ledger(options: Options) -> int:
    """Write the report from what MLflow has. Returns the exit status."""
    from seedbed.recall import correct_of, curves_of, recall, with_bad_samples_of
    from seedbed.storage.folder import Folder
    from seedbed.track.ledger import view_key

    chosen = options.plan
    store = Folder(options.storage).sub(*options.folder)
    study = recall(
        options.name,
        scale=chosen.scale.name,
        tracking_uri=options.tracking_uri,
        identity=identity_of(options),
        storage=store.mark(make=False),
    )
    correct, curves = correct_of(study), curves_of(study)
    design = with_bad_samples_of(study)
    with _report_folder(store, chosen.variation) as folder:
        report = _write_report(design, study.trials, folder, correct, curves)
        if not store.local:
            store.upload(folder, chosen.variation, "report")
    print(report.summary)
    print(f"\nreport  {store.place(chosen.variation, 'report', 'report.html')}")
    _print_ui(study.uri, study.experiment, view_key(study.identity, study.storage))
    complete = bool((study.trials["status"] == "completed").all())
    return COMPLETE if complete else TRIALS_MISSING
