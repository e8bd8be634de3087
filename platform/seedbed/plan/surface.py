"""A response surface: the simulated outcomes of a rehearsal's trials. Pure."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from seedbed.checks import number
from seedbed.errors import StudyError, nearest
from seedbed.study.label import Label, label_text, same_label
from seedbed.study.study import Study

STEP = 0.01  # between levels of the default surface: a point, if it is a share
_SHARES = ("failure_rate", "divergence_rate")
_SPREADS = ("noise", "seed_spread", "cost_spread", "sharpness")
_FARTHEST = 3.0  # decades from the best value, of 0 too


@dataclass(frozen=True)
class Surface:
    """The primary response of every cell and seed, and how trials end.

    A trial measures `mean`, plus the `effects` whose levels its cell has ("depth=3", or
    "depth=3:supervision=declip" for what the two do together beyond their sum), plus its seed's
    shift and its own noise: normal, of SD `seed_spread` and `noise`. `noises` replaces `noise` at
    some levels. Shares of trials fail (once: the same command runs them again) and diverge.
    `hours` is what a trial costs in device-hours, NaN for the plan's estimate, with a relative
    spread of `cost_spread`. `random_state` draws another set of trials.

    `optima` are the best values of nuisance fields, by the levels that a cell has, {"optimizer.lr":
    {"supervision=clip": 1e-3}}: the last that holds. A trial whose value is ten times too large or
    too small loses `sharpness` of every share, one a hundred times off four times as much.

    The other responses are drawn independently, with shifts and noise of their own: `others` has
    the effects of each by its name, {"zeroshot/top5": {"depth=3": -0.02}}, none where it has none.
    """

    mean: float = 0.3
    effects: Mapping[str, float] = field(default_factory=dict)
    noise: float = 0.005
    noises: Mapping[str, float] = field(default_factory=dict)
    seed_spread: float = 0.005
    failure_rate: float = 0.0
    divergence_rate: float = 0.0
    hours: float | None = None
    cost_spread: float = 0.02
    random_state: int = 0
    others: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    optima: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sharpness: float = 0.05

    def check(self, study: Study) -> Surface:
        """Returns itself. Raises StudyError for non-numbers, and for levels that `study` lacks."""
        number("surface: mean", self.mean)
        for name in (*_SPREADS, *(["hours"] if self.hours is not None else [])):
            number(f"surface: {name}", getattr(self, name), least=0)
        for name in _SHARES:
            why = "it is a share of the trials"
            number(f"surface: {name}", getattr(self, name), least=0, most=1, why=why)
        for name, effects in self.others.items():
            if name not in study.responses[1:]:
                raise StudyError(
                    f"surface: others: '{name}' is no response beside the primary",
                    why="nothing would be drawn by its effects",
                    mend=nearest(name, study.responses[1:]),
                )
            if not isinstance(effects, dict):
                raise StudyError(
                    f"surface: others: {name} is {effects!r}",
                    mend='give its effects, as {"depth=3": -0.01}',
                )
        of_others = [pair for own in self.others.values() for pair in own.items()]
        for term, value in (*self.effects.items(), *self.noises.items(), *of_others):
            number(f"surface: {term}", value)
            _check_term(term, study)
        for path, optima in self.optima.items():
            study.base.get(path)
            for term, value in optima.items():
                number(f"surface: optima: {path}: {term}", value, above=0)
                _check_term(term, study)
        return self

    def value(self, cell: Mapping[str, Label]) -> float:
        """What a cell measures on average."""
        return self.mean + sum(v for term, v in self.effects.items() if _holds(term, cell))

    def spread(self, cell: Mapping[str, Label]) -> float:
        """The SD of a trial's own noise: of the last of `noises` that its cell has."""
        own = [v for term, v in self.noises.items() if _holds(term, cell)]
        return own[-1] if own else self.noise

    def lost(self, cell: Mapping[str, Label], recipe: Mapping[str, Any]) -> float:
        """What a trial loses for nuisance fields that are not at their best."""
        lost = 0.0
        for path, optima in self.optima.items():
            best = [value for term, value in optima.items() if _holds(term, cell)]
            if best:
                own = float(recipe[path])
                off = math.log10(own / best[-1]) if own > 0 else _FARTHEST
                lost += self.sharpness * min(abs(off), _FARTHEST) ** 2
        return lost

    def measured(self, key: str, cell: Mapping[str, Label], seed: int) -> float:
        """What the trial `key` measures: the same whenever and wherever it runs."""
        shift = self.seed_spread * self.random("seed", str(seed)).normal()
        return self.value(cell) + shift + self.spread(cell) * self.random("trial", key).normal()

    def measured_beside(
        self, response: str, base: float, key: str, cell: Mapping[str, Label], seed: int
    ) -> float:
        """What the trial `key` measures of another response, about `base` without effects."""
        effects = self.others.get(response, {})
        value = base + sum(v for term, v in effects.items() if _holds(term, cell))
        shift = self.seed_spread * self.random(response, "seed", str(seed)).normal()
        own = self.random(response, "trial", key).normal()
        return value + shift + self.spread(cell) * own

    def fate(self, key: str) -> str:
        """`completed`, `failed` or `diverged`: how the trial `key` ends when first run."""
        drawn = self.random("fate", key).uniform()
        if drawn < self.failure_rate:
            return "failed"
        return "diverged" if drawn < self.failure_rate + self.divergence_rate else "completed"

    def cost(self, key: str, estimated_hours: float) -> float:
        """The device-hours of the trial `key`."""
        hours = estimated_hours if self.hours is None else self.hours
        return hours * math.exp(self.cost_spread * self.random("cost", key).normal())

    def random(self, *parts: str) -> np.random.Generator:
        """A stream of its own for each name, so that no trial depends on another."""
        text = "/".join([str(self.random_state), *parts])
        return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))

    @property
    def digest(self) -> str:
        """8 hex digits of the whole surface: rehearsals of different ones are kept apart."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        if not self.optima:  # as it was before there were any: its digest names a folder
            del values["optima"], values["sharpness"]
        return values

    @classmethod
    def default(cls, study: Study) -> Surface:
        """One point from each level of a factor to the next, the factors adding up.

        The same in the primary response and in those that claims speak of.
        """
        effects: dict[str, float] = {}
        for factor in study.factors:
            base = factor.baseline(study.base)
            others = [label for label in factor.levels if label != base]
            effects |= {
                f"{factor.name}={label_text(label)}": STEP * n for n, label in enumerate(others, 1)
            }
        claimed = dict.fromkeys(claim.response for claim in study.claims if claim.response)
        drawn = [n for n in claimed if n != study.responses[0] and not study.metrics[n].is_cost]
        return cls(effects=effects, others={name: dict(effects) for name in drawn})

    @classmethod
    def read(cls, path: str, study: Study) -> Surface:
        """The surface in a JSON file, checked. Raises StudyError in words."""
        file = Path(path).expanduser()
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StudyError(
                f"--rehearse {path}: it cannot be read",
                why=str(error),
                mend="give a JSON file, or --rehearse alone, which writes one to start from",
            ) from None
        known = [f.name for f in fields(cls)]
        if not isinstance(values, dict):
            raise StudyError(f"--rehearse {path}: it holds no object", mend='as {"mean": 0.3}')
        for name in values:
            if name not in known:
                raise StudyError(
                    f"--rehearse {path}: there is no '{name}'", mend=nearest(name, known)
                )
        for name in ("effects", "noises", "others", "optima"):
            if not isinstance(values.get(name, {}), dict):
                raise StudyError(
                    f"--rehearse {path}: {name} is {values[name]!r}",
                    mend='give an object, as {"depth=3": -0.01}',
                )
        return cls(**values).check(study)


def _holds(term: str, at: Mapping[str, Label]) -> bool:
    return all(name in at and same_label(at[name], label) for name, label in _pairs(term))


def _pairs(term: str) -> list[tuple[str, str]]:
    """`depth=3:supervision=declip` as its pairs."""
    parts = (part.partition("=") for part in term.split(":"))
    return [(name.strip(), label.strip()) for name, _, label in parts]


def _check_term(term: str, study: Study) -> None:
    factors = {factor.name: factor for factor in study.factors}
    for name, label in _pairs(term):
        if name not in factors:
            raise StudyError(
                f"surface: '{term}' names no factor of the study",
                why="an effect is written factor=level, or factor=level:factor=level",
                mend=nearest(name, factors),
            )
        labels = list(factors[name].levels)
        if not any(same_label(known, label) for known in labels):
            raise StudyError(
                f"surface: '{term}': Factor '{name}' has no level '{label}'",
                mend=nearest(label, labels),
            )
