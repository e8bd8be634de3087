"""A mean with its interval and its seeds; how many dots a figure can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


MOST_RAW = 2_000  # dots of single seeds in a figure: more are a blot, and a page that opens slowly


@dataclass(frozen=True)
class MeanPoint:
    """A mean with its interval (NaN for none); `raw` holds the seeds as (x, value)."""

    x: float
    mean: float
    low: float = math.nan
    high: float = math.nan
    raw: Sequence[tuple[float, float]] = ()
    label: str = ""
    on_front: bool = False
    tone: int = 0


def thinned(values: Sequence[T], most: int) -> list[T]:
    """At most `most` (2 or more) of sorted `values`, evenly in their order, both ends included."""
    most = max(2, most)
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def heights(points: Sequence[MeanPoint]) -> list[float]:
    raw = [value for point in points for _, value in point.raw]
    return raw + [value for point in points for value in (point.mean, point.low, point.high)]
