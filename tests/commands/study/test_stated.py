"""What is written down beside a study's results. Oracle: the files, read again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from seedbed import Claim, Contrast, Factor, Recipe, Study
from seedbed.commands.study.stated import looks_before, note_look, stated_claims
from seedbed.plan.plan import Plan, plan
from seedbed.recipe.scale import scale_named
from seedbed.storage.folder import Folder
from seedbed.study.claim import ERROR_ID
from seedbed.variants import CLIP


def planned(*claims: Claim, error: str = "cells") -> Plan:
    study = Study(
        name="depths",
        question="Does depth matter?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(3, 12)),),
        claims=claims,
        error=error,
    )
    return plan(study, scale_named("demo"))


def test_a_claim_that_is_changed_after_trials_have_ended_is_a_late_one(tmp_path: Path) -> None:
    store = Folder(str(tmp_path))
    first = Claim("C1", "It is cheap.", Contrast("depth", 3, 12, margin=-0.01))
    kept = Claim("C2", "It is dear.", Contrast("depth", 3, 12, direction="below"))
    assert stated_claims(store, planned(first, kept), 0) == {
        "C1": "before the first trial",
        "C2": "before the first trial",
    }
    # With five trials in, the margin turns out to be too strict, and is widened.
    wider = Claim("C1", "It is cheap.", Contrast("depth", 3, 12, margin=-0.05))
    assert stated_claims(store, planned(wider, kept), 5) == {
        "C1": "after 5 of the trials had ended",
        "C2": "before the first trial",
    }
    # It stays late, and the first wording stays early.
    assert stated_claims(store, planned(wider), 6)["C1"] == "after 5 of the trials had ended"
    assert stated_claims(store, planned(first), 6)["C1"] == "before the first trial"


def test_a_study_without_claims_writes_nothing(tmp_path: Path) -> None:
    assert stated_claims(Folder(str(tmp_path)), planned(), 0) == {}
    assert not list(tmp_path.iterdir())


def test_an_error_that_is_asked_for_after_trials_have_ended_is_a_late_one(tmp_path: Path) -> None:
    store, other = Folder(str(tmp_path / "a")), Folder(str(tmp_path / "b"))
    assert stated_claims(store, planned(error="pooled"), 0) == {ERROR_ID: "before the first trial"}
    assert stated_claims(store, planned(error="pooled"), 7) == {ERROR_ID: "before the first trial"}
    assert stated_claims(other, planned(), 0) == {}
    late = stated_claims(other, planned(error="pooled"), 7)
    assert late == {ERROR_ID: "after 7 of the trials had ended"}


def test_looks_are_written_down_once_each(tmp_path: Path) -> None:
    store, chosen = Folder(str(tmp_path)), planned()
    table = pd.DataFrame({"seed": [0, 0, 1, 1], "status": ["completed"] * 3 + ["failed"]})
    note_look(store, chosen, table.assign(status="never_started"))
    assert looks_before(store, chosen) == []
    for _ in range(2):
        note_look(store, chosen, table[table["seed"] == 0])
    note_look(store, chosen, table)
    assert looks_before(store, chosen) == [
        {"num_seeds": 1, "num_completed": 2},
        {"num_seeds": 2, "num_completed": 3},
    ]
