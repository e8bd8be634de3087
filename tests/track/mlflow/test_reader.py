"""Oracle: the records and the design that the ledger was told."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from seedbed.errors import TrackingError
from seedbed.evaluate.named import metrics_named
from seedbed.recall import curves_of, recall
from seedbed.track.mlflow.added import add_results
from seedbed.track.mlflow.reader import read_artifact, read_curve, read_design, read_trials

pytestmark = pytest.mark.slow

World = Any  # conftest.World
# Not -0.0, which sqlite keeps as 0.0.
AWKWARD = (0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, 1.5e-11, 2.0**53 + 2, 1e-300)


def told(world: World, *records: Any, **changes: Any) -> None:
    ledger = world.ledger()
    ledger.open_study(world.entry(**changes))
    for record in records:
        ledger.finish(record, {"examples/cifar.csv": world.examples()})
    assert not ledger.close(60)


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def test_numbers_come_back_bit_by_bit(world: World) -> None:
    metrics = {f"awkward/{i}": value for i, value in enumerate(AWKWARD)}
    told(world, world.record(0, metrics=metrics))
    (trial,) = read_trials(world.uri, "text_depth", "demo")
    assert {n: bits(v) for n, v in trial.record.metrics.items()} == {
        n: bits(v) for n, v in metrics.items()
    }


def test_trials_are_the_records_but_for_their_curves(world: World) -> None:
    records = [world.record(0), world.record(1, status="diverged", reason="loss is NaN")]
    told(world, *records)
    trials = read_trials(world.uri, "text_depth", "demo")
    expected = [dataclasses.replace(record, curve=(), recipe={}) for record in records]
    assert [trial.record for trial in trials] == expected


def test_a_curves_metric_is_no_final(world: World) -> None:
    told(world, world.record(0))
    (trial,) = read_trials(world.uri, "text_depth", "demo")
    assert "train/loss" not in trial.record.metrics


def test_more_finals_than_a_tag_can_name_are_read_whole(world: World) -> None:
    metrics = {f"zeroshot/per_class/{i}": i / 7 for i in range(400)}
    assert len(json.dumps(list(metrics))) > 8000
    told(world, world.record(0, metrics=metrics))
    (trial,) = read_trials(world.uri, "text_depth", "demo")
    assert trial.record.metrics == metrics


def test_thirty_eight_test_sets_fit_a_run_and_come_back(world: World) -> None:
    names = [f"a_test_set_of_many_pictures_{n}" for n in range(38)]
    said = {"split": "test", "num_templates": 80, "templates": "0" * 16, "classnames": "1" * 16}
    tests = {name: {**said, "test_set": "2" * 16} for name in names}
    metrics = {f"{name}/acc1": 0.5 for name in names}
    record = world.record(0, tests=tests, metrics=metrics)
    told(world, record)
    run = world.run_of(0).info.run_id
    for name in names[:20]:
        add_results(world.uri, run, record, name, metrics_named(name), {})
    (trial,) = read_trials(world.uri, "text_depth", "demo")
    assert trial.record.tests == tests
    assert {f"{name}/acc1" for name in names[:20]} <= {metric.name for metric in trial.added}
    assert trial.record.metrics == metrics


def test_the_design_comes_back_as_it_was_last_told(world: World) -> None:
    told(world)
    told(world, design={"seeds": [0, 1, 2]})
    entry = world.entry(design={"seeds": [0, 1, 2]})
    assert read_design(world.uri, "text_depth", "demo") == entry.design


def test_studies_with_other_overrides_are_kept_apart(world: World) -> None:
    told(world, world.record(0))
    other = world.entry(design={"overrides": {"optimizer.lr": "0.1"}})
    told(world, world.record(1), design={"overrides": {"optimizer.lr": "0.1"}})
    newest = read_trials(world.uri, "text_depth", "demo")
    assert [trial.record.key for trial in newest] == ["b" * 16]
    chosen = read_trials(world.uri, "text_depth", "demo", identity=world.entry().identity)
    assert [trial.record.key for trial in chosen] == ["a" * 16]
    assert read_design(world.uri, "text_depth", "demo") == other.design


def test_a_trials_own_files_are_found_by_its_key(world: World) -> None:
    told(world, world.record(0))
    found = read_artifact(world.uri, "text_depth", "a" * 16, "examples/cifar.csv")
    assert found == world.examples().read_bytes()


def test_what_is_not_there_is_an_error_that_names_what_is(world: World) -> None:
    told(world, world.record(0))
    with pytest.raises(TrackingError, match="Did you mean 'text_depth'"):
        read_trials(world.uri, "text_dept", "demo")
    with pytest.raises(TrackingError, match="Did you mean 'demo'"):
        read_design(world.uri, "text_depth", "dem")
    with pytest.raises(TrackingError, match="no run has that key"):
        read_artifact(world.uri, "text_depth", "c" * 16, "examples/cifar.csv")
    with pytest.raises(TrackingError, match="no artifact 'absent'"):
        read_artifact(world.uri, "text_depth", "a" * 16, "absent")


def test_a_design_whose_file_is_gone_is_an_error_that_says_so(world: World) -> None:
    told(world)
    for path in Path(world.folder).rglob("design.json"):
        path.unlink()
    with pytest.raises(TrackingError, match=r"design\.json of run"):
        read_design(world.uri, "text_depth", "demo")


def test_a_curve_comes_back_as_its_record_has_it(world: World) -> None:
    points = (
        {"samples": 256, "train/loss": 1 / 3, "train/lr": 0.1, "zeroshot/top1": 0.05},
        {"samples": 512, "train/loss": 0.1 + 0.2, "zeroshot/top1": 0.2},
        {"samples": 768, "train/loss": 0.25},
    )
    metrics = {"zeroshot/top1": 0.375, "zeroshot/top5": 0.5}
    record = world.record(0, curve=points, metrics=metrics)
    told(world, record)
    names = ("train/loss", "validation/loss", "zeroshot/top1")
    (trial,) = read_trials(world.uri, "text_depth", "demo")
    found = read_curve(world.uri, trial.run_id, names)
    assert found == record.curve_of(names)
    assert found == [
        {"samples": 256, "train/loss": 1 / 3, "zeroshot/top1": 0.05},
        {"samples": 512, "train/loss": 0.1 + 0.2, "zeroshot/top1": 0.2},
        {"samples": 768, "train/loss": 0.25, "zeroshot/top1": 0.375},
    ]


def test_a_recalled_study_reads_the_curves_of_its_trials(world: World) -> None:
    record = world.record(1)
    told(world, record)
    found = recall("text_depth", tracking_uri=world.uri)
    read = curves_of(found)
    assert read(record.key, ("train/loss",)) == record.curve_of(("train/loss",))
    assert len(record.curve_of(("train/loss",))) == len(record.curve)
    assert read("0" * 16, ("train/loss",)) == []
