"""The report of a study that ran: writes it, hands it to the ledger, and says where it is."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.commands.study.entry import code_version
from seedbed.commands.study.stated import note_look
from seedbed.plan.design import Design
from seedbed.plan.plan import Plan
from seedbed.study.record import TrialRecord

if TYPE_CHECKING:
    import pandas as pd

    from seedbed.analyze.report.sections.learning_curves import CurveReader
    from seedbed.analyze.report.write import Report
    from seedbed.metric import Metric
    from seedbed.run.driver.outcome import Outcome
    from seedbed.storage.folder import Folder
    from seedbed.track.ledger import Ledger, StudyEntry

CLOSE_SECONDS = 30.0
UI_PORT = 5000


@dataclass(frozen=True)
class Tracking:
    """The ledger of this run, and where a person looks at it."""

    ledger: Ledger
    uri: str
    experiment: str
    entry: StudyEntry


def finish(chosen: Plan, outcome: Outcome, tracking: Tracking, store: Folder) -> Report:
    """Write the report, send what is left to MLflow, and say where everything is."""
    # The files must exist until the ledger has sent them.
    with report_folder(store, chosen.variation) as folder:
        try:
            report = _reported(chosen, outcome, tracking, store, folder)
        finally:
            # Even if the report fails, no run may stay marked as running.
            unsent = tracking.ledger.close(timeout_s=CLOSE_SECONDS)
    print(report.summary)
    print(f"\nreport  {store.place(chosen.variation, 'report', 'report.html')}")
    print_ui(tracking.uri, tracking.experiment, tracking.entry.view)
    if unsent:
        print(
            f"MLflow has not received {len(unsent.what):,} things "
            f"({unsent.reason or 'it takes them too slowly'});\n"
            "nothing is lost: the same command sends them again",
            file=sys.stderr,
        )
    return report


def _reported(
    chosen: Plan, outcome: Outcome, tracking: Tracking, store: Folder, folder: Path
) -> Report:
    """The report of what there is, written and handed to the ledger."""
    from seedbed.analyze.report.sections.bad_samples import FILE_NAME, lines, with_bad_samples
    from seedbed.recall import table_of

    design = tracking.entry.design
    table = table_of(design, _records(chosen, outcome))
    read = _reader(store)
    design = with_bad_samples(design, table, lambda key: read(key, FILE_NAME))
    correct = _correct(store, table, chosen.metrics[chosen.responses[0]])
    curves = _curves(outcome)
    report = written_report(design, table, folder, correct, curves)
    if not store.local:
        store.upload(folder, chosen.variation, "report")
    for line in lines(design):
        print(line, file=sys.stderr)
    note_look(store, chosen, table)
    completed = sum(record.status == "completed" for record in outcome.records.values())
    tracking.ledger.attach({f"report/{report.page.name}": report.page})
    # One analysis run for each number of completed trials: the same report again reuses its run.
    of = f"{completed} of {len(chosen.trials)} trials"
    tracking.ledger.attach(dict(report.paths), analysis=of)
    return report


def _records(chosen: Plan, outcome: Outcome) -> list[TrialRecord]:
    """A record for each trial that ended; those that left none get one here."""
    from seedbed.run.driver.outcome import failed

    left = (t for t in chosen.trials if t.key not in outcome.records and t.key in outcome.reasons)
    return [
        *outcome.records.values(),
        *(
            failed(
                chosen,
                trial,
                "",
                outcome.reasons[trial.key],
                outcome.attempts.get(trial.key, 1),
                "interrupted" if trial.key in outcome.stopped else "failed",
            )
            for trial in left
        ),
    ]


def print_ui(uri: str, experiment: str, view: str) -> None:
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


def _correct(store: Folder, table: pd.DataFrame, response: Metric) -> dict[str, Any]:
    """Which test examples each completed trial got right, by the files beside its record."""
    from seedbed.analyze.trials.per_example import correct_by_trial

    done = table.loc[table["status"] == "completed", "key"]
    return correct_by_trial(done, response, _reader(store))


def _reader(store: Folder) -> Callable[[str, str], bytes | None]:
    """Reads a file beside a trial's record, by the trial's key and the file's name, or None."""

    def read(key: str, name: str) -> bytes | None:
        parts = ("trials", key, name)
        return store.read_bytes(*parts) if store.exists(*parts) else None

    return read


def _curves(outcome: Outcome) -> CurveReader:
    """Reads a trial's curve from its record."""

    def read(key: str, names: Sequence[str]) -> Sequence[Mapping[str, float]]:
        return outcome.records[key].curve_of(names) if key in outcome.records else []

    return read


@contextmanager
def report_folder(store: Folder, variation: str) -> Iterator[Path]:
    """Where the report is written; with results in a bucket, a temporary folder for the block."""
    if store.local:
        yield Path(store.path(variation, "report"))
        return
    with tempfile.TemporaryDirectory(prefix="seedbed-report-") as folder:
        yield Path(folder)


def written_report(
    design: Design,
    table: pd.DataFrame,
    folder: Path,
    correct: Mapping[str, Any],
    curves: CurveReader,
) -> Report:
    from seedbed.analyze.report.write import write_report

    provenance = {"code_version": code_version()}
    return write_report(design, table, folder, provenance, correct, curves)
