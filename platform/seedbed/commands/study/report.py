"""`--report`: the report again, from what MLflow has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedbed.commands.study.entry import identity_of
from seedbed.commands.study.written import print_ui, report_folder, written_report
from seedbed.exits import COMPLETE, MISSING

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options


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
    with report_folder(store, chosen.variation) as folder:
        report = written_report(design, study.trials, folder, correct, curves)
        if not store.local:
            store.upload(folder, chosen.variation, "report")
    print(report.summary)
    print(f"\nreport  {store.place(chosen.variation, 'report', 'report.html')}")
    print_ui(study.uri, study.experiment, view_key(study.identity, study.storage))
    complete = bool((study.trials["status"] == "completed").all())
    return COMPLETE if complete else MISSING
