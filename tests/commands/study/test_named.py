"""Runs of one study under names of their own. Oracle: what each was planned with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.fixtures.pretending import Told, rehearsed

from seedbed import Factor, Recipe, Study, results
from seedbed.commands.study.named import check_name
from seedbed.commands.study.options import options_of
from seedbed.errors import StudyError
from seedbed.storage.folder import Folder
from seedbed.track.state import PLANNED_NAME, Planned, planned_trials
from seedbed.variants import CLIP


def depths(name: str = "depths") -> Study:
    return Study(
        name=name,
        question="Does depth matter?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(3, 12)),),
        responses=("zeroshot/top1_of_100",),
    )


def test_a_run_has_the_trials_and_keys_of_its_study_under_its_own_name(home: Path) -> None:
    usual, other = options_of(depths(), []), options_of(depths(), ["--name", "wide"])
    assert (usual.name, other.name) == ("depths", "wide")
    assert other.folder == ("wide",)
    assert [t.key for t in usual.plan.trials] == [t.key for t in other.plan.trials]
    assert other.plan.design().study == "wide"
    with pytest.raises(StudyError, match="letters, digits and _"):
        options_of(depths(), ["--name", "a/b"])


def test_a_name_stands_for_one_study(tmp_path: Path) -> None:
    def left(study: Study) -> Planned:
        planned = planned_trials(study.name, "demo", [("k", {"depth": 3}, 0, 1)], study.own_name)
        Folder(str(tmp_path)).sub(study.name).write_json(planned.to_json(), PLANNED_NAME)
        return planned

    store = Folder(str(tmp_path))
    run = left(depths().called("wide"))
    assert Planned.from_json(json.loads(json.dumps(run.to_json()))) == run
    check_name(store.sub("wide"), depths().called("wide"))
    with pytest.raises(StudyError, match="a run of the study 'depths'"):
        check_name(store.sub("wide"), depths("widths").called("wide"))
    with pytest.raises(StudyError, match="this is 'wide'"):
        check_name(store.sub("wide"), depths("wide"))
    # One of the default name is written as it was before runs had names.
    assert "run_of" not in left(depths()).to_json()
    check_name(store.sub("depths"), depths())
    with pytest.raises(StudyError, match="--name widths_depths"):
        check_name(store.sub("depths"), depths("widths").called("depths"))


@pytest.mark.slow
def test_two_runs_of_a_study_stand_side_by_side_in_every_command(
    home: Path, tmp_path: Path, told: Told
) -> None:
    storage, uri = str(tmp_path / "results"), f"sqlite:///{tmp_path / 'mlflow.db'}"
    places = ("--storage", storage, "--tracking-uri", uri)
    assert rehearsed(depths(), "--seeds", "2", *places) == 0
    assert rehearsed(depths(), "--seeds", "3", "--name", "wide", *places) == 0
    listed = json.loads(told("studies", "--storage", storage, "--json"))
    found = {one["study"]: (one["num_trials"], one["run_of"]) for one in listed}
    assert found == {"wide": (6, "depths"), "depths": (4, "")}
    assert ", of depths" in told("studies", "--storage", storage)
    for name, number in (("depths_rehearsal", 4), ("wide_rehearsal", 6)):
        seen = json.loads(told("status", name, "--storage", storage, "--json"))
        assert seen["counts"] == {"completed": number}
        assert len(results(depths(), tracking_uri=uri, name=name)) == number
        assert "does not run" in told("stop", name, "--storage", storage)
        assert f"no trial of {name} has failed" in told("retry", name, "--storage", storage)
        out = str(tmp_path / name)
        assert "depth" in told("report", name, "--tracking-uri", uri, "--out", out)
    compared = told("compare", "depths_rehearsal", "wide_rehearsal", "--tracking-uri", uri)
    assert "differences from the baseline in depths_rehearsal (first)" in compared
    told("rm", "wide_rehearsal", "--yes", "--storage", storage)
    left = json.loads(told("studies", "--storage", storage, "--json"))
    assert [one["study"] for one in left] == ["depths"]
