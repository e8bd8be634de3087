"""Whether there is room on the disks that Ray and corpora use."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from seedbed.cluster.doctor.check import Answer, Check, Facts, Finding, Scope, Visit
from seedbed.home import home

FULL = 0.95  # above it Ray makes no objects any more: RAY_local_fs_capacity_threshold
LEAST_BYTES = 5e9


def probe(visit: Visit) -> Facts:
    ray = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    return {place: room(Path(place)) for place in dict.fromkeys((ray, str(home())))}


def room(folder: Path) -> dict[str, int]:
    """Bytes of the disk that holds `folder`."""
    while not folder.exists():
        folder = folder.parent
    disk = shutil.disk_usage(folder)
    return {"total": disk.total, "free": disk.free}


def judge(asked: Scope, answers: Sequence[Answer]) -> Sequence[Finding]:
    findings: list[Finding] = []
    least = min(disk["free"] for answer in answers for disk in answer.facts.values())
    for answer in answers:
        for place, disk in answer.facts.items():
            used = 1 - disk["free"] / disk["total"]
            words = f"{answer.node.name}: the disk of {place} is {100 * used:.0f} % full"
            if used > FULL:
                mend = f"make room: Ray stores nothing above {100 * FULL:.0f} %"
                findings.append(Finding("bad", words, mend))
            elif disk["free"] < LEAST_BYTES:
                words += f", {disk['free'] / 1e9:.1f} GB are free"
                findings.append(Finding("caution", words, "make room, or give it a larger disk"))
    return findings or [Finding("ok", f"at least {least / 1e9:,.0f} GB are free on each")]


CHECK = Check("is there room on the disks?", judge, probe)
