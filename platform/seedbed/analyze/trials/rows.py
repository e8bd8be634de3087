"""The rows of a table one by one, and the name of a cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from seedbed.analyze.trials.observations import label_text


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of `frame` as plain dictionaries."""
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def cell_label(row: Mapping[str, Any], factors: Iterable[str]) -> str:
    """`depth 3, supervision clip`."""
    return ", ".join(f"{name} {label_text(row[name])}" for name in factors)
