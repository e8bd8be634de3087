"""What a plan costs in hours, dollars, memory, storage and bytes, in the lines that say it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from seedbed.cluster.assumed import UTILISATION, of_core, of_gpu
from seedbed.cluster.cards import CARDS
from seedbed.cluster.here import Machine, is_kind, this_machine
from seedbed.cluster.layout import checkpoint_bytes
from seedbed.cluster.prices import Prices, Rate
from seedbed.commands.study.amounts import dollars, duration, hours
from seedbed.commands.study.room import Fit, fit_of, held_words, read_lines, storage_words
from seedbed.errors import DataError, nearest
from seedbed.plan.ladder import own_shares
from seedbed.plan.speed import Speed, makespan, one_of_each_cell
from seedbed.plan.weights import weights_bytes
from seedbed.run.driver.earlier import CPU, Earlier, earlier

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options
    from seedbed.data.peek import Peeked
    from seedbed.study.cell import Cell
    from seedbed.study.trial import Trial

MOST_SHOWN = 64  # devices, where no limit is stated
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
        """The trials that have no record yet, of this study or of another."""
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

    def lines(self) -> list[str]:
        """All of it, for people."""
        plan = self.plan
        place = [time_line(self, one) for one in (self.here, *self.others)]
        asked = self.options.asked.accelerator
        if asked and not self.others:
            place.append(f"time    {asked}: how fast it is is not known; {nearest(asked, CARDS)}")
        if any(not one.speed.is_measured and one.device != "core" for one in self.others):
            place.append(
                f"        {100 * UTILISATION:g} % is what LAION's ViT-B/32 reached on A100s; "
                "--probe on a machine that has such a GPU times it"
            )
        return [
            _new_line(self),
            *_reused_lines(self),
            *place,
            *(
                [f"memory  {self.fit.words if self.fit is not None else held_words(plan)}"]
                if self.left
                else []
            ),
            f"storage {storage_words(plan, self.options.keep_weights, *self.options.known_tests)}",
            *read_lines(plan, self.peeked),
        ]

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
            return earlier(top.sub(*options.folder), options.plan, top), ""
    except DataError as error:
        return Earlier(), error.what


def _new_line(price: Price) -> str:
    new, all_of_them = len(price.left), len(price.plan.trials)
    if price.unknown:
        return f"new     {new:,} trials to train, as far as is known: {price.unknown}"
    if new == all_of_them:
        return f"new     {new:,} trials to train; none is recorded in the results folder"
    if not (own := len(price.earlier.keys)):
        return f"new     {new:,} trials to train"
    kept = f"{own:,} are recorded, and kept where their data are what they were"
    return f"new     {new:,} trials to train; {kept}"


def _reused_lines(price: Price) -> list[str]:
    """A line for each study that has trained some of the trials already."""
    counts = Counter(price.earlier.elsewhere.values())
    return [
        f"reused  {number:,} trials from {study}, where their data and test sets are the same"
        for study, number in counts.most_common()
    ]


def time_line(price: Price, place: Place) -> str:
    """Hours and dollars at a place, and how long so many devices take together."""
    seconds = price.seconds(place)
    total, by = sum(seconds), place.speed.words
    if not seconds:
        return f"time    {place.words}: nothing is left to train"
    if place.device == "core":
        long = duration(makespan(seconds, place.num))
        return f"time    {place.words}: {long} of training, {hours(total)} core-hours ({by})"
    walls = ", ".join(
        f"{duration(makespan([one / price.parts for one in seconds], number))} on "
        f"{number * price.parts}"
        for number in _groups(len(seconds), price.parts, place.num)
    )
    cost = ""
    if place.rate is not None:
        rate = place.rate
        spot = f", {dollars(total / 3600 * rate.spot)} on spot" if rate.spot else ""
        cost = (
            f", {dollars(price.dollars(place))} at ${rate.on_demand:,.2f} an hour "
            f"({rate.machine}){spot}"
        )
    return f"time    {place.words}: {hours(total)} GPU-hours{cost}: {walls} ({by})"


def _groups(num_trials: int, parts: int, limit: int) -> list[int]:
    """How many groups of `parts` devices to say times for: one, those of 8 devices, and as many as
    can work at a time, of at most `limit` devices, 0 for any number."""
    most = min(num_trials, max(1, (limit or MOST_SHOWN) // parts))
    return sorted({1, min(most, max(1, 8 // parts)), most})
