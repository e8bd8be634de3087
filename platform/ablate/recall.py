"""A study read back from MLflow, without its file and without its shards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ablate.home import home

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Recalled:
    """A study as MLflow knows it: its design, and one row for each planned trial."""

    design: dict[str, Any]
    trials: pd.DataFrame
    uri: str
    experiment: str
    identity: str


def recall(name: str, *, scale: str = "", tracking_uri: str = "", identity: str = "") -> Recalled:
    """The study `name`: its newest run, of `scale` and `identity` where they are given.

    Raises TrackingError where there is none.
    """
    from ablate.track.connection import default_tracking_uri, find_experiment
    from ablate.track.reader import read_design, read_rows, run_identity

    uri = tracking_uri or default_tracking_uri(home())
    experiment = find_experiment(uri, name)
    # One run for both: another may be opened meanwhile.
    identity = identity or run_identity(uri, name, scale)
    design = read_design(uri, name, scale, identity=identity)
    rows = [ended(row) for row in read_rows(uri, name, scale, identity=identity)]
    return Recalled(design, table_of(design, rows), uri, experiment, identity)


def correct_of(found: Recalled) -> dict[str, NDArray[np.bool_]]:
    """Which test pictures each completed trial named right, by the artifacts of its run."""
    from ablate.analyze.correct import correct_by_trial
    from ablate.errors import TrackingError
    from ablate.track.reader import examples

    def read(key: str) -> bytes | None:
        try:
            return examples(
                found.uri, found.design["study"], key, name="examples.parquet"
            ).read_bytes()
        except TrackingError:
            return None

    done = found.trials.loc[found.trials["status"] == "completed", "key"]
    return correct_by_trial(done, found.design["responses"][0], read)


def table_of(design: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The trials table of `rows`, of which only the planned ones are taken."""
    from ablate.analyze.trials import trials_table

    planned = {trial["key"]: trial.get("recipe", {}) for trial in design["trials"]}
    return trials_table(
        dict(design),
        [{**row, "recipe": planned[row["key"]]} for row in rows if row["key"] in planned],
    )


def ended(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the analysis knows it: what runs, or was interrupted, has not ended."""
    if row["status"] in ("running", "interrupted"):
        return row | {"status": "never_started", "reason": row.get("reason") or row["status"]}
    return row
