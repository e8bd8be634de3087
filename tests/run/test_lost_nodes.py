"""Nodes, drivers and a head that are lost, on several raylets. Oracle: an undisturbed run."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from ray.cluster_utils import Cluster
from tests.fixtures.metadata import metadata_server

sys.path.insert(0, str(Path(__file__).parent))

from disturbed import STEPS, learned, run, small, steps_of, weights
from several_nodes import (
    beside,
    holders,
    join,
    last_kept,
    lose,
    new_cluster,
    told_to_go,
    until,
    watched,
)

from seedbed.cluster.asked import Asked
from seedbed.plan.plan import Plan
from seedbed.run.driver.outcome import Outcome
from seedbed.track.ledger import InMemoryLedger

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.ray,
    pytest.mark.s3,
    pytest.mark.timeout(900),
]
STEP_SECONDS = 0.3
NUM_NODES = 5  # of one CPU each, so that no two workers share one


@pytest.fixture(scope="module")
def cluster(s3_server: dict[str, str]) -> Iterator[Cluster]:
    """With a bucket that all its nodes reach."""
    assert not ray.is_initialized()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.items():
            patch.setenv(name, value)
        nodes = new_cluster(NUM_NODES)
        join(nodes)
        yield nodes
        ray.shutdown()
        nodes.shutdown()


@pytest.fixture(scope="module")
def what(shapes: Path) -> Plan:
    return small(shapes)


@pytest.fixture(scope="module")
def undisturbed(
    cluster: Cluster, what: Plan, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Outcome, dict[str, dict[str, torch.Tensor]]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    outcome = run(what, folder)
    assert outcome.missing(what.trials) == []
    assert [step.number for step in steps_of(folder / "steps")] == list(range(1, STEPS + 1))
    return outcome, weights(what, str(folder / "results"))


Whole = tuple[Outcome, dict[str, dict[str, torch.Tensor]]]


def check_same_bits(what: Plan, outcome: Outcome, results: str, whole: Whole) -> None:
    """Nothing is missing, and all that was learned is what the undisturbed run has learned."""
    assert outcome.missing(what.trials) == []
    expected, tensors = whole
    for key, record in outcome.records.items():
        assert learned(record) == learned(expected.records[key])
    for key, ours in weights(what, results).items():
        assert ours.keys() == tensors[key].keys()
        for name, tensor in ours.items():
            assert torch.equal(tensor, tensors[key][name]), name


def check_told(ledger: InMemoryLedger, outcome: Outcome) -> None:
    """The ledger says of every trial what its record says, each point once."""
    assert ledger.statuses == dict.fromkeys(outcome.records, "completed")
    for key, record in outcome.records.items():
        assert sorted(ledger.points[key]) == [int(point["samples"]) for point in record.curve]


def test_with_notice_no_step_is_lost_and_without_only_those_since_the_last_checkpoint(
    cluster: Cluster, what: Plan, undisturbed: Whole, tmp_path: Path
) -> None:
    log, wait, ledger = tmp_path / "steps", tmp_path / "wait", InMemoryLedger()
    wait.touch()  # until the node is watched
    waiting: list[str] = []
    lost: dict[str, Any] = {}

    def disturb() -> None:
        until(lambda: len(steps_of(log)) >= 2)
        first = steps_of(log)[0].node
        waiting.extend(holders())
        with metadata_server("aws") as server, watched(cluster.address, first, server.url):
            told_to_go(server)
            wait.unlink()
        until(lambda: steps_of(log)[-1].node != first)
        moved = steps_of(log)[-1]
        until(lambda: last_kept(tmp_path / "results") > moved.number)
        # Before it is lost: what is kept while it dies counts as well.
        lost.update(kept=last_kept(tmp_path / "results"), moved=moved)
        lose(cluster, moved.node)

    with beside(disturb):
        outcome = run(what, tmp_path, step_seconds=STEP_SECONDS, ledger=ledger)
    check_same_bits(what, outcome, str(tmp_path / "results"), undisturbed)
    check_told(ledger, outcome)
    steps = steps_of(log)
    times = Counter(step.number for step in steps)
    assert sorted(times) == list(range(1, STEPS + 1))
    assert len({step.node for step in steps}) == 3
    assert all(times[n] == 1 for n in range(1, lost["kept"] + 1)), times
    again = [n for n, count in times.items() if count > 1]
    assert len(again) <= 3.0 / STEP_SECONDS  # two intervals: one checkpoint may be cut off
    # Two that wait for workers, beside the driver: the trial of Tune and the controller of Train.
    assert len(waiting) == 2 and set(waiting) == {ray.get_runtime_context().get_node_id()}
    assert waiting[0] == cluster.head_node.node_id
    for _ in range(2):
        cluster.add_node(num_cpus=1)


@pytest.mark.parametrize(
    "asked", [Asked(4, 1), Asked(2, 2), Asked(4, 2)], ids=["4 x 1", "1 x 2", "2 x 2"]
)
def test_workers_on_nodes_of_their_own_see_the_same_batches_and_learn_the_same(
    cluster: Cluster, what: Plan, undisturbed: Whole, tmp_path: Path, asked: Asked
) -> None:
    nodes: set[str] = set()

    def look() -> None:
        until(lambda: steps_of(tmp_path / "steps"))
        nodes.update(
            actor["Address"]["NodeID"]
            for actor in ray._private.state.actors().values()
            if actor["State"] == "ALIVE" and actor["ActorClassName"].endswith("RayTrainWorker")
        )

    with beside(look):
        outcome = run(what, tmp_path, asked=asked)
    assert len(nodes) == asked.workers
    whole, _ = undisturbed
    if asked.data_parallel == 1:
        return check_same_bits(what, outcome, str(tmp_path / "results"), undisturbed)
    assert outcome.missing(what.trials) == []
    for key, record in outcome.records.items():
        expected = whole.records[key]
        assert record.order_hash == expected.order_hash
        for ours, theirs in zip(record.curve, expected.curve, strict=True):
            assert ours["samples"] == theirs["samples"]
            assert ours["train/loss"] == pytest.approx(theirs["train/loss"], rel=2e-4)
    return None


def test_a_driver_and_then_a_whole_cluster_are_killed_and_the_same_command_goes_on(
    cluster: Cluster, what: Plan, undisturbed: Whole, shapes: Path, tmp_path: Path
) -> None:
    results, log = f"s3://corpus/{uuid.uuid4().hex}", tmp_path / "steps"

    def killed(address: str, after: int) -> int:
        """A driver in a process of its own, killed after that step; how far its workers got."""
        command = [sys.executable, str(Path(__file__).parent / "disturbed.py")]
        command += [str(shapes), str(tmp_path), results, str(STEP_SECONDS)]
        driver = subprocess.Popen(command, env=os.environ | {"RAY_ADDRESS": address})

        def is_there() -> bool:
            assert driver.poll() is None
            return any(step.number >= after for step in steps_of(log))

        try:
            until(is_there)
        finally:
            driver.kill()
            driver.wait()
        return steps_of(log)[-1].number

    reached = killed(cluster.address, 12)
    other = new_cluster(2)
    try:
        reached = killed(other.address, reached + 8)
    finally:
        other.shutdown()  # its head and its nodes, and what is on them
    outcome = run(what, tmp_path, results=results)
    check_same_bits(what, outcome, results, undisturbed)
    times = Counter(step.number for step in steps_of(log))
    assert sorted(times) == list(range(1, STEPS + 1))
    # From its last checkpoint each time, and never from the beginning.
    assert times[1] == 1
    assert sum(times.values()) - STEPS <= 2 * 3.0 / STEP_SECONDS
