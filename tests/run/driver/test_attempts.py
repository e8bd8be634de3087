"""How often a cohort that is out of memory is tried, without Ray. Oracle: Ray's own errors."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from ray import exceptions as ray_errors
from ray.train import WorkerGroupError
from ray.train.v2._internal.exceptions import (
    UserExceptionWithTraceback,
    WorkerHealthCheckFailedError,
)
from tests.fixtures.studies import small_plan

from seedbed.errors import INFRASTRUCTURE, OUT_OF_MEMORY, Reason
from seedbed.run.driver.attempts import MAX_FAILURES, Reached, attempts
from seedbed.run.worker.variant import Variant

PEER = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [::1]:9")
numbers = itertools.count(1)


def no_room() -> torch.OutOfMemoryError:
    """torch names a process and what it holds: no two of its errors have the same words."""
    return torch.OutOfMemoryError(f"CUDA out of memory. Process {next(numbers)} has 79 GiB in use")


def raised(error: Exception) -> UserExceptionWithTraceback:
    return UserExceptionWithTraceback(error, f"Traceback\n{type(error).__name__}: {error}")


def tried(*ranks: Exception, by_turns: bool = False) -> Reason:
    """Why a cohort is given up whose ranks raise these; the first has no room if none are said."""

    def fit(retries: int) -> None:
        first, second = ranks if ranks else (raised(no_room()), raised(PEER))
        pair = (second, first) if by_turns and retries % 2 else (first, second)
        raise WorkerGroupError("", dict(enumerate(pair)))

    return attempts(fit, lambda: Reached("", ()))


def test_what_workers_have_no_room_for_twice_is_not_tried_a_third_time() -> None:
    reason = tried()
    assert (reason.failure, reason.attempts) == (OUT_OF_MEMORY, 2)
    assert reason.startswith("OutOfMemoryError: CUDA out of memory")


def test_it_does_not_matter_which_rank_ran_out_of_memory() -> None:
    """The other one lost its connection, which tells nothing."""
    reason = tried(by_turns=True)
    assert (reason.failure, reason.attempts) == (OUT_OF_MEMORY, 2)
    assert "CUDA out of memory" in reason


def test_what_ray_s_monitor_ends_is_tried_as_often_as_a_loss() -> None:
    """A node's memory is filled by others too, who may have left it by then."""
    full = ray_errors.OutOfMemoryError("the node is low on memory")
    for ended in (WorkerHealthCheckFailedError("it died", full), raised(full)):
        reason = tried(ended, raised(PEER))
        assert (reason.failure, reason.attempts) == (OUT_OF_MEMORY, MAX_FAILURES + 1)
    reason = tried(raised(PEER), raised(PEER))
    assert (reason.failure, reason.attempts) == (INFRASTRUCTURE, MAX_FAILURES + 1)


def test_its_words_have_what_would_fit(shapes: Path) -> None:
    variant = Variant(small_plan(shapes).trials[0], torch.device("cpu"))
    with pytest.raises(torch.OutOfMemoryError) as caught:
        variant.fail(torch.OutOfMemoryError("CUDA out of memory. " + 600 * "x"), alone=False)
    assert variant.status == "running"  # all its ranks are tried again, from a checkpoint
    reason = tried(raised(caught.value), raised(PEER))
    assert f"'{variant.trial.name}' is out of memory at step 1; what would fit: --set" in reason
    assert "micro_batch=" in reason or "budget.batch=" in reason
