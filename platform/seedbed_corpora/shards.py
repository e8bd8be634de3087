"""Writes pairs as webdataset shards: the same bytes every time, finished ones kept."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import signal
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

from seedbed.data.shards.manifest import ShardEntry
from seedbed.errors import DataError
from seedbed.storage import local

SHARD_SAMPLES = 256
MAX_PROCESSES = 8  # drawing takes seconds in all; more would only cost their start
NOTE = ".note.json"  # beside a finished shard, until the corpus is whole


@dataclass(frozen=True)
class Drawing:
    """An SVG, to be rendered at `size` pixels a side."""

    svg: bytes
    size: int

    def png(self) -> bytes:
        """The picture with its transparency. Raises ValueError for what is not an SVG."""
        import resvg_py

        # Without the machine's fonts: what is drawn must not depend on where it is drawn.
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=self.svg.decode(),
                width=self.size,
                height=self.size,
                skip_system_fonts=True,
            )
        )


@dataclass(frozen=True)
class Pair:
    """A picture (PNG bytes, or a drawing) with its captions, and the split it belongs to.

    `name` is its own among all pairs; it also seeds its place in the split.
    """

    name: str
    split: str
    picture: bytes | Drawing
    clean: str
    raw: str
    source: str
    about: dict[str, str | bool] = field(default_factory=dict)

    def png(self) -> bytes:
        """The picture's PNG. Raises DataError for a drawing that cannot be rendered."""
        if isinstance(self.picture, bytes):
            return self.picture
        try:
            return self.picture.png()
        except ValueError as error:
            raise DataError(
                f"the drawing {self.name} cannot be rendered",
                why=str(error),
                mend="install the renderer at the pinned version: pip install 'seedbed[demo]'",
            ) from error


@dataclass(frozen=True)
class Shard:
    """What goes into one tar."""

    split: str
    number: int
    pairs: tuple[Pair, ...]

    @property
    def file_name(self) -> str:
        return f"{self.split}-{self.number:05}.tar"


def plan_shards(pairs: Sequence[Pair], shard_samples: int = SHARD_SAMPLES) -> list[Shard]:
    """Shards of up to `shard_samples` pairs of one split, mixed by a hash of the pair's name."""
    splits: dict[str, list[Pair]] = {}
    for pair in pairs:
        splits.setdefault(pair.split, []).append(pair)
    shards: list[Shard] = []
    for split, members in sorted(splits.items()):
        # Sources come one after the other; hashed, every shard is a sample of all of them.
        members.sort(key=lambda pair: hashlib.sha256(pair.name.encode()).digest())
        for number, first in enumerate(range(0, len(members), shard_samples)):
            part = tuple(members[first : first + shard_samples])
            shards.append(Shard(split, number, part))
    return shards


def write_shards(
    shards: Sequence[Shard], folder: Path, done: Callable[[], None]
) -> list[ShardEntry]:
    """Write `shards` into `folder` on all cores, calling `done` after each.

    A shard that an earlier call finished from the same pairs is left as it is.
    """
    if any(isinstance(pair.picture, Drawing) for shard in shards for pair in shard.pairs):
        _check_renderer()
    # Processes, because the renderer holds the interpreter's lock.
    pool = ProcessPoolExecutor(min(os.cpu_count() or 1, MAX_PROCESSES), initializer=_follow)
    entries: list[ShardEntry] = []
    try:
        for entry in pool.map(write_shard, shards, [folder] * len(shards)):
            entries.append(entry)
            done()
    finally:
        pool.shutdown(cancel_futures=True)
    return entries


def write_shard(shard: Shard, folder: Path) -> ShardEntry:
    """Write one shard, whole or not at all; a finished one of the same pairs is kept."""
    path = folder / shard.file_name
    note = path.with_suffix(NOTE)
    made_from = _digest(shard)
    kept = _finished(path, note, made_from)
    if kept is not None:
        return kept
    content = tar_bytes(shard)
    digest = hashlib.sha256(content).hexdigest()
    entry = ShardEntry(path.name, shard.split, len(shard.pairs), len(content), digest)
    local.write(path, content)
    text = json.dumps({"made_from": made_from, "entry": asdict(entry)})
    local.write(note, text.encode())
    return entry


def clear_notes(folder: Path) -> None:
    """Remove what only an interrupted build needs."""
    for left in (*folder.glob(f"*{NOTE}"), *folder.glob("*.unfinished")):
        left.unlink(missing_ok=True)


def tar_bytes(shard: Shard) -> bytes:
    """A tar without times, owners or anything else that differs between two builds."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in _members(shard):
            member = tarfile.TarInfo(name)  # mode 0644, owner 0, time 0
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _members(shard: Shard) -> Iterator[tuple[str, bytes]]:
    for row, pair in enumerate(shard.pairs):
        # Unique over the corpus, and without a dot: webdataset's key ends at the first one.
        key = f"{shard.split}-{shard.number:05}-{row:04}"
        about = {
            "key": key,
            "clean": pair.clean,
            "raw": pair.raw,
            "source": pair.source,
            "name": pair.name,
            **pair.about,
        }
        yield f"{key}.png", pair.png()
        yield f"{key}.txt", pair.clean.encode()
        yield f"{key}.json", json.dumps(about, sort_keys=True, ensure_ascii=False).encode()


def _digest(shard: Shard) -> str:
    """sha256 of all that a shard is made from, drawings not yet rendered."""
    digest = hashlib.sha256()
    for pair in shard.pairs:
        picture = pair.picture
        content = picture if isinstance(picture, bytes) else picture.svg
        size = 0 if isinstance(picture, bytes) else picture.size
        words = [pair.name, pair.split, pair.clean, pair.raw, pair.source, pair.about, size]
        digest.update(json.dumps(words, sort_keys=True).encode())
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def _finished(path: Path, note: Path, made_from: str) -> ShardEntry | None:
    """The entry of a shard that stands in `path`, whole and made from the same pairs."""
    try:
        noted = json.loads(note.read_bytes())
        entry = ShardEntry(**noted["entry"])
        sound = noted["made_from"] == made_from
        sound = sound and hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no note, or one cut short: the shard is written again
    return entry if sound else None


def _check_renderer() -> None:
    try:
        import resvg_py  # noqa: F401
    except ImportError as error:
        raise DataError(
            "the renderer resvg_py is not installed",
            why="a part of the pictures is published as drawings (SVG)",
            mend="pip install 'seedbed[demo]', or give an own folder by --data",
        ) from error


def _follow() -> None:
    """In a writing process: leave Ctrl-C to the process that builds, and end when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    builder = multiprocessing.parent_process()
    if builder is not None:

        def watch(sentinel: int) -> None:
            wait([sentinel])
            os._exit(1)

        threading.Thread(target=watch, args=(builder.sentinel,), daemon=True).start()
