"""Why cohorts ended early: an actor, apart from `tune.py` so that its process starts at once."""

from __future__ import annotations


class Reasons:
    """Why cohorts ended without all their records, by id, as their workers' holders report."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def tell(self, cohort: str, reason: str) -> None:
        self._told[cohort] = reason

    def told(self, cohort: str) -> str:
        return self._told.get(cohort, "")
