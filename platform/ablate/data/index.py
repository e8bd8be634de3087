"""Counts the samples of a folder of tars that brings no manifest, once."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path

from ablate.data.manifest import (
    MANIFEST_NAME,
    Manifest,
    ShardEntry,
    fingerprint,
    read_manifest,
    write_manifest,
)
from ablate.data.shard import Keys, cut_short
from ablate.errors import DataError

SPLIT = "all"  # a folder without a manifest is one split
TIMES_NAME = "times.json"  # beside the kept manifest: per shard its time, and the sha256 read then

Times = dict[str, tuple[int, str]]


def index_folder(folder: Path, indexes: Path) -> Manifest:
    """The manifest of `folder`, read from its tars; kept under `indexes` for the next time.

    Only shards that are new or have changed (size or time) are read again.
    Raises DataError for a folder without tars, and for a tar that is cut short.
    """
    paths = sorted(folder.glob("*.tar"))
    if not paths:
        found = sorted(p.name for p in folder.iterdir())[:5]
        raise DataError(
            f"folder {folder} holds no .tar shards",
            why=f"it holds {', '.join(found)}" if found else "it is empty",
            mend="give a folder of webdataset tars (KEY.jpg|png|webp, KEY.txt, KEY.json)",
        )
    kept = indexes / hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    known: dict[str, ShardEntry] = {}
    if (kept / MANIFEST_NAME).exists():
        known = {shard.name: shard for shard in read_manifest(kept).shards}
    times = _read_times(kept)
    shards: tuple[ShardEntry, ...] = ()
    new_times: Times = {}
    for path in paths:
        modified_ns = path.stat().st_mtime_ns  # before it is read: what changes later is noticed
        entry = _entry(path, known.get(path.name), times.get(path.name), kept)
        shards += (entry,)
        new_times[path.name] = (modified_ns, entry.sha256)
    manifest = Manifest(
        name=folder.name,
        version="1",
        captions=(),
        shards=shards,
        sources=(),
        fingerprint=fingerprint(shards),
    )
    kept.mkdir(parents=True, exist_ok=True)
    _write_times(new_times, kept)
    write_manifest(manifest, kept)
    return manifest


def _read_times(kept: Path) -> Times:
    """The kept times; none where they cannot be read, so that every shard is read again."""
    try:
        values = json.loads((kept / TIMES_NAME).read_text(encoding="utf-8"))
        return {str(name): (int(ns), str(sha256)) for name, (ns, sha256) in values.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_times(times: Times, kept: Path) -> None:
    partial = kept / f".{TIMES_NAME}.{os.getpid()}"
    partial.write_text(json.dumps(times, indent=1), encoding="utf-8")
    partial.replace(kept / TIMES_NAME)


def _entry(
    path: Path, known: ShardEntry | None, time: tuple[int, str] | None, kept: Path
) -> ShardEntry:
    stat = path.stat()
    if known and known.num_bytes == stat.st_size:
        # The very time, since a copy may bring an older one; and with the sha256, since two
        # processes that index at once may leave the manifest of one and the times of the other.
        same = time == (stat.st_mtime_ns, known.sha256)
        # A clock's tick is coarse: in that of the index, a change may not show in the time.
        if same and stat.st_mtime_ns < (kept / MANIFEST_NAME).stat().st_mtime_ns:
            return known
    if stat.st_size == 0:
        raise cut_short(str(path), "it has zero bytes")
    keys = Keys(str(path))
    try:
        with tarfile.open(path, mode="r:") as tar:
            for member in tar:
                if member.isfile():
                    keys.begins_sample(member.name)
                    if member.offset_data + member.size > stat.st_size:
                        raise tarfile.ReadError(
                            f"member {member.name} ends at byte "
                            f"{member.offset_data + member.size:,} of {stat.st_size:,}"
                        )
    except (tarfile.TarError, EOFError, OSError) as error:
        raise cut_short(str(path), str(error)) from error
    if not keys.num_samples:
        raise cut_short(str(path), "it holds no samples")
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        opened.seek(-min(1024, stat.st_size), 2)
        if any(opened.read()):
            # Cut between two members, a tar reads to its end without complaint.
            raise cut_short(str(path), "it does not end with a tar's two blocks of zeros")
    return ShardEntry(path.name, SPLIT, keys.num_samples, stat.st_size, digest)
