"""What the stream is planned to hold. Oracle: the sizes that Ray itself gives its store."""

from __future__ import annotations

import pytest
from ray._private.ray_constants import (
    DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES,
    DEFAULT_OBJECT_STORE_MEMORY_PROPORTION,
)

from seedbed.data.footprint import (
    CHUNK_BYTES,
    chunk_rows,
    rank_bytes,
    row_bytes,
    store_bytes,
    task_bytes,
)
from seedbed.data.render.image import STANDARD_SLIP
from seedbed.data.render.render import Rendering
from seedbed.data.views import IMAGE, TEXT
from seedbed.plan.cohort import Cohort
from seedbed.plan.rendering import rendering_of
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.resolve import resolve
from seedbed.recipe.scale import SCALES
from seedbed.study.trial import Trial
from seedbed.variants import UNIFIED

PIXELS = Rendering({IMAGE: STANDARD_SLIP}, (TEXT,), 224, 77, "txt", seed=0)
WORKERS, CORES, MEMORY = 8, 96, 600e9  # of a node: the least that clouds rent with 8 GPUs
PICTURE = 55_000  # bytes of one, as img2dataset leaves it


@pytest.mark.parametrize("variant", UNIFIED)
def test_what_a_node_holds_at_the_papers_size_fits_its_memory(variant: str) -> None:
    recipe = resolve(Recipe.paper(objective=UNIFIED[variant]["objective"]), SCALES["paper"], ())
    rendering = rendering_of(Cohort((Trial((("variant", variant),), recipe),)))
    tasks = (CORES - WORKERS) // WORKERS
    rows = recipe.corpus.window_rows * recipe.corpus.lanes // WORKERS
    store = WORKERS * store_bytes(rendering, rows, tasks)
    most = min(
        DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES, DEFAULT_OBJECT_STORE_MEMORY_PROPORTION * MEMORY
    )
    assert store < most
    beside = WORKERS * tasks * task_bytes(rendering, rows * PICTURE)
    beside += WORKERS * rank_bytes(rendering, recipe.budget.batch // WORKERS)
    assert store + beside < MEMORY / 2


# 151,144 bytes a row: 264 rows in 40 MB.
@pytest.mark.parametrize(
    ("batch", "rows"),
    [(1, 264), (64, 256), (256, 256), (512, 256), (600, 200), (560, 140), (1021, 264)],
)
def test_a_chunk_is_whole_batches_or_an_equal_part_of_one(batch: int, rows: int) -> None:
    assert chunk_rows(PIXELS, batch) == rows
    assert rows * row_bytes(PIXELS) <= CHUNK_BYTES
