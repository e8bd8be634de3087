"""Sequential looks: seeds are added until the question is decided, by a rule stated before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seedbed.checks import choice, counts, is_number, numbers, refused
from seedbed.errors import StudyError
from seedbed.recipe.recipe import content_key
from seedbed.study.arguments import checked_seeds

DECIDED = "claims decided"
ANYTIME, SAVI, POCOCK, OBRIEN_FLEMING = "anytime", "savi", "pocock", "obrien-fleming"
METHODS = (ANYTIME, SAVI, POCOCK, OBRIEN_FLEMING)
ANYTIME_VALID = (ANYTIME, SAVI)
# The chance under which studies of a method spend the fewest seeds for their power, of those tried
# (tests/benchmarks/bench_looks.py).
_FUTILITY = {ANYTIME: 0.3, SAVI: 0.2, POCOCK: 0.2, OBRIEN_FLEMING: 0.2}
LOOKS_ID = ":looks"  # the id of a study's looks, recorded beside its claims


@dataclass(frozen=True)
class Looks:
    """Every cell is trained with `first` seeds, then with `by` more at a time, at `most` with
    `most`, until the study is decided.

    `until` is "claims decided": each claim is supported or refuted, or the chance that the most
    seeds would decide it has fallen under `futility` (0: that never stops a study; left out, 0.3 of
    "anytime" and 0.2 of the others). Or it is a width, in the primary response's unit (0.01 is one
    point of a share): that of the widest 95 % interval of a main effect, from end to end.

    By `method` "anytime" and "savi" intervals hold at every look, however many there are. Those of
    "anytime" are the shortest when about a third of the most seeds have run (where a width is asked
    for, all of them); those of "savi" are longer, but for the last ones, and shrink for ever. By
    "pocock" and "obrien-fleming" they hold at these looks together: each spends a share of alpha,
    alike or the last ones most of it. They are the shortest.
    """

    first: int = 3
    by: int = 1
    most: int = 12
    until: str | float = DECIDED
    method: str = ANYTIME
    futility: float | None = None

    def __post_init__(self) -> None:
        counts(self, "first", least=2, why="one seed has no error to judge by")
        counts(self, "by", why="a look has more seeds than the last one")
        counts(self, "most", least=self.first + 1, why="with one look nothing can be spared")
        choice(self, "method", METHODS, why="the intervals are made by it")
        if self.futility is None:
            object.__setattr__(self, "futility", _FUTILITY[self.method])
        numbers(self, "futility", least=0, below=1, why="it is a chance")
        if isinstance(self.until, str):
            choice(self, "until", (DECIDED,), why="it is that, or the width of an interval")
        elif not is_number(self.until) or self.until <= 0:
            raise refused(
                self, "until", "an interval has a width", f'give 0.01, or "{DECIDED}" for claims'
            )

    @property
    def counts(self) -> tuple[int, ...]:
        """The seeds of each cell at each look."""
        return (*range(self.first, self.most, self.by), self.most)

    @property
    def shares(self) -> tuple[float, ...]:
        """The same as shares of the most."""
        return tuple(num / self.most for num in self.counts)

    @property
    def least_chance(self) -> float:
        """`futility`, the method's own where none was stated."""
        return self.futility or 0.0

    @property
    def by_claims(self) -> bool:
        return self.until == DECIDED

    @property
    def digest(self) -> str:
        """8 hex digits: what is looked at by another rule is another run of the study."""
        return content_key({name: repr(value) for name, value in vars(self).items()})[:8]

    @property
    def words(self) -> str:
        step = f"each {self.by} more" if self.by > 1 else "each further one"
        until = (
            "every claim is decided"
            if self.by_claims
            else f"no interval of a main effect is wider than {self.until:g}"
        )
        futile = f" or has a chance under {100 * self.least_chance:g} % of it at the most"
        futile = futile if self.by_claims and self.least_chance else ""
        return (
            f"after {self.first} seeds and {step}, at most {self.most}, until {until}{futile}; "
            f"intervals: {self.method}"
        )

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Looks:
        return cls(**values)


def checked_looks(looks: object, seeds: tuple[int, ...] | None, has_claims: bool) -> Looks | None:
    """What a study states. Raises StudyError where it has nothing to decide, or other seeds."""
    if looks is None:
        return None
    if not isinstance(looks, Looks):
        raise StudyError(
            f"looks is {looks!r}",
            why="it says when a study is looked at, and when it stops",
            mend="give looks=Looks(first=3, by=1, most=12)",
        )
    if looks.by_claims and not has_claims:
        raise StudyError(
            f'Looks.until is "{DECIDED}", and the study has no claim',
            why="nothing would ever be decided, or all at once",
            mend="state a claim, or give the width of an interval: Looks(until=0.01)",
        )
    check_looked_seeds(looks, seeds)
    return looks


def check_looked_seeds(looks: Looks | None, seeds: tuple[int, ...] | None) -> None:
    """Raises StudyError for seeds that are not as many as the most that were stated."""
    if looks is not None and seeds is not None and len(seeds) != looks.most:
        raise StudyError(
            f"there are {len(seeds)} seeds, and Looks.most is {looks.most}",
            why="intervals that hold at every look are made for the most that was stated",
            mend=f"give {looks.most} seeds, or none and Looks alone",
        )


def looked_seeds(looks: Looks | None) -> tuple[int, ...]:
    """The seeds of a study with looks that names none itself."""
    return () if looks is None else checked_seeds(looks.most)
