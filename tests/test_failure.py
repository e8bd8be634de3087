"""The class of a failure. Oracle: errors that torch, Ray, CPython and this package raise."""

from __future__ import annotations

import pickle

import pytest
import torch
from ray import exceptions as ray_errors
from ray.train import WorkerGroupError
from ray.train.v2._internal.exceptions import (
    UserExceptionWithTraceback,
    WorkerHealthCheckFailedError,
)
from torch.distributed import DistBackendError, DistNetworkError

from seedbed.commands.study.limit import most_failures
from seedbed.errors import (
    BAD_DATA,
    INFRASTRUCTURE,
    OUT_OF_MEMORY,
    OWN_ERROR,
    CohortTooLargeError,
    DataError,
    Reason,
    SampleFault,
    StudyError,
    TooLargeError,
    TransientError,
    UnavailableError,
)
from seedbed.failure import FAILURES, failure_of
from seedbed.run.driver.attempts import failure_by


def accelerator_error(number: int) -> Exception:
    error = torch.AcceleratorError("CUDA error")
    error.error_code = number  # as torch sets it
    return error


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), OUT_OF_MEMORY),
        (MemoryError(), OUT_OF_MEMORY),
        (ray_errors.OutOfMemoryError("the node ran low on memory"), OUT_OF_MEMORY),
        (TooLargeError("it needs 90 GB"), OUT_OF_MEMORY),
        (CohortTooLargeError("8 variants"), OUT_OF_MEMORY),
        (accelerator_error(2), OUT_OF_MEMORY),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(h)`"),
            OUT_OF_MEMORY,
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), OUT_OF_MEMORY),
        (RuntimeError("CUDA driver error: out of memory"), OUT_OF_MEMORY),
        (RuntimeError("CUBLAS_STATUS_INVALID_VALUE"), OWN_ERROR),
        (DataError("no shard"), BAD_DATA),
        (SampleFault("no picture"), BAD_DATA),
        (UnavailableError("no store"), INFRASTRUCTURE),
        (TransientError("503"), INFRASTRUCTURE),
        (DistBackendError("NCCL"), INFRASTRUCTURE),
        (DistNetworkError("connect"), INFRASTRUCTURE),
        (ray_errors.ActorDiedError(), INFRASTRUCTURE),
        (ConnectionResetError(), INFRASTRUCTURE),
        (OSError(28, "No space left on device"), INFRASTRUCTURE),
        (accelerator_error(214), INFRASTRUCTURE),  # an uncorrectable ECC error
        (accelerator_error(710), OWN_ERROR),  # an assertion of a kernel: an index out of range
        (FileNotFoundError("my_table.csv"), OWN_ERROR),
        (StudyError("no such level"), OWN_ERROR),
        (ValueError("my own loss"), OWN_ERROR),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_an_error_is_classed_by_its_type_whatever_ray_wraps_around_it(
    error: Exception, failure: str
) -> None:
    assert failure in FAILURES
    assert failure_of(error) == failure
    assert failure_of(UserExceptionWithTraceback(error, "Traceback")) == failure
    wrapped = ray_errors.RayTaskError("work", "Traceback", error)
    assert failure_of(wrapped) == failure
    own = RuntimeError("a message about CUDA out of memory, and of no such type")
    assert failure_of(own) == OWN_ERROR


def test_torch_s_own_refusal_of_memory_on_a_cpu_is_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert failure_of(raised.value) == OUT_OF_MEMORY


def test_what_gloo_says_of_a_peer_that_has_gone_is_of_the_infrastructure() -> None:
    said = "[../third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [::1]:9"
    assert failure_of(RuntimeError(said)) == INFRASTRUCTURE  # it has no type of its own


def test_a_lost_rank_is_the_infrastructure_s_and_a_full_node_is_memory() -> None:
    broken = UserExceptionWithTraceback(RuntimeError("Connection closed by peer"), "")
    lost = WorkerHealthCheckFailedError("it died", ray_errors.ActorDiedError())
    full = WorkerHealthCheckFailedError("it died", ray_errors.OutOfMemoryError("low on memory"))
    assert failure_by(WorkerGroupError("", {0: broken, 1: lost})) == INFRASTRUCTURE
    assert failure_by(WorkerGroupError("", {0: broken, 1: full})) == OUT_OF_MEMORY
    own = UserExceptionWithTraceback(ValueError("a bug"), "")
    assert failure_by(WorkerGroupError("", {0: own, 1: own})) == OWN_ERROR


def test_a_reason_keeps_its_class_on_its_way_through_ray() -> None:
    reason = pickle.loads(pickle.dumps(Reason("it was lost", INFRASTRUCTURE)))
    assert (reason, reason.failure) == ("it was lost", INFRASTRUCTURE)


@pytest.mark.parametrize(
    ("said", "number"), [("", 0), ("3", 3), ("10%", 20), ("0.1%", 1), ("100%", 200), ("2.5 %", 5)]
)
def test_a_limit_is_a_number_of_trials_or_a_share_of_them(said: str, number: int) -> None:
    assert most_failures(said, 200) == number


@pytest.mark.parametrize("said", ["0", "-1", "0%", "101%", "many", "1.5", "nan%"])
def test_a_limit_that_is_neither_is_refused(said: str) -> None:
    with pytest.raises(StudyError, match="5%"):
        most_failures(said, 200)
