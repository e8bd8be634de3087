"""The doctor on a cluster of several raylets. Oracle: what is done to them, and a clock."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.job_submission import JobSubmissionClient

from seedbed.cluster.doctor.check import Answer, Finding, Scope
from seedbed.cluster.doctor.examine import examine
from seedbed.cluster.doctor.probing import nodes_of_cluster, on_nodes
from seedbed.exits import COMPLETE, PASSING, WRONG
from seedbed_local.service import free_ports

pytestmark = [pytest.mark.ray, pytest.mark.slow]
PORT, AGENT = free_ports(2)  # of the head's dashboard, and of the agent that starts its jobs

HANGS = """
import time
from seedbed.cluster.doctor.check import Check

def probe(visit):
    if visit.node == visit.given["hang"]:
        time.sleep(600)
    return {"here": visit.node}

CHECK = Check("?", lambda asked, answers: [], probe)
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A head without CPUs and a node of one CPU; both find `hanging_check`."""
    modules = tmp_path_factory.mktemp("modules")
    (modules / "hanging_check.py").write_text(HANGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{modules}:{os.environ.get('PYTHONPATH', '')}")
        head = {"num_cpus": 0, "include_dashboard": True, "dashboard_port": PORT}
        head["dashboard_agent_listen_port"] = AGENT  # its usual one may be another cluster's
        found = Cluster(initialize_head=True, head_node_args=head)
        found.add_node(num_cpus=1)
        ray.init(address=found.address, log_to_driver=False, logging_level="ERROR")
        try:
            yield found
        finally:
            ray.shutdown()
            found.shutdown()


@pytest.fixture(scope="module")
def busy(nodes: Cluster) -> Iterator[None]:
    """Every CPU of the cluster is taken, as while a study runs."""

    @ray.remote(num_cpus=1)
    class Holds:
        def ready(self) -> None: ...

    holder = Holds.remote()
    ray.get(holder.ready.remote())
    yield
    ray.kill(holder)


def test_every_node_of_a_busy_cluster_is_examined(
    nodes: Cluster, busy: None, tmp_path: Path, shapes: Path
) -> None:
    asked = Scope(str(tmp_path / "results"), str(shapes), address=nodes.address)
    found = {one.name: one for one in examine(asked)}
    for name in ("nodes", "clock", "corpus", "results", "versions"):
        assert found[name].ok, found[name].findings
        assert len(found[name].facts) == 2
    assert found["gpu"].findings[0].status == "skipped"
    # It was started without a token, and so was its jobs API.
    (open_to_all,) = found["token"].findings
    assert open_to_all.status in ("bad", "caution")
    assert nodes.address in open_to_all.what and str(PORT) in open_to_all.what
    assert "RAY_AUTH_MODE=token" in open_to_all.mend


def test_a_node_that_hangs_is_named_in_time_and_the_others_are_heard(
    nodes: Cluster, busy: None
) -> None:
    head, worker = nodes_of_cluster()
    began = time.monotonic()
    found = on_nodes("hanging_check", [head, worker], {}, {"hang": worker.id}, 8.0, False)
    assert time.monotonic() - began < 20
    (answer,) = (one for one in found if isinstance(one, Answer))
    (silent,) = (one for one in found if isinstance(one, Finding))
    assert answer.node == head and answer.facts == {"here": head.id}
    assert silent.silent == worker.id and silent.status == "bad"
    assert f"{worker.name} gave no answer in 8 s" in silent.what
    assert f"ray drain-node {worker.id}" in silent.mend


def test_a_node_without_the_module_says_so(nodes: Cluster) -> None:
    found = on_nodes("no_such_module", nodes_of_cluster(), {}, {}, 30.0, False)
    assert all(isinstance(one, Finding) and "no_such_module" in one.what for one in found)


def test_as_a_job_what_would_fail_again_ends_as_stopped_and_what_may_pass_as_failed(
    nodes: Cluster, tmp_path: Path
) -> None:
    client = JobSubmissionClient(f"http://127.0.0.1:{PORT}")
    (tmp_path / "broken.py").write_text("import no_such_module")
    commands = {
        "wrong": f'{sys.executable} -c "exit({WRONG})"',
        "broken": f"{sys.executable} {tmp_path / 'broken.py'}",  # before ours is imported
        "passing": f'{sys.executable} -c "exit({PASSING})"',
        "done": f'{sys.executable} -c "exit({COMPLETE})"',
    }
    jobs: dict[str, str] = {}
    until = time.monotonic() + 180
    while len(jobs) < len(commands):
        name = next(name for name in commands if name not in jobs)
        line = f"{sys.executable} -m seedbed.cluster.own_job {commands[name]}"
        try:
            jobs[name] = client.submit_job(entrypoint=line)
        except RuntimeError as error:  # an agent starts after its node
            assert "No available agent" in str(error) and time.monotonic() < until
            time.sleep(1)
    while not all(client.get_job_status(job).is_terminal() for job in jobs.values()):
        assert time.monotonic() < until
        time.sleep(0.2)
    ended = {name: client.get_job_status(job).value for name, job in jobs.items()}
    assert ended == {
        "wrong": "STOPPED", "broken": "STOPPED", "passing": "FAILED", "done": "SUCCEEDED"
    }  # fmt: skip
