"""How often a cohort saves: what a checkpoint costs against what a loss without notice would."""

from __future__ import annotations

import math

# How long a node lasts, on average. Not measured: spot nodes of a scarce kind last hours, others
# weeks. An error by a factor of 4 doubles or halves the interval, and costs little either way.
NODE_SECONDS = 4 * 3_600.0
FIRST_SECONDS = 5.0  # until the first one, whose cost is not known before
LEAST_SECONDS, MOST_SECONDS = 10.0, 1_800.0


def best_interval(cost_seconds: float, num_nodes: int) -> float:
    """Seconds between checkpoints of `cost_seconds` each that lose the least time in all.

    sqrt(2 x cost x mean time between failures), which is a cohort's when any of its nodes is lost:
    Young, A first order approximation to the optimum checkpoint interval, 1974,
    https://doi.org/10.1145/361147.361115
    """
    best = math.sqrt(2 * cost_seconds * NODE_SECONDS / num_nodes)
    return min(MOST_SECONDS, max(LEAST_SECONDS, best))


class Interval:
    """When the next checkpoint is due, by the clock of one worker.

    `fixed` seconds apart, or with None as often as their cost asks for.
    """

    def __init__(self, fixed: float | None, num_nodes: int, now: float) -> None:
        self._fixed, self._num_nodes, self._since = fixed, num_nodes, now
        self._cost_seconds: float | None = None

    @property
    def seconds(self) -> float:
        if self._cost_seconds is None:
            return FIRST_SECONDS if self._fixed is None else min(FIRST_SECONDS, self._fixed)
        if self._fixed is not None:
            return self._fixed
        return best_interval(self._cost_seconds, self._num_nodes)

    def is_due(self, now: float) -> bool:
        return now - self._since >= self.seconds

    def saved(self, began: float, ended: float) -> None:
        """One was made between these times."""
        self._since, self._cost_seconds = ended, ended - began
