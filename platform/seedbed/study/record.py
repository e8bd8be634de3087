"""The record of one trial's outcome, as a frozen value and as plain JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from seedbed.checks import one_of
from seedbed.errors import DIVERGED, TrackingError, nearest
from seedbed.failure import FAILURES
from seedbed.study.cell import Cell

Status = Literal["completed", "diverged", "failed", "interrupted", "never_started"]
STATUSES: tuple[str, ...] = get_args(Status)

Value = str | int | float | bool | None


@dataclass(frozen=True)
class TrialRecord:
    """The outcome of one trial: what was asked, how it ended, and every number it left.

    `metrics` are the finals; one that is NaN, infinite or null is dropped and named in
    `missing_metrics`. `test_digest` identifies the pictures and names that it was scored on.
    `curve` holds points {"samples": int, metric: float, ...} in order of samples; their non-finite
    values are dropped. `order_schema` is that of the order of samples. `made_by` says on what it
    was trained, as `device=cpu; workers=1; ...`, with " then " between those of a trial that went
    on elsewhere; `layout` how cohorts were laid out on the cluster where it ended, in words;
    `weights` is the digest of its final weights, "" where none are kept; `role` is "search" of a
    trial that tuned nuisance fields, and "" of one that is compared; `tests` what decides the
    numbers of each test set of its own that it was scored on, by name; `failure` is the class of
    what it ended by, one of FAILURES, "" of one that completed; `attempt` says how often it was
    begun, with the same seed, before it ended so; `origin` is the study that trained it, "" of the
    own. Raises TrackingError for a status that is not one of STATUSES, a failure that is none of
    FAILURES, and for a point without samples.
    """

    key: str
    study: str
    scale: str
    cell: Cell
    seed: int
    cohort: str
    status: Status
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[Mapping[str, float], ...] = ()
    order_hash: str = ""
    data_fingerprint: str = ""
    test_digest: str = ""
    recipe_key: str = ""
    code_version: Mapping[str, str] = field(default_factory=dict)
    recipe: Mapping[str, Value] = field(default_factory=dict)
    missing_metrics: tuple[str, ...] = ()
    order_schema: int = 1
    made_by: str = ""
    layout: str = ""
    weights: str = ""
    role: str = ""
    tests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    failure: str = ""
    attempt: int = 1
    origin: str = ""

    def __post_init__(self) -> None:
        why = "the analysis must know which trials count"
        one_of(f"trial {self.key}: the status", self.status, STATUSES, why=why, error=TrackingError)
        failure = self.failure or (DIVERGED if self.status == "diverged" else "")
        if failure:
            one_of(
                f"trial {self.key}: the failure", failure, FAILURES, why=why, error=TrackingError
            )
        finite, missing = split_finite(self.metrics)
        named_missing = sorted({*self.missing_metrics, *missing} - set(finite))
        points = sorted((_point(self.key, p) for p in self.curve), key=lambda p: p["samples"])
        for name, value in (
            ("failure", failure),
            ("metrics", finite),
            ("missing_metrics", tuple(named_missing)),
            ("curve", tuple(points)),
            ("cell", Cell(self.cell)),
            ("code_version", dict(self.code_version)),
            ("recipe", dict(self.recipe)),
        ):
            object.__setattr__(self, name, value)

    @property
    def last_samples(self) -> int:
        """Samples seen at the last point of the curve: the step of the finals."""
        return int(self.curve[-1]["samples"]) if self.curve else 0

    def curve_of(self, names: Iterable[str]) -> list[dict[str, float]]:
        """The curve in `names`, its last point with the finals: as a ledger shows it."""
        wanted = set(names)
        points = merged([*self.curve, {"samples": self.last_samples, **self.metrics}])
        picked = {at: {n: v for n, v in p.items() if n in wanted} for at, p in points.items()}
        return [{"samples": at, **own} for at, own in sorted(picked.items()) if own]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, free of NaN: `json.dumps(..., allow_nan=False)` never fails."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        usual = {"role": "", "failure": "", "attempt": 1, "origin": ""}
        values = {n: v for n, v in values.items() if n not in usual or v != usual[n]}
        return values | {
            "cell": self.cell.to_json(),
            "curve": [dict(point) for point in self.curve],
            "missing_metrics": list(self.missing_metrics),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrialRecord:
        """The record that `to_json` wrote. Raises TrackingError for a missing or unknown field."""
        fields = dataclasses.fields(cls)
        known = [f.name for f in fields]
        has_no_default = [f.name for f in fields[: known.index("reason")]]
        for name in values:
            if name not in known:
                raise TrackingError(
                    f"a trial record has the field '{name}'",
                    why="a field nobody reads may carry what matters",
                    mend=nearest(name, known),
                )
        for name in has_no_default:
            if name not in values:
                raise TrackingError(
                    f"a trial record has no '{name}'",
                    why="the trial could not be told apart, or counted",
                    mend=f"it has {', '.join(sorted(values)) or 'no fields'}; write it again",
                )
        plain = dict(values)
        plain["curve"] = tuple(values.get("curve", ()))
        plain["missing_metrics"] = tuple(values.get("missing_metrics", ()))
        return cls(**plain)


def split_finite(metrics: Mapping[str, Any]) -> tuple[dict[str, float], tuple[str, ...]]:
    """The finite numbers of `metrics` as floats, and the names of the rest."""
    finite = {name: float(value) for name, value in metrics.items() if is_finite(value)}
    return finite, tuple(name for name in metrics if name not in finite)


def is_finite(value: Any) -> bool:
    """Whether `value` is a number that can be compared: not NaN, infinite, text or null."""
    try:
        return math.isfinite(float(value)) and not isinstance(value, str)
    except (TypeError, ValueError, OverflowError):
        return False


def merged(points: Iterable[Mapping[str, float]]) -> dict[int, dict[str, float]]:
    """Curve points by samples: {samples: {metric: value}}; a later point of the same step wins."""
    out: dict[int, dict[str, float]] = {}
    for point in points:
        values = {name: value for name, value in point.items() if name != "samples"}
        out.setdefault(int(point["samples"]), {}).update(values)
    return out


def _point(key: str, point: Mapping[str, Any]) -> dict[str, float]:
    samples = point.get("samples")
    if not is_finite(samples):
        raise TrackingError(
            f"trial {key}: a point of the curve has the samples {samples!r}",
            why="the clock of every curve is samples seen",
            mend='give each point as {"samples": 4096, "train/loss": 2.5}',
        )
    finite, _ = split_finite({name: v for name, v in point.items() if name != "samples"})
    return {"samples": int(float(str(samples))), **finite}
