"""A study that is looked at by its own rule: its runs, and what a plan says of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from seedbed.commands.study.price import Price
from seedbed.commands.study.price_lines import time_line
from seedbed.commands.study.stated import GOES_ON, decisions_before, note_decision
from seedbed.errors import INFRASTRUCTURE, failure_in

if TYPE_CHECKING:
    from seedbed.analyze.report.write import Report
    from seedbed.commands.study.options import Options
    from seedbed.data.peek import Peeked
    from seedbed.plan.plan import Plan
    from seedbed.run.driver.live import Live
    from seedbed.run.driver.outcome import Outcome
    from seedbed.storage.folder import Folder

    Run = Callable[[Options], tuple[Outcome, Report]]


def look_by_look(options: Options, run: Run, store: Folder, live: Live) -> tuple[Plan, Outcome]:
    """Run the seeds of each look for all cells, until one stops the study; what ran last.

    A look is taken once all of its trials have ended, and what it decided stands: started again, a
    study goes on at the look where it was.
    """
    whole, looks = options.plan, options.plan.study.looks
    assert looks is not None
    decided = decisions_before(store, whole)
    for number, num_seeds in enumerate(looks.counts, 1):
        if decided.get(str(num_seeds), "").startswith(GOES_ON):
            continue
        part = replace(options, plan=whole.of_seeds(num_seeds))
        words = f"look {number} of at most {len(looks.counts)}: {num_seeds} seeds"
        live.turns_to(part.plan, words)
        print(f"looks   {words}; {looks.words}", file=sys.stderr)
        outcome, report = run(part)
        look = next((one for one in report.looks if one.num_seeds == num_seeds), None)
        lost = any(failure_in(why) == INFRASTRUCTURE for why in outcome.reasons.values())
        if look is None or outcome.interrupted or (lost and outcome.missing(part.plan.trials)):
            break
        note_decision(store, whole, look)
        print(f"looks   {'stops' if look.stops else 'goes on'}: {look.why}", file=sys.stderr)
        if look.stops:
            break
    return part.plan, outcome


def look_lines(options: Options, peeked: Sequence[Peeked]) -> list[str]:
    """When a study is looked at, and what its first look costs: the rest of a plan is the most."""
    looks = options.plan.study.looks
    if looks is None:
        return []
    from seedbed.analyze.stats.looked import Looked

    at_most = Looked(looks, len(options.plan.study.cells()), looks.most)
    first = Price(replace(options, plan=options.plan.of_seeds(looks.first)), peeked)
    times = [] if options.surface is not None else [first.here, *first.others]
    return [
        f"looks   {looks.words}",
        f"first   {len(first.plan.trials):,} trials with {looks.first} seeds, "
        f"{len(first.left):,} of them new; what is said of all trials is for the most, "
        f"{looks.most} seeds",
        *(f"first   {time_line(first, place).removeprefix('time').strip()}" for place in times),
        f"        intervals at the most are {at_most.times_as_wide:.2f} times as wide as those of "
        "one look, of which `sees` speaks",
    ]


def looks_json(options: Options, peeked: Sequence[Peeked]) -> dict[str, Any]:
    """The rule, and the price of the first look; empty without looks."""
    looks = options.plan.study.looks
    if looks is None:
        return {}
    first = Price(replace(options, plan=options.plan.of_seeds(looks.first)), peeked)
    told = {"seeds": list(looks.counts), "first_price": first.to_json(), "words": looks.words}
    return {"looks": looks.to_json() | told}
