"""Values that a figure marks with a line."""

from __future__ import annotations

from dataclasses import dataclass

from seedbed.analyze.findings.study import Findings


@dataclass(frozen=True)
class Limit:
    """A value that a figure marks with a line, and its name."""

    at: float
    label: str


def lenth_limits(findings: Findings) -> list[Limit]:
    """Lenth's margins, where nothing was run again to tell noise by."""
    if findings.two_level is None or findings.two_level.attrs["judged_by"] != "Lenth":
        return []
    attrs = findings.two_level.attrs
    return [Limit(attrs["ME"], "margin of error"), Limit(attrs["SME"], "simultaneous")]
