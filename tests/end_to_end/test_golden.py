"""A small study's numbers. Oracle: `golden.json`, written by an earlier version of the package.

`python tests/end_to_end/test_golden.py` writes the file anew: only where a change is meant to
change numbers, and then the change says which.
"""

from __future__ import annotations

import json
import math
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from seedbed.analyze import (
    anova,
    contrasts,
    effects_two_level,
    interaction_contrast,
    marginal_means,
)
from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpus
from seedbed.data.render.render import render_span, render_test_set
from seedbed.data.rounds import Span
from seedbed.evaluate.task import Pairs
from seedbed.evaluate.tasks.held_out_captions import HeldOutCaptions
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.plan.cohort import Cohort
from seedbed.plan.rendering import rendering_of
from seedbed.recipe.recipe import AdamW, Budget, Recipe
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.reading import order_of
from seedbed.study.cell import Cell
from seedbed.study.trial import Trial
from seedbed.variants import UNIFIED

GOLDEN = Path(__file__).parent / "golden.json"
BATCH, STEPS = 32, 4
CPU = torch.device("cpu")
TOWERS = {
    "vit": ImageTower("vit_base_patch32_clip_quickgelu_224", size=32, options={  # type: ignore[arg-type]
        "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}),
    "resnet": ImageTower("modified_resnet_small", size=32),
}  # fmt: skip


def members(shapes: Path) -> Cohort:
    """Five variants on two towers, all on one stream."""
    return Cohort(tuple(
        Trial(
            Cell({"supervision": name, "model": tower}),
            Recipe(
                objective=level["objective"],
                corpus=Corpus(uri=str(shapes), caption="txt"),
                image=TOWERS[tower],
                text=TextTower(layers=2, width=32, heads=2, context=12),
                embed_dim=32,
                optimizer=AdamW(lr=1e-3),
                budget=Budget(samples=BATCH * STEPS, warmup_samples=BATCH, batch=BATCH),
                seed=7,
            ).patch("augment.text_aug.synonyms", "none"),  # WordNet is not always there
        )
        for name, level in UNIFIED.items()
        for tower in TOWERS
    ))  # fmt: skip


def trained(shapes: Path, home: Path) -> dict[str, Any]:
    """Losses by step, the order's hash, and how many pictures are named right, by cell."""
    torch.set_num_threads(1)
    cohort = members(shapes)
    corpus = open_corpus(cohort.recipe.corpus, home)
    order, rendering = order_of(corpus, cohort.recipe), rendering_of(cohort)
    span = Span(0, STEPS * BATCH, BATCH)
    parts = list(render_span(corpus.train, order, span, rendering, 50))
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    training = CohortTraining(cohort, CPU)
    losses: dict[str, list[float]] = {trial.key: [] for trial in cohort.trials}
    for step in range(STEPS):
        training.step(
            training.prepare({n: c[step * BATCH : (step + 1) * BATCH] for n, c in whole.items()})
        )
        for point in training.collect():
            losses[point.key].append(point.metrics["train/loss"])
    test = render_test_set(corpus.test, rendering)
    names = tuple(sorted(set(test.captions)))
    task = HeldOutCaptions()
    part = task.prepare(Pairs(test.images, test.captions, test.ids, names, rendering.context))
    cells = {}
    for trial in cohort.trials:
        model = training.variants[trial.key].model
        scores = task.run(model, part)
        assert scores is not None
        cells[" ".join(label for label in trial.cell.values())] = {
            "loss": losses[trial.key],
            "among_all": scores.columns["among_all"].tolist(),
        }
    return {"order_hash": training.order_hash, "cells": cells}


def analysed() -> dict[str, Any]:
    """Every table of the analysis, on trials of a stated surface."""
    rng = np.random.default_rng(11)
    rows = [
        {"depth": depth, "supervision": supervision, "seed": seed, "status": "completed",
         "top1": 0.2 + 0.01 * math.log(depth) + 0.03 * (supervision == "declip")
         + 0.01 * float(rng.normal())}
        for depth in (1, 3, 12)
        for supervision in ("clip", "declip")
        for seed in range(3)
    ]  # fmt: skip
    trials = pd.DataFrame(rows)
    trials.loc[4, ["status", "top1"]] = ["failed", np.nan]
    factors = ["depth", "supervision"]
    two = pd.DataFrame(
        [{"a": a, "b": b, "c": c, "y": 1.0 + a - 0.5 * b + 0.2 * a * c + 0.1 * float(rng.normal())}
         for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    )  # fmt: skip
    tables = {
        "anova": anova(trials, "top1", factors, block="seed"),
        "marginal_means": marginal_means(trials, "top1", factors, at="depth", block="seed"),
        "contrasts": contrasts(trials, "top1", factors, of="depth", baseline=12, block="seed"),
        "interaction": interaction_contrast(
            trials[trials["depth"] != 3], "top1", "depth", "supervision", block="seed"
        ),
        "two_level": effects_two_level(two, "y", ["a", "b", "c"]),
    }
    return {name: json.loads(table.reset_index().to_json()) for name, table in tables.items()}


def processor() -> str:
    """What decides the last bits of a float: the processor, its vector units, and torch."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    own = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = own[0] if own else platform.processor()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text())


def same(found: Any, expected: Any, exact: bool) -> None:
    """Equal trees; floats to the bit on the machine that wrote them, else to 1e-4."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            same(found[name], expected[name], exact)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other, exact)
    elif isinstance(expected, float) and not exact:
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-12)
    else:
        assert found == expected


@pytest.mark.slow
def test_a_small_study_trains_to_the_same_numbers(
    shapes: Path, home: Path, golden: dict[str, Any]
) -> None:
    threads = torch.get_num_threads()
    try:
        found = trained(shapes, home)
    finally:
        torch.set_num_threads(threads)
    expected, exact = golden["trained"], processor() == golden["processor"]
    assert found["order_hash"] == expected["order_hash"]
    assert found["cells"].keys() == expected["cells"].keys()
    for name, cell in expected["cells"].items():
        same(found["cells"][name]["loss"], cell["loss"], exact)
        ranks, before = found["cells"][name]["among_all"], cell["among_all"]
        if exact:
            assert ranks == before
        else:  # two names whose scores differ in the last bits may change places
            assert np.mean(np.array(ranks) != np.array(before)) < 0.1


def test_the_analysis_gives_the_same_tables(golden: dict[str, Any]) -> None:
    found = analysed()
    for name, table in golden["analysed"].items():
        same(found[name], table, exact=False)


if __name__ == "__main__":
    import importlib.util

    spec = importlib.util.spec_from_file_location("c", Path(__file__).parents[1] / "conftest.py")
    assert spec is not None and spec.loader is not None
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    with tempfile.TemporaryDirectory() as folder:
        corpus = conftest.shape_shards(Path(folder) / "shapes", 512)
        values = {
            "processor": processor(),
            "trained": trained(corpus, Path(folder) / "home"),
            "analysed": analysed(),
        }
    GOLDEN.write_text(json.dumps(values, indent=1) + "\n")
