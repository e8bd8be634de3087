"""Whether the cluster asks for a token: whoever reaches an open one can run code on it."""

from __future__ import annotations

import ipaddress
import urllib.error
import urllib.request
from collections.abc import Sequence

from seedbed.cluster.connect import AUTH_MODE, OPEN, is_open
from seedbed.cluster.doctor.check import Answer, Check, Finding, Scope, skipped

SECONDS = 5.0
MEND = f"start it with {AUTH_MODE}=token and a token (ray get-auth-token --generate)"


def judge(asked: Scope, answers: Sequence[Answer]) -> Sequence[Finding]:
    if not asked.address:
        return skipped("no cluster: a private Ray has a token of its own")
    import ray

    address = ray.get_runtime_context().gcs_address
    dashboard = ray._private.worker.get_dashboard_url()
    doors = {f"the cluster at {address}": is_open(address)}
    if dashboard:
        doors[f"its jobs API at {dashboard}"] = answers_anyone(f"http://{dashboard}/api/jobs/")
    found = [door for door, opens in doors.items() if opens]
    if not found:
        return [Finding("ok", f"{' and '.join(doors)} refuse who has none")]
    # On a loopback address only this machine's users reach it.
    status = "caution" if _loopback(address) else "bad"
    what = f"{' and '.join(found)} asks nobody for a token: {OPEN}"
    return [Finding(status, what, MEND)]  # type: ignore[arg-type]


def answers_anyone(url: str) -> bool:
    """Whether `url` is answered without credentials; False too where nothing is there."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.rpartition(":")[0]).is_loopback
    except ValueError:
        return False


CHECK = Check("does the cluster ask for a token?", judge)
