"""Oracle: the in-memory ledger's dictionaries, and the ledger in MLflow told the same."""

from __future__ import annotations

from typing import Any

import pytest

from seedbed.plan.design import Design
from seedbed.track.ledger import InMemoryLedger, Ledger, StudyEntry, Unsent

World = Any  # conftest.World


@pytest.mark.slow
def test_both_ledgers_keep_the_same_study(world: World) -> None:
    memory, mlflow = InMemoryLedger(), world.ledger()
    ledgers: list[Ledger] = [memory, mlflow]
    for ledger in ledgers:
        world.tell_all(ledger)
        world.tell_all(ledger)
        ledger.interrupt("a" * 16, "too late")
        assert not ledger.close(60)
    for i, key in enumerate(memory.trials):
        run = world.run_of(i)
        assert run.data.tags["seedbed.status"] == memory.statuses[key]
        assert run.data.tags["seedbed.trial_key"] == key
        points = {step: {"train/loss": v} for step, v in world.history(i, "train/loss")}
        kept = {s: {"train/loss": p["train/loss"]} for s, p in memory.points[key].items()}
        assert points == kept


def test_what_runs_when_the_study_is_opened_again_or_closed_was_interrupted(world: World) -> None:
    ledger = InMemoryLedger()
    ledger.open_study(world.entry())
    ledger.open_trial(world.trial(0))
    ledger.open_study(world.entry())
    assert ledger.statuses == {"a" * 16: "interrupted"}
    ledger.open_trial(world.trial(0))
    ledger.close()
    assert ledger.statuses == {"a" * 16: "interrupted"}


def test_a_study_is_the_same_at_one_scale_on_one_corpus_with_the_same_overrides() -> None:
    def identity(**changes: Any) -> str:
        values: dict[str, Any] = {"study": "s", "scale": "demo", "question": "?", "design": {}}
        values |= changes
        design = Design.from_json({"study": values["study"]} | values.pop("design"))
        return StudyEntry(design=design, **values).identity

    same = identity()
    assert identity(question="!", params={"a": 1}, design={"seeds": [0, 1]}) == same
    others = {
        identity(study="t"),
        identity(scale="small"),
        identity(design={"data": {"uri": "x"}}),
        identity(design={"overrides": {"a": "1"}}),
    }
    assert len(others | {same}) == 5


def test_nothing_unsent_is_false() -> None:
    assert not Unsent()
    assert Unsent(("the record of trial x",))
