"""Whether the nodes' clocks agree: logs are read, and requests to S3 are signed, by them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from seedbed.cluster.doctor.check import Answer, Check, Facts, Finding, Scope, Visit

CAUTION_SECONDS = 2.0
# Amazon's S3 refuses a request whose date is 15 minutes off (RequestTimeTooSkewed).
BAD_SECONDS = 300.0


def probe(visit: Visit) -> Facts:
    return {"time": time.time()}


def skew_seconds(answer: Answer) -> float:
    """How far a node's clock surely is from ours: it was read between asking and answer."""
    behind, ahead = answer.sent - answer.facts["time"], answer.facts["time"] - answer.received
    return max(0.0, behind, ahead)


def judge(asked: Scope, answers: Sequence[Answer]) -> Sequence[Finding]:
    mend = "run a time service on the node: chrony or systemd-timesyncd"
    findings = []
    for answer in answers:
        off = skew_seconds(answer)
        if off > CAUTION_SECONDS:
            status = "bad" if off > BAD_SECONDS else "caution"
            words = f"{answer.node.name} is {off:.1f} s off"
            findings.append(Finding(status, words, mend))  # type: ignore[arg-type]
    trip = max(answer.received - answer.sent for answer in answers)
    return findings or [Finding("ok", f"they agree, as far as a round trip of {trip:.2f} s shows")]


CHECK = Check("do the clocks agree?", judge, probe)
