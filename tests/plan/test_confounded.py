"""Effects are named for all that their levels differ in. Oracle: the views that terms declare."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seedbed.analyze.report.write import write_report
from seedbed.commands.study.main import main
from seedbed.data.views import IMAGE_A, IMAGE_B, TEXT_AUG, TEXT_MASKED
from seedbed.model.objective import Objective
from seedbed.model.terms.masked_lm import MaskedLM
from seedbed.plan.confounded import moved_together, views_read
from seedbed.plan.plan import plan
from seedbed.recall import table_of
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SMOKE
from seedbed.study.factor import Factor
from seedbed.study.record import TrialRecord
from seedbed.study.study import Study
from seedbed.variants import CLIP, COMMON_VIEWS, DECLIP, DEFILIP, SWITCHES, UNIFIED

READ = {
    "clip": ("image", "text"),
    "slip": ("image", "image_a", "image_b", "text"),
    "filip": ("image", "text"),
    "declip": ("image_a", "image_b", "text_aug", "text_masked"),
    "defilip": ("image_a", "image_b", "text_aug", "text_masked"),
}


def study(*factors: Factor, base: Objective = CLIP, **fields: Any) -> Study:
    recipe = Recipe.paper(objective=base)
    return Study(name="s", question="?", base=recipe, factors=factors, seeds=2, **fields)


def supervision(levels: dict[str, dict[str, Any]]) -> Study:
    return study(
        Factor("supervision", levels=levels), Factor("depth", at="text.layers", levels=(1, 3))
    )


def cautions(made: Study, folder: Path, **facts: Any) -> str:
    """The report of trials that all measure the same, but for their number."""
    chosen = plan(made, SMOKE)
    records = [
        TrialRecord(
            key=trial.key, study="s", scale="smoke", cell=trial.cell, seed=trial.seed, cohort="",
            status="completed", metrics={made.responses[0]: 0.1 + i % 7 / 100},
        )
        for i, trial in enumerate(chosen.trials)
    ]  # fmt: skip
    design = replace(chosen.design(), responses=made.responses[:1], **facts)
    report = write_report(design, table_of(design, records), folder, {}, {})
    return next(p for n, p in report.paths.items() if n.endswith(".md")).read_text()


def test_levels_that_read_other_views_are_a_bundle_of_supervision_and_views() -> None:
    made = plan(supervision(UNIFIED), SMOKE)
    assert views_read(made) == {"supervision": READ}
    assert moved_together(made) == {"supervision": ["views"]}
    factors = made.design().to_json()["factors"]
    assert factors["supervision"]["views"] == [list(READ[name]) for name in UNIFIED]
    assert factors["supervision"]["also_moves"] == ["views"] and "views" not in factors["depth"]


@pytest.mark.slow
def test_levels_on_common_views_all_read_the_same_and_are_no_bundle(tmp_path: Path) -> None:
    common = {IMAGE_A, IMAGE_B, TEXT_AUG, TEXT_MASKED}
    assert all(set(level["objective"].views) == common for level in COMMON_VIEWS.values())
    assert COMMON_VIEWS.keys() == UNIFIED.keys()
    assert COMMON_VIEWS["declip"]["objective"] == DECLIP
    kinds = [
        {name: [type(w.term).__name__ for _, w in level["objective"].present()]}
        for level, name in ((COMMON_VIEWS["defilip"], "x"), ({"objective": DEFILIP}, "x"))
    ]
    assert kinds[0] == kinds[1]
    made = supervision(COMMON_VIEWS)
    assert moved_together(plan(made, SMOKE)) == {}
    assert "+ views" not in cautions(made, tmp_path)


@pytest.mark.slow
def test_plan_and_report_say_what_each_level_reads(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = supervision({name: UNIFIED[name] for name in ("clip", "filip", "declip")})
    with contextlib.suppress(SystemExit):
        main(made, ["--plan", "--scale", "smoke"])
    out = capsys.readouterr().out
    told = " ".join(out.split())
    assert "caution the views of a sample move with supervision: declip = image_a + image_b" in told
    assert "text_aug + text_masked, others image + text why: what is found of supervision" in told
    caution = (
        "The levels of 'supervision' also differ in views: a difference between them is not the "
        "supervision's alone. It is the effect of supervision + views: clip and filip read image "
        "and text; declip read image_a, image_b, text_aug and text_masked."
    )
    page = cautions(made, tmp_path)
    assert page.count(caution) == 1
    assert page.index(caution) < page.index("## Effects against the baseline")
    assert {path.name for path in home.glob("*")} <= {"counts"}


@pytest.mark.slow
def test_a_report_says_what_its_study_was_forced_past(tmp_path: Path) -> None:
    found = "optimizer.lr moves with supervision: clip = 0.001, slip = 0.0005"
    page = cautions(supervision(COMMON_VIEWS), tmp_path, forced=(found,))
    assert f"This study was refused, and run with --force: {found}." in page
    assert "--force" not in cautions(supervision(COMMON_VIEWS), tmp_path)


def test_a_switch_that_brings_a_view_of_its_own_is_named_in_a_fraction_too() -> None:
    def switch(name: str) -> Factor:
        return Factor(name, at=f"objective.{name}", levels={"off": 0.0, "on": 0.2})

    names = ("image_self", "text_self", "nearest_text", "finer", "multi_view")
    halved = study(*map(switch, names), base=SWITCHES, fraction=(" * ".join(names),))
    assert moved_together(plan(halved, SMOKE)) == {
        "text_self": ["views"],  # the masked caption
        "multi_view": ["views"],  # the augmented one; the second picture is image_self's too
    }
    alone = study(switch("text_self"), base=CLIP + Objective(text_self=0.2 * MaskedLM()))
    views = views_read(plan(alone, SMOKE))["text_self"]
    assert views == {"off": ("image", "text"), "on": ("image", "text", "text_masked")}
