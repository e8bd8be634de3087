"""Two drivers with different results folders and one tracking store. Oracle: each alone."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from seedbed.errors import TrackingError
from seedbed.storage.folder import Folder
from seedbed.track.ledger import Remote
from seedbed.track.mlflow.reader import (
    TrackedTrial,
    read_artifact,
    read_curve,
    read_design,
    read_trials,
    run_marks,
)


def trials(world: Any, storage: str) -> dict[str, TrackedTrial]:
    entry = world.entry()
    read = read_trials(
        world.uri, entry.study, entry.scale, identity=entry.identity, storage=storage
    )
    return {trial.record.key: trial for trial in read}


@pytest.mark.slow
def test_neither_ends_nor_overwrites_what_is_the_others(world: Any) -> None:
    one, two = world.ledger(), world.ledger()
    key = world.trial(0).key

    def run_of(storage: str) -> str:
        return trials(world, storage)[key].run_id

    one.open_study(replace(world.entry(), storage="aaaa"))
    one.open_trial(world.trial(0))
    one.log(key, 64, {"train/loss": 5.0})
    wait_until(lambda: bool(read_curve(world.uri, run_of("aaaa"), ["train/loss"])))
    two.open_study(replace(world.entry(), storage="bbbb"))
    two.open_trial(world.trial(0))
    two.log(key, 64, {"train/loss": 3.0})
    theirs = world.record(0, metrics={"zeroshot/top1": 0.75})
    two.finish(theirs)
    wait_until(lambda: trials(world, "bbbb")[key].record.status == "completed")
    assert trials(world, "aaaa")[key].record.status == "interrupted"
    assert trials(world, "aaaa")[key].record.reason == "running"
    assert trials(world, "bbbb")[key].record.status == "completed"
    assert trials(world, "bbbb")[key].record.metrics["zeroshot/top1"] == 0.75
    one.finish(world.record(0, status="diverged", metrics={}, reason="nan"))
    assert not one.close() and not two.close()
    assert trials(world, "aaaa")[key].record.status == "diverged"
    assert trials(world, "bbbb")[key].record.status == "completed"
    assert run_of("aaaa") != run_of("bbbb")
    assert len(world.study_runs()) == 2


def wait_until(arrived: Callable[[], bool]) -> None:
    """Wait for the ledger's writer thread, which has a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(TrackingError, KeyError):  # no such study or trial yet
            if arrived():
                return
        time.sleep(0.05)
    raise AssertionError("the ledger did not send what it was told")


@pytest.mark.slow
def test_the_same_folder_goes_on_in_its_run_and_a_run_without_a_mark_is_taken_up(
    world: Any,
) -> None:
    for storage in ("", "aaaa", "aaaa", "bbbb", "aaaa"):
        ledger = world.ledger()
        ledger.open_study(replace(world.entry(), storage=storage))
        ledger.open_trial(world.trial(0))
        ledger.close()
    marks = sorted(run.data.tags["seedbed.storage"] for run in world.study_runs())
    assert marks == ["aaaa", "bbbb"]


@pytest.mark.slow
def test_each_folder_has_its_own_view_and_is_read_back_alone(world: Any) -> None:
    for storage, value in (("aaaa", 0.25), ("bbbb", 0.5)):
        ledger = world.ledger()
        ledger.open_study(replace(world.entry(), storage=storage))
        content = json.dumps(storage).encode()
        ledger.finish(
            world.record(0, metrics={"zeroshot/top1": value}),
            {"examples.parquet": Remote(len(content), lambda content=content: content)},
        )
        assert not ledger.close()
    entry, key = world.entry(), world.trial(0).key
    which: dict[str, Any] = {"identity": entry.identity}
    for storage, value in (("aaaa", 0.25), ("bbbb", 0.5)):
        assert trials(world, storage)[key].record.metrics["zeroshot/top1"] == value
        found = read_artifact(
            world.uri, entry.study, key, "examples.parquet", storage=storage, **which
        )
        assert json.loads(found) == storage
        assert read_design(world.uri, entry.study, entry.scale, storage=storage, **which)
    assert run_marks(world.uri, entry.study, entry.scale) == (entry.identity, "bbbb")
    experiment = world.mlflow.get_experiment_by_name(entry.study)
    views = [n for n in experiment.tags if n.startswith("mlflow.sharedViewState.")]
    assert {v.rpartition(".")[2].removesuffix("-cells") for v in views} == {
        f"{entry.identity}-aaaa",
        f"{entry.identity}-bbbb",
    }
    with pytest.raises(TrackingError, match="has no run"):
        read_trials(world.uri, entry.study, entry.scale, storage="cccc", **which)


def test_a_folder_keeps_its_mark_when_it_is_moved(tmp_path: Any) -> None:
    store = Folder(str(tmp_path / "a"))
    assert store.mark(make=False) == ""
    mark = store.mark()
    assert len(mark) == 16 and store.mark() == mark
    (tmp_path / "a").rename(tmp_path / "b")
    assert Folder(str(tmp_path / "b")).mark(make=False) == mark
    assert Folder(str(tmp_path / "a")).mark() != mark
