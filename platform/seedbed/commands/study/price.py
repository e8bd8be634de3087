"""What a plan costs in hours, dollars, memory, storage and bytes, in the lines that say it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from seedbed.cluster.cards import CARDS
from seedbed.cluster.here import Machine, is_kind, this_machine
from seedbed.cluster.layout import CORE_FLOPS, checkpoint_bytes
from seedbed.cluster.prices import Prices, Rate
from seedbed.commands.study.amounts import dollars, duration, hours
from seedbed.commands.study.room import memory_words, read_lines, storage_words
from seedbed.errors import DataError, nearest
from seedbed.plan.speed import Speed, makespan, one_of_each_cell
from seedbed.plan.weights import weights_bytes
from seedbed.run.driver.earlier import CPU, Earlier, earlier

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options
    from seedbed.data.peek import Peeked
    from seedbed.study.cell import Cell
    from seedbed.study.trial import Trial

# Of a card's peak, where nothing was measured: what LAION's ViT-B/32 reached on A100s (850 samples
# a second and GPU of 40 GB). Who tunes reaches three times as much, and a small model much less.
UTILISATION = 0.12
LEAST_STEP = 0.02  # seconds: a step starts some thousand kernels, however little they do
MOST_SHOWN = 64  # devices
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

    @cached_property
    def left(self) -> list[Trial]:
        """The trials that have no record yet."""
        return [trial for trial in self.plan.trials if trial.key not in self.earlier.keys]

    @cached_property
    def speeds(self) -> dict[str, Speed]:
        """What was measured, by device: trials of this study before steps that were only timed."""
        from seedbed.run.driver.probes import kept_speeds

        costs = self.plan.costs()
        found = kept_speeds(self.plan.trials, costs)
        return found | self.earlier.speeds(self.plan.trials, costs)

    def seconds(self, place: Place) -> list[float]:
        """Of one device, for each trial that is left."""
        each = self.by_cell(place)
        return [each[trial.cell] for trial in self.left]

    def by_cell(self, place: Place) -> dict[Cell, float]:
        """The same for a trial of each cell."""
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
            speed = self.speeds.get(machine.gpu) or _by_peak(kind)
            if speed is not None:
                return Place(machine.words, machine.gpu, machine.num_gpus, speed)
        speed = self.speeds.get(machine.processor) or self.speeds.get(CPU)
        rough = Speed(
            f"roughly: at {CORE_FLOPS / 1e9:g} GFLOP/s a core; --probe times it",
            {"fp32": CORE_FLOPS, "bf16": CORE_FLOPS},
        )
        return Place(machine.words, "core", machine.num_cores, speed or rough)

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
            speed = next(of_kind, None) or _by_peak(kind)
            if speed is not None:
                places.append(Place(kind, f"{kind}", asked.max_gpus, speed, prices.gpu(kind)))
        return places

    @property
    def most_devices(self) -> int:
        """How many devices can work at a time: one to each variant, or those that share one."""
        parts = self.options.asked.data_parallel or 1
        return max(1, parts * len(self.left))

    def dollars(self, place: Place) -> float:
        """On demand; NaN where the price is not known."""
        return (
            math.nan
            if place.rate is None
            else sum(self.seconds(place)) / 3600 * (place.rate.on_demand)
        )

    @property
    def per_seed(self) -> tuple[float, str]:
        """What one seed of every cell costs, and in what: dollars ("$") on the first kind of GPUs
        that has a price, else hours of this machine's devices."""
        priced = next((place for place in self.others if place.rate is not None), None)
        place = priced or self.here
        seconds = sum(self.by_cell(place).values())
        if priced is not None and priced.rate is not None:
            return seconds / 3600 * priced.rate.on_demand, "$"
        return seconds / 3600, "core-hours" if place.device == "core" else "GPU-hours"

    def lines(self) -> list[str]:
        """All of it, for people."""
        plan = self.plan
        place = [_time_line(self, one) for one in (self.here, *self.others)]
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
            *place,
            *([f"memory  {memory_words(plan, self.options.asked)}"] if self.left else []),
            f"storage {storage_words(plan, self.options.keep_weights)}",
            *read_lines(plan, self.peeked),
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "new": len(self.left),
            "reused": len(self.plan.trials) - len(self.left),
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
            return earlier(Folder(options.storage).sub(*options.folder), options.plan), ""
    except DataError as error:
        return Earlier(), error.what


def _by_peak(kind: str) -> Speed | None:
    """Of a GPU's data sheet; None where it is not noted."""
    card = CARDS.get(kind)
    if card is None or not card.half:
        return None
    words = (
        f"roughly: at {100 * UTILISATION:g} % of its peak, no step under {1000 * LEAST_STEP:g} ms"
    )
    peaks = {"bf16": card.half, "fp32": card.single}
    flops = {name: UTILISATION * 1e12 * peak for name, peak in peaks.items()}
    return Speed(words, flops, least_step=LEAST_STEP)


def _new_line(price: Price) -> str:
    new, all_of_them = len(price.left), len(price.plan.trials)
    if price.unknown:
        return f"new     {new:,} trials to train, as far as is known: {price.unknown}"
    if new == all_of_them:
        return f"new     {new:,} trials to train; none is recorded in the results folder"
    kept = f"{all_of_them - new:,} are recorded, and kept where their data are what they were"
    return f"new     {new:,} trials to train; {kept}"


def _time_line(price: Price, place: Place) -> str:
    seconds = price.seconds(place)
    total, by = sum(seconds), place.speed.words
    if not seconds:
        return f"time    {place.words}: nothing is left to train"
    if place.device == "core":
        long = duration(makespan(seconds, place.num))
        return f"time    {place.words}: {long} of training, {hours(total)} core-hours ({by})"
    most = min(MOST_SHOWN, price.most_devices)
    if place.num:
        most = min(place.num, most)
    counts = sorted({1, min(8, most), most})
    walls = ", ".join(f"{duration(makespan(seconds, n))} on {n}" for n in counts)
    cost = ""
    if place.rate is not None:
        rate = place.rate
        spot = f", {dollars(total / 3600 * rate.spot)} on spot" if rate.spot else ""
        cost = (
            f", {dollars(price.dollars(place))} at ${rate.on_demand:,.2f} an hour "
            f"({rate.machine}){spot}"
        )
    return f"time    {place.words}: {hours(total)} GPU-hours{cost}: {walls} ({by})"
