"""Counts the samples of a folder of tars that brings no manifest, once."""

from __future__ import annotations

import hashlib
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
    shards = tuple(_entry(path, known.get(path.name), kept) for path in paths)
    manifest = Manifest(
        name=folder.name,
        version="1",
        captions=(),
        shards=shards,
        sources=(),
        fingerprint=fingerprint(shards),
    )
    kept.mkdir(parents=True, exist_ok=True)
    write_manifest(manifest, kept)
    return manifest


def _entry(path: Path, known: ShardEntry | None, kept: Path) -> ShardEntry:
    stat = path.stat()
    newest = (kept / MANIFEST_NAME).stat().st_mtime_ns if known else 0
    if known and known.num_bytes == stat.st_size and stat.st_mtime_ns < newest:
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
