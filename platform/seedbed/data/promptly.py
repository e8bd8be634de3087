"""How soon Ray Data sees what has happened: its own pauses keep cores without work.

A task of one round takes seconds, and Ray Data gives its core the next one a turn of its loop
later. Two cores give 0.91 to 0.95 of the samples a second that decoding alone does; with Ray's own
pauses they gave 0.85 to 0.87 (`tests/benchmarks/bench_ingest.py`).
"""

from __future__ import annotations

import os

# Ray Data asks for the sizes of blocks on a thread of their own, by default, and learns that a task
# has ended a turn of its loop later. Read when the first dataset runs
# (ray/data/_internal/execution/metadata_fetcher.py).
os.environ.setdefault("RAY_DATA_METADATA_PREFETCH_ON_THREAD", "0")
# Each turn waits until all tasks that run have something, or so long, of Ray's own 0.1 s: while one
# renders, another's end is not seen. A turn takes 1.5 ms of one core, so this is 3 % of it.
TURN_SECONDS = 0.05
# A dataset may use nothing until it asks a second time what its share of the cluster is, and half
# of it until that before it has ended and it asks again: after Ray's own second. Each question is a
# message to one actor of the cluster.
SHARE_SECONDS = 0.25


def look_often() -> None:
    """Set Ray Data's pauses for the datasets of this process."""
    from ray.data._internal.execution import resource_manager, streaming_executor_state

    streaming_executor_state.WAIT_FOR_TASK_COMPLETION_TIMEOUT_S = TURN_SECONDS
    resource_manager.ResourceManager.GLOBAL_LIMITS_UPDATE_INTERVAL_S = SHARE_SECONDS
