"""What a level says is what runs, at every scale. Oracle: the levels as the study states them."""

from __future__ import annotations

import itertools
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from seedbed.commands.study.main import main
from seedbed.errors import StudyError
from seedbed.model.objective import Objective
from seedbed.model.terms.nearest_text import NearestText
from seedbed.model.terms.simclr import SimCLR
from seedbed.model.towers.image import ImageTower
from seedbed.plan.plan import plan
from seedbed.recipe.recipe import Budget, Recipe
from seedbed.recipe.resolve import Resolver, Said, resolve
from seedbed.recipe.scale import DEMO, PAPER, SCALES, SMOKE, Scale
from seedbed.recipe.share import Share
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.study.trial import Trial
from seedbed.variants import CLIP, DECLIP, SLIP, UNIFIED

# One starts from weights, and tests/test_readme.py plans it with some.
STUDIES = sorted(
    path
    for path in (Path(__file__).parents[2] / "studies").glob("*.py")
    if path.stem != "finetune_or_scratch"
)
VIT, RESNET = "vit_base_patch32_clip_quickgelu_224", "resnet50_clip"
EVERY = pytest.mark.parametrize("scale", SCALES.values(), ids=list(SCALES))


def study(*factors: Factor, base: Recipe | None = None, **fields: Any) -> Study:
    base = base or Recipe.paper(objective=CLIP)
    return Study(name="s", question="?", base=base, factors=factors, seeds=1, **fields)


def trials(*factors: Factor, scale: Scale = DEMO, **fields: Any) -> tuple[Trial, ...]:
    return study(*factors, **fields).trials(scale)


def found(path: str, *factors: Factor, scale: Scale = DEMO, **fields: Any) -> list[Any]:
    return [trial.recipe.get(path) for trial in trials(*factors, scale=scale, **fields)]


@EVERY
@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_level_of_the_shipped_studies_is_what_its_trials_run(
    file: Path, scale: Scale
) -> None:
    shipped: Study = runpy.run_path(str(file))["study"]
    checked = 0
    for trial in shipped.trials(scale):
        for factor in shipped.factors:
            label = trial.cell[factor.name]
            for path, value in factor.levels[label].items():
                ran = trial.recipe.get(path)
                if isinstance(value, Objective):  # its terms and weights; sizes are the scale's
                    one, other = dict(value.present()), dict(ran.present())
                    assert one.keys() == other.keys()
                    assert all(one[n].weight == other[n].weight for n in one)
                elif path.startswith("objective."):
                    assert ran.weight == value
                elif isinstance(value, Share):  # of what the study or else the scale says
                    said = scale.patches | shipped.scales.get(scale.name, {})
                    assert ran == round(value * said.get(path, shipped.base.get(path)))
                elif path != "image.name":  # a tower's small sibling stands for it
                    assert ran == value
                if factor.at and value == label:
                    assert ran == label
                checked += 1
    assert checked


@EVERY
def test_every_size_of_a_queue_is_the_one_that_its_label_says(scale: Scale) -> None:
    sizes = (4096, 16384, 65536)  # the last is the default too
    queue = Factor("queue", at="objective.nearest_text.size", levels=sizes)
    base = Recipe.paper(objective=DECLIP)
    assert found(queue.at or "", queue, scale=scale, base=base) == list(sizes)


@EVERY
def test_sizes_within_whole_objectives_are_said_where_the_levels_differ(scale: Scale) -> None:
    def of(size: int) -> Objective:
        return CLIP + Objective(nearest_text=0.2 * NearestText(size=size))

    queue = Factor("queue", at="objective", levels={"small": of(4096), "paper": of(65536)})
    assert found("objective.nearest_text.size", queue, scale=scale) == [4096, 65536]


def test_sizes_that_nobody_said_are_the_scales_in_whatever_objective_a_level_brings() -> None:
    supervision = Factor("supervision", levels=UNIFIED)
    by_name = {next(iter(t.cell.values())): t.recipe for t in trials(supervision)}
    assert by_name["slip"].get("objective.simclr.hidden") == 256
    assert by_name["declip"].get("objective.nearest_text.size") == 2048
    told = Factor(
        "slip",
        levels={
            "default": {"objective": SLIP, "objective.simclr.hidden": 4096},
            "own": {"objective": CLIP + Objective(simclr=SimCLR(hidden=512))},
        },
    )
    assert found("objective.simclr.hidden", told) == [4096, 512]
    assert found("objective.simclr.out", told) == [64, 64]


