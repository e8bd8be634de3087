"""A metric: what a recorded number means, and which way is better.

The module that measures a number declares its `Metric`: an evaluation task its scores, an objective
its losses, the record of a trial its cost. All other code asks the `Metric`; nothing is decided by
a metric's name. A declaration must be cheap to import (no torch): a study is checked against all of
them where it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from seedbed.errors import StudyError, nearest

Kind = Literal["share", "count", "loss", "cost", "time", "rate", "number"]
KINDS: tuple[str, ...] = get_args(Kind)

_ALWAYS = ("name", "label", "kind", "higher_is_better")  # written for every metric in a design


@dataclass(frozen=True)
class Metric:
    """One number of a trial: its name in records, and what people and programs must know of it.

    `label` is its name for people; without one it is the name itself. `kind` is

    - "share": a fraction from 0 to 1, written in percent, its differences in points
    - "count": how many of something there are
    - "loss": what training minimises
    - "cost": what the trial spends (device-hours, arithmetic, samples)
    - "time": seconds by the clock
    - "rate": per step or per second, as a learning rate
    - "number": anything else

    `column` is the column of the table of examples that it comes from, "" where it is not counted
    example by example: an example is right where the column's value is below `below`.
    `out_of` names the metric that counts the examples of which it is a share, and `among` the one
    that counts the answers among which a guess is made, of which `below` are right; where nothing
    counts them, `chance` is the share that guessing gets. `file` is the table's, beside a trial's
    record, where no task of this package says so.

    Raises StudyError for a name that is no text and a kind that does not exist.
    """

    name: str
    label: str = ""
    kind: Kind = "number"
    higher_is_better: bool = True
    column: str = ""
    below: int = 1
    out_of: str = ""
    among: str = ""
    file: str = ""
    chance: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise StudyError(
                f"a metric's name is {self.name!r}",
                why="trials record a number under its metric's name",
                mend='give a text, for example "zeroshot/top1"',
            )
        if self.kind not in KINDS:
            raise StudyError(
                f"Metric {self.name}: the kind is {self.kind!r}",
                why="the kind says how the number is written",
                mend=nearest(self.kind, KINDS),
            )
        object.__setattr__(self, "label", self.label or self.name)

    @property
    def is_share(self) -> bool:
        """Whether it is written in percent, and its differences in points."""
        return self.kind == "share"

    @property
    def is_cost(self) -> bool:
        """Whether it is a cost of the trial, not a result."""
        return self.kind in ("cost", "time")

    def under(self, prefix: str, label: str = "") -> Metric:
        """The same number recorded under `prefix` (`final/`), with another `label` if given."""
        return replace(self, name=f"{prefix}{self.name}", label=label or self.label)

    def text(self, value: float) -> str:
        """`value` on one line of progress: `31.25 %`, or four digits."""
        return f"{100 * value:.2f} %" if self.is_share else f"{value:.4g}"

    def to_json(self) -> dict[str, Any]:
        """As it stands in the design."""
        defaults = Metric(self.name)
        values = asdict(self)
        return {n: v for n, v in values.items() if n in _ALWAYS or v != getattr(defaults, n)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Metric:
        """What `to_json` wrote, by this version or by another.

        Fields that this version does not know are left out, and a kind that it does not know
        becomes "number", so that a study of a newer version can still be read.
        """
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        if known.get("kind") not in KINDS:
            known["kind"] = "number"
        return cls(**known)


def by_name(metrics: Iterable[Metric]) -> dict[str, Metric]:
    """The metrics by name, in their order. Raises StudyError for two that differ under one."""
    named: dict[str, Metric] = {}
    for metric in metrics:
        other = named.setdefault(metric.name, metric)
        if other != metric:
            raise StudyError(
                f"the metric '{metric.name}' is declared twice",
                why=f"its numbers would be read as {other} or as {metric}",
                mend="rename one of them",
            )
    return named
