"""Oracle: MLflow's own constants and validators, 3.17, and a real sqlite store."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils import validation

from seedbed.track.mlflow import batches
from seedbed.track.mlflow.study_runs import MlflowRuns

World = Any  # conftest.World


def test_our_limits_are_mlflows() -> None:
    assert batches.MAX_METRICS == validation.MAX_METRICS_PER_BATCH
    assert batches.MAX_PARAMS == batches.MAX_TAGS == validation.MAX_PARAMS_TAGS_PER_BATCH
    assert batches.MAX_NAME_LENGTH == validation.MAX_ENTITY_KEY_LENGTH
    assert batches.MAX_PARAM_LENGTH == validation.MAX_PARAM_VAL_LENGTH
    assert batches.MAX_TAG_LENGTH == validation.MAX_TAG_VAL_LENGTH


@given(st.text() | st.text("/._ é:$", max_size=8) | st.text("a/", min_size=245))
def test_every_name_becomes_one_that_mlflow_takes(name: str) -> None:
    found = batches.trackable(name)
    validation._validate_metric_name(found)
    validation._validate_param_name(found)
    assert len(found) <= validation.MAX_ENTITY_KEY_LENGTH


@pytest.mark.parametrize("name", ["zeroshot/top1", "zeroshot/top1_of_100", "text.layers"])
def test_our_own_names_stay_as_they_are(name: str) -> None:
    assert batches.trackable(name) == name


@pytest.mark.slow
def test_more_than_a_batch_of_metrics_params_and_tags_arrives_whole(world: World) -> None:
    runs = MlflowRuns(world.uri, "text_depth")
    runs.open_study(world.entry())
    runs.open_trial(world.trial(0))
    run_id = world.run_of(0).info.run_id
    batches.send_metrics(world.mlflow, run_id, [(f"m/{i}", float(i), 1, 0) for i in range(2001)])
    batches.send_params(world.mlflow, run_id, {f"p{i}": "x" for i in range(201)})
    batches.send_tags(world.mlflow, run_id, {f"t{i}": "x" * 9000 for i in range(201)})
    data = world.run_of(0).data
    assert sum(name.startswith("m/") for name in data.metrics) == 2001
    assert sum(value == "x" for value in data.params.values()) == 201
    assert sum(value == "x" * 8000 for value in data.tags.values()) == 201


@pytest.mark.slow
def test_metrics_sent_twice_at_their_own_time_are_kept_once(world: World) -> None:
    runs = MlflowRuns(world.uri, "text_depth")
    runs.open_study(world.entry())
    runs.open_trial(world.trial(0))
    run_id = world.run_of(0).info.run_id
    for _ in range(2):  # as when the answer to the first was lost
        batches.send_metrics(world.mlflow, run_id, [("m", i / 3, 7, i) for i in range(1500)])
    assert len(world.history(0, "m")) == 1500
