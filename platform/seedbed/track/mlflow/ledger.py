"""The ledger in MLflow: one writer thread, so that no trial ever waits for a server."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from seedbed.errors import SeedbedError
from seedbed.study.record import TrialRecord, split_finite
from seedbed.track.ledger import File, StudyEntry, TrialEntry, Unsent
from seedbed.track.mlflow.connection import check_tracking
from seedbed.track.mlflow.study_runs import MlflowRuns
from seedbed.track.outbox import CurvePoint, Delivery, Outbox

logger = logging.getLogger(__name__)

# Permanent errors: a retry gets the same answer (mlflow/protos/databricks.proto).
REFUSALS = frozenset(
    {
        "BAD_REQUEST",
        "CUSTOMER_UNAUTHORIZED",
        "ENDPOINT_NOT_FOUND",
        "FEATURE_DISABLED",
        "INVALID_PARAMETER_VALUE",
        "INVALID_STATE",
        "MALFORMED_REQUEST",
        "NOT_IMPLEMENTED",
        "PERMISSION_DENIED",
        "RESOURCE_ALREADY_EXISTS",
        "RESOURCE_DOES_NOT_EXIST",
        "UNAUTHENTICATED",
    }
)


class MlflowLedger:
    """A `Ledger` in the experiment `experiment` of the store `uri`.

    Starts no run of MLflow's own and sets nothing global. Call `prepare_store` before, in the
    driver. `max_points` bounds the curve points that wait for a server; those dropped beyond it
    come back with the trial's record. `linger_s` is how long points are gathered.
    """

    def __init__(
        self, uri: str, experiment: str, *, max_points: int = 200_000, linger_s: float = 1.0
    ) -> None:
        self.uri, self.experiment = uri, experiment
        self._opened = False
        self._runs = MlflowRuns(uri, experiment)
        self._outbox = Outbox(
            self._runs.log_points,
            is_refused=is_refused,
            is_alive=partial(answers, uri),
            max_points=max_points,
            linger_s=linger_s,
        )

    def open_study(self, entry: StudyEntry) -> None:
        run = partial(self._runs.open_study, entry)
        self._outbox.put(Delivery(f"the run of study {entry.study}", run))
        self._outbox.put(Delivery(f"the view of study {entry.study}", self._runs.open_view))
        self._opened = True

    def open_trial(self, entry: TrialEntry) -> None:
        run = partial(self._runs.open_trial, entry)
        self._outbox.put(Delivery(f"the run of trial {entry.key}", run, entry.key))

    def log(self, key: str, samples: int, metrics: Mapping[str, float]) -> None:
        try:
            finite, _ = split_finite(metrics)
            if finite:
                self._outbox.put_point(key, CurvePoint(int(samples), _now_ms(), finite))
        except Exception as error:  # no trial fails for its tracking, whatever it hands over
            logger.warning("a point of trial %s cannot be logged: %s", key, error)

    def finish(self, record: TrialRecord, files: Mapping[str, File] | None = None) -> None:
        run = partial(self._runs.finish, record, dict(files or {}), _now_ms())
        what = f"the record of trial {record.key}"
        self._outbox.put(Delivery(what, run, record.key, final=True, after_points=True))

    def interrupt(self, key: str, reason: str) -> None:
        run = partial(self._runs.interrupt, key, reason)
        self._outbox.put(Delivery(f"the end of trial {key}", run, key, after_points=True))

    def attach(self, files: Mapping[str, Path], *, analysis: str = "") -> None:
        run = partial(self._runs.attach, dict(files), analysis)
        self._outbox.put(Delivery(f"the files {', '.join(files)}", run))

    def close(self, timeout_s: float = 60.0) -> Unsent:
        if self._opened:
            what = f"the end of study {self.experiment}"
            self._outbox.put(Delivery(what, self._runs.close, after_points=True))
            self._opened = False
        return self._outbox.close(timeout_s)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def is_refused(error: Exception) -> bool:
    """Whether `error` is permanent: a retry would get the same answer."""
    if isinstance(error, SeedbedError | FileNotFoundError | TypeError | ValueError):
        return True
    return getattr(error, "error_code", "") in REFUSALS


def answers(uri: str) -> bool:
    """Whether the store at `uri` answers at all."""
    try:
        check_tracking(uri, timeout_s=5.0)
    except SeedbedError:
        return False
    return True
