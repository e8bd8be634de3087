"""Tasks that rank share a pass, and ranks the captions. Oracle: each task, and one rank, alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.contracts.test_tasks import NAMES, NUM, pairs, small
from tests.fixtures.ranks import OnRanks

from seedbed.evaluate.scores import Scores
from seedbed.evaluate.task import Ranking, run_together
from seedbed.evaluate.tasks import all_tasks
from seedbed.model.objective import Objective
from seedbed.variants import CLIP, FILIP

TASKS: list[Ranking[Any]] = [task for task in all_tasks() if isinstance(task, Ranking)]


def same(one: Scores, other: Scores) -> bool:
    return all(
        (mine[name] == theirs[name]).all()
        for mine, theirs in ((one.columns, other.columns), (one.by_name, other.by_name))
        for name in mine
    )


def looked_at(rank: int, world: int, objective: Objective) -> tuple[list[Scores], int, int]:
    """All tasks' scores of a rank's part, and how many pictures and captions it encoded."""
    model = small(objective)
    seen = {"image": 0, "text": 0}

    def note(name: str) -> Any:
        def hook(_: Any, given: tuple[Any, ...]) -> None:
            seen[name] += len(given[0])

        return hook

    for name in seen:
        model.towers[name].register_forward_pre_hook(note(name))
    mine = pairs(rank, world)
    found = run_together(model, [(task, task.prepare(mine)) for task in TASKS])
    assert all(scores is not None for scores in found)
    return found, seen["image"], seen["text"]  # type: ignore[return-value]


@pytest.mark.parametrize("objective", [CLIP, FILIP], ids=["embeddings", "tokens"])
def test_all_tasks_of_the_same_pictures_encode_them_once(objective: Objective) -> None:
    found, images, texts = looked_at(0, 1, objective)
    assert len(TASKS) >= 2 and (images, texts) == (NUM, len(NAMES))
    for task, scores in zip(TASKS, found, strict=True):
        alone = task.run(small(objective), task.prepare(pairs()))
        assert alone is not None and same(scores, alone)


@pytest.mark.slow
@pytest.mark.parametrize("objective", [CLIP, FILIP], ids=["embeddings", "tokens"])
def test_each_rank_encodes_its_part_of_the_captions(
    on_ranks: OnRanks, objective: Objective
) -> None:
    parts = on_ranks(2, in_small_blocks, objective)
    one, _, texts = in_small_blocks(0, 1, objective)
    assert texts == len(NAMES)
    # Blocks of 32: of four the first rank encodes two and so does the other.
    assert [part[2] for part in parts] == [64, len(NAMES) - 64]
    for number, whole in enumerate(one):
        joined = Scores.joined([part[0][number] for part in parts])
        whole = Scores.joined([whole])
        assert (joined.ids == whole.ids).all()
        assert all((joined.columns[n] == whole.columns[n]).all() for n in whole.columns)


def in_small_blocks(rank: int, world: int, objective: Objective) -> tuple[list[Scores], int, int]:
    from seedbed.evaluate import ranking

    before, ranking.BATCH = ranking.BATCH, 32
    try:
        return looked_at(rank, world, objective)
    finally:
        ranking.BATCH = before


def test_nothing_is_counted_of_no_picture() -> None:
    model = small(CLIP)
    none = pairs(NUM, NUM + 1)
    assert len(none.images) == 0
    found = run_together(model, [(task, task.prepare(none)) for task in TASKS])
    for scores in found:
        assert scores is not None
        assert all(
            column.shape == (0,) and column.dtype == np.int64 for column in scores.columns.values()
        )
