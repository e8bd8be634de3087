"""A share of what a scale says, so that one study's budgets fit a laptop and a cluster."""

from __future__ import annotations

from typing import Any

from seedbed.checks import is_number
from seedbed.errors import StudyError


class Share(float):
    """That much of the field's value without it: `Share(1 / 10)` of `budget.samples`, whole.

    What it is a share of is said by a patch before it, or else by the scale or the base recipe.
    """

    def __new__(cls, value: float) -> Share:
        if not is_number(value) or value <= 0:
            raise StudyError(
                f"a Share is {value!r}",
                why="it is that much of a scale's own value, which cannot be 0 or less",
                mend="give a number above 0, as Share(1 / 10)",
            )
        return super().__new__(cls, value)

    def of(self, path: str, whole: Any) -> int:
        """So much of `whole`, which stands at `path`."""
        if isinstance(whole, bool) or not isinstance(whole, int):
            raise StudyError(
                f"{path} is {whole!r}, and its patch a share of that",
                why="a share is of something that is counted",
                mend="give the value itself",
            )
        return max(1, round(self * whole))
