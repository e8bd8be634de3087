"""How a global batch is cut: into lanes, windows of their rows, workers, and parts of a variant."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from seedbed.cluster.asked import Asked
from seedbed.errors import ResourceError
from seedbed.plan.plan import Plan

MOST_WAYS = 4  # that are named
NEARBY = 3  # values of a number that are tried on each side of it, beside another that changes


@dataclass(frozen=True)
class Cut:
    """Numbers that must go into each other; no `workers` said are as many as a variant has parts"""

    batch: int
    lanes: int
    window: int
    workers: int = 0
    parts: int = 1

    def problem(self) -> tuple[str, str]:
        """What does not divide, and the division that shows it; two empty words where all does."""
        if self.batch % self.lanes:
            return (
                f"a batch of {self.batch:,} does not divide by {self.lanes:,} lanes",
                "every lane of the order gives an equal part of each global batch: "
                + _division(self.batch, self.lanes),
            )
        each = self.batch // self.lanes
        if self.window % each:
            return (
                f"a window of {self.window:,} rows is not a multiple of {each:,}",
                f"a lane gives {self.batch:,} / {self.lanes:,} = {each:,} rows to each batch, and "
                f"a window is whole batches: {_division(self.window, each)}",
            )
        workers = self.workers or self.parts
        if workers % self.parts:
            return (
                f"{workers:,} workers cannot train each variant on {self.parts:,}",
                "the workers of a cohort are so many groups of as many: "
                + _division(workers, self.parts),
            )
        if self.lanes % workers:
            return (
                f"the {self.lanes:,} lanes of the order do not divide by {workers:,} workers",
                f"every worker reads as many lanes: {_division(self.lanes, workers)}",
            )
        return "", ""

    @property
    def works(self) -> bool:
        return not self.problem()[0]


OPTIONS = {
    "workers": "--workers {}",
    "parts": "--data-parallel {}",
    "lanes": "--set corpus.lanes={}",
    "window": "--set corpus.window_rows={}",
    "batch": "--set budget.batch={}",
}
# Of another order, or of another batch, the results are not those of a study before.
SAME_RESULTS = ("workers", "parts")


def check_cut(plan: Plan, asked: Asked) -> None:
    """Raise ResourceError where a batch of `plan` cannot be cut as `asked`, with what would do.

    Each way out that it names works as it stands, beside all else that was said: the nearest value
    below and above of one number, or where none of one alone would do, of two.
    """
    cuts = cuts_of(plan, asked)
    failing = next((cut for cut in cuts if not cut.works), None)
    if failing is None:
        return
    what, why = failing.problem()
    raise ResourceError(what, why=why, mend=", or ".join(ways_out(cuts)))


def cuts_of(plan: Plan, asked: Asked) -> list[Cut]:
    """Those of all its trials, each once."""
    orders = {
        (t.recipe.budget.batch, t.recipe.corpus.lanes, t.recipe.corpus.window_rows): None
        for t in plan.trials
    }
    return [Cut(*order, asked.workers, asked.data_parallel or 1) for order in orders]


def ways_out(cuts: Sequence[Cut]) -> list[str]:
    """Options that make all `cuts` work, each as it stands, the best first.

    What leaves a study's results as they are comes before what makes other ones, and a number's
    double is as far as its half. What trials differ in is a factor, and stays.
    """
    first = cuts[0]
    names = [name for name in OPTIONS if len({getattr(cut, name) for cut in cuts}) == 1]
    if not first.workers:  # by rule: as many as there is room for, of those that divide
        names.remove("workers")
    if first.parts == 1:  # which is never what does not divide
        names.remove("parts")
    values = {name: _beside(_values(name, cuts), getattr(first, name)) for name in names}
    one = [way for name in names for way in _together(cuts, {name: _values(name, cuts)})]
    if one:
        nearest = [way for name in names for way in _nearest_of(one, name, getattr(first, name))]
        return [_words(said) for far, said in sorted(nearest, key=_distance)[:MOST_WAYS]]
    for number in range(2, len(names) + 1):
        ways = [
            way
            for some in itertools.combinations(names, number)
            for way in _together(cuts, {name: values[name] for name in some})
        ]
        if ways:
            return [_words(min(ways, key=_distance)[1])]
    return []


Way = tuple[float, dict[str, int]]  # how far it is, and the numbers that it changes


def _together(cuts: Sequence[Cut], values: Mapping[str, Sequence[int]]) -> Iterator[Way]:
    """Of all combinations of `values`, those with which all `cuts` work."""
    first = cuts[0]
    for numbers in itertools.product(*values.values()):
        said = dict(zip(values, numbers, strict=True))
        if all(replace(cut, **said).works for cut in cuts):
            far = sum(abs(math.log(number / getattr(first, n))) for n, number in said.items())
            yield far + sum(name not in SAME_RESULTS for name in said), said


def _nearest_of(ways: Sequence[Way], name: str, wanted: int) -> list[Way]:
    """Of those that change `name`, the nearest below and above what was `wanted`."""
    mine = sorted((way for way in ways if name in way[1]), key=lambda way: way[1][name])
    below = [way for way in mine if way[1][name] < wanted]
    return [*below[-1:], *mine[len(below) :][:1]]


def _distance(way: Way) -> float:
    return way[0]


def _words(said: Mapping[str, int]) -> str:
    return " ".join(OPTIONS[name].format(value) for name, value in said.items())


def _values(name: str, cuts: Sequence[Cut]) -> list[int]:
    """What a number may become, ascending, as far as it depends on one other at most."""
    first = cuts[0]
    batches = math.gcd(*(cut.batch for cut in cuts))
    lanes = math.lcm(*(cut.lanes for cut in cuts))
    if name in SAME_RESULTS:
        return _divisors(math.gcd(*(cut.lanes for cut in cuts)))
    if name == "lanes":
        return _divisors(batches)
    each = math.lcm(*(max(1, cut.batch // cut.lanes) for cut in cuts))
    if name == "window":
        return list(_multiples(each, first.window))
    # A batch that a window is whole batches of, and one that is only whole lanes.
    whole = {lanes * rows for rows in _divisors(math.gcd(*(cut.window for cut in cuts)))}
    return sorted(whole | set(_multiples(lanes, first.batch)))


def _multiples(of: int, near: int) -> Iterator[int]:
    middle = near // of
    yield from (n * of for n in range(max(1, middle - NEARBY), middle + NEARBY + 2))


def _beside(values: Sequence[int], wanted: int) -> list[int]:
    below = [value for value in values if value < wanted]
    return [*below[-NEARBY:], *[value for value in values if value > wanted][:NEARBY]]


def _divisors(number: int) -> list[int]:
    small = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})


def _division(number: int, by: int) -> str:
    return f"{number:,} = {number // by:,} x {by:,} + {number % by:,}"
