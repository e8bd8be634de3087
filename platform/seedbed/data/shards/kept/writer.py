"""Writes what is read of shards as parts of an index, while the shards are read."""

from __future__ import annotations

import time
from contextlib import suppress
from types import TracebackType

from seedbed.data.shards.kept import part as parts
from seedbed.data.shards.kept.part import Part, name_of, packed, part_of, weight
from seedbed.data.shards.shard_index import Read
from seedbed.errors import DataError
from seedbed.storage.objects import at, write_object

FOLDER = "rows"  # in the place of an index
SAVE_SECONDS = 300.0  # of reading that an interruption may cost


class PartWriter:
    """Parts in `place`, a full one after the other; in memory where `place` is "".

    What is not a part yet is written every SAVE_SECONDS as a small one, which the next replaces; so
    where full parts end depends on the shards alone, and not on the time. At the end of the block,
    whatever ended it, what is left is written. Raises DataError where it cannot be.
    """

    def __init__(self, place: str) -> None:
        self.parts: list[Part] = []
        self._place = place
        self._left: list[Read] = []
        self._weight = 0
        self._small: Part | None = None
        self._saved = time.monotonic()

    def add(self, read: Read) -> None:
        self._left.append(read)
        self._weight += weight(1, len(read.rows.digests), len(read.rows.starts))
        if self._weight >= parts.PART_BYTES:
            self.parts.append(self._written())
            self._left, self._weight, self._small = [], 0, None
        elif self._place and time.monotonic() - self._saved >= SAVE_SECONDS:
            self._small = self._written()

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None
    ) -> None:
        if not self._left:
            return
        if kind is None:
            self.parts.append(self._written())
        elif self._place:
            with suppress(DataError):  # the first fault is the one to be told
                self._written()

    def _written(self) -> Part:
        content = packed(self._left)
        if not self._place:
            return part_of("", content, held=True)
        place = f"{self._place}/{FOLDER}/{name_of(content)}"
        write_object(place, content)
        if self._small and self._small.place != place:
            with suppress(DataError):  # it is passed over: the larger one is believed
                at(place).remove(self._small.place)
        self._saved = time.monotonic()
        return part_of(place, content)
