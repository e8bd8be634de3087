"""What a study tunes: nuisance fields, the spaces they are searched in, and the budget.

The words are those of the Deep Learning Tuning Playbook (Godbole et al. 2023): *scientific* fields
are compared (factors), *nuisance* fields are tuned for every cell alike, so that no cell loses for
want of tuning, and all others are *fixed* (the recipe).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seedbed.checks import choice, counts, is_integer, number, refused, switches
from seedbed.errors import StudyError
from seedbed.recipe.recipe import Recipe, content_key
from seedbed.study.arguments import checked_seeds, several
from seedbed.study.screening import Screening

SAMPLERS = ("quasi-random", "tpe")
FIRST_SEED = 10_000  # of a search: no study repeats its cells so often
NUM_ROUNDS = 3  # of "tpe", if nothing else is said
# As many digits as matter, so that the last bits of a machine's logarithm are in no trial's key.
DIGITS = 4
EDGE = 0.1  # of a space, at either end
LOG_RATIO = 10.0  # from where on a space given on the command line is searched on a log scale


@dataclass(frozen=True)
class Search:
    """The space of one nuisance field, `at`: `low` to `high`, on a log scale with `log`.

    A field of whole numbers is searched in whole numbers.
    """

    at: str
    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        switches(self, "log")
        for name in ("low", "high"):
            number(f"Search('{self.at}').{name}", getattr(self, name))
        if self.low >= self.high:
            raise refused(self, "low", f"high is {self.high!r}: nothing lies between", "lower low")
        if self.log and self.low <= 0:
            raise refused(self, "low", "a log scale has no such value", "give more, or no log")

    def place(self, value: float) -> float:
        """Where `value` lies in the space: 0 at `low`, 1 at `high`."""
        scale = math.log if self.log else float
        low, high = scale(self.low), scale(self.high)
        # A cell whose candidates all failed keeps its own value, wherever that lies.
        return (scale(value) - low) / (high - low) if value > 0 or not self.log else -math.inf

    def edge(self, value: float) -> str:
        """ "low" or "high" where `value` lies in the outermost tenth of the space, else ""."""
        place = self.place(value)
        return "low" if place <= EDGE else "high" if place >= 1 - EDGE else ""

    def rounded(self, value: float) -> float:
        """`value` to the digits that matter, within the space; whole numbers as they are."""
        if isinstance(value, int):
            return value
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    @property
    def words(self) -> str:
        return f"{self.at} from {self.low:g} to {self.high:g}{' (log scale)' if self.log else ''}"


@dataclass(frozen=True)
class Tuning:
    """How nuisance fields are tuned: for every cell, with a budget of `trials` candidates.

    The first is the recipe's own value. A "quasi-random" `sampler` asks for all of them at once
    (scrambled Sobol points, drawn by `seed`: the same for every cell); "tpe" (Bergstra et al. 2011)
    spends half of them so, and the rest in `rounds` - 1 further rounds where the first ones were
    good. A candidate is trained with every one of `seeds` (a number of them, or the seeds), which
    the comparison never uses, and the best mean of `response` (the primary one) is the cell's tuned
    value. With `screening` those that do badly at a part of the budget are stopped there.
    """

    trials: int = 8
    sampler: str = SAMPLERS[0]
    rounds: int = 0
    seed: int = 0
    seeds: int | Sequence[int] = 1
    response: str = ""
    screening: Screening | None = None

    def __post_init__(self) -> None:
        if self.screening is not None and not isinstance(self.screening, Screening):
            raise refused(self, "screening", "it has rungs", "give Screening(rungs=(1 / 9, 1 / 3))")
        counts(self, "trials", least=2, why="a search chooses among candidates")
        choice(self, "sampler", SAMPLERS, why="Optuna draws the candidates by one of them")
        counts(self, "seed", least=0, why="candidates are drawn by it")
        counts(self, "rounds", least=0, why="candidates of one round train side by side")
        if is_integer(self.seeds):
            num = len(checked_seeds(self.seeds))
            object.__setattr__(self, "seeds", tuple(range(FIRST_SEED, FIRST_SEED + num)))
        object.__setattr__(self, "seeds", checked_seeds(self.seeds))
        rounds = self.rounds or (NUM_ROUNDS if self.adapts else 1)
        most = 1 + (self.trials - self.num_spread if self.adapts else 0)
        if self.rounds > most:
            why = f"{self.num_spread} of {self.trials} candidates are asked for at once"
            raise refused(self, "rounds", why, f"give at most {most}")
        object.__setattr__(self, "rounds", min(rounds, most))

    @property
    def adapts(self) -> bool:
        """Whether later candidates depend on how the first did."""
        return self.sampler == "tpe"

    @property
    def num_spread(self) -> int:
        """Candidates that are spread over the space, whatever is found."""
        return -(-self.trials // 2) if self.adapts else self.trials

    @property
    def sizes(self) -> tuple[int, ...]:
        """Candidates of a cell in each round."""
        left, later = self.trials - self.num_spread, self.rounds - 1
        if not later:
            return (self.trials,)
        parts = [left // later + (number < left % later) for number in range(later)]
        return (self.num_spread, *parts)


@dataclass(frozen=True)
class Nuisance:
    """The nuisance fields of a study with their spaces, and how they are tuned."""

    space: tuple[Search, ...]
    tuning: Tuning = field(default_factory=Tuning)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(search.at for search in self.space)

    def own(self, recipe: Recipe) -> dict[str, float]:
        """A recipe's values, at the nearer end where they lie outside the space: the first
        candidate of its cell."""
        return {s.at: min(max(recipe.get(s.at), s.low), s.high) for s in self.space}

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.tuning.seeds)  # type: ignore[arg-type]  # checked where it was made

    @property
    def trials_per_cell(self) -> int:
        """Those of rungs among them, if none fail or tie."""
        screening = self.tuning.screening
        per_round = [
            size if screening is None else sum(screening.sizes(size)) for size in self.tuning.sizes
        ]
        return sum(per_round) * len(self.seeds)

    @property
    def budget(self) -> float:
        """Of a cell's search, in trials of the whole budget."""
        tuning, seeds = self.tuning, len(self.seeds)
        if tuning.screening is None:
            return float(self.trials_per_cell)
        return seeds * sum(tuning.screening.cost(size) for size in tuning.sizes)

    @property
    def digest(self) -> str:
        """8 hex digits: what was tuned in another way is another run of the study."""
        return content_key({name: repr(value) for name, value in self.to_json().items()})[:8]

    @property
    def words(self) -> str:
        tuning = self.tuning
        seeds = f", each with {len(self.seeds)} seeds" if len(self.seeds) > 1 else ""
        rounds = f" in {tuning.rounds} rounds" if tuning.rounds > 1 else ""
        screened = f", {tuning.screening.words}" if tuning.screening is not None else ""
        return (
            f"{tuning.trials} candidates for every cell{seeds}, {tuning.sampler}{rounds}{screened}"
        )

    @property
    def all_words(self) -> str:
        return f"{', '.join(search.words for search in self.space)}: {self.words}"

    def to_json(self) -> dict[str, Any]:
        # Left out where there is none: such a search keeps its digest.
        tuning, screening = dict(vars(self.tuning)), self.tuning.screening
        del tuning["screening"]
        return {
            "space": [vars(search) for search in self.space],
            **tuning,
            "seeds": list(self.seeds),
            **({"screening": screening.to_json()} if screening is not None else {}),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Nuisance:
        plain = dict(values)
        space = tuple(Search(**search) for search in plain.pop("space"))
        screening = plain.pop("screening", None)
        typed = {
            "seeds": tuple(plain["seeds"]),
            "screening": Screening.from_json(screening) if screening else None,
        }
        return cls(space, Tuning(**plain | typed))


def stated_nuisance(space: Sequence[Search], tuning: Tuning | None) -> Nuisance | None:
    """What a study states. Raises StudyError for a tuning of nothing, or a field twice."""
    space = several(space, Search, "nuisance")
    if not space:
        if tuning is not None:
            raise StudyError(
                f"tuning is {tuning!r}, and no field is tuned",
                why="a budget alone searches nothing",
                mend='give nuisance=(Search("optimizer.lr", low=1e-4, high=3e-3, log=True),)',
            )
        return None
    paths = [search.at for search in space]
    for path in paths:
        if paths.count(path) > 1:
            raise StudyError(
                f"'{path}' is searched twice", why="it has one value", mend="state it once"
            )
    return Nuisance(space, tuning or Tuning())


def parse_search(text: str) -> Search:
    """`path=low:high` of a command line, on a log scale from a ratio of 10 on."""
    path, separator, ends = text.partition("=")
    try:
        low, high = (float(end) for end in ends.split(":"))
        if not separator:
            raise ValueError("no path")
    except ValueError:
        raise StudyError(
            f"--tune {text}: that is no field with its space",
            why="it takes path=low:high",
            mend="for example --tune optimizer.lr=1e-4:3e-3",
        ) from None
    log = low > 0 and high >= LOG_RATIO * low
    if ends.replace(":", "").isdigit():
        return Search(path, int(low), int(high), log)
    return Search(path, low, high, log)
