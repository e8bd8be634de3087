"""Plans and the command line. Oracles: counts by hand, and the printed JSON read again."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seedbed.commands.study.main import main
from seedbed.home import COUNTS
from seedbed.model.objective import Objective
from seedbed.model.terms.nearest_text import NearestText
from seedbed.plan.cohort import cohorts_of
from seedbed.plan.plan import plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import scale_named
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP

QUEUES = {"long": NearestText().size, "short": 100}
ROOT = Path(__file__).parents[2]
STUDY = Study(
    name="depth",
    question="?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("depth", at="text.layers", levels=(1, 3, 6, 12)),),
)


def ended(*argv: str, of: Study = STUDY) -> int:
    with pytest.raises(SystemExit) as caught:
        main(of, argv)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def kept_in(home: Path) -> set[str]:
    return {path.name for path in home.iterdir()} if home.exists() else set()


def planned(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    assert ended("--plan", "--json", *argv) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.slow
def test_a_study_file_prints_one_json_object_and_nothing_else_and_starts_nothing(
    counted_home: Path,
) -> None:
    command = [sys.executable, "studies/text_encoder_depth.py", "--plan", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["study"], found["scale"]) == ("text_encoder_depth", "demo")
    assert len(found["trials"]) == 24
    for trial in found["trials"]:
        assert {"key", "cell", "seed", "cohort", "recipe"} <= trial.keys()
        assert len(trial["key"]) == 16
        assert trial["recipe"]["text.layers"] == trial["cell"]["depth"]
        assert trial["recipe"]["seed"] == trial["seed"]
    members = {key: c["id"] for c in found["cohorts"] for key in c["trials"]}
    assert members == {trial["key"]: trial["cohort"] for trial in found["trials"]}
    assert kept_in(counted_home) == {COUNTS}


@pytest.mark.slow
def test_a_printed_plan_names_every_trial_and_starts_nothing(
    counted_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("--plan") == 0
    out = capsys.readouterr().out
    assert all(trial.key in out for trial in STUDY.trials(scale_named("demo")))
    assert kept_in(counted_home) == {COUNTS}


@pytest.mark.usefixtures("home")
@pytest.mark.slow
def test_trials_of_one_seed_share_a_cohort(capsys: pytest.CaptureFixture[str]) -> None:
    found = planned(capsys, "--seeds", "3")
    by_cohort: dict[str, set[int]] = {}
    for trial in found["trials"]:
        by_cohort.setdefault(trial["cohort"], set()).add(trial["seed"])
    assert sorted(map(sorted, by_cohort.values())) == [[0], [1], [2]]


@pytest.mark.parametrize(("size", "sizes"), [(1, [1] * 4), (2, [2, 2]), (3, [2, 2]), (4, [4])])
def test_cohorts_are_split_evenly_by_the_cohort_size(size: int, sizes: list[int]) -> None:
    trials = STUDY.trials(scale_named("demo"), seeds=(0,))
    cohorts = cohorts_of(trials, size)
    assert [len(cohort.trials) for cohort in cohorts] == sizes
    assert {t.key for c in cohorts for t in c.trials} == {t.key for t in trials}
    assert len({cohort.id for cohort in cohorts}) == len(sizes)


def test_trials_that_read_other_batches_share_no_cohort() -> None:
    sizes = Factor("batch", at="budget.batch", levels=(128, 256))
    rates = Factor("lr", at="optimizer.lr", levels=(1e-3, 2e-3))
    study = Study(name="s", question="?", base=STUDY.base, factors=(sizes, rates), seeds=1)
    cohorts = plan(study, scale_named("demo")).cohorts
    batches = [[t.recipe.budget.batch for t in cohort.trials] for cohort in cohorts]
    assert batches == [[128, 128], [256, 256]]


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_the_environment_chooses_the_scale_and_the_argument_wins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert planned(capsys)["scale"] == "demo"
    monkeypatch.setenv("SEEDBED_SCALE", "smoke")
    found = planned(capsys)
    assert (found["scale"], found["scale_reason"]) == ("smoke", "SEEDBED_SCALE=smoke")
    found = planned(capsys, "--scale", "small")
    assert (found["scale"], found["scale_reason"]) == ("small", "--scale small")


@pytest.mark.usefixtures("home")
def test_a_setting_reaches_every_trial_and_changes_its_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain, found = planned(capsys), planned(capsys, "--set", "optimizer.lr=5e-3")
    assert {trial["recipe"]["optimizer.lr"] for trial in found["trials"]} == {5e-3}
    keys = [{trial["key"] for trial in one["trials"]} for one in (plain, found)]
    assert not keys[0] & keys[1]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("setting", ["text.layers=3", "seed=7"])
def test_a_setting_of_a_field_that_the_study_varies_is_refused(
    setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = ended("--plan", "--set", setting)
    assert (code, setting.partition("=")[0] in capsys.readouterr().err) == (2, True)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--plan", "--scale", "dmo"), "Did you mean 'demo'?"),
        (("--plan", "--set", "text.layer=3"), "Did you mean 'layers'?"),
        (("--plan", "--set", "text.layers"), "there is no '='"),
        (("--plan", "--set", "text.context=2"), "TextTower.context is 2"),
        (("--plan", "--seeds", "x"), "--seeds is 'x'"),
        (("--plan", "--seeds", "0"), "there are none"),
        (("--plan", "--workers", "0"), "--workers is 0"),
        (("--plan", "--cohort-size", "0"), "--cohort-size is 0"),
        (("--json",), "without --plan"),
        (("--plan", "--report"), "not allowed with"),
        (("--plans",), "unrecognized arguments: --plans"),
    ],
)
def test_a_bad_argument_ends_with_2_and_says_why_on_stderr(
    argv: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(*argv) == 2
    out, err = capsys.readouterr()
    assert words in err
    assert "Traceback" not in err
    assert not out


def test_a_wrong_scale_in_the_environment_ends_with_2(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEEDBED_SCALE", "papr")
    assert ended("--plan") == 2
    assert "Did you mean 'paper'?" in capsys.readouterr().err
    assert not home.exists()


@pytest.mark.slow
def test_a_plan_says_which_factors_are_bundles(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def plan_of(name: str) -> str:
        study = runpy.run_path(str(ROOT / "studies" / f"{name}.py"))["study"]
        assert ended("--plan", "--scale", "paper", of=study) == 0
        return capsys.readouterr().out

    towers = "caution embed_dim moves with model: vit = 512, resnet = 1024 (declared)"
    assert towers in plan_of("supervision")
    assert "moves with depth" not in plan_of("text_encoder_depth")


def test_what_a_whole_has_as_the_baseline_has_it_is_constant_and_nothing_compares_it() -> None:
    lr = Factor("lr", at="optimizer.lr", levels=(1e-3, 2e-3))
    depth = Factor("depth", at="text.layers", levels=(1, 3, 6), baseline=3)
    base = Recipe.paper(objective=CLIP)
    whole = {"factors": (depth, lr), "leave_one_out": {"depth": 6}}
    chosen = plan(Study(name="whole", question="?", base=base, **whole), scale_named("smoke"))
    design = chosen.design()
    assert {name: one.levels for name, one in design.factors.items()} == {"depth": (3, 6)}
    assert {(t.cell["depth"], t.cell["lr"]) for t in design.trials} == {(3, 1e-3), (6, 1e-3)}
    assert list(chosen.to_json()["factors"]) == ["depth"]
    # Cells and seeds are those that a study of all combinations has, under the same keys.
    every = plan(
        Study(name="all", question="?", base=base, factors=(depth, lr)), scale_named("smoke")
    )
    assert {t.key for t in chosen.trials} < {t.key for t in every.trials}


def test_levels_that_a_whole_leaves_untrained_still_say_what_the_others_differ_in() -> None:
    """A queue's size is one of the factor's levels, so that no scale shrinks it: as with them."""
    near = {name: CLIP + Objective(near=NearestText(size=n)) for name, n in QUEUES.items()}
    queue = Factor("queue", at="objective", levels={"none": CLIP, **near})
    base, scale = Recipe.paper(objective=CLIP), scale_named("smoke")
    every = plan(Study(name="all", question="?", base=base, factors=(queue,)), scale)
    whole = Study(
        name="whole", question="?", base=base, factors=(queue,), leave_one_out={"queue": "long"}
    )
    chosen = plan(whole, scale)
    assert {t.key for t in chosen.trials} < {t.key for t in every.trials}
    assert chosen.trials[0].flat["objective.near.size"] == QUEUES["long"]
