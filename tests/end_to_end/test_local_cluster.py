"""Studies sent to a cluster of several nodes whose parts go away for a while.

Oracles: the plan, the same study left alone on the same cluster, and Ray's and MLflow's own APIs.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.local_cluster import (
    asked,
    ended,
    has_checkpoint,
    learned,
    nodes,
    records,
    steps_told,
    submitted,
    trial_runs,
    until,
)

from seedbed_local.cluster import CHECKOUT, Cluster, members
from seedbed_local.demo import first_step_seconds, submit_environment
from seedbed_local.head import BIN
from seedbed_local.reach import Reach
from seedbed_local.service import lives

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.ray,
    pytest.mark.s3,
    pytest.mark.timeout(900),
]
DEMO = "text_encoder_depth"
STEPS = 100
AWAY_SECONDS = 60
LINE = ("--", "python", f"studies/{DEMO}.py")

STUDY = """
from seedbed import Factor, Recipe, Study, main
from seedbed.variants import CLIP

study = Study(
    name="{name}",
    question="Is it the same after all?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
    responses=("zeroshot/top1_of_100",),
    seeds=1,
    scales={{"smoke": {{"budget.samples": {steps} * 64, "image.name": "test_resnet"}}}},
)

if __name__ == "__main__":
    main(study)
