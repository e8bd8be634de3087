"""The doctor of a cluster that starts nodes. Oracle: Ray's autoscaler, nodes by hand, a clock."""

from __future__ import annotations

import copy
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import ray
from tests.cluster.test_capacity import CONFIG, scaling_head, until
from tests.clusters.launcher import launched_for, read
from tests.clusters.test_limits_of_files import capacity_of

from seedbed.cluster.autoscaler import NodeType
from seedbed.cluster.capacity import Capacity
from seedbed.cluster.doctor.check import Scope
from seedbed.cluster.doctor.checks.autoscaler import CHECK, can_start
from seedbed.cluster.doctor.probing import short
from seedbed.cluster.doctor.starting import asks_for, cheapest, chosen
from seedbed.cluster.prices import Prices
from seedbed.commands.seedbed import main
from seedbed.errors import ResourceError
from seedbed.exits import COMPLETE, MISSING, WRONG

__all__ = ["scaling_head"]  # a fixture
HEAD = ("", {"CPU": 0.0})
OURS = Prices.read()


def test_of_a_cluster_without_nodes_the_doctor_says_so_and_names_what_can_be_started() -> None:
    capacity = capacity_of("aws.yaml")
    said = [one for one in can_start(capacity, OURS) if one.status == "ok"]
    assert len(said) == len(capacity.node_types) + 1
    (one,) = (finding.what for finding in said if " a10g-8 " in finding.what)
    assert one == (
        "up to 2 x a10g-8 (g5.48xlarge) of 192 CPUs and 8 GPUs (A10G), 577.2 GB of memory, "
        "$16.29 an hour"
    )
    empty = can_start(replace(capacity, present=(HEAD,)), OURS)[0]
    assert empty.status == "caution" and "no node is there but the head" in empty.what
    assert "--start starts a node of a10g-1 ($1.62 an hour)" in empty.mend
    present = (HEAD, ("data", {"CPU": 32.0}))
    there = can_start(Capacity({}, {}, capacity.node_types, present=present), OURS)
    assert {one.status for one in there} == {"ok"}


def test_what_a_node_type_leaves_unsaid_is_a_caution_and_no_autoscaler_is_none() -> None:
    silent = NodeType("gpus", {"CPU": 8.0, "GPU": 1.0}, 4)
    found = can_start(Capacity({}, {}, (silent,), present=(HEAD, ("gpus", {}))), OURS)
    cautions = [one for one in found if one.status == "caution"]
    assert ["states no memory" in cautions[0].what, "the kind" in cautions[1].what] == [True, True]
    assert "accelerator_type:KIND" in cautions[1].mend
    assert "a price that is not known (--prices FILE)" in found[0].what
    (away,) = can_start(Capacity({}, {}, unknown="TimeoutError: 60 s"), OURS)
    assert away.status == "caution" and "TimeoutError" in away.what
    (none,) = can_start(Capacity({}, {}, present=(HEAD,)), OURS)
    assert none.status == "skipped"
    assert CHECK.judge(Scope(), [])[0].status == "skipped"  # this machine alone


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml"])
def test_what_is_asked_for_starts_a_node_of_that_type_and_a_label_says_it_too(name: str) -> None:
    config, types = read(name), capacity_of(name).node_types
    for one in types:
        asked = asks_for(one, types)
        ((key, wanted),) = asked["label_selector"].items()
        having = [other.name for other in types if wanted == f"in({dict(other.labels)[key]})"]
        assert having == [one.name]
        resources = {"CPU": float(asked["num_cpus"]), "GPU": asked["num_gpus"]}
        if "accelerator_type" in asked:
            resources[f"accelerator_type:{asked['accelerator_type']}"] = 0.001
        asked_for = {name: amount for name, amount in resources.items() if amount}
        assert launched_for(config, asked_for) == Counter({one.name: 1})


def test_the_cheapest_with_a_gpu_is_started_where_none_is_named() -> None:
    types = capacity_of("aws.yaml").node_types
    assert [one.name for one in chosen([], types, OURS)] == ["a10g-1"]
    assert [one.name for one in chosen(["data", "h100-1", "data"], types, OURS)] == [
        "data",
        "h100-1",
    ]
    without = [one for one in types if one.name == "data"]
    assert cheapest(without, OURS).name == "data"
    with pytest.raises(ResourceError, match="--start h100-2") as refused:
        chosen(["h100-2"], types, OURS)
    assert "Did you mean 'h100-" in refused.value.mend
    with pytest.raises(ResourceError, match="can start no node"):
        chosen([], (), OURS)


def test_this_machine_starts_no_other(home: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--start"]) == WRONG
    assert "RAY_ADDRESS is not set" in capsys.readouterr().err


def test_nodes_are_told_apart_by_their_ids_wherever_these_differ() -> None:
    assert short(["ab" * 28, "cd" * 28]) == ["ababab", "cdcdcd"]
    assert short([f"{'f' * 50}{number:06}" for number in (0, 1)]) == ["000000", "000001"]


def is_alone() -> bool:
    return sum(node["Alive"] for node in ray.nodes()) == 1


@pytest.mark.slow
@pytest.mark.ray
def test_from_no_nodes_one_is_started_examined_and_given_back_and_none_is_waited_for_for_ever(
    scaling_head: Callable[[Mapping[str, Any]], str],
    home: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config: Any = copy.deepcopy(CONFIG) | {"idle_timeout_minutes": 0.05}
    config["available_node_types"]["ray.head.default"]["resources"]["CPU"] = 0
    monkeypatch.setenv("RAY_ADDRESS", scaling_head(config))

    def examined(*options: str) -> tuple[int, dict[str, Any]]:
        status = main(["doctor", "--json", *options])
        found = json.loads(capsys.readouterr().out)
        return status, {check["name"]: check for check in found["checks"]}

    status, found = examined("--only", "nodes", "autoscaler")
    assert status == COMPLETE and len(found["nodes"]["facts"]) == 1
    assert "no node is there but the head" in found["autoscaler"]["findings"][0]["what"]
    # No node is up in so short a time: it is named, and is not asked for any more.
    began = time.monotonic()
    status, found = examined("--only", "clock", "--start", "gpu", "--wait", "0.2")
    assert time.monotonic() - began < 60
    (late,) = found["start"]["findings"]
    assert status == MISSING and late["what"].startswith("no gpu came in 0.2 s")
    assert "--wait 0.4" in late["mend"]
    status, found = examined(
        "--only", "nodes", "versions", "autoscaler", "--start", "--wait", "200"
    )
    assert status == COMPLETE, found
    (came,) = found["start"]["findings"]
    assert came["status"] == "ok" and came["what"].startswith("gpu came in ")
    assert len(found["nodes"]["facts"]) == len(found["versions"]["facts"]) == 2
    assert "no node is there" not in found["autoscaler"]["findings"][0]["what"]
    assert until(is_alone), ray.nodes()


@pytest.mark.long
@pytest.mark.ray
def test_a_node_stays_as_long_as_it_is_examined(
    scaling_head: Callable[[Mapping[str, Any]], str],
) -> None:
    from seedbed.cluster.capacity import cluster_capacity
    from seedbed.cluster.doctor.starting import started

    scaling_head({**CONFIG, "idle_timeout_minutes": 0.05})
    types = cluster_capacity().node_types
    said: list[str] = []
    with started(types, types, 200.0, said.append) as findings:
        assert [one.status for one in findings] == ["ok"], findings
        time.sleep(15)  # five times as long as an idle node stays
        assert not is_alone()
    assert said[0] == "waiting for gpu: 0 of at most 200 s"
    assert until(is_alone), ray.nodes()
