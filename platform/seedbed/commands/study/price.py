"""What a plan costs in hours and dollars, wherever it could run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from seedbed.cluster.assumed import of_core, of_gpu
from seedbed.cluster.cards import CARDS
from seedbed.cluster.here import Machine, is_kind, this_machine
from seedbed.cluster.layout import checkpoint_bytes
from seedbed.cluster.prices import Prices, Rate
from seedbed.commands.study.room import Fit, fit_of
from seedbed.errors import DataError
from seedbed.plan.ladder import own_shares
from seedbed.plan.speed import Speed, one_of_each_cell
from seedbed.plan.weights import weights_bytes
from seedbed.run.driver.earlier import CPU, Earlier, earlier

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options
    from seedbed.data.peek import Peeked
    from seedbed.study.cell import Cell
    from seedbed.study.trial import Trial

SHOWN = ("A10G", "A100", "H100")  # where no kind is named, and this machine would take days
_DAY = 86_400.0


@dataclass(frozen=True)
class Place:
    """Where a study could run: `device` is a core or a kind of GPU, of which there are `num` here,
    0 for as many as it likes; `rate` is what one costs."""

    words: str
    device: str
    num: int
    speed: Speed
    rate: Rate | None = None


class Price:
    """A plan's cost, of what is left to do, wherever it could run."""

    def __init__(self, options: Options, peeked: Sequence[Peeked]) -> None:
        self.options, self.plan, self.peeked = options, options.plan, peeked
        self.machine: Machine = this_machine()
        self.earlier, self.unknown = _earlier(options)
        self._by_cell: dict[str, dict[Cell, float]] = {}
        self._seconds: dict[str, list[float]] = {}

    @cached_property
    def left(self) -> list[Trial]:
        """The trials that have no record yet, of this study or of another: all, as long as the
        values that cells will be tuned to are not known."""
        known = self.earlier.keys | self.earlier.elsewhere.keys()
        return [trial for trial in self.plan.trials if trial.key not in known]

    @cached_property
    def speeds(self) -> dict[str, Speed]:
        """What was measured, by device: trials of this study before steps that were only timed."""
        from seedbed.run.driver.probes import kept_speeds

        costs = self.plan.costs()
        found = kept_speeds(self.plan.trials, costs)
        return found | self.earlier.speeds(self.plan.trials, costs)

    def seconds(self, place: Place) -> list[float]:
        """Of one device, for each trial that is left."""
        if place.words not in self._seconds:
            each, own = self._alone(place), own_shares(self.left)
            self._seconds[place.words] = [each[t.cell] * own[t.key] for t in self.left]
        return self._seconds[place.words]

    def by_cell(self, place: Place) -> dict[Cell, float]:
        """The same for a trial of each cell, all of which are trained."""
        each, cells = self._alone(place), one_of_each_cell(self.plan.trials)
        own = own_shares(cells)
        return {trial.cell: each[trial.cell] * own[trial.key] for trial in cells}

    def _alone(self, place: Place) -> dict[Cell, float]:
        """Of a trial of each cell, where it shares no steps with others."""
        if place.words not in self._by_cell:
            costs = self.plan.costs()
            self._by_cell[place.words] = {
                trial.cell: place.speed.seconds(trial, costs[trial.key])
                for trial in one_of_each_cell(self.plan.trials)
            }
        return self._by_cell[place.words]

    @cached_property
    def here(self) -> Place:
        """This machine."""
        machine = self.machine
        if machine.num_gpus:
            kind = next((kind for kind in CARDS if is_kind(machine.gpu, kind)), "")
            speed = self.speeds.get(machine.gpu) or of_gpu(kind)
            if speed is not None:
                return Place(machine.words, machine.gpu, machine.num_gpus, speed)
        speed = self.speeds.get(machine.processor) or self.speeds.get(CPU)
        return Place(machine.words, "core", machine.num_cores, speed or of_core())

    @cached_property
    def others(self) -> list[Place]:
        """Kinds of GPUs: the one that is asked for, or some where this machine is too slow."""
        asked, prices = self.options.asked, Prices.read(self.options.asked.prices)
        kinds: tuple[str, ...] = (asked.accelerator,) if asked.accelerator else ()
        if not kinds and self.machine.num_gpus == 0 and sum(self.seconds(self.here)) > 2 * _DAY:
            kinds = SHOWN
        places = []
        for kind in kinds:
            of_kind = (s for device, s in self.speeds.items() if is_kind(device, kind))
            speed = next(of_kind, None) or of_gpu(kind)
            if speed is not None:
                places.append(Place(kind, f"{kind}", asked.max_gpus, speed, prices.gpu(kind)))
        return places

    @cached_property
    def fit(self) -> Fit | None:
        """How variants fit the GPUs that are asked for."""
        return fit_of(self.plan, self.options.asked)

    @property
    def parts(self) -> int:
        """How many GPUs train a variant together."""
        asked = self.options.asked.data_parallel
        return asked or (1 if self.fit is None else self.fit.parts)

    def dollars(self, place: Place) -> float:
        """On demand; NaN where the price is not known."""
        return (
            math.nan
            if place.rate is None
            else sum(self.seconds(place)) / 3600 * (place.rate.on_demand)
        )

    @property
    def costed(self) -> Place:
        """Where seeds are priced: the first kind of GPUs that has a price, else this machine."""
        return next((place for place in self.others if place.rate is not None), self.here)

    def in_unit(self, place: Place, seconds: float) -> float:
        """Seconds of a device there as dollars, where these are known, or else as hours."""
        rate = 1.0 if place.rate is None else place.rate.on_demand
        return seconds / 3600 * rate

    @property
    def cost_title(self) -> str:
        """What `in_unit` gives, where seeds are priced."""
        place = self.costed
        if place.rate is not None:
            return f"Dollars on {place.words}, on demand"
        return "Core-hours on this machine" if place.device == "core" else "GPU-hours here"

    @property
    def per_seed(self) -> tuple[float, str]:
        """What one seed of every cell costs, and in what: dollars ("$"), or hours of a device."""
        place = self.costed
        unit = "core-hours" if place.device == "core" else "GPU-hours"
        seconds = sum(self.by_cell(place).values())
        return self.in_unit(place, seconds), unit if place.rate is None else "$"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "new": len(self.left),
            "reused": len(self.plan.trials) - len(self.left),
            "reused_from": dict(Counter(self.earlier.elsewhere.values())),
            "places": [
                {
                    "place": place.words,
                    "device": place.device,
                    "device_hours": sum(self.seconds(place)) / 3600,
                    "dollars": None if math.isnan(self.dollars(place)) else self.dollars(place),
                    "measured": place.speed.is_measured,
                    "by": place.speed.words,
                }
                for place in (self.here, *self.others)
            ],
            "weights_bytes": weights_bytes(self.plan) if self.options.keep_weights else 0,
            "checkpoint_bytes": checkpoint_bytes(self.plan),
        }


def _earlier(options: Options) -> tuple[Earlier, str]:
    """What the results folder holds, and why it is not known."""
    from seedbed.storage.folder import Folder
    from seedbed.storage.retry import retrying_for

    if options.surface is not None:
        return Earlier(), ""
    try:
        with retrying_for(0):
            top = Folder(options.storage)
            found = earlier(top.sub(*options.folder), options.plan, top)
            if options.plan.is_untuned:
                # These have the recipe's own values: they tell of pace and noise, and stand for
                # nothing that will be compared.
                found = replace(found, keys=frozenset(), elsewhere={})
            return found, ""
    except DataError as error:
        return Earlier(), error.what
