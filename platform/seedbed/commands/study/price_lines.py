"""What a plan costs, in the lines of `--plan`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from seedbed.cluster.assumed import UTILISATION
from seedbed.cluster.cards import CARDS
from seedbed.commands.study.amounts import dollars, duration, hours
from seedbed.commands.study.room import held_words, read_lines, storage_words, store_lines
from seedbed.errors import nearest
from seedbed.plan.speed import makespan

if TYPE_CHECKING:
    from seedbed.commands.study.price import Place, Price

MOST_SHOWN = 64  # devices, where no limit is stated


def price_lines(price: Price) -> list[str]:
    """All of it, for people."""
    plan = price.plan
    places = [time_line(price, one) for one in (price.here, *price.others)]
    asked = price.options.asked.accelerator
    if asked and not price.others:
        places.append(f"time    {asked}: how fast it is is not known; {nearest(asked, CARDS)}")
    if any(not one.speed.is_measured and one.device != "core" for one in price.others):
        places.append(
            f"        {100 * UTILISATION:g} % is what LAION's ViT-B/32 reached on A100s; "
            "--probe on a machine that has such a GPU times it"
        )
    return [
        _new_line(price),
        *_reused_lines(price),
        *places,
        *(
            [f"memory  {price.fit.words if price.fit is not None else held_words(plan)}"]
            if price.left
            else []
        ),
        *store_lines(plan, price.options.asked, price.fit),
        f"storage {storage_words(plan, price.options.keep_weights, *price.options.known_tests)}",
        *read_lines(plan, price.peeked),
    ]


def _new_line(price: Price) -> str:
    new, all_of_them = len(price.left), len(price.plan.trials)
    if price.unknown:
        return f"new     {new:,} trials to train, as far as is known: {price.unknown}"
    if price.plan.is_untuned:
        return f"new     {new:,} trials to train, once their cells are tuned"
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
