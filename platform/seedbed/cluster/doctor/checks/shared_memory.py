"""Whether /dev/shm holds Ray's object store: where it is too small Ray uses a disk, unsaid."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from seedbed.cluster.doctor.check import Answer, Check, Facts, Finding, Scope, Visit, skipped

PLACE = "/dev/shm"
LEAST_BYTES = 1e9  # batches and NCCL's own buffers, where no store's size is known
MEND = "docker run --shm-size=..., in Kubernetes an emptyDir of medium Memory at /dev/shm"


def probe(visit: Visit) -> Facts:
    if not Path(PLACE).is_dir():
        return {}
    disk = shutil.disk_usage(PLACE)
    return {"total": disk.total, "free": disk.free}


def judge(asked: Scope, answers: Sequence[Answer]) -> Sequence[Finding]:
    known = [answer for answer in answers if answer.facts]
    if not known:
        return skipped(f"this system has no {PLACE}")
    findings = []
    for answer in known:
        store = answer.node.resources.get("object_store_memory", LEAST_BYTES)
        if answer.facts["total"] < store:
            findings.append(
                Finding(
                    "bad",
                    f"{answer.node.name}: {PLACE} has {answer.facts['total'] / 1e9:.1f} GB, and "
                    f"{store / 1e9:.1f} GB are for Ray's object store",
                    MEND,
                )
            )
    least = min(answer.facts["total"] for answer in known)
    return findings or [Finding("ok", f"at least {least / 1e9:,.1f} GB on each")]


CHECK = Check("does shared memory hold the object store?", judge, probe)
