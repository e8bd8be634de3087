"""The design is one document that comes back as it was. Oracles: json, and the clock."""

from __future__ import annotations

import cProfile
import json
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from seedbed import Factor, Recipe, Study, variants
from seedbed.errors import TrackingError
from seedbed.plan.design import VERSION, Design
from seedbed.plan.plan import plan
from seedbed.recipe.scale import scale_named

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.mark.parametrize("name", ["text_encoder_depth", "supervision", "data_quality"])
def test_a_design_comes_back_from_json_as_it_went(name: str) -> None:
    study = run_path(str(STUDIES / f"{name}.py"))["study"]
    plain = json.loads(json.dumps(plan(study, scale_named("demo")).design().to_json()))
    back = Design.from_json(plain)
    assert back.to_json() == plain and plain["version"] == VERSION
    assert [trial.key for trial in back.trials] == [trial["key"] for trial in plain["trials"]]
    assert tuple(claim.claim for claim in back.claims) == study.claims


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": VERSION + 1}, rf"'s' has version {VERSION + 1}.*newer"),
        ({"respones": ["x"]}, r"the field 'respones'.*responses"),
        ({"trials": [{"key": "k"}]}, r"'s' cannot be read.*'cell'"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(TrackingError, match=f"(?s){words}"):
        Design.from_json({"study": "s"} | changes)


def _calls(num_rates: int) -> tuple[int, int]:
    """Function calls that build, write and read a design, and its number of trials."""
    study = Study(
        name="large",
        question="?",
        base=Recipe.paper(objective=variants.CLIP),
        factors=[
            Factor("rate", [1e-4 * (i + 1) for i in range(num_rates)], at="optimizer.lr"),
            Factor("depth", list(range(1, 11)), at="text.layers"),
        ],
        seeds=10,
    )
    planned = plan(study, scale_named("demo"))
    profile = cProfile.Profile()
    profile.runcall(lambda: Design.from_json(json.loads(json.dumps(planned.design().to_json()))))
    return sum(one.callcount for one in profile.getstats()), len(planned.trials)


@pytest.mark.slow
def test_a_design_of_ten_times_the_trials_takes_about_ten_times_the_work() -> None:
    small, few = _calls(4)
    large, many = _calls(40)
    assert many == 10 * few
    assert large < 12 * small, f"{few} trials {small:,} calls, {many} trials {large:,}"
