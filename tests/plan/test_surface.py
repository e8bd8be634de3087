"""Response surfaces. Oracles: sums by hand, and the moments of what is drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from seedbed import Claim, Contrast, Factor, Recipe, Study
from seedbed.errors import StudyError
from seedbed.plan.surface import Surface
from seedbed.variants import CLIP, DECLIP

STUDY = Study(
    name="depths",
    question="Does depth matter?",
    base=Recipe.paper(objective=CLIP),
    factors=(
        Factor("depth", at="text.layers", levels=(3, 6, 12)),
        Factor("supervision", at="objective", levels={"clip": CLIP, "declip": DECLIP}),
    ),
)


def test_a_cell_is_the_mean_and_the_effects_of_its_levels() -> None:
    surface = Surface(
        mean=0.3,
        effects={"depth=3": -0.02, "supervision=declip": 0.05, "depth=3:supervision=declip": 0.01},
    )
    assert surface.value({"depth": 3, "supervision": "declip"}) == pytest.approx(0.34)
    assert surface.value({"depth": 3, "supervision": "clip"}) == pytest.approx(0.28)
    assert surface.value({"depth": 12, "supervision": "clip"}) == pytest.approx(0.30)


@pytest.mark.slow
def test_what_is_drawn_has_the_stated_spreads_and_rates() -> None:
    surface = Surface(
        noise=0.01, noises={"depth=3": 0.03}, seed_spread=0.02, failure_rate=0.1,
        divergence_rate=0.2, hours=2.0, cost_spread=0.05,
    )  # fmt: skip
    keys = [str(n) for n in range(4000)]
    at_12 = np.array([surface.measured(key, {"depth": 12}, 0) for key in keys])
    at_3 = np.array([surface.measured(key, {"depth": 3}, 0) for key in keys])
    assert at_12.std() == pytest.approx(0.01, rel=0.05)
    assert at_3.std() == pytest.approx(0.03, rel=0.05)
    seeds = np.array([surface.measured("k", {"depth": 12}, seed) for seed in range(4000)])
    assert seeds.std() == pytest.approx(0.02, rel=0.05)
    fates = [surface.fate(key) for key in keys]
    assert fates.count("failed") / 4000 == pytest.approx(0.1, abs=0.02)
    assert fates.count("diverged") / 4000 == pytest.approx(0.2, abs=0.025)
    costs = np.log([surface.cost(key, 99.0) for key in keys])
    assert np.exp(costs.mean()) == pytest.approx(2.0, rel=0.01)
    assert costs.std() == pytest.approx(0.05, rel=0.05)


def test_a_trial_is_the_same_whatever_else_is_drawn() -> None:
    surface = Surface()
    first = surface.measured("a", {}, 0)
    surface.measured("b", {}, 1)
    assert surface.measured("a", {}, 0) == first
    assert Surface(random_state=1).measured("a", {}, 0) != first
    assert Surface(random_state=1).digest != surface.digest


def test_the_default_plants_a_point_from_level_to_level() -> None:
    assert Surface.default(STUDY).effects == {
        "depth=3": 0.01,
        "depth=6": 0.02,
        "supervision=declip": 0.01,
    }


def test_a_surface_comes_back_from_its_file(tmp_path: Path) -> None:
    surface = Surface(effects={"depth=3": -0.5}, noise=0.0, hours=1.5)
    file = tmp_path / "surface.json"
    file.write_text(json.dumps(surface.to_json()))
    assert Surface.read(str(file), STUDY) == surface


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "it cannot be read"),
        ("[1]", "it holds no object"),
        ('{"nois": 1}', "Did you mean 'noise'"),
        ('{"effects": 3}', "effects is 3"),
        ('{"effects": {"dept=3": 1}}', "Did you mean 'depth'"),
        ('{"effects": {"depth=4": 1}}', "no level '4'"),
        ('{"effects": {"depth=3": "much"}}', "depth=3 is 'much'"),
        ('{"noise": -1}', "noise is -1"),
        ('{"failure_rate": 1.5}', "failure_rate is 1.5"),
        ('{"mean": NaN}', "mean is nan"),
        ('{"hours": -2}', "hours is -2"),
    ],
)
def test_a_wrong_surface_is_refused_in_words(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "surface.json"
    file.write_text(content)
    with pytest.raises(StudyError) as raised:
        Surface.read(str(file), STUDY)
    assert words in str(raised.value)


def test_a_surface_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="it cannot be read"):
        Surface.read(str(tmp_path / "none.json"), STUDY)


def test_effects_of_other_responses_are_checked_as_those_of_the_primary() -> None:
    study = STUDY
    primary, other = study.responses[:2]
    Surface(others={other: {"depth=3": 0.1}}).check(study)
    for others, words in (
        ({primary: {"depth=3": 0.1}}, "no response beside the primary"),
        ({"zeroshot/topp5": {}}, "no response beside the primary"),
        ({other: {"dept=3": 0.1}}, "Did you mean 'depth'"),
        ({other: {"depth=3": "much"}}, "finite number"),
        ({other: 0.1}, "give its effects"),
    ):
        with pytest.raises(StudyError, match=words):
            Surface(others=others).check(study)  # type: ignore[arg-type]


def test_the_default_plants_the_same_in_the_responses_that_claims_speak_of() -> None:
    shallow = Contrast("depth", 3, 12)
    claims = [
        Claim("C1", "Depth helps.", shallow),
        Claim("C2", "Depth helps.", shallow, response="zeroshot/top1"),
        Claim("C3", "Depth costs.", shallow, response="cost/device_hours"),
    ]
    study = Study(
        name="depths", question="?", base=STUDY.base, factors=STUDY.factors, claims=claims
    )
    surface = Surface.default(study)
    assert surface.effects == {"depth=6": 0.02, "depth=3": 0.01, "supervision=declip": 0.01}
    assert surface.others == {"zeroshot/top1": surface.effects}
    assert surface.check(study) is surface


def test_a_value_that_is_off_by_decades_loses_by_their_square() -> None:
    optima = {"optimizer.lr": {"supervision=clip": 1e-3, "depth=3:supervision=clip": 1e-4}}
    surface = Surface(optima=optima, sharpness=0.05).check(STUDY)
    at_12, at_3 = ({"depth": depth, "supervision": "clip"} for depth in (12, 3))
    assert surface.lost(at_12, {"optimizer.lr": 1e-3}) == 0.0
    assert surface.lost(at_12, {"optimizer.lr": 1e-2}) == pytest.approx(0.05)
    assert surface.lost(at_12, {"optimizer.lr": 1e-5}) == pytest.approx(0.20)
    assert surface.lost(at_3, {"optimizer.lr": 1e-3}) == pytest.approx(0.05)
    assert surface.lost({"depth": 3, "supervision": "declip"}, {"optimizer.lr": 1.0}) == 0.0
    with pytest.raises(StudyError, match="lrr"):
        Surface(optima={"optimizer.lrr": {"depth=3": 1e-3}}).check(STUDY)
    with pytest.raises(StudyError, match="is 0"):
        Surface(optima={"optimizer.lr": {"depth=3": 0}}).check(STUDY)


def test_a_surface_without_optima_is_the_one_that_it_was_before_there_were_any() -> None:
    assert "optima" not in Surface().to_json() and "sharpness" not in Surface().to_json()
    assert Surface(optima={"optimizer.lr": {"depth=3": 1.0}}).digest != Surface().digest
