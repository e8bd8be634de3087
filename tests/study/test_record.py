"""Oracle: the fields that a record is defined to have, and JSON's own grammar (RFC 8259)."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.errors import TrackingError
from seedbed.study.record import STATUSES, TrialRecord

BASE: dict[str, Any] = {
    "key": "0123456789abcdef",
    "study": "text_depth",
    "scale": "demo",
    "cell": {"depth": 3, "supervision": "clip"},
    "seed": 0,
    "cohort": "c0",
    "status": "completed",
}
numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.dictionaries(st.text(min_size=1), numbers),
    st.lists(
        st.tuples(st.integers(0, 2**50), st.dictionaries(st.sampled_from("abc"), numbers)),
        max_size=5,
    ),
    st.sampled_from(STATUSES),
)
def test_a_record_survives_json_whatever_its_numbers(
    metrics: dict[str, float], points: list[tuple[int, dict[str, float]]], status: str
) -> None:
    curve = tuple({"samples": samples, **values} for samples, values in points)
    record = TrialRecord(**(BASE | {"metrics": metrics, "curve": curve, "status": status}))
    text = json.dumps(record.to_json(), allow_nan=False)
    assert TrialRecord.from_json(json.loads(text)) == record


def test_a_final_that_is_not_a_number_is_named_as_missing_and_never_a_zero() -> None:
    metrics = {"zeroshot/top1": math.nan, "train/final_loss": math.inf, "cost/device_hours": 0.0}
    record = TrialRecord(**(BASE | {"metrics": metrics}))
    assert record.metrics == {"cost/device_hours": 0.0}
    assert record.missing_metrics == ("train/final_loss", "zeroshot/top1")


def test_null_and_text_are_missing_too() -> None:
    record = TrialRecord(**(BASE | {"metrics": {"a": None, "b": "0.5", "c": 1}}))
    assert record.metrics == {"c": 1.0}
    assert record.missing_metrics == ("a", "b")


def test_an_unknown_status_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(TrackingError, match="Did you mean 'completed'"):
        TrialRecord.from_json(BASE | {"status": "complete"})


def test_an_unknown_field_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(TrackingError, match="Did you mean 'metrics'"):
        TrialRecord.from_json(BASE | {"metric": {}})


@pytest.mark.parametrize("field", sorted(BASE))
def test_a_record_without_what_tells_trials_apart_is_refused(field: str) -> None:
    with pytest.raises(TrackingError, match=f"has no '{field}'"):
        TrialRecord.from_json({name: value for name, value in BASE.items() if name != field})


def test_a_point_without_samples_is_refused() -> None:
    with pytest.raises(TrackingError, match="samples None"):
        TrialRecord(**(BASE | {"curve": ({"train/loss": 1.0},)}))


def test_the_finals_stand_at_the_largest_step_of_the_curve() -> None:
    curve = ({"samples": 512, "a": 1.0}, {"samples": 256, "a": 2.0})
    assert TrialRecord(**(BASE | {"curve": curve})).last_samples == 512
    assert TrialRecord(**BASE).last_samples == 0
