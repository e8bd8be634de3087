"""What a node's object store has room for. Oracles: arithmetic by hand, and Ray's own constants."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ray._private.ray_constants import (
    DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES,
    DEFAULT_OBJECT_STORE_MEMORY_PROPORTION,
)
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig

from seedbed.cluster.autoscaler import NodeType, of_config
from seedbed.cluster.capacity import Capacity
from seedbed.cluster.layout import Layout
from seedbed.cluster.store import MOST_STORE, STORE_SHARE, store_of, within_store
from seedbed.errors import ResourceError
from seedbed.plan.cohort import Cohort
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.resolve import resolve
from seedbed.recipe.scale import SCALES
from seedbed.study.cell import Cell
from seedbed.study.trial import Trial
from seedbed.variants import SLIP

CLUSTERS = Path(__file__).parents[2] / "clusters"
# Eight GPUs, 96 cores: eleven of them render for each worker. SLIP has three views of a picture.
EIGHT = Layout(
    num_workers=8, data_parallel=8, cpus_per_worker=1.0, use_gpu=True, concurrent=1, threads=12,
    data_tasks=11,
)  # fmt: skip
ROW = 3 * 224 * 224 * 3 + 77 * 8
ROWS = 256 * 64 // 8  # of a worker's round


def slip(**patches: object) -> Cohort:
    recipe = resolve(Recipe.paper(objective=SLIP), SCALES["paper"], ())
    recipe = recipe.patched({path.replace("__", "."): v for path, v in patches.items()})
    return Cohort((Trial(Cell({"variant": "slip"}), recipe),))


def nodes(**resources: float) -> Capacity:
    one = NodeType("big", {"CPU": 96.0, "GPU": 8.0, **resources}, 1)
    return Capacity({}, {}, (one,), max_workers=1)


def bound(num_tasks: int) -> int:
    chunk = 40_000_000 // ROW * ROW
    return 8 * (num_tasks * ROWS * ROW + 3 * chunk)


def test_a_store_is_spoken_of_where_it_is_nearly_full_and_not_where_it_has_room() -> None:
    assert bound(11) / 1e9 == pytest.approx(82.2, abs=0.5)
    layout = within_store(EIGHT, [slip()], nodes(memory=400e9))
    assert layout.data_tasks == 11
    assert f"object store: up to {bound(11) / 1e9:.1f} GB of 120.0 GB on big" in layout.words
    assert within_store(EIGHT, [slip()], nodes()) == EIGHT  # nobody says what it has
    plenty = nodes(object_store_memory=400e9)  # of which less than half is used
    assert within_store(EIGHT, [slip()], plenty) == EIGHT


@pytest.mark.parametrize("memory", [40e9, 60e9, 120e9, 250e9])
def test_as_many_tasks_run_as_the_smallest_store_has_room_for(memory: float) -> None:
    layout = within_store(EIGHT, [slip()], nodes(memory=memory))
    assert bound(layout.data_tasks) <= 0.3 * memory < bound(layout.data_tasks + 1)
    assert f"room for {layout.data_tasks} data tasks to a worker instead of 11" in layout.words


def test_a_store_without_room_for_one_task_is_refused_and_what_it_names_works() -> None:
    few = nodes(object_store_memory=6e9, memory=600e9)
    with pytest.raises(ResourceError, match=r"the stream needs 8.4 GB of Ray's object") as told:
        within_store(EIGHT, [slip()], few)
    assert "on big, and it has 6.0 GB" in told.value.what
    assert "8 workers x (1 data task x a round of 2,048 rows x 452 kB" in told.value.why
    assert "--set corpus.window_rows=128 " in told.value.mend
    assert within_store(EIGHT, [slip(corpus__window_rows=128)], few).data_tasks == 1
    with pytest.raises(ResourceError):
        within_store(EIGHT, [slip(corpus__window_rows=192)], few)
    (stated,) = re.findall(r"--object-store-memory=(\d+)", told.value.mend)
    assert within_store(EIGHT, [slip()], nodes(object_store_memory=float(stated))).data_tasks == 1


def test_a_trial_that_reads_less_than_a_round_needs_no_room_for_one() -> None:
    short = slip(budget__samples=8192, budget__warmup_samples=4096)
    layout = within_store(EIGHT, [short], nodes(object_store_memory=8192.0 * ROW))
    assert layout.data_tasks == 11


def test_a_store_that_nobody_states_is_what_ray_makes_it() -> None:
    assert STORE_SHARE == DEFAULT_OBJECT_STORE_MEMORY_PROPORTION
    assert MOST_STORE == DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES
    assert store_of({"memory": 1e12}) == 200e9
    assert store_of({"memory": 1e12, "object_store_memory": 3e9}) == 3e9
    assert store_of({"CPU": 1.0}) == 0


@pytest.mark.parametrize("between", ["=", " "])
def test_a_store_that_the_start_command_states_is_read(between: str) -> None:
    config = yaml.safe_load((CLUSTERS / "aws.yaml").read_text())

    def stores() -> set[float | None]:
        found = of_config(AutoscalingConfig(config, skip_content_hash=True))
        return {one.resources.get("object_store_memory") for one in found.node_types}

    assert stores() == {None}
    commands = config["worker_start_ray_commands"]
    started = f"--object-manager-port=8076 --object-store-memory{between}5000000000"
    config["worker_start_ray_commands"] = [
        one.replace("--object-manager-port=8076", started) for one in commands
    ]
    assert stores() == {5e9}
