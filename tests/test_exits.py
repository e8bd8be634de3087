"""How commands end. Oracle: README's table, sysexits.h, shipped files, and Ray's own errors."""

from __future__ import annotations

import os
import re
import subprocess
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
from seedbed.cluster.own_job import is_final
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


TABLE = r"^\| (\d+) \| (.*?) \| (.*?) \| (.*?) \|$"


def test_the_clusters_readme_has_the_table_and_says_how_often_each_tries_again() -> None:
    rows = re.findall(TABLE, (CLUSTERS / "README.md").read_text(), flags=re.MULTILINE)
    assert {int(status): words for status, words, _, _ in rows} == MEANINGS
    for status, _, sky, job in rows:
        again = int(status) == PASSING
        assert ("3 more times" in sky and "3 more times" in job) == again
        # What is not tried again is no job that failed, for KubeRay would try it.
        assert job == ("done" if int(status) == COMPLETE else "stopped") or again
        assert is_final(int(status)) == (int(status) not in (COMPLETE, PASSING))
    assert not is_final(128 + 9)  # killed, as by the kernel


def test_what_starts_studies_again_does_so_a_stated_number_of_times() -> None:
    for name in ("rayjob.yaml", "kueue.yaml"):
        job = next(
            one["spec"]
            for one in yaml.safe_load_all((CLUSTERS / "kuberay" / name).read_text())
            if one["kind"] == "RayJob"
        )
        assert job["backoffLimit"] == 3
        assert job["entrypoint"].startswith("python -m seedbed.cluster.own_job python studies/")
    sky = yaml.safe_load((CLUSTERS / "skypilot.yaml").read_text())
    # By these SkyPilot would try again for ever, or whatever the error is.
    assert sky["resources"]["job_recovery"].keys() == {"strategy"}
    assert sky["run"].startswith("bash clusters/again.sh ~/venv/bin/python studies/")


@pytest.mark.parametrize(
    ("statuses", "ends", "starts"),
    [
        ([COMPLETE], COMPLETE, 1),
        ([WRONG], WRONG, 1),
        ([PASSING, PASSING, COMPLETE], COMPLETE, 3),
        ([PASSING, MISSING], MISSING, 2),
        ([PASSING] * 9, PASSING, 4),
    ],
)
def test_a_command_is_tried_again_where_the_infrastructure_failed_and_not_for_ever(
    statuses: list[int], ends: int, starts: int, tmp_path: Path
) -> None:
    left = tmp_path / "left"
    left.write_text("".join(f"{status}\n" for status in statuses))
    take = f'read -r status < {left}; sed -i 1d {left}; exit "$status"'
    done = subprocess.run(
        ["bash", CLUSTERS / "again.sh", "bash", "-c", take],
        env={**os.environ, "AGAIN_SECONDS": "0 0 0"}, check=False, capture_output=True,
    )  # fmt: skip
    assert done.returncode == ends
    assert len(left.read_text().splitlines()) == len(statuses) - starts


def test_the_pauses_between_tries_are_three() -> None:
    (pauses,) = re.findall(r"AGAIN_SECONDS-([\d ]+)}", (CLUSTERS / "again.sh").read_text())
    assert len(pauses.split()) == 3


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
