"""The Ray job that this driver is, where it was submitted as one."""

from __future__ import annotations

import json
import os
import time

IN_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # what Ray gives to the entrypoint of a submitted job
# Set where whatever fails is submitted again, as KubeRay does, which sees no exit status.
RETRIED = "SEEDBED_JOB_RETRIED"
STOP_SECONDS = 30.0


def own_job() -> str:
    """The name under which this driver was submitted to a Ray cluster; "" where it was not."""
    try:
        config = json.loads(os.environ.get(IN_JOB) or "{}")
        return str(config.get("metadata", {}).get("job_submission_id", ""))
    except (ValueError, AttributeError):
        return ""


def end_for_good() -> None:
    """Where failed jobs are retried, end this one as stopped: another try would change nothing.

    A stopped job is no failed one, and none that succeeded. Returns where there is nothing to do.
    """
    job = own_job()
    if not job or not os.environ.get(RETRIED):
        return
    from ray.job_submission import JobSubmissionClient

    try:
        JobSubmissionClient().stop_job(job)
    except Exception as error:  # then it has failed, and is tried again
        print(f"caution the job {job} cannot be stopped: {error}")
        return
    time.sleep(STOP_SECONDS)  # it ends this process
