"""`path=value` of a command line, read as a value of the recipe field that it sets."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from seedbed.data.corpus import Corpus
from seedbed.errors import StudyError
from seedbed.recipe.recipe import Recipe


def parse_setting(text: str, base: Recipe) -> tuple[str, Any]:
    """`path=value` to the path and a value of the field's type. Raises StudyError."""
    path, separator, raw = text.partition("=")
    if not separator:
        raise StudyError(
            f"--set {text}: there is no '='",
            why="it takes path=value",
            mend="for example --set text.layers=3",
        )
    old = base.get(path)
    weight = getattr(old, "weight", None)  # a term of the objective is set by its weight
    return path, _parsed(text, raw, old if weight is None else weight)


def _parsed(text: str, raw: str, old: Any) -> Any:
    if isinstance(old, Corpus) or not isinstance(old, (str, int, float, bool, tuple)):
        raise StudyError(
            f"--set {text}: the field is a whole {type(old).__name__}",
            why="--set takes one number or one text",
            mend=f"set one of its fields: {', '.join(f.name for f in dataclasses.fields(old))}"
            if dataclasses.is_dataclass(old)
            else "set one of its parts",
        )
    try:
        if isinstance(old, str):
            return raw
        value = json.loads(raw.replace("_", "") if _is_number(raw) else raw)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("not finite")
    except ValueError:
        raise StudyError(
            f"--set {text}: '{raw}' is not a value",
            why=f"the field is {old!r}",
            mend="give a number, true or false, or JSON",
        ) from None
    if isinstance(old, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(old, int) and isinstance(value, float) and value == math.floor(value):
        return int(value)
    return value


def _is_number(raw: str) -> bool:
    try:
        float(raw)
    except ValueError:
        return False
    return True
