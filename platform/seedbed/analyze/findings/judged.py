"""What a judged claim is: its verdict, the contrasts behind it, and its plain form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from seedbed.analyze.findings.claim_precision import Precision
from seedbed.study.contrast import Contrast

SUPPORTED, REFUTED, INCONCLUSIVE = "supported", "refuted", "inconclusive"
NOT_ESTIMABLE, ALIASED = "not estimable", "aliased"
# Where trials lie that do not judge a claim, because it is about another scale.
IN_FAVOUR, AGAINST, OPEN = "in its favour", "against it", "open"
VERDICTS = (SUPPORTED, REFUTED, INCONCLUSIVE, NOT_ESTIMABLE, ALIASED)


@dataclass(frozen=True)
class JudgedContrast:
    """One contrast of a claim: its estimate, the interval that decides, its own verdict.

    `p` is one-sided for "above" and "below", the larger of two one-sided ones for "within". At a
    scale that the claim is not about, `verdict` is None and `seen` says on which side it lies.
    """

    contrast: Contrast
    difference: float
    se: float
    df: float
    p: float
    ci_low: float
    ci_high: float
    verdict: str | None
    note: str
    seen: str = ""

    @property
    def direction(self) -> str:
        return self.contrast.direction

    @property
    def margin(self) -> float:
        return self.contrast.margin

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: what is not a number is null."""
        told = {name: _or_none(value) for name, value in vars(self).items() if name != "contrast"}
        contrast = self.contrast.to_json()
        return {"contrast": contrast, "direction": self.direction, "margin": self.margin, **told}


@dataclass(frozen=True)
class Judged:
    """A claim's verdict. `why` is what kept it from being supported or refuted, "" where nothing
    did. `precision` says of a claim that is open how close more seeds would look;
    it is empty for others, and where there is no error to tell it by.

    `scale` are the scales that it is about. Where the trials ran at another one, `seen_at` names
    that, and there is no verdict."""

    id: str
    statement: str
    response: str
    alpha: float
    source: str
    stated: str
    verdict: str | None
    why: str
    contrasts: tuple[JudgedContrast, ...]
    precision: tuple[Precision, ...] = ()
    scale: tuple[str, ...] = ()
    seen_at: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: what is not a number is null."""
        values = {name: value for name, value in vars(self).items() if name != "contrasts"}
        values["precision"] = [vars(one) for one in self.precision]
        lines = [contrast.to_json() for contrast in self.contrasts]
        return values | {"scale": list(self.scale), "contrasts": lines}


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
