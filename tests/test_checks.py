"""What a field may hold. Oracle: the bounds as stated, at their edges and just beyond."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from seedbed import checks
from seedbed.errors import DataError, StudyError


@dataclass(frozen=True)
class Field:
    value: Any


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "words"),
    [
        ({"least": 0}, [0, 0.0, 1e9], [-1e-9], "a number of 0 or more"),
        ({"above": 0, "most": 1}, [1e-9, 1], [0, 1.001], "a number above 0 and at most 1"),
        ({"least": 0, "below": 1}, [0, 0.999], [1, -1], "a number at least 0 and below 1"),
        ({"least": -1, "most": 1}, [-1, 1], [-1.1, 1.1], "a number from -1 to 1"),
        ({}, [-1e300, 3], [math.nan, math.inf, True, "1", None], "a number"),
    ],
)
def test_a_number_is_kept_as_a_float_or_refused_with_its_bounds(
    bounds: dict[str, float], inside: list[Any], outside: list[Any], words: str
) -> None:
    for value in inside:
        field = Field(value)
        checks.numbers(field, "value", **bounds)
        assert field.value == value
        assert type(field.value) is float
    for value in outside:
        with pytest.raises(StudyError) as caught:
            checks.numbers(Field(value), "value", **bounds)
        assert caught.value.what == f"Field.value is {value!r}"
        assert caught.value.mend == f"give {words}"


def test_a_count_is_an_int_by_type() -> None:
    field = Field(np.int64(3))
    checks.counts(field, "value")
    assert type(field.value) is int
    for value in (0, 3.0, True, "3"):
        with pytest.raises(DataError, match="give a whole number of 1 or more"):
            checks.counts(Field(value), "value", error=DataError)


def test_a_choice_names_the_nearest_and_a_switch_is_no_number() -> None:
    with pytest.raises(StudyError, match="Did you mean 'local'"):
        checks.choice(Field("locl"), "value", ("local", "synced"), why="it is one of two")
    with pytest.raises(StudyError, match="Field.value is 1"):  # noqa: RUF043
        checks.switches(Field(1), "value")
