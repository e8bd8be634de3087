"""How soon Ray Data sees what has happened: its own pauses keep cores without work.

A task of one round takes seconds, and Ray Data gives its core the next one a turn of its loop
later. Two cores give 0.91 to 0.95 of the samples a second that decoding alone does; with Ray's own
pauses they gave 0.85 to 0.87 (`tests/benchmarks/bench_ingest.py`).
"""

from __future__ import annotations

import os

# Each turn of Ray's loop waits until all running tasks have something for it, or 0.1 s: while one
# renders, it does not see that another has ended. A turn takes 1.5 ms, 3 % of a core at this pause.
# With one task at a time there is nothing else to see, and the core is better left to training.
TURN_SECONDS, ALONE_SECONDS = 0.05, 0.25
# A new dataset's share of the cluster is nothing until it asks for the second time, and half of all
# until it asks after the one before has ended: Ray asks once a second. Each question is a message
# to one actor of the cluster, and takes it 0.24 ms: 6 % of a core with 64 ranks.
SHARE_SECONDS = 0.25


def look_often(num_tasks: int) -> None:
    """Set Ray Data's pauses for the datasets of this process, each of which has so many tasks at a
    time; call it before the first."""
    # Else Ray asks for the sizes of blocks on another thread, and sees an end a turn later.
    os.environ.setdefault("RAY_DATA_METADATA_PREFETCH_ON_THREAD", "0")
    from ray.data._internal.execution import resource_manager, streaming_executor_state

    turn = TURN_SECONDS if num_tasks > 1 else ALONE_SECONDS
    streaming_executor_state.WAIT_FOR_TASK_COMPLETION_TIMEOUT_S = turn
    resource_manager.ResourceManager.GLOBAL_LIMITS_UPDATE_INTERVAL_S = SHARE_SECONDS
