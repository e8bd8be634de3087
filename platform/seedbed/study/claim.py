"""Claims: what a study expects to find, stated as data before its first trial."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seedbed.checks import number, one_of
from seedbed.errors import StudyError, nearest
from seedbed.recipe.scale import scale_named
from seedbed.study.factor import Factor
from seedbed.study.label import Label

DIRECTIONS = ("above", "below", "within")
_FRACTIONS = ("zeroshot/",)  # responses that are shares: a point is 0.01

Where = tuple[tuple[str, Label], ...]


@dataclass(frozen=True, init=False)
class Contrast:
    """A difference and where it is expected to lie.

    The estimand is the level `level` of factor `of` minus its level `over`, where other factors
    have the levels `at` (those not named count equally, level by level). With `less_at` the same
    difference at those levels is taken away: how much the effect changes, an interaction.

    `direction` says where it lies: "above" `margin`, "below" `margin`, or "within" `margin` of 0
    to both sides. A margin is in the response's own unit (0.01 is one point of a share), so "costs
    less than one point" is `direction="above", margin=-0.01`: non-inferiority.
    """

    of: str
    level: Label
    over: Label
    at: Where
    less_at: Where
    direction: str
    margin: float

    def __init__(
        self,
        of: str,
        level: Label,
        over: Label,
        *,
        at: Mapping[str, Label] | None = None,
        less_at: Mapping[str, Label] | None = None,
        direction: str = "above",
        margin: float = 0.0,
    ) -> None:
        for name, value in (
            ("of", of), ("level", level), ("over", over), ("at", tuple((at or {}).items())),
            ("less_at", tuple((less_at or {}).items())), ("direction", direction),
            ("margin", margin),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    def check(self, claim: str, factors: Mapping[str, Factor]) -> None:
        """Raises StudyError where a study of these factors cannot estimate it."""
        start = f"Claim {claim}: "
        pairs = [(self.of, self.level), (self.of, self.over), *self.at, *self.less_at]
        for name, label in pairs:
            if name not in factors:
                raise StudyError(
                    f"{start}the study has no factor '{name}'",
                    why="a claim is about the study's own cells",
                    mend=nearest(name, factors),
                )
            if label not in factors[name].levels:
                raise StudyError(
                    f"{start}Factor '{name}' has no level '{label}'",
                    why="there would be no trial to judge the claim by",
                    mend=nearest(label, factors[name].levels),
                )
        if self.level == self.over:
            raise StudyError(
                f"{start}'{self.level}' is compared with itself",
                why="the difference is 0 whatever the trials say",
                mend=f"name two levels of '{self.of}'",
            )
        if self.of in dict(self.at) or self.of in dict(self.less_at):
            raise StudyError(
                f"{start}'{self.of}' is both compared and held at a level",
                why="a factor held at one level does not differ",
                mend="name other factors in `at`",
            )
        if self.less_at and set(dict(self.less_at)) != set(dict(self.at)):
            raise StudyError(
                f"{start}`at` and `less_at` hold different factors",
                why="the difference would be of two things at once",
                mend="hold the same factors in both, at other levels",
            )
        if self.less_at and dict(self.less_at) == dict(self.at):
            raise StudyError(
                f"{start}`at` and `less_at` are the same levels",
                why="the difference is 0 whatever the trials say",
                mend="name another level in one of them",
            )
        why = "the verdict is read by it"
        one_of(f"{start}the direction", self.direction, DIRECTIONS, why=why)

    def check_margin(self, claim: str, response: str) -> None:
        """Raises StudyError for a margin that cannot be one of `response`."""
        name = f"Claim {claim}: the margin"
        number(name, self.margin, why="it is a number in the response's unit", mend="give 0.01")
        if self.direction == "within":
            number(
                name,
                self.margin,
                above=0,
                why="nothing lies within such a margin of 0",
                mend="give a positive one: the largest difference that does not matter",
            )
        if response.startswith(_FRACTIONS) and abs(self.margin) >= 1:
            raise StudyError(
                f"{name} is {self.margin!r}",
                why=f"{response} is a share from 0 to 1: one point of it is 0.01",
                mend=f"give {self.margin / 100:g} for {self.margin:g} points",
            )

    def to_json(self) -> dict[str, Any]:
        """As it stands in the design."""
        return {
            "of": self.of,
            "level": self.level,
            "over": self.over,
            "at": dict(self.at),
            "less_at": dict(self.less_at),
            "direction": self.direction,
            "margin": self.margin,
        }


@dataclass(frozen=True, init=False)
class Claim:
    """A sentence that trials can support or refute.

    It holds when every one of `contrasts` does. `response` is the study's primary where it is not
    named. `alpha` is the error rate of its verdict; `source` says whose claim it is. `scale` is
    the scale that it speaks of, or several: elsewhere the report says what was seen there and
    gives no verdict. A claim that names none is about whatever the study runs at, and is judged at
    every scale.
    """

    id: str
    statement: str
    contrasts: tuple[Contrast, ...]
    response: str
    alpha: float
    source: str
    scale: tuple[str, ...]

    def __init__(
        self,
        id: str,
        statement: str,
        *contrasts: Contrast,
        response: str = "",
        alpha: float = 0.05,
        source: str = "",
        scale: str | Sequence[str] = (),
    ) -> None:
        for name, value in (
            ("id", id), ("statement", statement), ("contrasts", contrasts),
            ("response", response), ("alpha", alpha), ("source", source),
            ("scale", _scales(id, scale)),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    def check(self, factors: Sequence[Factor], responses: Sequence[str]) -> None:
        """Raises StudyError where a study of these factors and responses cannot judge it."""
        if not self.contrasts:
            raise StudyError(
                f"Claim {self.id} has no contrast",
                why="there is nothing in the trials to judge it by",
                mend="give at least one Contrast",
            )
        if self.response and self.response not in responses:
            raise StudyError(
                f"Claim {self.id}: the study has no response '{self.response}'",
                why="its trials would not report it",
                mend=nearest(self.response, responses),
            )
        if not 0 < self.alpha < 0.5:
            raise StudyError(
                f"Claim {self.id}: alpha is {self.alpha!r}",
                why="it is the share of wrong verdicts that is tolerated",
                mend="give a number between 0 and 0.5, as 0.05",
            )
        for scale in self.scale:
            try:
                scale_named(scale)
            except StudyError as error:
                raise StudyError(
                    f"Claim {self.id}: {error.what}",
                    why="it would be judged at no scale",
                    mend=error.mend,
                ) from None
        by_name = {factor.name: factor for factor in factors}
        for contrast in self.contrasts:
            contrast.check(self.id, by_name)
            contrast.check_margin(self.id, self.response or responses[0])

    def to_json(self) -> dict[str, Any]:
        """As it stands in the design."""
        return {
            "id": self.id,
            "statement": self.statement,
            "response": self.response,
            "alpha": self.alpha,
            "source": self.source,
            # Left out where none is named: such a claim keeps its digest.
            **({"scale": list(self.scale)} if self.scale else {}),
            "contrasts": [contrast.to_json() for contrast in self.contrasts],
        }


def _scales(claim: str, scale: object) -> tuple[str, ...]:
    """One scale or several as a tuple. Raises StudyError for what names none."""
    given = (scale,) if isinstance(scale, str) else scale
    if not isinstance(given, Sequence) or not all(isinstance(name, str) for name in given):
        raise StudyError(
            f"Claim {claim}: its scale is {scale!r}",
            why="a claim is judged at the scales that it names",
            mend='give a name or several, as scale="paper" or scale=("small", "paper")',
        )
    return tuple(given)


def check_claims(
    claims: Sequence[Claim], factors: Sequence[Factor], responses: Sequence[str]
) -> None:
    """Raises StudyError for a claim that the study cannot judge, and for two of one id."""
    seen: set[str] = set()
    for claim in claims:
        if claim.id in seen:
            raise StudyError(
                f"two claims have the id '{claim.id}'",
                why="their verdicts could not be told apart",
                mend="rename one of them",
            )
        seen.add(claim.id)
        claim.check(factors, responses)


ERROR_ID = ":error"  # under which a study's error is written down beside its claims


def digest_of(claim: Mapping[str, Any]) -> str:
    """16 hex digits of a claim's JSON form, whatever the order of its fields."""
    text = json.dumps(claim, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
