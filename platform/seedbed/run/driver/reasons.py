"""What the holders of cohorts share: an actor, apart from `tune.py` so that it starts at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Reasons:
    """Which job each cohort is, and why it ended without all its records, by the cohort's id.

    `jobs` are references: a holder asks for its own. In the function that all holders run they
    would be sent to each of them, a thousand times a thousand at ten thousand trials.
    """

    def __init__(self, jobs: Mapping[str, Any]) -> None:
        self._jobs = dict(jobs)
        self._told: dict[str, str] = {}

    def job(self, cohort: str) -> Any:
        return self._jobs[cohort]

    def tell(self, cohort: str, reason: str) -> None:
        self._told[cohort] = reason

    def told(self, cohort: str) -> str:
        return self._told.get(cohort, "")
