"""Corpora that anybody can build from published packages: one file each.

A corpus is a module of this package with a `VERSION` and a
`prepare(home, *, progress) -> folder`; its name is the module's, with `-` for `_`.
A new VERSION goes with every change of the content, so that results keep the data they saw.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from seedbed.data.provided import PREFIX
from seedbed.errors import DataError, nearest
from seedbed_corpora import test_sets
from seedbed_corpora.build import corpus_folder
from seedbed_corpora.wordnet import wordnet

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["asset", "names", "prepare", "resolve", "test_set"]
ASSETS = {"wordnet": wordnet}  # files that views read, by the names that the views give them
ALIASES = {"icons-55k": "icons"}  # by the size that was planned; the proprietary part is left out


def resolve(uri: str, home: Path) -> Path:
    """The folder of `demo:NAME`, built or not. Raises DataError for an unknown name."""
    name = _own_name(uri.removeprefix(PREFIX))
    return corpus_folder(home, name, _module(name).VERSION)


def prepare(name: str, home: Path, progress: Progress | None = None) -> Path:
    """Build the demo corpus or the test set `name` if it is not there yet; its folder.

    Bars are drawn on `progress`, or else on stderr. Raises DataError for an unknown name, and
    when the corpus cannot be built.
    """
    if name in test_sets.names():
        return test_sets.prepare(name, home, progress)
    folder: Path = _module(_own_name(name.removeprefix(PREFIX))).prepare(home, progress=progress)
    return folder


def test_set(name: str, home: Path) -> Path:
    """The folder of the test set `name`, built or not. Raises DataError for an unknown name."""
    if name not in test_sets.names():
        raise DataError(
            f"there is no test set '{name}' that can be built",
            why="a name alone stands for what `seedbed prepare` knows the sources of",
            mend=f"{nearest(name, test_sets.names())}; or give a folder: {name}=URI",
        )
    return test_sets.test_set_folder(home, name)


def asset(name: str, folder: Path) -> None:
    """Fetch the files of the asset `name` into the new `folder`.

    Raises DataError for an unknown name, and when they cannot be had.
    """
    if name not in ASSETS:
        raise DataError(
            f"nobody here fetches the asset '{name}'",
            why="assets are fetched by code that knows their sources",
            mend=nearest(name, ASSETS),
        )
    ASSETS[name](folder)


def names() -> tuple[str, ...]:
    """The demo corpora that there are."""
    return tuple(name for name, module in _modules() if hasattr(module, "VERSION"))


def _own_name(name: str) -> str:
    return ALIASES.get(name, name)


def _module(name: str) -> ModuleType:
    module = dict(_modules(only=name)).get(name)
    if module is None or not hasattr(module, "VERSION"):
        raise DataError(
            f"there is no demo corpus '{name}'",
            why="demo corpora are built by code that knows their sources",
            mend=nearest(name, [*names(), *test_sets.names()]),
        )
    return module


def _modules(only: str | None = None) -> list[tuple[str, ModuleType]]:
    named = [(info.name.replace("_", "-"), info.name) for info in pkgutil.iter_modules(__path__)]
    return [
        (name, importlib.import_module(f"{__name__}.{module}"))
        for name, module in named
        if only is None or name == only
    ]
