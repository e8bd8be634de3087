"""What every evaluation task promises, found by walking the package. Oracle: its declaration."""

from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from seedbed.evaluate.scores import Scores
from seedbed.evaluate.task import Pairs, Task
from seedbed.evaluate.tasks import all_metrics, all_tasks
from seedbed.model.objective import Objective
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.variants import CLIP, FILIP

EACH = pytest.mark.parametrize("task", all_tasks(), ids=lambda task: type(task).__name__)
ALIGNED = pytest.mark.parametrize("objective", [CLIP, FILIP], ids=["embeddings", "tokens"])
NUM, CONTEXT = 260, 12
NAMES = tuple(sorted(f"{a} {b}" for a in ("red", "blue", "tall") for b in range(40)))


def small(objective: Objective) -> Pretrainer:
    return Pretrainer(
        ImageTower("test_vit", size=32),
        TextTower(layers=1, width=32, heads=2, context=CONTEXT),
        objective,
        embed_dim=16,
        seed=0,
    )


def pairs(rank: int = 0, world: int = 1) -> Pairs:
    """The part of a rank, as ranks share the held-out pairs: every `world`-th."""
    images = np.random.default_rng(0).integers(0, 256, (NUM, 32, 32, 3), np.uint8)
    captions = [NAMES[i % len(NAMES)] for i in range(NUM)]
    ids = np.random.default_rng(1).permutation(NUM).astype(np.int64)
    mine = slice(rank, None, world)
    return Pairs(images[mine], tuple(captions[mine]), ids[mine], NAMES, CONTEXT)


def scored(task: Task[Any], model: Pretrainer, rank: int = 0, world: int = 1) -> Scores:
    found = task.run(model, task.prepare(pairs(rank, world)))
    assert found is not None
    return found


def test_there_is_a_task() -> None:
    assert "HeldOutCaptions" in {type(task).__name__ for task in all_tasks()}


def test_no_two_tasks_declare_the_same_metric_or_write_the_same_file() -> None:
    names = [metric.name for metric in all_metrics()]
    assert len(set(names)) == len(names)
    files = [task.file for task in all_tasks()]
    assert len(set(files)) == len(files)


def test_to_know_their_metrics_is_cheap() -> None:
    code = "import sys; from seedbed.evaluate.tasks import all_metrics; all_metrics(); "
    heavy = "sys.exit(any(name in sys.modules for name in ('torch', 'timm', 'pyarrow', 'ray')))"
    assert subprocess.run([sys.executable, "-c", code + heavy], check=False).returncode == 0


@ALIGNED
@EACH
def test_it_writes_what_it_declares_and_nothing_else(task: Task[Any], objective: Objective) -> None:
    values = task.values(scored(task, small(objective)))
    assert values.keys() == {metric.name for metric in task.metrics}
    shares = [values[metric.name] for metric in task.metrics if metric.is_share]
    assert all(0 <= share <= 1 for share in shares)
    assert all(isinstance(value, float) for value in values.values())
    assert task.names_needed.keys() <= values.keys()


@EACH
def test_a_metric_that_names_are_too_few_for_is_left_out(task: Task[Any]) -> None:
    whole = scored(task, small(CLIP))
    few = replace(whole, num_names=1, num_not_finite=0)
    short = {name for name, least in task.names_needed.items() if least > 1}
    assert task.values(few).keys() == task.values(whole).keys() - short


@pytest.mark.parametrize("world", [2, 3])
@ALIGNED
@EACH
def test_ranks_find_what_one_rank_finds(task: Task[Any], objective: Objective, world: int) -> None:
    model = small(objective)
    whole = Scores.joined([scored(task, model)])
    joined = Scores.joined([scored(task, model, rank, world) for rank in range(world)])
    assert task.values(joined) == task.values(whole)
    assert joined.columns.keys() == whole.columns.keys()
    assert (joined.ids == whole.ids).all() and joined.num_names == whole.num_names
    for name, column in whole.columns.items():
        assert (joined.columns[name] == column).all()


@pytest.mark.parametrize("tower", ["image", "text"])
@ALIGNED
@EACH
def test_a_score_that_is_no_number_is_never_right(
    task: Task[Any], objective: Objective, tower: str
) -> None:
    model = small(objective)
    with torch.no_grad():
        for parameter in model.towers[tower].parameters():
            parameter.fill_(torch.nan)
    found = scored(task, model)
    values = task.values(found)
    assert found.num_not_finite == len(found.ids)
    assert [values[metric.name] for metric in task.metrics if metric.is_share and metric.column]
    assert all(values[metric.name] == 0 for metric in task.metrics if metric.is_share)


@EACH
def test_it_leaves_the_model_and_the_random_state_as_they_were(task: Task[Any]) -> None:
    model = small(CLIP).train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    first = scored(task, model)
    assert model.training and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    again = scored(task, model)
    assert all((again.columns[name] == first.columns[name]).all() for name in first.columns)


@EACH
def test_its_table_holds_every_column_that_a_metric_is_counted_in(task: Task[Any]) -> None:
    import io

    found = scored(task, small(CLIP))
    table = pq.read_table(io.BytesIO(found.table()))
    assert {"id"} | {m.column for m in task.metrics if m.column} <= set(table.column_names)
    values = task.values(found)
    for metric in task.metrics:
        if metric.column:
            right = table.column(metric.column).to_numpy() < metric.below
            assert right.mean() == pytest.approx(values[metric.name], abs=1e-12)
