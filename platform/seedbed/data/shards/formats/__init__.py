"""Formats of shards: one a file, found by walking this folder."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil

from seedbed.data.shards.formats.format import ShardFormat
from seedbed.errors import DataError, nearest


@functools.cache
def all_formats() -> tuple[ShardFormat, ...]:
    """Every format of this folder, by the name of its file, the last one first: tars are most."""
    formats: list[ShardFormat] = []
    for entry in sorted(pkgutil.iter_modules(__path__), key=lambda entry: entry.name, reverse=True):
        module = importlib.import_module(f"{__name__}.{entry.name}")
        formats += [
            kind()
            for _, kind in inspect.getmembers(module, inspect.isclass)
            if issubclass(kind, ShardFormat)
            and kind.__module__ == module.__name__
            and not inspect.isabstract(kind)
        ]
    return tuple(formats)


@functools.cache
def suffixes() -> tuple[str, ...]:
    """The ends of names by which shards are known."""
    return tuple(one.suffix for one in all_formats())


def format_of(path: str) -> ShardFormat:
    """The format of the shard at `path`, by its end. Raises DataError where none has that end."""
    for one in all_formats():
        if path.endswith(one.suffix):
            return one
    raise DataError(
        f"{path} is of no known format of shards",
        why=f"a shard's name ends in {' or '.join(suffixes())}",
        mend=nearest("." + path.rpartition(".")[2], suffixes()),
    )
