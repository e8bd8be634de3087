"""Whether every node answers at all."""

from __future__ import annotations

import os
from collections.abc import Sequence

from seedbed.cluster.doctor.check import Answer, Check, Facts, Finding, Scope, Visit

SECONDS = 60.0  # its first worker process has to start


def probe(visit: Visit) -> Facts:
    return {"pid": os.getpid()}


def judge(asked: Scope, answers: Sequence[Answer]) -> Sequence[Finding]:
    names = ", ".join(answer.node.name for answer in answers)
    return [Finding("ok", f"{len(answers)} of them answer: {names}")]


CHECK = Check("does every node answer?", judge, probe, seconds=SECONDS)
