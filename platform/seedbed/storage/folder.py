"""A folder of results: trial records, weights and cohort checkpoints, local or in a bucket."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seedbed.errors import DataError, StudyError
from seedbed.storage import client, s3
from seedbed.storage.address import Object
from seedbed.storage.copies import forget_copy, shared_copy
from seedbed.storage.objects import at

MARK_NAME = "folder.json"


class Folder:
    """Small files under `uri`, a local path or `s3://bucket/prefix`, written whole or not at all.

    Layout: `trials/<key>/` holds a finished trial, `cohorts/<run>/` the checkpoints of one start of
    a cohort and `cohorts/<run>.json` its members, `held_out/` the rendered pairs that trials are
    scored on, `aside/` what trials left on data that have changed since. Requests to a bucket are
    retried (see `retry`). Raises DataError for permanent errors.
    """

    def __init__(self, uri: str) -> None:
        scheme, separator, rest = uri.partition("://")
        self.local = not separator or scheme == "file"
        if not self.local and (scheme != "s3" or not rest.strip("/")):
            raise StudyError(
                f"--storage '{uri}' cannot be opened",
                why="results are kept in a local folder or in an S3 bucket",
                mend="give a folder, or s3://bucket/prefix",
            )
        path = rest if separator else uri
        self.uri = str(Path(path).expanduser().absolute()) if self.local else uri.rstrip("/")
        self._at = at(self.uri)

    @property
    def root(self) -> str:
        """The path without its scheme, as Ray and pyarrow write it."""
        return self.uri if self.local else self.uri.partition("://")[2]

    @property
    def server(self) -> str:
        """Who answers requests, for a message."""
        return "this machine" if self.local else client.server()

    def sub(self, *parts: str) -> Folder:
        """A folder below this one."""
        return Folder(self.place(*parts))

    def place(self, *parts: str) -> str:
        """The address of a file: a path, or a uri with its scheme."""
        return "/".join([self.uri, *parts])

    def path(self, *parts: str) -> str:
        """The same without its scheme."""
        return "/".join([self.root, *parts])

    def parts(self, path: str) -> tuple[str, ...]:
        """The parts from which `path` makes this path."""
        return Path(path).relative_to(self.root).parts

    def _find(self, *parts: str) -> Object | None:
        entry: Object | None = self._at.find(self.place(*parts))
        return entry

    def exists(self, *parts: str) -> bool:
        """Whether there is such a file."""
        return self._find(*parts) is not None

    def num_bytes(self, *parts: str) -> int | None:
        """The size of a file; None where there is none."""
        entry = self._find(*parts)
        return None if entry is None else entry.num_bytes

    def write_bytes(self, content: bytes, *parts: str) -> None:
        """Atomic: a reader sees the old file, or the new one whole."""
        self._at.write(self.place(*parts), content)

    def _read(self, *parts: str) -> bytes | None:
        content: bytes | None = self._at.read(self.place(*parts))
        return content

    def read_bytes(self, *parts: str) -> bytes:
        """The whole file. Raises DataError where there is none."""
        content = self._read(*parts)
        if content is None:
            raise self._gone(*parts)
        return content

    def _gone(self, *parts: str) -> DataError:
        return DataError(
            f"{self.place(*parts)} is gone",
            why="the results were listed with it",
            mend="restore it, or remove the folder it was in: what is missing is trained again",
        )

    def write_json(self, value: Any, *parts: str) -> None:
        self.write_bytes(json.dumps(value, indent=1, sort_keys=True).encode(), *parts)

    def read_json(self, *parts: str) -> Any:
        """The parsed file, or None where there is none."""
        content = self._read(*parts)
        return None if content is None else json.loads(content)

    def read_aged(self, *parts: str) -> tuple[Any, float] | None:
        """The parsed file, and how many seconds old it is by the clock of where it lies."""
        content = self._at.get(self.place(*parts))
        return None if content is None else (json.loads(content.body), content.age_seconds)

    def names(self, *parts: str) -> list[str]:
        """The names in a folder, sorted; none where it does not exist."""
        place = self.place(*parts, "")
        entries, folders = self._at.files(place, deep=False)
        return sorted({*folders, *(entry.uri.removeprefix(place) for entry in entries)})

    def sizes(self, *parts: str) -> dict[str, int]:
        """Bytes of every file below a folder, by its path in there; one listing, however many."""
        place = self.place(*parts, "")
        entries, _ = self._at.files(place, deep=True)
        return {entry.uri.removeprefix(place): entry.num_bytes for entry in entries}

    def remove(self, *parts: str) -> None:
        """Delete a file, or a folder and all in it; nothing happens where there is none."""
        self._at.remove(self.place(*parts))

    def move(self, source: tuple[str, ...], target: tuple[str, ...]) -> None:
        """Move a file; an existing target is overwritten."""
        self._at.move(self.place(*source), self.place(*target))

    def mark(self, *, make: bool = True) -> str:
        """16 hex digits that tell this folder from any other, wherever it is moved.

        Made at the first call, by the holder of the study's lock; "" where there is none and `make`
        is False.
        """
        known = self.read_json(MARK_NAME)
        if known is None and make:
            known = {"mark": secrets.token_hex(8)}
            self.write_json(known, MARK_NAME)
        return str(known["mark"]) if known else ""

    def upload(self, source: Path, *parts: str) -> None:
        """Copy the files of the local folder `source`, each atomic."""
        for file in sorted(source.rglob("*")):
            if file.is_file():
                self._at.upload(file, self.place(*parts, *file.relative_to(source).parts))

    @contextlib.contextmanager
    def as_file(self, *parts: str) -> Iterator[Path]:
        """The file on this machine: itself, or a copy for the length of the block."""
        if self.local:
            yield Path(self.path(*parts))
            return
        with tempfile.TemporaryDirectory(prefix="seedbed-") as scratch:
            copy = Path(scratch) / parts[-1]
            if not s3.download(self.place(*parts), copy):
                raise self._gone(*parts)
            yield copy

    def on_node(self, *parts: str, made: Path | None = None) -> Path | None:
        """The file on this machine: itself, or a copy that all processes of the machine share.

        None where there is none. `made` is a file of the same content, where this process has just
        written it: then nobody here fetches it.
        """
        entry = self._find(*parts)
        if entry is None:
            return None
        if self.local:
            return Path(entry.uri)

        def fetch(target: Path) -> None:
            if made is not None:
                shutil.copyfile(made, target)
            elif not s3.download(entry.uri, target):
                raise self._gone(*parts)

        return shared_copy(entry.uri, entry.etag, fetch)

    def forget_on_node(self, *parts: str) -> None:
        """Fetch the file anew where `on_node` is asked for it next: its copy is damaged."""
        entry = self._find(*parts)
        if entry is not None and not self.local:
            forget_copy(entry.uri, entry.etag)

    def free_bytes(self) -> int | None:
        """Room left on a local disk; None for a bucket."""
        if not self.local:
            return None
        folder = Path(self.root)
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free
