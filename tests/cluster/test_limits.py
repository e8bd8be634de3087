"""What a study may use of a cluster. Oracle: sums by hand, and nodes started one by one."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig

from seedbed.cluster.asked import Asked
from seedbed.cluster.autoscaler import NodeType, of_config
from seedbed.cluster.capacity import Capacity, at_most
from seedbed.cluster.cards import CARDS, kinds, room
from seedbed.cluster.limits import cost_of, gpus_for, within
from seedbed.cluster.prices import Prices, Rate
from seedbed.errors import ResourceError

CLUSTERS = Path(__file__).parents[2] / "clusters"
HEAD = ("", {"CPU": 0.0, "memory": 4e9})
T4 = NodeType(
    "t4", {"CPU": 4.0, "GPU": 1.0, "memory": 14e9, "accelerator_type:T4": 1.0}, 10, "g4dn.xlarge"
)
A10G = NodeType(
    "a10g", {"CPU": 48.0, "GPU": 4.0, "memory": 170e9, "accelerator_type:A10G": 1.0}, 3,
    "g5.12xlarge", spot=True,
)  # fmt: skip
CORES = NodeType("cores", {"CPU": 16.0, "memory": 60e9}, 20, "m7i.4xlarge")


def cluster(*types: NodeType, present: tuple[tuple[str, dict[str, float]], ...] = ()) -> Capacity:
    nodes = (HEAD, *present)
    most = at_most(nodes, types, 100)
    return Capacity({"CPU": 0.0}, most, types, present=nodes, max_workers=100)


ALL = cluster(T4, A10G, CORES)


def test_gpus_of_another_kind_are_not_counted() -> None:
    assert ALL.most["GPU"] == 22
    asked = within(ALL, Asked(accelerator="A10G"))
    assert (asked.most["GPU"], asked.most["CPU"]) == (12, 3 * 48 + 20 * 16)
    assert [one.name for one in asked.node_types] == ["a10g", "cores"]
    assert within(ALL, Asked(gpus_per_node=4)).most["GPU"] == 12
    there = cluster(CORES, present=(("", T4.resources), ("", A10G.resources)))  # joined by hand
    assert within(there, Asked(accelerator="T4")).most["GPU"] == 1
    assert within(there, Asked(accelerator="T4")).most["CPU"] == 4 + 48 + 20 * 16
    assert within(ALL, Asked()) is ALL


@pytest.mark.parametrize(
    ("asked", "words", "mend"),
    [
        (Asked(accelerator="A10"), "GPUs of the kind A10", "Did you mean 'A10G'?"),
        (Asked(accelerator="H100"), "GPUs of the kind H100", "{accelerator_type:H100: 1}"),
        (Asked(gpus_per_node=8), "8 GPUs a node", "ask for what a node has"),
        (Asked(worker_memory=1e12), "1000 GB of memory for a worker", "--worker-memory 170,"),
        (Asked(accelerator="T4", gpus_per_node=2), "the kind T4 and 2 GPUs a node", "what a node"),
    ],
)
def test_what_no_node_can_ever_give_is_refused_with_the_nodes_that_there_are(
    asked: Asked, words: str, mend: str
) -> None:
    with pytest.raises(ResourceError, match=words) as caught:
        within(ALL, asked)
    assert "up to 10 x t4 of 4 CPUs and 1 GPU; up to 3 x a10g" in caught.value.why
    assert mend in caught.value.mend


A100 = NodeType("a100", {"CPU": 96.0, "GPU": 8.0, "memory": 866e9, "accelerator_type:A100": 1.0}, 2)


def test_a_node_has_no_more_workers_than_its_memory_holds(tmp_path: Path) -> None:
    asked = Asked(accelerator="A100", gpus_per_node=8, worker_memory=200e9)
    with pytest.raises(ResourceError, match="8 GPUs a node and 200 GB of memory") as caught:
        within(cluster(A100, CORES), asked)
    assert "8 x 200 GB = 1600 GB, and a node has 866 GB" in caught.value.why
    assert caught.value.mend == "--worker-memory 108.2, or --gpus-per-node 4"
    for mended in (replace(asked, worker_memory=108.2e9), replace(asked, gpus_per_node=4)):
        assert within(cluster(A100, CORES), mended).most["GPU"] in (16, 8)
    there = cluster(CORES, present=(("", A100.resources), ("", T4.resources)))
    assert within(there, Asked(worker_memory=200e9)).most["GPU"] == 4
    with pytest.raises(ResourceError, match="50 GB"):  # not trained on cores in silence
        within(cluster(T4, CORES), Asked(worker_memory=50e9))
    # A node costs the same with half of its GPUs in use.
    (tmp_path / "p.toml").write_text("[accelerators]\nA100 = { on_demand = 1 }\n")
    paid = replace(asked, gpus_per_node=4, max_price=8, prices=str(tmp_path / "p.toml"))
    assert within(cluster(A100), paid).most["GPU"] == 4


def test_no_more_gpus_than_said_and_no_more_nodes_than_hold_them() -> None:
    limited = within(cluster(A10G, CORES), Asked(max_gpus=6))
    assert limited.most["GPU"] == 6
    assert [(one.name, one.most) for one in limited.node_types] == [("a10g", 2), ("cores", 20)]


def test_dollars_pay_for_nodes_with_gpus_first_and_for_others_with_what_is_left() -> None:
    # $5.672 and $0.8064 an hour: two of the one are 11.344, and 3.656 pay four of the other.
    paid = within(cluster(A10G, CORES), Asked(max_price=15))
    assert paid.most["GPU"] == 8
    assert [(one.name, one.most) for one in paid.node_types] == [("a10g", 2), ("cores", 4)]
    with pytest.raises(ResourceError, match="--max-price 5 pays for no node with a GPU") as caught:
        within(cluster(A10G, CORES), Asked(max_price=5))
    assert "--max-price 5.672" in caught.value.mend and "not fetched" in caught.value.why


def test_dollars_that_pay_for_some_types_keep_workers_to_these_by_a_label() -> None:
    named = [replace(t, labels=(("node", t.name), ("role", "x"))) for t in (T4, A10G, CORES)]
    paid = within(cluster(*named), Asked(max_price=3))  # T4 at $0.526, A10G at $5.672
    assert (paid.most["GPU"], paid.labels) == (5, (("node", "in(t4)"),))
    assert [(one.name, one.most) for one in paid.node_types] == [("t4", 5)]
    # Where all are paid for, no label is asked for.
    both = within(cluster(*named), Asked(max_price=60))
    assert (both.most["GPU"], both.labels) == (22, ())
    alike = [replace(t, labels=(("role", "x"),)) for t in (T4, A10G)]
    with pytest.raises(ResourceError, match="pays for no node") as caught:
        within(cluster(*alike), Asked(max_price=3))
    assert "a label for each node type" in caught.value.mend


def test_prices_are_those_of_the_file_first_spot_where_it_says_so(tmp_path: Path) -> None:
    mine = tmp_path / "prices.toml"
    mine.write_text(
        'stated = "mine"\n[instances]\n"g5.12xlarge" = { on_demand = 8, spot = 2 }\n'
        "[node_types]\ncores = { on_demand = 0.5 }\n[accelerators]\nT4 = { on_demand = 0.3 }\n"
    )
    prices = Prices.read(str(mine))
    assert (prices.node(A10G), prices.node(CORES)) == (2, 0.5)
    assert prices.node(T4) == 0.526  # by the machine, of which ours knows the price
    unnamed = NodeType("group", {"CPU": 8.0, "GPU": 2.0, "accelerator_type:T4": 1.0}, 3)
    assert prices.node(unnamed) == pytest.approx(0.6)
    assert Prices.read().node(unnamed) is None
    with pytest.raises(ResourceError, match="price of the node type 'group'") as caught:
        within(cluster(unnamed), Asked(max_price=5))
    assert "group = { on_demand = DOLLARS }" in caught.value.mend
    assert within(cluster(unnamed), Asked(max_price=1, prices=str(mine))).most["GPU"] == 2


def test_a_gpu_is_priced_by_the_file_first_and_else_in_the_cheapest_machine(
    tmp_path: Path,
) -> None:
    ours = Prices.read()
    # $0.526 for one, $3.912 for four: 0.978 each.
    assert ours.gpu("T4") == Rate(0.526, None, "g4dn.xlarge")
    assert ours.gpu("A100") == Rate(29.3870 / 8, None, "a2-highgpu-8g")
    assert ours.gpu("B200") is None
    (tmp_path / "p.toml").write_text("[accelerators]\nT4 = { on_demand = 0.3, spot = 0.1 }\n")
    assert Prices.read(str(tmp_path / "p.toml")).gpu("T4") == Rate(0.3, 0.1, "a GPU by itself")
    kinds_priced = {kind for one in ours.of["instances"].values() for kind in one.get("gpus", {})}
    assert all(CARDS[kind].half > CARDS[kind].single > 0 for kind in kinds_priced)


@pytest.mark.parametrize(
    "text",
    [
        "[instances", '[machines]\n"a" = 1', '[instances]\n"a" = 1',
        '[instances]\n"a" = { spot = 1 }', '[instances]\n"a" = { on_demand = -1 }',
        '[instances]\n"a" = { on_demand = 1, sopt = 1 }',
        '[instances]\n"a" = { on_demand = 1, gpus = 1 }',
        '[instances]\n"a" = { on_demand = 1, gpus = { T4 = 0 } }',
    ],
)  # fmt: skip
def test_a_wrong_file_of_prices_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(ResourceError) as caught:
        Prices.read(str(tmp_path / "p.toml"))
    assert "on_demand = 1.006" in caught.value.mend


@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(1, 100)), min_size=1, max_size=4),
    st.integers(0, 40),
    st.integers(0, 2**32),
)
def test_no_order_in_which_nodes_are_started_costs_more(
    kinds: list[tuple[int, int]], gpus: int, seed: int
) -> None:
    types = [NodeType(str(n), {"GPU": float(g)}, 40) for n, (g, _) in enumerate(kinds)]
    price = {str(n): float(dollars) for n, (_, dollars) in enumerate(kinds)}
    rng = random.Random(seed)
    spent = free = 0.0
    for _ in range(gpus):  # a worker after the other, a node of any type when all are full
        if not free:
            one = rng.choice(types)
            spent, free = spent + price[one.name], one.resources["GPU"]
        free -= 1
    assert spent <= cost_of(types, price, gpus) + 1e-9
    dollars = cost_of(types, price, gpus)
    assert gpus_for(types, price, dollars, 100) >= gpus


@pytest.mark.parametrize("file", ["aws.yaml", "gcp.yaml"])
def test_the_nodes_of_our_own_clusters_have_prices_and_known_gpus(file: str) -> None:
    config = yaml.safe_load((CLUSTERS / file).read_text())
    found = of_config(AutoscalingConfig(config, skip_content_hash=True))
    assert {one.spot for one in found.node_types} == {False}  # on demand where there is no spot
    prices = Prices.read()
    for one in found.node_types:
        assert one.instance and prices.node(one), one
    whole = cluster(*found.node_types)
    assert room(whole) is not None
    for kind in {kind for one in found.node_types for kind in kinds(one.resources)}:
        assert within(whole, Asked(accelerator=kind, max_price=1e4)).most["GPU"] > 0
