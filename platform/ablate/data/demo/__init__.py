"""Corpora that anybody can build from published packages: one file each."""

from __future__ import annotations

import importlib
from pathlib import Path

from ablate.errors import DataError, nearest

# name -> (module, version of the corpus)
CORPORA = {"emoji": ("ablate.data.demo.emoji", "1")}


def resolve(uri: str, home: Path) -> Path:
    """The folder of `demo:NAME`, built or not. Raises DataError for an unknown name."""
    name = uri.removeprefix("demo:")
    if name not in CORPORA:
        raise DataError(
            f"there is no demo corpus '{name}'",
            why="demo corpora are built by code that knows their sources",
            mend=nearest(name, CORPORA),
        )
    return home / "corpora" / f"{name}-{CORPORA[name][1]}"


def prepare_demo(name: str, home: Path) -> Path:
    """Build the demo corpus `name` if it is not there yet; its folder."""
    folder = resolve(name, home)
    if not folder.exists():
        importlib.import_module(CORPORA[name][0]).prepare(folder)
    return folder
