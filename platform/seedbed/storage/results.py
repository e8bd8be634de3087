"""The results folder: trial records, weights and cohort checkpoints, local or in a bucket."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.fs as fs

from seedbed.errors import StudyError
from seedbed.storage import s3

T = TypeVar("T")
MARK_NAME = "folder.json"


class Store:
    """Small files under `uri`, written whole or not at all.

    `uri` is a folder or what pyarrow opens (`s3://bucket/prefix`). Layout: `trials/<key>/` holds
    a finished trial, `cohorts/<run>/` the checkpoints of one start of a cohort and
    `cohorts/<run>.json` its members, `aside/` what trials left on data that have changed since.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri if "://" in uri else str(Path(uri).expanduser().absolute())
        try:
            self._fs, self._root = fs.FileSystem.from_uri(self.uri)
        except (OSError, ValueError) as error:
            raise StudyError(
                f"--storage '{uri}' cannot be opened",
                why=str(error),
                mend="give a folder, or s3://bucket/prefix",
            ) from error

    @property
    def local(self) -> bool:
        return isinstance(self._fs, fs.LocalFileSystem)

    @property
    def filesystem(self) -> fs.FileSystem:
        """What Ray reads and writes checkpoints with."""
        return self._fs

    @property
    def root(self) -> str:
        """The path without its scheme, for a local store a plain path."""
        return self._root

    def sub(self, *parts: str) -> Store:
        """The store of a sub-folder."""
        return Store("/".join([self.uri.rstrip("/"), *parts]))

    def path(self, *parts: str) -> str:
        return "/".join([self._root.rstrip("/"), *parts])

    def place(self, *parts: str) -> str:
        """Where a person finds it: a path, or a uri with its scheme."""
        return "/".join([self.uri.rstrip("/"), *parts])

    def patiently(self, act: Callable[[], T], what: str) -> T:
        """`act()`, some calls on a bucket, waited for as corpora are (`weather.py`).

        Safe to repeat. Raises UnavailableError where the store is away for longer than that, and
        DataError for what waiting does not mend. A folder is asked once.
        """
        return act() if self.local else s3.through_arrow(self.uri, act, what)

    def _kind(self, *parts: str) -> Any:
        path = self.path(*parts)
        return self.patiently(lambda: self._fs.get_file_info(path).type, f"asking for {path}")

    def exists(self, *parts: str) -> bool:
        return bool(self._kind(*parts) != fs.FileType.NotFound)

    def write_bytes(self, content: bytes, *parts: str) -> None:
        """Atomic: a reader sees the old file, or the new one whole."""
        path = self.path(*parts)
        # An object appears whole when its upload completes.
        if self.uri.startswith("s3://") and len(content) <= s3.MAX_PUT_BYTES:
            s3.write(self.place(*parts), content)
            return
        if not self.local:

            def put() -> None:
                with self._fs.open_output_stream(path) as out:
                    out.write(content)

            self.patiently(put, f"writing {self.place(*parts)}")
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        with partial.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(target)

    def read_bytes(self, *parts: str) -> bytes:
        def get() -> bytes:
            with self._fs.open_input_stream(self.path(*parts)) as opened:
                return bytes(opened.read())

        return self.patiently(get, f"reading {self.place(*parts)}")

    def write_json(self, value: Any, *parts: str) -> None:
        self.write_bytes(json.dumps(value, indent=1, sort_keys=True).encode(), *parts)

    def read_json(self, *parts: str) -> Any:
        """The parsed file, or None where there is none."""
        return json.loads(self.read_bytes(*parts)) if self.exists(*parts) else None

    def names(self, *parts: str) -> list[str]:
        """The names in a folder, sorted; none where it does not exist."""
        return sorted(info.base_name for info in self._listed(*parts, deep=False))

    def sizes(self, *parts: str) -> dict[str, int]:
        """Bytes of every file below a folder, by its path in there; one listing, however many."""
        root = self.path(*parts) + "/"
        files = (info for info in self._listed(*parts, deep=True) if info.is_file)
        return {info.path.removeprefix(root): int(info.size) for info in files}

    def _listed(self, *parts: str, deep: bool) -> list[Any]:
        selector = fs.FileSelector(self.path(*parts), recursive=deep, allow_not_found=True)
        listed = self.patiently(
            lambda: self._fs.get_file_info(selector), f"listing {self.place(*parts)}"
        )
        return list(listed)

    def remove(self, *parts: str) -> None:
        """Delete a file, or a folder and all in it; nothing happens where there is none."""

        def delete() -> None:
            path = self.path(*parts)
            kind = self._fs.get_file_info(path).type
            if kind == fs.FileType.Directory:
                self._fs.delete_dir(path)
            elif kind == fs.FileType.File:
                self._fs.delete_file(path)

        self.patiently(delete, f"deleting {self.place(*parts)}")

    def mark(self, *, make: bool = True) -> str:
        """16 hex digits that tell this folder from any other, wherever it is moved.

        Made at the first call, for whoever holds the study's lock; "" where there is none and
        `make` is False.
        """
        known = self.read_json(MARK_NAME)
        if known is None and make:
            known = {"mark": secrets.token_hex(8)}
            self.write_json(known, MARK_NAME)
        return str(known["mark"]) if known else ""

    def move(self, source: tuple[str, ...], target: tuple[str, ...]) -> None:
        """Move a file, over what is there."""
        self._fs.create_dir(self.path(*target[:-1]), recursive=True)
        self._fs.move(self.path(*source), self.path(*target))

    def num_bytes(self, *parts: str) -> int | None:
        """The size of a file; None where there is none."""
        size = self._fs.get_file_info(self.path(*parts)).size
        return None if size is None else int(size)

    def upload(self, folder: Path, *parts: str) -> None:
        """Copy the files of a local folder."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.write_bytes(file.read_bytes(), *parts, *file.relative_to(folder).parts)

    def free_bytes(self) -> int | None:
        """Room left on a local disk; None for a bucket."""
        if not self.local:
            return None
        folder = Path(self._root)
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free
