"""A rehearsal on a real Ray that screens its candidates and stops at a look.

Oracle: counts by hand, of the records that its workers have left.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.fixtures.planning import Prepared

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.ray, pytest.mark.timeout(600)]
STUDY = """
from seedbed import (
    Claim, Contrast, Factor, Looks, Recipe, Screening, Search, Study, Tuning, main
)
from seedbed.variants import CLIP

study = Study(
    name="tiny",
    question="Does it stop?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
    responses=("zeroshot/top1_of_100",),
    claims=(Claim("C1", "Deeper is better.", Contrast("depth", 2, 1)),),
    nuisance=(Search("optimizer.lr", low=1e-4, high=1e-2, log=True),),
    tuning=Tuning(trials=3, screening=Screening(rungs=(0.5,), keep=1 / 3)),
    looks=Looks(first=3, by=1, most=6, method="pocock", futility=0),
)

if __name__ == "__main__":
    main(study)
"""
# The first look is too early for an effect of three times the noise, and the most is too late.
SURFACE = {"mean": 0.3, "effects": {"depth=2": 0.02}, "noise": 0.006, "random_state": 4}


def test_a_study_screens_its_candidates_and_adds_seeds_until_it_is_decided(
    tmp_path: Path, head: Mapping[str, str], prepared: Prepared
) -> None:
    (tmp_path / "tiny.py").write_text(STUDY)
    (tmp_path / "surface.json").write_text(json.dumps(SURFACE))
    environment = os.environ | {"SEEDBED_HOME": str(prepared(tmp_path / "home")), **head}
    command = [sys.executable, str(tmp_path / "tiny.py"), "--scale", "smoke"]
    command += ["--rehearse", str(tmp_path / "surface.json")]

    def start() -> str:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    start()
    paths = list((tmp_path / "home" / "results").rglob("record.json"))
    records = [json.loads(path.read_text()) for path in paths]
    searched = [one for one in records if one.get("role") == "search"]
    compared = [one for one in records if one.get("role") != "search"]
    # Of each cell three candidates to half of the budget, and one of them to the whole.
    budgets = [one["recipe"]["budget.samples"] for one in searched]
    assert len(searched) == 8
    assert budgets.count(min(budgets)) == 6
    assert max(budgets) == compared[0]["recipe"]["budget.samples"] == 2 * min(budgets)
    (path,) = (tmp_path / "home" / "results").rglob("decisions.json")
    decisions = {int(seeds): words for seeds, words in json.loads(path.read_text()).items()}
    last = max(decisions)
    assert len(compared) == 2 * last
    assert {one["seed"] for one in compared} == set(range(last))
    assert [words.split(":")[0] for words in decisions.values()] == [
        *["goes on"] * (len(decisions) - 1),
        "stops",
    ]
    assert 3 < last < 6
    again = start()
    assert f"{last} seeds" in again and "goes on" not in again
    assert len(list((tmp_path / "home" / "results").rglob("record.json"))) == len(records)
