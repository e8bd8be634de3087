"""A contrast: a difference between two levels, and where it is expected to lie."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Protocol

from seedbed.checks import number, one_of
from seedbed.errors import StudyError, nearest
from seedbed.metric import Metric
from seedbed.study.cell import Cell
from seedbed.study.label import Label

DIRECTIONS = ("above", "below", "within")


class Levelled(Protocol):
    """A factor as far as a claim asks: a study's own, or a column of somebody's table."""

    @property
    def name(self) -> str: ...

    @property
    def levels(self) -> Collection[Label]: ...


@dataclass(frozen=True)
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
    _: KW_ONLY
    at: Mapping[str, Label] = Cell()
    less_at: Mapping[str, Label] = Cell()
    direction: str = "above"
    margin: float = 0.0

    def check(self, claim: str, factors: Mapping[str, Levelled]) -> None:
        """Raises StudyError where a study of these factors cannot estimate it."""
        start = f"Claim {claim}: "
        pairs = [
            (self.of, self.level),
            (self.of, self.over),
            *self.at.items(),
            *self.less_at.items(),
        ]
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
        if self.of in self.at or self.of in self.less_at:
            raise StudyError(
                f"{start}'{self.of}' is both compared and held at a level",
                why="a factor held at one level does not differ",
                mend="name other factors in `at`",
            )
        if self.less_at and self.less_at.keys() != self.at.keys():
            raise StudyError(
                f"{start}`at` and `less_at` hold different factors",
                why="the difference would be of two things at once",
                mend="hold the same factors in both, at other levels",
            )
        if self.less_at and Cell(self.less_at) == Cell(self.at):
            raise StudyError(
                f"{start}`at` and `less_at` are the same levels",
                why="the difference is 0 whatever the trials say",
                mend="name another level in one of them",
            )
        why = "the verdict is read by it"
        one_of(f"{start}the direction", self.direction, DIRECTIONS, why=why)

    def check_margin(self, claim: str, response: Metric) -> None:
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
        if response.is_share and abs(self.margin) >= 1:
            raise StudyError(
                f"{name} is {self.margin!r}",
                why=f"{response.name} is a share from 0 to 1: one point of it is 0.01",
                mend=f"give {self.margin / 100:g} for {self.margin:g} points",
            )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Contrast:
        """The contrast that `to_json` wrote."""
        given = dict(values)
        return cls(given.pop("of"), given.pop("level"), given.pop("over"), **given)

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
