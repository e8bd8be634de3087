"""What a study may cost on the clusters of clusters/. Oracle: the arithmetic by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from tests.clusters.launcher import launched_for, read, read_by_autoscaler

from seedbed.cluster.asked import Asked
from seedbed.cluster.autoscaler import of_config
from seedbed.cluster.capacity import Capacity, at_most
from seedbed.cluster.limits import within
from seedbed.cluster.prices import Prices
from seedbed.cluster.spread import most_at_once, task_memory
from seedbed.data.shards.shard_index import IndexJob
from seedbed.errors import ResourceError
from seedbed.storage.address import Object

SMALL = 500_000_000  # bytes of a task: a node's CPUs are the fewer


def capacity_of(name: str) -> Capacity:
    found = of_config(read_by_autoscaler(read(name)))
    most = at_most([], found.node_types, found.max_workers)
    return Capacity({}, most, found.node_types, max_workers=found.max_workers)


@pytest.mark.parametrize(("name", "cheapest"), [("aws.yaml", "a10g-1"), ("gcp.yaml", "l4-1")])
def test_a_study_keeps_to_what_it_can_pay_for(name: str, cheapest: str) -> None:
    capacity, prices = capacity_of(name), Prices.read()
    price = {one.name: prices.node(one) for one in capacity.node_types}
    each = price[cheapest]
    assert each is not None and None not in price.values()
    allowed = within(capacity, Asked(max_price=2.5 * each))
    assert allowed.most["GPU"] == 2
    # By the label that tells its nodes from those that it cannot pay for.
    assert allowed.labels == (("type", f"in({cheapest})"),)
    with pytest.raises(ResourceError, match="pays for no node with a GPU"):
        within(capacity, Asked(max_price=0.5 * each))


@pytest.mark.parametrize(
    ("name", "cheapest", "machine"),
    [("aws.yaml", "a10g-1", "g5.4xlarge"), ("gcp.yaml", "l4-1", "g2-standard-16")],
)
def test_a_price_of_spot_counts_only_where_nothing_is_launched_on_demand(
    tmp_path: Path, name: str, cheapest: str, machine: str
) -> None:
    (tmp_path / "p.toml").write_text(
        f'[instances]\n"{machine}" = {{ on_demand = 2, spot = 0.5 }}\n'
    )
    asked = Asked(max_price=4.5, prices=str(tmp_path / "p.toml"))
    allowed = within(capacity_of(name), asked)
    assert (allowed.labels, allowed.most["GPU"]) == ((("type", f"in({cheapest})"),), 2)
    config = read(name)
    config["provider"]["type"] = name.removesuffix(".yaml")  # Ray's own: spot or nothing
    del config["provider"]["module"]
    own = of_config(AutoscalingConfig(config, skip_content_hash=True))
    prices = Prices.read(asked.prices)
    assert {prices.node(one) for one in own.node_types if one.name == cheapest} == {0.5}


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml"])
def test_what_no_node_type_has_is_refused_with_those_that_there_are(name: str) -> None:
    assert within(capacity_of(name), Asked(accelerator="H100", gpus_per_node=8)).most["GPU"] == 16
    with pytest.raises(ResourceError, match="B200") as refused:
        within(capacity_of(name), Asked(accelerator="B200"))
    assert "h100-8" in str(refused.value)


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml"])
def test_a_thousand_jobs_of_an_index_start_no_node_with_a_gpu(name: str) -> None:
    capacity, jobs = capacity_of(name), [{"CPU": 1.0}] * 1_000
    assert set(launched_for(read(name), *jobs)) > {"data"}  # were all of them sent at once
    data = next(one for one in capacity.node_types if one.name == "data")
    most = most_at_once(capacity, Asked(), SMALL)
    assert most == data.most * data.resources["CPU"]
    assert launched_for(read(name), *jobs[:most]) == {"data": data.most}


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml"])
def test_a_node_has_no_more_jobs_of_an_index_than_its_memory_holds(name: str) -> None:
    capacity = capacity_of(name)
    data = next(one for one in capacity.node_types if one.name == "data")
    jobs = [IndexJob("0.parquet", Object("0.parquet", 2_000_000_000, ""))] * 3
    memory = task_memory(jobs, capacity)
    assert memory == 10_250_000_000  # five times, and the process: 9 of them in 96 GB, not 32
    most = most_at_once(capacity, Asked(), memory)
    assert most == 9 * data.most
    asked = [{"CPU": 1.0, "memory": float(memory)}] * (most + 1)
    assert launched_for(read(name), *asked[:most]) == {"data": data.most}
    assert set(launched_for(read(name), *asked)) > {"data"}  # one more and a GPU is started
    vast = [IndexJob("0.parquet", Object("0.parquet", 10**15, ""))]
    assert task_memory(vast, capacity) == max(one["memory"] for one in capacity.nodes)


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml"])
def test_an_index_keeps_to_what_its_study_can_pay_for(name: str) -> None:
    capacity, prices = capacity_of(name), Prices.read()
    price = {one.name: prices.node(one) or 0.0 for one in capacity.node_types}
    cheapest = min(dollars for kind, dollars in price.items() if kind != "data")
    for dollars in (cheapest + 0.01, cheapest + 1.5 * price["data"]):
        jobs = [{"CPU": 1.0}] * most_at_once(capacity, Asked(max_price=dollars), SMALL)
        launched = launched_for(read(name), *jobs)
        assert set(launched) <= {"data"} and launched["data"] * price["data"] <= dollars
