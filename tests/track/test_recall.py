"""A study read back for a notebook or a report. Oracle: the records that the ledger was told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seedbed import results
from seedbed.commands.seedbed import main
from seedbed.errors import TrackingError
from seedbed.recall import recall
from seedbed.recipe.recipe import Recipe
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP

World = Any  # conftest.World


@pytest.fixture
def told(world: World) -> World:
    ledger = world.ledger()
    ledger.open_study(world.entry())
    ledger.finish(world.record(0), {})
    ledger.finish(world.record(1, status="diverged", reason="loss is NaN"), {})
    assert not ledger.close(60)
    return world


@pytest.mark.slow
def test_a_study_gives_its_results_as_a_table(told: World) -> None:
    study = Study(
        name="text_depth",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(3, 6)),),
        responses=("zeroshot/top1",),
    )
    table = results(study, tracking_uri=told.uri)
    planned = told.entry().planned
    assert list(table["key"]) == list(planned)
    expected = told.record(0)
    first = table.set_index("key").loc[expected.key]
    assert first["zeroshot/top1"] == expected.metrics["zeroshot/top1"]
    assert (first["depth"], first["supervision"]) == tuple(
        expected.cell[name] for name in ("depth", "supervision")
    )
    statuses = table.set_index("key")["status"]
    assert statuses[told.record(1).key] == "diverged"
    assert statuses[told.record(0).key] == "completed"
    assert results(study, scale="demo", tracking_uri=told.uri).equals(table)
    with pytest.raises(TrackingError, match="paper"):
        results(study, scale="paper", tracking_uri=told.uri)


@pytest.mark.slow
def test_a_report_needs_the_studys_name_alone(
    told: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["report", "text_depth", "--tracking-uri", told.uri, "--out", str(out)]) == 0
    assert (out / "report.html").exists() and (out / "trials.csv").exists()
    assert str(out / "report.html") in capsys.readouterr().out
    ranked = ["--rank", "depth", "--tasks", "zeroshot/top1", "zeroshot/top5"]
    told_to = ["report", "text_depth", "--tracking-uri", told.uri, "--out", str(out), *ranked]
    assert main(told_to) == 0
    assert "Mean ranks of depth over 2 tasks" in capsys.readouterr().out
    assert (out / "ranks.csv").read_text().startswith("depth,mean_rank,num_tasks")
    assert main([*told_to[:-1], "zeroshot/top6"]) == 2
    assert "Did you mean 'zeroshot/top5'" in capsys.readouterr().err
    assert main(["report", "text_dept", "--tracking-uri", told.uri]) == 2
    assert "Did you mean 'text_depth'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_study_agrees_with_itself(told: World, capsys: pytest.CaptureFixture[str]) -> None:
    name = "text_depth"
    assert main(["compare", name, f"{name}:demo", "--tracking-uri", told.uri]) == 0
    told_of = capsys.readouterr().out
    assert (
        "Caption retrieval top-1 among all: differences from the baseline in text_depth" in told_of
    )
    assert recall(name, tracking_uri=told.uri).identity == told.entry().identity
