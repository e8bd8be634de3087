"""The Ray job that this driver is, where it was submitted as one.

    python -m seedbed.cluster.own_job COMMAND ...

runs a command as the job, where whatever fails is submitted again, as by KubeRay, which sees no
exit status. A command whose next try would end alike (`exits.py`), be it by an error in its file
before anything of ours was read, then ends its job as stopped: that is no failed one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from seedbed.exits import COMPLETE, MEANINGS, PASSING

IN_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # what Ray gives to the entrypoint of a submitted job
STOP_SECONDS = 30.0


def own_job() -> str:
    """The name under which this driver was submitted to a Ray cluster; "" where it was not."""
    try:
        config = json.loads(os.environ.get(IN_JOB) or "{}")
        return str(config.get("metadata", {}).get("job_submission_id", ""))
    except (ValueError, AttributeError):
        return ""


def is_final(status: int) -> bool:
    """Whether another try of a command that ended with `status` would end alike.

    Of a status that is not ours, as of a signal, it is not known.
    """
    return status in MEANINGS and status not in (COMPLETE, PASSING)


def run_as_job(command: Sequence[str]) -> int:
    """Run `command` to its end; its exit status, if its job is not stopped for it."""
    told: list[int] = []
    # Ray sends them to every process of a job that it stops: the command ends as it likes to.
    before = {
        number: signal.signal(number, lambda got, _: told.append(got))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    status = subprocess.run(command, check=False).returncode
    for number, handler in before.items():
        signal.signal(number, handler)
    if is_final(status) and not told:
        _stop_own_job()
    return status if status >= 0 else 128 - status  # as a shell says of a signal


def _stop_own_job() -> None:
    """Ask Ray to end this job as stopped. Returns where there is none, or Ray does not answer."""
    job = own_job()
    if not job:
        return
    from ray.job_submission import JobSubmissionClient

    try:
        JobSubmissionClient().stop_job(job)
    except Exception as error:  # then it has failed, and is tried again
        print(f"caution the job {job} cannot be stopped: {error}")
        return
    time.sleep(STOP_SECONDS)  # Ray ends this process


if __name__ == "__main__":
    sys.exit(run_as_job(sys.argv[1:]))
