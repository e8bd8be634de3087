"""What a disturbed study was, beside the same undisturbed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.victims import SERVERS

CHECKPOINT_SECONDS = 3  # between a study's checkpoints


@dataclass
class Found:
    """What a disturbed study was, beside the same undisturbed."""

    kills: list[tuple[float, str]] = field(default_factory=list)  # when, and of which kind
    starts: int = 0  # how often the command was sent
    seconds: float = 0.0
    recoveries: int = 0  # of cohorts, as the study's own state counts them
    lost: int = 0  # steps that were trained more than once
    planned: int = 0
    again: dict[str, list[float]] = field(default_factory=dict)  # seconds to the next step, by kind
    differing: list[str] = field(default_factory=list)
    asked: Sequence[str] = ()  # the kinds that were to be killed
    ended: list[int] = field(default_factory=list)  # statuses of commands that were sent again

    def of(self, kind: str) -> int:
        return sum(one == kind for _, one in self.kills)

    @property
    def spared(self) -> list[str]:
        """The kinds that were to be killed and never were: nothing was proven of them."""
        return [kind for kind in self.asked if not self.of(kind)]

    @property
    def failed(self) -> bool:
        return bool(self.differing or self.spared)

    def table(self) -> str:
        lines = [f"{'killed':<12}{'times':>6}{'to the next step: median':>26}{'most':>8}"]
        for kind in sorted({kind for _, kind in self.kills}):
            row = f"{kind:<12}{self.of(kind):>6}"
            if waits := self.again.get(kind):
                row += f"{statistics.median(waits):>24.1f} s{max(waits):>6.1f} s"
            else:
                row += f"{'nothing was trained after it':>34}"
            lines.append(row)
        fatal = sum(kind not in SERVERS for _, kind in self.kills)
        lines += [
            f"{len(self.kills)} kills in {self.seconds:.0f} s; the command was sent {self.starts} "
            f"times (statuses before: {self.ended}), cohorts were taken up again "
            f"{self.recoveries} times",
            f"{self.lost} of {self.planned} steps were trained again: "
            f"{self.lost / max(1, fatal):.1f} for each of {fatal} kills that end training, with a "
            f"checkpoint every {CHECKPOINT_SECONDS} s",
            "equal bit for bit" if not self.differing else f"DIFFERENT: {self.differing}",
        ]
        if self.spared:
            lines.append(f"NEVER KILLED: {', '.join(self.spared)}")
        return "\n".join(lines)


def waits(
    kills: Sequence[tuple[float, str]], processes: Sequence[Sequence[float]]
) -> dict[str, list[float]]:
    """By kind, seconds from each kill to the next step; of a process that had taken none before,
    where the kill ended one that trained. `processes` are the times of each one's steps."""
    found: dict[str, list[float]] = {}
    for when, kind in kills:
        able = processes if kind in SERVERS else [one for one in processes if min(one) > when]
        later = [time for times in able for time in times if time > when]
        if later:
            found.setdefault(kind, []).append(min(later) - when)
    return found
