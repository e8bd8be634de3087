"""Checks, one a file, found by walking this folder; `nodes` first: it starts a process on each."""

from __future__ import annotations

import functools

from seedbed.cluster.doctor.check import Check
from seedbed.found import modules_in

FIRST = "nodes"


@functools.cache
def all_checks() -> dict[str, Check]:
    """Every check of this folder, by the name of its file."""
    modules = modules_in(__name__)
    return {name: modules[name].CHECK for name in sorted(modules, key=lambda name: name != FIRST)}
