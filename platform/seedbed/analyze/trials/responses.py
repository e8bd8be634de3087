"""Reads a response as exact numbers and centres it.

Text and decimals are centred in rational arithmetic before any float is squared: with 13 equal
leading digits (NIST StRD SmLs07) the usual formula keeps no correct digit.
"""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seedbed.errors import AnalysisError

Floats = NDArray[np.float64]

_LARGEST_EXPONENT = 140  # squares of larger numbers leave the range of a float


def centred(
    column: pd.Series[Any], counts: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], Floats, float]:
    """Which rows count and have a value [n], those values less their mean, and the mean."""
    keep = counts.copy()
    if isinstance(column.dtype, np.dtype) and column.dtype == np.float64:
        raw = column.to_numpy()
        size = np.abs(np.where(keep, raw, 0.0))
        if not (size > 10.0**_LARGEST_EXPONENT).any():
            keep &= ~np.isnan(raw)
            return keep, *_centred_floats(raw[keep])
    exact = []
    for place, (row, raw) in enumerate(zip(column.index, column, strict=True)):
        value = _exact(raw, str(column.name), row) if keep[place] else None
        if value is None:
            keep[place] = False
        else:
            exact.append(value)
    if not exact:
        return keep, np.empty(0), 0.0
    centre = sum(exact, Fraction(0)) / len(exact)
    return keep, np.array([float(value - centre) for value in exact]), float(centre)


def _centred_floats(raw: Floats) -> tuple[Floats, float]:
    """As in rational arithmetic to the last digit or two: sums are exact, near numbers subtract
    without rounding, and a second pass removes the rounding error of the mean."""
    if not len(raw):
        return raw, 0.0
    centre = math.fsum(raw) / len(raw)
    rest = raw - centre
    return rest - math.fsum(rest) / len(raw), centre


def _exact(value: Any, response: str, row: Any) -> Fraction | None:
    """The value as an exact fraction; None for a missing one; raises for anything else."""
    if value is None or value is pd.NA:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    fault = AnalysisError(
        f"'{response}' is {value!r} in row {row}.",
        why="A response must be a finite number.",
        mend="Give such a trial the status it had (diverged, failed) and no value.",
    )
    if isinstance(value, str):
        try:
            value = Decimal(value.strip())
        except InvalidOperation:
            raise fault from None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise fault
    if math.isnan(value):
        return None
    if math.isinf(value) or (value != 0 and abs(Decimal(value).adjusted()) > _LARGEST_EXPONENT):
        raise fault
    return Fraction(value)
