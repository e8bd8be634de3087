"""Corpora that code builds, `demo:NAME`: another package's, found by its entry point.

This package knows no demo corpus. A provider is a module that its distribution names in the
entry-point group `seedbed.corpora` as `demo`; ours is `seedbed_corpora`.
"""

from __future__ import annotations

import functools
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from seedbed.errors import DataError

if TYPE_CHECKING:
    from rich.progress import Progress

GROUP, NAME = "seedbed.corpora", "demo"
PREFIX = f"{NAME}:"


class Provider(Protocol):
    """A module that builds corpora from published packages."""

    def resolve(self, uri: str, home: Path) -> Path:
        """The folder of `demo:NAME` under `home`, built or not. Raises DataError if unknown."""
        ...

    def prepare(self, name: str, home: Path, progress: Progress | None = None) -> Path:
        """Build the corpus `name` where it is not there yet; its folder. Raises DataError."""
        ...

    def test_set(self, name: str, home: Path) -> Path:
        """The folder of the test set `name`, built or not. Raises DataError if unknown."""
        ...

    def asset(self, name: str, folder: Path) -> None:
        """Fetch the files of the asset `name` of a view into the new `folder`.

        Raises DataError, OSError.
        """
        ...


@functools.cache
def provider() -> Provider:
    """The provider that is installed. Raises DataError where there is none."""
    providers = list(entry_points(group=GROUP, name=NAME))
    if not providers:
        raise DataError(
            "nothing that builds demo corpora is installed",
            why=f"no package names a module '{NAME}' in the entry points '{GROUP}'",
            mend="install this package by pip (make install), or give --data a folder of shards",
        )
    return cast(Provider, providers[0].load())
