"""The recipe as params of a trial's run. Oracle: what MLflow's own search finds by them, in a real
sqlite store, and the recipes of the studies that come with the project."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import mlflow
import pytest
from sqlalchemy import create_engine, text

from seedbed.plan.plan import plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import scale_named
from seedbed.study.record import TrialRecord
from seedbed.track.ledger import StudyEntry
from seedbed.track.mlflow.batches import MAX_PARAMS, recipe_params
from seedbed.track.mlflow.connection import prepare_store
from seedbed.track.mlflow.ledger import MlflowLedger

pytestmark = pytest.mark.slow

World = Any  # conftest.World
ROOT = Path(__file__).parents[3]
NOW = 1_000


def entry(chosen: Any) -> StudyEntry:
    design = chosen.design()
    return StudyEntry(chosen.study.name, chosen.scale.name, chosen.study.question, design)


def record(chosen: Any, trial: Any, value: float) -> TrialRecord:
    return TrialRecord(
        key=trial.key,
        study=chosen.study.name,
        scale=chosen.scale.name,
        cell=trial.cell,
        seed=trial.seed,
        cohort="c0",
        status="completed",
        metrics={"zeroshot/top1_of_100": value},
        curve=({"samples": 64, "train/loss": 1.0},),
        recipe=trial.recipe.flatten(),
    )


def planned(name: str, scale: str = "demo", **more: Any) -> Any:
    study = runpy.run_path(str(ROOT / "studies" / f"{name}.py"))["study"]
    return plan(study, scale_named(scale), **more)


def readme_lines() -> list[str]:
    """The lines of the README that ask MLflow."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = (block for block in blocks if "search_runs" in block)
    return [line for line in block.split("\n\n") if "search_runs" in line]


def test_one_line_of_the_readme_finds_the_best_cell(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = world.uri
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", uri)
    chosen = planned("text_encoder_depth", seeds=(0, 1))
    prepare_store(uri, chosen.study.name)
    ledger = MlflowLedger(uri, chosen.study.name, linger_s=0.05)
    ledger.open_study(entry(chosen))
    values = {}
    for trial in chosen.trials:
        depth, supervision = trial.cell.values()
        # Of three layers CLIP is the better on average; DeCLIP has the best single trial.
        luck = 0.5 if (depth, supervision, trial.seed) == (3, "declip", 1) else 0.0
        values[trial.key] = 0.1 + 0.01 * int(depth) + 0.3 * (supervision == "clip") + luck
        ledger.finish(record(chosen, trial, values[trial.key]))
    assert not ledger.close(60)
    assert mlflow.get_tracking_uri() == uri
    best_trial, best_cell = (eval(line, {"mlflow": mlflow}) for line in readme_lines())
    assert list(best_trial["params.text.layers"].unique()) == ["3"] and len(best_trial) == 4
    assert best_trial.iloc[0]["params.supervision"] == "declip"
    assert best_trial.iloc[0]["params.seed"] == "1"
    assert best_cell == ("12", "clip")


def test_a_trial_carries_its_recipe_and_its_labels_stay(world: World) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    recipe = {
        "text.layers": 3,
        "optimizer.lr": 1e-3,
        "image.name": "resnet50_clip",
        "compile": False,
        "corpus.uri": "https://me:hunter2@host/x.tar?X-Amz-Signature=abc",
        "corpus.access_key": "hunter2",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "env.HOME": "/home/me",
        "text.note": "x" * 251,
        "text.missing": None,
    }
    ledger.finish(world.record(0, recipe=recipe))
    assert not ledger.close(60)
    assert world.run_of(0).data.params == {
        "supervision": "clip",
        "depth": "3",
        "seed": "0",
        "text.layers": "3",
        "optimizer.lr": "0.001",
        "image.name": "resnet50_clip",
        "compile": "False",
        "corpus.uri": "https://host/x.tar",
    }


@pytest.mark.parametrize("name", ["text_encoder_depth", "supervision", "data_quality"])
@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_every_field_that_varies_is_there_in_one_request(name: str, scale: str) -> None:
    chosen = planned(name, scale)
    design = chosen.design().to_json()
    varying = {path for trial in design["trials"] for path in trial["recipe"]}
    for trial in chosen.trials:
        flat = trial.recipe.flatten()
        found = recipe_params(flat, varying)
        room = MAX_PARAMS - len(trial.cell) - 1  # the factors and the seed come along
        assert len(found) <= room
        short = {p for p in varying - {"seed"} if p in flat and 0 < len(str(flat[p])) <= 250}
        assert short <= found.keys()
        assert {"text.layers", "optimizer.lr", "budget.samples", "image.name"} <= found.keys()
        assert all(found[path] == str(flat[path]) for path in found)


def test_most_of_a_recipe_that_nobody_varies_is_not_sent() -> None:
    flat = Recipe.paper(objective=planned("supervision").trials[-1].recipe.objective).flatten()
    found = recipe_params(flat, set())
    assert len(found) < 60 < len(flat)
    assert not any(path.startswith("augment.") or ".temperature." in path for path in found)
    varied = recipe_params(flat, {"augment.image_a.jitter_p"})
    assert varied.keys() - found.keys() == {"augment.image_a.jitter_p"}


def test_a_run_that_was_complete_without_its_recipe_gets_it(world: World) -> None:
    bare = world.record(0)
    world.told()
    run_id = world.run_of(0).info.run_id
    assert world.run_of(0).data.params["text.layers"] == "3"
    with create_engine(world.uri).begin() as connection:  # as an earlier version left it
        connection.execute(text("delete from params where key = 'text.layers'"))
    world.opened().finish(bare, {"examples/cifar.csv": world.examples()}, NOW)
    assert world.run_of(0).info.run_id == run_id
    assert world.run_of(0).data.params["text.layers"] == "3"


def test_a_factor_with_the_name_of_a_field_keeps_its_labels(world: World) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    cell = {"precision": "half", "depth": 3}
    ledger.finish(world.record(0, cell=cell, recipe={"precision": "bf16", "text.layers": 3}))
    assert not ledger.close(60)
    params = world.run_of(0).data.params
    assert params == {"precision": "half", "depth": "3", "seed": "0", "text.layers": "3"}
