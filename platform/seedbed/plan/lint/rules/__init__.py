"""Rules, one a file, found by walking this folder."""

from __future__ import annotations

import functools

from seedbed.found import modules_in
from seedbed.plan.lint.rule import Rule


@functools.cache
def all_rules() -> dict[str, Rule]:
    """Every rule of this folder, by the name of its file."""
    return {name: module.RULE for name, module in modules_in(__name__).items()}
