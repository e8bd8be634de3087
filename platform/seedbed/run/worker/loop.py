"""What each Ray Train worker runs.

It names nothing heavy: the driver, and the processes that hold a cohort's workers, read this module
to pass the function on, and would each wait seconds for libraries that only a worker needs.
"""

from __future__ import annotations

import gc
from typing import Any

from seedbed.collecting import as_usual, seldom
from seedbed.run.worker.assignment import COLLECTIVE_SECONDS, Assignment
from seedbed.run.worker.jobs import jobs, leave
from seedbed.storage.retry import retrying_for


def train(config: dict[str, Any]) -> None:
    """The Ray Train loop of one rank. The jobs are each an Assignment."""
    assignment: Assignment
    seldom()
    for assignment in jobs(config):
        import torch

        from seedbed.run.worker.rank import Rank, mesh_here

        as_usual()
        torch.set_num_threads(assignment.threads)
        # What fails on one rank is raised there, never reported: a report is a barrier, and the
        # other ranks may stand in another one. Ray sees the error and ends all; see `attempts.py`.
        with retrying_for(assignment.retry_seconds):
            seconds = assignment.retry_seconds + COLLECTIVE_SECONDS
            mesh = mesh_here(assignment.data_parallel, assignment.on_cpu, seconds)
            if not Rank(assignment, mesh).run():
                leave()
                return
        gc.collect()  # the next cohort has the memory of this one
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
