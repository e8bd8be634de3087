"""Labels of levels, and the one way in which they are written and compared.

A label passes through names, JSON, MLflow's tags and tables; two labels are the same where their
text by `label_text` is.
"""

from __future__ import annotations

import numbers
from typing import Any

Label = str | int | float


def label_text(label: Any) -> str:
    """A label as text: numbers by value, the shortest digits that tell them from any other.

    2 and 2.0 are `2`, 1 / 3 is `0.3333333333333333`, integers keep all their digits.
    """
    if isinstance(label, str | bool):
        return str(label)
    if isinstance(label, numbers.Integral):
        return str(int(label))
    if isinstance(label, numbers.Real):
        value = float(label)
        return str(int(value)) if value.is_integer() else repr(value)
    return str(label)


def same_label(label: Any, said: Any) -> bool:
    """Whether `said`, which may be a number written as text, is the label `label`."""
    if isinstance(said, str) and not isinstance(label, str):
        said = _number(said)
    return label_text(label) == label_text(said)


def _number(text: str) -> Label:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
