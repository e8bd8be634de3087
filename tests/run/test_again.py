"""The same command again, on real Ray. Oracle: a study that was run once, from nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures.anew import index_anew
from tests.fixtures.interrupting import Interrupting
from tests.fixtures.studies import run_study, small_plan

from seedbed.plan.plan import Plan
from seedbed.run.driver.outcome import ASIDE, Outcome
from seedbed.run.worker.checkpoint import CHECKPOINT_FILE, PLACE_FILE
from seedbed.study.record import TrialRecord
from seedbed.track.ledger import InMemoryLedger

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(600)]


def learned(record: TrialRecord) -> dict[str, Any]:
    """What a record says of learning: all but its time."""
    values = record.to_json()
    timed = {n for n in record.metrics if "seconds" in n or "hours" in n}
    metrics = {n: v for n, v in record.metrics.items() if n not in timed}
    return {n: v for n, v in values.items() if n != "metrics"} | metrics


def learned_by(records: Mapping[str, TrialRecord]) -> dict[str, dict[str, Any]]:
    return {key: learned(record) for key, record in records.items()}


LAST = "00007.tar"
NUM_STEPS = 60  # so that a stop comes before the end


@pytest.fixture(scope="module")
def shards(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shapes at a place of the module's own, where a shard may come and go."""
    return Path(shutil.copytree(shapes, tmp_path_factory.mktemp("again") / "shards"))


@pytest.fixture(scope="module")
def what(shards: Path) -> Plan:
    return small_plan(shards, num_steps=NUM_STEPS)


@pytest.fixture(scope="module")
def fresh(cluster: None, what: Plan, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The study run once, from nothing, on all shards."""
    return run_study(what, tmp_path_factory.mktemp("fresh"))


@pytest.fixture
def all_but_one(shards: Path, fresh: Outcome) -> Iterator[Path]:
    """The place without its last shard, until a test puts it back."""
    (shards / LAST).rename(shards.parent / LAST)
    yield shards
    if not (shards / LAST).exists():
        put_back(shards)


def put_back(shards: Path) -> None:
    (shards.parent / LAST).rename(shards / LAST)


@pytest.mark.long
def test_after_a_shard_is_added_every_trial_is_trained_and_recorded_anew_and_only_once(
    what: Plan,
    fresh: Outcome,
    all_but_one: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ledger = InMemoryLedger()
    first = run_study(what, tmp_path, ledger=ledger)
    assert first.missing(what.trials) == []
    put_back(all_but_one)
    index_anew(all_but_one, tmp_path / "home")
    second = run_study(what, tmp_path, ledger=ledger)
    assert second.missing(what.trials) == []
    assert "caution 2 trials were recorded on other data" in capsys.readouterr().err
    assert learned_by(second.records) == learned_by(fresh.records)
    assert learned_by(second.records) != learned_by(first.records)
    for key, record in first.records.items():
        aside = tmp_path / "results" / ASIDE / f"{key}-{record.data_fingerprint[:12]}"
        assert json.loads((aside / "record.json").read_text()) == record.to_json()
        assert (aside / "model.safetensors").exists()
        # The ledger has the new curve, and nothing of the old one.
        curve = {int(p["samples"]): p["train/loss"] for p in second.records[key].curve}
        assert {s: p["train/loss"] for s, p in ledger.points[key].items()} == curve
    third = run_study(what, tmp_path, ledger=ledger)
    assert third.records == second.records and not third.stale


@pytest.mark.long
def test_an_interrupted_cohort_does_not_go_on_with_other_data(
    what: Plan,
    fresh: Outcome,
    all_but_one: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ledger = Interrupting(tmp_path / "results" / "cohorts", after=4)
    first = run_study(what, tmp_path, ledger=ledger, checkpoint_seconds=0)
    assert first.interrupted and not first.records
    assert first.stopped == {trial.key for trial in what.trials}
    assert "last heard of at step" in first.reasons[what.trials[0].key]
    (place, *_) = (tmp_path / "results" / "cohorts").glob(f"*/checkpoint_*/{PLACE_FILE}")
    said = json.loads(place.read_text())
    assert said["keys"] == sorted(trial.key for trial in what.trials)
    assert said["sizes"][CHECKPOINT_FILE] == (place.parent / CHECKPOINT_FILE).stat().st_size
    put_back(all_but_one)
    index_anew(all_but_one, tmp_path / "home")
    capsys.readouterr()
    second = run_study(what, tmp_path)
    assert "goes on from" not in capsys.readouterr().err
    assert second.missing(what.trials) == []
    assert learned_by(second.records) == learned_by(fresh.records)


@pytest.mark.long
def test_an_interrupted_cohort_goes_on_in_smaller_ones_and_says_from_which_step(
    what: Plan, shards: Path, fresh: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Interrupting(tmp_path / "results" / "cohorts", after=4)
    run_study(what, tmp_path, ledger=ledger, checkpoint_seconds=0)
    places = (tmp_path / "results" / "cohorts").glob(f"*/checkpoint_*/{PLACE_FILE}")
    said_by = {place.parent: json.loads(place.read_text()) for place in places}
    # The stop may cut off the last one while it is copied: that one does not count.
    whole_ones = [
        said
        for folder, said in said_by.items()
        if said["sizes"].items()
        <= {file.name: file.stat().st_size for file in folder.iterdir()}.items()
    ]
    step = max(said["step_number"] for said in whole_ones)
    assert 0 < step < NUM_STEPS
    alone = small_plan(shards, num_steps=NUM_STEPS, cohort_size=1)
    capsys.readouterr()
    second = run_study(alone, tmp_path, threads=2)
    said = capsys.readouterr().err
    for trial in what.trials:
        assert f"goes on from step {step} of {NUM_STEPS}: {trial.name}" in said
    assert {r.cohort for r in second.records.values()} == {c.id for c in alone.cohorts}
    for key, record in second.records.items():
        whole = fresh.records[key]
        assert record.order_hash == whole.order_hash
        assert [p["samples"] for p in record.curve] == [p["samples"] for p in whole.curve]
        losses = [[p["train/loss"] for p in r.curve] for r in (record, whole)]
        assert np.allclose(*losses, rtol=2e-4)  # sums are taken in another order by two threads
        assert [part.count("threads=") for part in record.made_by.split(" then ")] == [1, 1]
    assert not list((tmp_path / "results" / "cohorts").iterdir())