def test_a_term_that_a_level_switches_on_has_the_scales_sizes() -> None:
    base = Recipe.paper(objective=CLIP + Objective(simclr=0.0 * SimCLR()))
    on = Factor("simclr", at="objective.simclr", levels={"off": 0.0, "on": 1.0})
    assert found("objective.simclr.hidden", on, base=base) == [256, 256]
    whole = Factor(
        "simclr", at="objective.simclr", levels={"a": 1.0 * SimCLR(), "b": SimCLR(hidden=512)}
    )
    # 4096 is the default of the first, and what the levels vary.
    assert found("objective.simclr.hidden", whole, base=base) == [4096, 512]
    assert found("objective.simclr.out", whole, base=base) == [64, 64]


@EVERY
def test_options_of_the_tower_that_levels_set_are_those_that_run(scale: Scale) -> None:
    options = {n: {"patch_size": 8, "embed_dim": 96, "depth": n, "num_heads": 3} for n in (2, 6)}
    depth = Factor("depth", at="image.options", levels=options)
    assert [dict(o) for o in found("image.options", depth, scale=scale)] == list(options.values())


@EVERY
def test_the_width_of_the_embedding_can_be_a_factor(scale: Scale) -> None:
    width = Factor("width", at="embed_dim", levels=(64, 256, 512))
    assert found("embed_dim", width, scale=scale) == [64, 256, 512]


@EVERY
def test_training_longer_can_be_a_factor_with_the_scales_warm_up(scale: Scale) -> None:
    steps = Recipe.paper(objective=CLIP) if scale is PAPER else None
    samples = steps.budget.samples if steps else scale.patches["budget.samples"]
    longer = Factor("samples", at="budget.samples", levels=(samples, 2 * samples, 8 * samples))
    assert found("budget.samples", longer, scale=scale) == [samples, 2 * samples, 8 * samples]
    warm_up = scale.patches.get("budget.warmup_samples", Budget().warmup_samples)
    assert found("budget.warmup_samples", longer, scale=scale) == [warm_up] * 3


def test_a_budget_below_the_papers_warm_up_is_a_study_of_smaller_scales() -> None:
    short = study(Factor("samples", at="budget.samples", levels=(10_240, 20_480)))
    assert [t.recipe.budget.samples for t in short.trials(DEMO)] == [10_240, 20_480]
    with pytest.raises(StudyError) as caught:
        short.trials(PAPER)
    assert caught.value.what == "Factor 'samples': Budget.warmup_samples is 10,235,904"
    assert caught.value.why == "the budget is 10,240 samples"


def test_whole_budgets_say_what_they_set_and_leave_the_rest_to_the_scale() -> None:
    short, long = (Budget(samples=n, warmup_samples=64) for n in (10_240, 40_960))
    budget = Factor("budget", at="budget", levels={"short": short, "long": long})
    assert found("budget", budget) == [Budget(10_240, 64, 64), Budget(40_960, 64, 64)]


def test_a_tower_that_a_level_names_has_its_small_sibling_and_no_others_options() -> None:
    model = Factor("model", at="image.name", levels=(VIT, RESNET, "test_vit"))
    assert found("image.name", model) == [VIT, "modified_resnet_small", "test_vit"]
    assert [bool(options) for options in found("image.options", model)] == [True, False, False]
    whole = Factor(
        "model",
        at="image",
        levels={
            "deep": ImageTower(VIT, options={"depth": 6}),  # type: ignore[arg-type]
            "resnet": ImageTower(RESNET),
        },
    )
    assert found("image.name", whole) == [VIT, "modified_resnet_small"]
    deep = dict(found("image.options", whole)[0])
    assert deep == {"patch_size": 8, "embed_dim": 96, "depth": 6, "num_heads": 3}
    assert found("image.size", whole) == [32, 32]


