"""What the holders of cohorts share: an actor, apart from `tune.py` so that it starts at once."""

from __future__ import annotations

from seedbed.errors import CohortTooLargeError, Reason


class Reasons:
    """Which of a study's cohorts have begun, and why some ended without all their records.

    Should it be lost, only words are, and holders that might have ended wait until the study ends.
    """

    def __init__(self, num_cohorts: int) -> None:
        self._num_cohorts = num_cohorts
        self._begun: set[str] = set()
        self._told: dict[str, dict[str, Reason]] = {}
        self._retried: dict[str, list[str]] = {}
        self._too_large: dict[tuple[str, ...], CohortTooLargeError] = {}

    def begin(self, cohort: str) -> None:
        self._begun.add(cohort)

    def left(self) -> int:
        """How many cohorts have not begun."""
        return self._num_cohorts - len(self._begun)

    def tell(self, cohort: str, reasons: dict[str, Reason]) -> None:
        self._told.setdefault(cohort, {}).update(reasons)

    def tell_retry(self, cohort: str, reason: str) -> None:
        self._retried.setdefault(cohort, []).append(reason)

    def told(self, cohort: str) -> tuple[dict[str, Reason], list[str]]:
        """Why each of its trials ended early, where some did, and why its workers were started
        again."""
        return self._told.get(cohort, {}), self._retried.get(cohort, [])

    def tell_too_large(self, cells: tuple[str, ...], error: CohortTooLargeError) -> None:
        """Variants of these `cells` do not fit their devices together, whatever their seed."""
        self._too_large[cells] = error

    def too_large(self, cells: tuple[str, ...]) -> CohortTooLargeError | None:
        return self._too_large.get(cells)
