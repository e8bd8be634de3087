"""What a worker tells the driver: one message a report, typed on both sides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FIELD = "message"


@dataclass(frozen=True)
class CurvePoint:
    """A point of a trial's curve: its key, the samples it has seen, and what was measured."""

    key: str
    samples: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Message:
    """How far a cohort is: samples seen, seconds trained, and what is new since the last one.

    `points` are the new ones. `finished` are the keys of all trials that have ended so far: a
    message may be lost with its worker, and the next one makes up for it. `note` is to be told to
    whoever watches, and `keys` are the trials that it speaks of, where that is not all of a cohort.
    """

    samples: int
    seconds: float
    points: tuple[CurvePoint, ...] = ()
    finished: tuple[str, ...] = ()
    note: str = ""
    keys: tuple[str, ...] = ()

    def to_report(self) -> dict[str, Any]:
        """As Ray carries it. One text: Tune's loggers take numbers and texts, and warn of the
        rest."""
        return {FIELD: json.dumps(asdict(self))}

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> Message | None:
        """The message in a Tune result; None in one that Tune made itself, as at a trial's end."""
        if FIELD not in report:
            return None
        values = json.loads(report[FIELD])
        return cls(
            values["samples"],
            values["seconds"],
            tuple(CurvePoint(**point) for point in values["points"]),
            tuple(values["finished"]),
            values["note"],
            tuple(values["keys"]),
        )