def test_a_setting_by_hand_is_what_runs_whatever_the_scale_would_have() -> None:
    depth = Factor("depth", at="text.layers", levels=(1, 3))
    made = study(depth, base=Recipe.paper(objective=SLIP))
    said = {"objective.simclr.hidden": 4096, "embed_dim": 512, "image.name": RESNET}
    for trial in made.trials(DEMO, overrides=said):
        assert all(trial.recipe.get(path) == value for path, value in said.items())
    patched = study(depth, scales={"demo": {"embed_dim": 96, "image.name": RESNET}})
    for trial in patched.trials(DEMO):
        assert (trial.recipe.embed_dim, trial.recipe.image.name) == (96, "modified_resnet_small")


def test_what_only_fits_together_is_refused_in_the_name_of_those_who_said_it() -> None:
    width = Factor("width", at="text.width", levels=(64, 96))
    heads = Factor("heads", at="text.heads", levels=(2, 3))
    with pytest.raises(StudyError, match=r"^Factor 'width' with Factor 'heads': .* 64 does not"):
        study(width, heads)
    alone = study(Factor("w", levels={"a": {"text.width": 96, "text.heads": 3}, "b": {}}))
    assert [t.recipe.text.heads for t in alone.trials(DEMO)] == [3, 2]
    with pytest.raises(StudyError, match=r"^--set: TextTower.context is 2"):
        alone.trials(DEMO, overrides={"text.context": 2})


def test_a_plan_prints_what_every_level_comes_to(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = (4096, 65536)
    made = study(
        Factor("queue", at="objective.nearest_text.size", levels=sizes),
        Factor("model", at="image.name", levels={"vit": VIT, "resnet": RESNET}),
        base=Recipe.paper(objective=DECLIP),
    )
    for argv in (["--plan"], ["--plan", "--json"]):
        with pytest.raises(SystemExit):
            main(made, argv)
    text, _, printed = capsys.readouterr().out.partition("\n{")
    assert "level   queue=65536   objective.nearest_text.size 65536\n" in text
    assert "level   model=resnet  image.name modified_resnet_small, image.options []\n" in text
    factors = json.loads("{" + printed)["factors"]
    assert factors["queue"]["resolved"] == [{"objective.nearest_text.size": n} for n in sizes]
    assert factors["model"]["resolved"][1]["image.name"] == "modified_resnet_small"
    assert {path.name for path in home.glob("*")} <= {"counts"}


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_plans_of_whole_objectives_print_their_sizes(file: Path) -> None:
    shipped: Study = runpy.run_path(str(file))["study"]
    design = plan(shipped, SMOKE).to_json()["factors"]
    for factor in shipped.factors:
        assert len(design[factor.name]["resolved"]) == len(factor.levels)
        if factor.at == "objective":
            declip = design[factor.name]["resolved"][list(factor.levels).index("declip")]
            assert declip["objective.nearest_text.size"] == 2048


def test_many_cells_resolved_together_are_each_as_resolved_alone() -> None:
    rates = [Said("rate", {"optimizer.lr": rate}) for rate in (1e-4, 2e-4)]
    terms = [Said("terms", {"objective": one}) for one in (CLIP, SLIP)]
    towers = [
        Said("tower", {"image.name": "resnet50_clip", "embed_dim": 64}),
        Said("share", {"budget.samples": Share(1 / 10), "budget.warmup_samples": 64}),
    ]
    together = Resolver(Recipe.paper(objective=CLIP), SCALES["demo"])
    for said in itertools.product(rates, terms, towers):
        alone = resolve(Recipe.paper(objective=CLIP), SCALES["demo"], said)
        assert together.recipe(said) == alone


def test_what_does_not_fit_together_is_blamed_as_where_it_is_resolved_alone() -> None:
    together = Resolver(Recipe.paper(objective=CLIP), SCALES["demo"])
    short, late = Said("short", {"budget.samples": 64 * 8}), Said("rate", {"optimizer.lr": 1e-4})
    with pytest.raises(StudyError, match=r"^short: Budget\.warmup_samples is 640"):
        together.recipe([late, short])
    with pytest.raises(StudyError, match=r"^typo: Recipe has no 'txt'"):
        together.recipe([late, Said("typo", {"txt.layers": 3})])
    assert together.recipe([late]).optimizer.lr == 1e-4