"""


def place(reach: Reach, study: str) -> str:
    return f"s3://{reach.bucket}/results/{study}"


def apart(reach: Reach, name: str) -> str:
    """Results of its own: beside others a study takes over what they have of its trials."""
    return f"s3://{reach.bucket}/{name}-results"


def tiny(reach: Reach, folder: Path, name: str) -> tuple[str, ...]:
    """What to submit: a study of two trials that is the same but for its name and its place."""
    file = folder / f"{name}.py"
    file.write_text(STUDY.format(name=name, steps=STEPS))
    return "--", "python", str(file), "--storage", apart(reach, name)


@pytest.fixture(scope="module")
def alone(
    local_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """What the study of two trials learns when nothing happens."""
    line = tiny(local_cluster.reach, tmp_path_factory.mktemp("alone"), "alone")
    ended(submitted(local_cluster.reach, *line))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in local_cluster.reach.reading.items():
            patch.setenv(name, value)
        return learned(records(f"{apart(local_cluster.reach, 'alone')}/alone"))


def check_whole(reach: Reach, study: str, alone: dict[str, dict[str, Any]]) -> None:
    """It is complete and bit for bit what it is alone, and MLflow was told everything once."""
    assert learned(records(f"{apart(reach, study)}/{study}")) == alone
    runs = trial_runs(reach, study)
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    for steps in steps_told(reach, runs):
        assert steps and len(steps) == len(set(steps))
        assert steps[-1] == STEPS * 64


def test_the_bare_line_runs_the_study_on_nodes_that_come_and_go(reach: Reach) -> None:
    assert nodes(reach) == []
    began = time.time()
    out = ended(submitted(reach, *LINE))
    first = first_step_seconds(reach, DEMO, began)
    assert first is not None and 0 < first < time.time() - began
    print(f"submit to first step {first:.1f} s, to end {time.time() - began:.1f} s")
    assert "[16/16]" in out  # one line for each finished trial in the job's log
    kept = records(place(reach, DEMO))
    assert len(kept) == 16
    assert {record["status"] for record in kept.values()} == {"completed"}
    data = f"s3://{reach.bucket}/shapes"
    plan = subprocess.run(
        [sys.executable, f"studies/{DEMO}.py", "--plan", "--json"],
        cwd=CHECKOUT,
        env=os.environ | {"SEEDBED_SCALE": "smoke", "SEEDBED_DATA": data},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {trial["key"] for trial in json.loads(plan.stdout)["trials"]} == kept.keys()
    runs = trial_runs(reach, DEMO)
    assert [run.info.status for run in runs] == ["FINISHED"] * 16
    assert {run.info.artifact_uri.split(":")[0] for run in runs} == {"mlflow-artifacts"}
    assert nodes(reach)
    until(lambda: not [node for node in nodes(reach) if node["state"] == "ALIVE"], 120)


def test_a_copy_of_the_checkout_finds_the_same_trials(reach: Reach) -> None:
    environment = json.dumps({"env_vars": {"PYTHONPATH": "platform"}})
    flags = ("--working-dir", ".", "--runtime-env-json", environment)
    assert "16 done already" in ended(submitted(reach, *flags, *LINE))


def test_a_job_that_was_stopped_goes_on_when_it_is_sent_again(
    reach: Reach, alone: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    line = tiny(reach, tmp_path, "stopped")
    first = submitted(reach, "--submission-id", "first", *line)
    until(lambda: has_checkpoint(f"{apart(reach, 'stopped')}/stopped") or first.poll() is not None)
    subprocess.run(
        [BIN / "ray", "job", "stop", "first"],
        env=submit_environment(reach), capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    first.communicate(timeout=120)
    assert asked(reach, "/api/jobs/first")["status"] == "STOPPED"
    assert {run.info.status for run in trial_runs(reach, "stopped")} == {"KILLED"}
    assert len(records(f"{apart(reach, 'stopped')}/stopped")) < 2
    said = ended(submitted(reach, *line))
    assert "goes on from step" in said
    check_whole(reach, "stopped", alone)


def test_a_bucket_and_a_server_of_runs_that_are_away_change_no_number(
    reach: Reach, local_cluster: Cluster, alone: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    job = submitted(reach, *tiny(reach, tmp_path, "outage"))
    until(lambda: has_checkpoint(f"{apart(reach, 'outage')}/outage") or job.poll() is not None)
    assert job.poll() is None
    local_cluster.s3.kill()
    local_cluster.mlflow.stop()
    time.sleep(AWAY_SECONDS)
    assert job.poll() is None
    local_cluster.mlflow.start()  # first: without the bucket the study does not end
    local_cluster.s3.start()
    ended(job)
    check_whole(reach, "outage", alone)


def test_nobody_comes_in_without_the_token(reach: Reach) -> None:
    for path in ("/api/jobs/", "/api/v0/actors"):
        assert asked(reach, path, token=False) == 401
    environment = {**submit_environment(reach), "RAY_AUTH_MODE": "disabled"}
    job = subprocess.run(
        [BIN / "ray", "job", "submit", "--", "true"],
        env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert job.returncode != 0
    assert "401" in job.stdout + job.stderr or "token" in (job.stdout + job.stderr).lower()
    host = reach.mlflow.partition("://")[2]
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("POST", "/api/2.0/mlflow/experiments/search", "{}")
    assert connection.getresponse().status == 401


def answer(reach: Reach, path: str) -> str:
    found = asked(reach, path)
    assert not isinstance(found, int), (path, found)
    return json.dumps(found)


def shown(cluster: Cluster) -> dict[str, str]:
    """All that Ray, MLflow and the logs show to whoever may look, by where it is."""
    reach = cluster.reach
    found = {
        path: answer(reach, path)
        for path in (
            "/api/jobs/",
            "/api/v0/actors?detail=1&limit=10000",
            "/api/v0/tasks?detail=1&limit=10000",
            "/api/v0/runtime_envs?detail=1&limit=10000",
            "/api/v0/workers?detail=1&limit=10000",
        )
    }
    logs = [*(cluster.temp / "session_latest" / "logs").rglob("*"), *cluster.folder.rglob("*.log")]
    found |= {str(path): path.read_text(errors="replace") for path in logs if path.is_file()}
    for study in (DEMO, "alone"):
        found[f"runs of {study}"] = json.dumps(
            [{**run.data.params, **run.data.tags} for run in trial_runs(reach, study)]
        )
    found |= {
        " ".join(process.cmdline()[:2]): " ".join(process.cmdline())
        for process in members(cluster.mark)
        if lives(process)
    }
    return found


def test_no_secret_is_shown(
    reach: Reach, local_cluster: Cluster, alone: dict[str, dict[str, Any]]
) -> None:
    planted = "planted0123456789"
    environment = json.dumps({"env_vars": {"PLANTED": planted}})
    ended(submitted(reach, "--runtime-env-json", environment, "--", "python", "-c", "0"))
    found = shown(local_cluster)
    assert any(planted in text for place, text in found.items() if place == "/api/jobs/")
    assert any("text.layers" in text for text in found.values())
    secrets = local_cluster.credentials.every()
    assert len(secrets) == 5
    assert [
        (name, place)
        for name, secret in secrets.items()
        for place, text in found.items()
        if secret in text
    ] == []
    kept = [path for path in local_cluster.credentials.home.rglob("*") if path.is_file()]
    said = {path: path.read_text(errors="replace") for path in kept}
    holding = [path for path in kept if any(one in said[path] for one in secrets.values())]
    assert len(holding) >= len(secrets)
    assert {path.stat().st_mode & 0o077 for path in holding} == {0}
