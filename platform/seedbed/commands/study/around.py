"""A study around the best cell of another: which one that is, looked up once and written down."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from seedbed.errors import StudyError, TrackingError
from seedbed.study.best import AroundBest
from seedbed.study.cell import Cell
from seedbed.study.centre import Centred
from seedbed.study.record import TrialRecord
from seedbed.study.study import Study

if TYPE_CHECKING:
    from seedbed.storage.folder import Folder
    from seedbed.study.label import Label
    from seedbed.track.seen import Seen

AROUND = "around.json"  # in the study's folder, whatever it runs at
THREADS = 16  # records that are asked for at a time


def around_best(study: Study, storage: str) -> Study:
    """`study` with the cell that it is drawn around: as its first start recorded it, or as it is
    now in the other study's results. Any other study as it is.

    Raises StudyError where the other study is not there, runs still, or has no such cell.
    """
    from seedbed.storage.folder import Folder

    design = study.design
    if not isinstance(design, AroundBest):
        return study
    known = Folder(storage).read_json(study.name, AROUND)
    if known is None or known["of"] != design.of:
        known = {"levels": _levels_of_best(study, design, storage)}
    return study.of_cells(design=design.around(known["levels"], study.factors))


def record_centre(study: Study, store: Folder) -> None:
    """Write down which cell `study` is drawn around, for its later starts; nothing of others."""
    design = study.design
    if isinstance(design, Centred) and design.of:
        known = {"of": design.of, "levels": design.around.to_json()}
        if store.read_json(AROUND) != known:
            store.write_json(known, AROUND)


def _levels_of_best(study: Study, design: AroundBest, storage: str) -> Mapping[str, Label]:
    from seedbed.track.seen import read_state, study_folder

    try:
        store = study_folder(storage, design.of)
        seen = read_state(store)
    except TrackingError as error:
        raise StudyError(
            f"{design.name} is around the best of '{design.of}': {error.what}",
            why="its best cell is looked up in its results",
            mend=f"run '{design.of}' first, into the same storage. {error.mend}",
        ) from None
    if not (seen.state.over or seen.lost):
        raise StudyError(
            f"{design.name} is around the best of '{design.of}', which is {seen.state.phase}",
            why="which of its cells is the best is known once it has ended",
            mend=f"wait for it (seedbed status {design.of})",
        )
    return _best(study, design, seen, store)


def _best(study: Study, design: AroundBest, seen: Seen, store: Folder) -> Cell:
    """The cell with the best mean of the primary response, of those with the most seeds."""
    response = study.responses[0]
    planned = seen.planned

    def measured(key: str) -> float | None:
        values = store.read_json("trials", key, "record.json")
        record = TrialRecord.from_json(values) if values else None
        done = record is not None and record.status == "completed"
        return record.metrics.get(response) if record is not None and done else None

    with ThreadPoolExecutor(THREADS) as pool:
        values = list(pool.map(measured, [trial.key for trial in planned.trials]))
    found: dict[Cell, list[float]] = {}
    for number, value in enumerate(values):
        if value is not None:
            found.setdefault(planned.cell(number), []).append(value)
    if not found:
        raise StudyError(
            f"{design.name} is around the best of '{design.of}', which has no completed trial "
            f"with {response}",
            why="a best cell is one by the primary response",
            mend=f"finish '{design.of}', or name the levels",
        )
    sign = 1 if study.metrics[response].higher_is_better else -1
    most = max(map(len, found.values()))  # one that lost a seed has another mean for that alone
    whole = {cell: statistics.fmean(own) for cell, own in found.items() if len(own) == most}
    return max(whole, key=lambda cell: sign * whole[cell])
