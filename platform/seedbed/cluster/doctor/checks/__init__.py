"""Checks, one a file, found by walking this folder; `nodes` first: it starts a process on each."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from seedbed.cluster.doctor.check import Check

FIRST = "nodes"


@functools.cache
def all_checks() -> dict[str, Check]:
    """Every check of this folder, by the name of its file."""
    names = sorted((entry.name for entry in pkgutil.iter_modules(__path__)), key=_place)
    return {name: importlib.import_module(f"{__name__}.{name}").CHECK for name in names}


def _place(name: str) -> tuple[bool, str]:
    return name != FIRST, name
