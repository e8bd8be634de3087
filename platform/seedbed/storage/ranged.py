"""A file in a folder or a bucket that can seek, of which only what is asked for is read."""

from __future__ import annotations

import io
from functools import cached_property
from typing import Any

from seedbed.storage.objects import find_object, read_object


class RangedFile(io.RawIOBase):
    """The file at `path`; DataError is raised where it is not the one with `etag` ("" for any)."""

    def __init__(self, path: str, etag: str = "") -> None:
        super().__init__()
        self._path, self._etag, self._place = path, etag, 0

    @cached_property
    def _size(self) -> int:
        return find_object(self._path).num_bytes

    def as_file(self) -> Any:
        return self

    def bytes_at(self, start: int, stop: int) -> bytes:
        return read_object(self._path, start=start, stop=stop, etag=self._etag)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = base + offset
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        most = self._size - self._place
        length = most if size is None or size < 0 else min(size, most)
        if length <= 0:
            return b""
        content = self.bytes_at(self._place, self._place + length)
        self._place += len(content)
        return content
