"""Formats of shards: one a file, found by walking this folder."""

from __future__ import annotations

import functools

from seedbed.data.shards.formats.format import ShardFormat
from seedbed.errors import DataError, nearest
from seedbed.found import classes_in


@functools.cache
def all_formats() -> tuple[ShardFormat, ...]:
    """Every format of this folder, by the name of its file, the last one first: tars are most."""
    return tuple(kind() for _, kind in classes_in(__name__, ShardFormat))[::-1]


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
