"""What an augmentation of any view is, and the files that it may need beside the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol


class Asset(Protocol):
    """Files that an augmentation reads: a dictionary, a table of fonts.

    A small value that can be pickled. The driver calls `prepare` and `pack` once a study; every
    data task calls `install` before it makes a view, and most find the files in place.
    """

    @property
    def name(self) -> str:
        """What tells it from other assets."""
        ...

    def prepare(self, home: Path) -> Path:
        """The folder of the files on this machine; fetched into `home` where there are none.

        Raises DataError when they cannot be had.
        """
        ...

    def pack(self) -> bytes:
        """The files, for machines that have none."""
        ...

    def install(self, packed: Callable[[], bytes]) -> None:
        """Put what `pack` made where this process looks, if it finds none there."""
        ...


class Augmentation:
    """What makes a view of a sample. Subclasses are frozen dataclasses."""

    @property
    def assets(self) -> tuple[Asset, ...]:
        """What it reads beside the sample; nothing by default."""
        return ()


class Owner(Protocol):
    """An augmentation, or what has several: a recipe, a cohort."""

    @property
    def assets(self) -> tuple[Asset, ...]:
        """What it reads beside the samples."""
        ...


def all_assets(owners: Iterable[Owner]) -> tuple[Asset, ...]:
    """The assets of all `owners`, each once, by name."""
    by_name = {asset.name: asset for owner in owners for asset in owner.assets}
    return tuple(by_name[name] for name in sorted(by_name))
