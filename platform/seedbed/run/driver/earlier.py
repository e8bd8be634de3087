"""What earlier starts of a study left that its plan can go by: how long trials took, and how much
they varied."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from seedbed.plan.cost import Cost
from seedbed.plan.plan import Plan
from seedbed.plan.speed import Speed, measured_speed
from seedbed.run.driver.outcome import read_outcome
from seedbed.storage.folder import Folder
from seedbed.study import recorded
from seedbed.study.record import TrialRecord
from seedbed.study.trial import Trial
from seedbed.track.finished import finished_elsewhere

MOST_READ = 400  # records: of 10,000 trials they are half a gigabyte
LEAST_DF = 4  # of a noise that is measured: with fewer it may be off by half
CPU = "cpu"


@dataclass(frozen=True)
class Earlier:
    """The keys of trials with a record, some of the records, and the study of those that another
    one has, by key."""

    keys: frozenset[str] = frozenset()
    records: Mapping[str, TrialRecord] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def speeds(self, trials: Sequence[Trial], costs: Mapping[str, Cost]) -> dict[str, Speed]:
        """By device, `cpu` or a GPU's name, how fast a core or a GPU of it was."""
        found: dict[str, list[tuple[Trial, float]]] = {}
        for trial in trials:
            record = self.records.get(trial.key)
            hours = record.metrics.get(recorded.DEVICE_HOURS.name) if record is not None else None
            if record is None or not hours or record.status != "completed":
                continue
            devices = {part.partition("; ")[0] for part in record.made_by.split(" then ")}
            if len(devices) == 1:
                device = devices.pop().removeprefix("device=")
                found.setdefault(device, []).append((trial, 3600 * hours))
        speeds = {}
        for device, own in found.items():
            words = f"measured: {len(own)} trial{'s' * (len(own) != 1)} of this study"
            took = [(trial.recipe, costs[trial.key], seconds) for trial, seconds in own]
            if (speed := measured_speed(words, took)) is not None:
                speeds[device] = speed
        return speeds

    def noise(self, trials: Sequence[Trial], response: str) -> tuple[float, int] | None:
        """The SD of a trial beside what its cell and its seed do, with its degrees of freedom."""
        known = [
            (trial, record.metrics[response])
            for trial in trials
            if (record := self.records.get(trial.key)) is not None and response in record.metrics
        ]
        if not known:
            return None
        cells = {cell: n for n, cell in enumerate(dict.fromkeys(t.cell for t, _ in known))}
        seeds = {seed: n for n, seed in enumerate(dict.fromkeys(t.seed for t, _ in known))}
        columns = np.zeros((len(known), len(cells) + len(seeds)))
        for row, (trial, _) in enumerate(known):
            columns[row, cells[trial.cell]] = 1
            columns[row, len(cells) + seeds[trial.seed]] = 1
        values = np.array([value for _, value in known])
        fitted, _, rank, _ = np.linalg.lstsq(columns, values, rcond=None)
        df = len(known) - int(rank)
        rest = values - columns @ fitted
        if df < LEAST_DF or not rest @ rest > 0:
            return None
        return math.sqrt(float(rest @ rest) / df), df


def earlier(store: Folder, plan: Plan, top: Folder | None = None) -> Earlier:
    """What the results folder holds of the plan's trials: of as many as MOST_READ records.

    Other studies of the storage `top` are asked for those that it does not hold.
    """
    own = _own(store, plan)
    if top is None:
        return own
    left = [trial.key for trial in plan.trials if trial.key not in own.keys]
    return replace(own, elsewhere=finished_elsewhere(top, left, store.uri.rpartition("/")[2]))


def _own(store: Folder, plan: Plan) -> Earlier:
    begun = set(store.names("trials"))
    some = [trial for trial in plan.trials if trial.key in begun]
    if not some:
        return Earlier()
    if store.local:
        keys = {t.key for t in some if store.exists("trials", t.key, "record.json")}
    else:
        keys = {name.partition("/")[0] for name in store.sizes("trials") if _is_record(name)}
    there = [trial for trial in some if trial.key in keys]
    records = read_outcome(store, there[:MOST_READ], None).records
    return Earlier(frozenset(trial.key for trial in there), records)


def _is_record(name: str) -> bool:
    return name.partition("/")[2] == "record.json"
