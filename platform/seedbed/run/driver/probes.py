"""What steps of a kind of trial took on a device, timed once and kept in the home folder."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seedbed.errors import DataError
from seedbed.home import home
from seedbed.plan.cost import Cost
from seedbed.plan.speed import Speed, kind_of, measured_speed, one_of_each_cell
from seedbed.recipe.recipe import Recipe
from seedbed.storage.objects import write_object
from seedbed.study.trial import Trial

FOLDER = "probes"


@dataclass(frozen=True)
class Probe:
    """Seconds of one `device`, a core or a GPU, for a sample, in `steps` of `rows` rows each."""

    device: str
    seconds: float
    steps: int
    rows: int
    torch: str
    day: str


def keep(recipe: Recipe, probe: Probe) -> None:
    """Beside those of other devices; the newest of a device counts."""
    path = _path(recipe)
    kept = {one["device"]: one for one in _read(path)} | {probe.device: asdict(probe)}
    with contextlib.suppress(DataError):  # the home cannot be written: it is timed again
        write_object(str(path), json.dumps(list(kept.values()), indent=1).encode())


def kept_probes(recipe: Recipe) -> list[Probe]:
    """Of trials of this kind, on whatever device."""
    return [Probe(**one) for one in _read(_path(recipe))]


def kept_speeds(trials: Sequence[Trial], costs: Mapping[str, Cost]) -> dict[str, Speed]:
    """By device, how fast it is at those kinds of `trials` that were timed on it."""
    kinds = {kind_of(trial.recipe): trial for trial in one_of_each_cell(trials)}
    found: dict[str, list[tuple[Trial, Probe]]] = {}
    for trial in kinds.values():
        for probe in kept_probes(trial.recipe):
            found.setdefault(probe.device, []).append((trial, probe))
    speeds = {}
    for device, own in found.items():
        days = sorted({probe.day for _, probe in own})
        words = (
            f"timed: steps of {len(own)} of {len(kinds)} kinds of trials on {device}, {days[-1]}"
        )
        took = [
            (trial.recipe, costs[trial.key], probe.seconds * costs[trial.key].samples)
            for trial, probe in own
        ]
        if (speed := measured_speed(words, took)) is not None:
            speeds[device] = speed
    return speeds


def today() -> str:
    return datetime.date.today().isoformat()


def _path(recipe: Recipe) -> Path:
    digest = hashlib.sha256(repr(kind_of(recipe)).encode()).hexdigest()[:32]
    return home() / FOLDER / f"{digest}.json"


def _read(path: Path) -> list[dict[str, Any]]:
    """What is not whole, or of another form, is timed again."""
    try:
        found = json.loads(path.read_bytes())
        return [one for one in found if one.keys() == Probe.__dataclass_fields__.keys()]
    except (OSError, ValueError, AttributeError, TypeError):
        return []
