"""How commands end. Oracle: README's table, sysexits.h, shipped files, and Ray's own errors."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml
from ray import exceptions as ray_errors
from ray.train import WorkerGroupError
from ray.train.v2._internal.exceptions import (
    UserExceptionWithTraceback,
    WorkerHealthCheckFailedError,
)

from seedbed import errors
from seedbed.cluster.losses import is_loss as is_loss_of_cluster
from seedbed.cluster.own_job import RETRIED
from seedbed.errors import (
    BAD_DATA,
    INFRASTRUCTURE,
    OWN_ERROR,
    DataError,
    Reason,
    UnavailableError,
    reason_of,
)
from seedbed.exits import COMPLETE, FAILING, MEANINGS, MISSING, PASSING, STOPPED, WRONG, exit_status
from seedbed.run.driver.attempts import Reached, attempts, is_loss

ROOT = Path(__file__).parent.parent
README, CLUSTERS = ROOT / "README.md", ROOT / "clusters"


def test_the_readme_has_the_table() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", README.read_text(), flags=re.MULTILINE)
    assert {int(status): words for status, words in rows} == MEANINGS


def test_the_statuses_are_those_that_others_know() -> None:
    assert PASSING == os.EX_TEMPFAIL
    assert STOPPED == 128 + 2  # a shell's, for what SIGINT ended
    assert len({COMPLETE, MISSING, WRONG, FAILING, PASSING, STOPPED}) == len(MEANINGS) == 6


@pytest.mark.parametrize(
    ("name", "status"),
    {
        "StudyError": WRONG,
        "DataError": WRONG,
        "ResourceError": WRONG,
        "TrackingError": WRONG,
        "TooManyFailuresError": FAILING,
        "StudyHeldError": PASSING,
        "UnavailableError": PASSING,
        "ClusterAwayError": PASSING,
        "TrackingAwayError": PASSING,
    }.items(),
)
def test_errors_of_a_person_are_2_and_those_that_pass_are_75(name: str, status: int) -> None:
    assert exit_status(getattr(errors, name)("it")) == status


def test_what_starts_studies_again_does_so_for_the_infrastructure_alone() -> None:
    sky = yaml.safe_load((CLUSTERS / "skypilot.yaml").read_text())["resources"]["job_recovery"]
    assert sky["recover_on_exit_codes"] == [PASSING] and not sky.get("max_restarts_on_errors")
    job = yaml.safe_load((CLUSTERS / "kuberay" / "rayjob.yaml").read_text())["spec"]
    assert job["backoffLimit"] > 0 and f"{RETRIED}=1" in job["entrypoint"]


def raised(error: Exception) -> UserExceptionWithTraceback:
    return UserExceptionWithTraceback(error, "Traceback")


def lost() -> WorkerHealthCheckFailedError:
    return WorkerHealthCheckFailedError("it died", ray_errors.ActorDiedError())


def test_a_lost_worker_is_a_loss_whatever_the_others_raise_and_an_error_of_all_is_not() -> None:
    broken = ConnectionError("the other rank has gone")
    assert is_loss(WorkerGroupError("", {0: raised(broken), 1: lost()}))
    assert not is_loss(WorkerGroupError("", {0: raised(ValueError()), 1: raised(ValueError())}))
    # As Ray hands over what a worker raised: without the traceback around it.
    assert is_loss(WorkerGroupError("", {0: broken, 1: lost()}))
    assert not is_loss(WorkerGroupError("", {0: ValueError(), 1: ValueError()}))
    assert not is_loss(WorkerGroupError("", {0: broken}))


def ended_by(error: Exception) -> Reason:
    def fit(retries: int) -> None:
        raise WorkerGroupError("", {0: error})

    return attempts(fit, lambda: Reached("", ()), most=1)


def test_what_ends_a_cohort_passes_where_machines_or_storage_did_it() -> None:
    assert ended_by(lost()).failure == INFRASTRUCTURE
    assert ended_by(raised(UnavailableError("no store"))).failure == INFRASTRUCTURE
    assert ended_by(raised(ValueError("a bug"))).failure == OWN_ERROR
    assert ended_by(ValueError("a bug")).failure == OWN_ERROR
    assert ended_by(ConnectionError("the other rank has gone")).failure == INFRASTRUCTURE
    assert reason_of(UnavailableError("no store")).failure == INFRASTRUCTURE
    assert reason_of(DataError("no shard")).failure == BAD_DATA


def test_the_loss_of_a_cluster_is_told_from_what_a_task_raises() -> None:
    assert is_loss_of_cluster(ray_errors.ActorDiedError())
    assert is_loss_of_cluster(ConnectionError("GCS"))
    cause = ConnectionError("the task's own")
    task = ray_errors.RayTaskError("work", "Traceback", cause).as_instanceof_cause()
    assert isinstance(task, ConnectionError) and not is_loss_of_cluster(task)
    assert not is_loss_of_cluster(ValueError())
