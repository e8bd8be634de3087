"""A corpus as a study states it, and the shards behind it once it has been opened."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ablate.data import demo
from ablate.data.index import index_folder
from ablate.data.manifest import MANIFEST_NAME, Manifest, ShardEntry, read_manifest
from ablate.data.remote import open_remote
from ablate.errors import DataError, nearest

HOLDOUT_ONE_IN = 20  # rows kept for evaluation where a corpus brings no test split of its own
HOLDOUT_MAX = 2_000  # and at most so many of them: their captions are the candidate names


@dataclass(frozen=True)
class Corpus:
    """Image-text shards, and the caption to read from them.

    `uri` is a folder of webdataset tars, the same in a bucket (`s3://bucket/prefix`, a glob, or a
    brace range like `{00000..01242}.tar`), or the name of a demo corpus (`demo:emoji`).
    `caption` is a field of the sample's json member, or `txt` for its text member.
    `test_split` names the evaluation split; a folder without one keeps a part of its rows.
    `window_shards` shards are shuffled together; more mixes better and holds more in memory.
    `max_bad_fraction` of the samples read may be unreadable before the trial stops.
    """

    uri: str = "demo:emoji"
    split: str = "train"
    test_split: str = "test"
    caption: str = "clean"
    window_shards: int = 4
    max_bad_fraction: float = 0.01

    def __post_init__(self) -> None:
        if not self.uri.startswith("demo:") and "://" not in self.uri:
            # One folder is one corpus, from whatever directory it is named.
            object.__setattr__(self, "uri", str(Path(self.uri).expanduser().absolute()))
        if self.window_shards < 1:
            raise DataError(
                f"Corpus.window_shards is {self.window_shards}",
                why="shards are shuffled in windows of one or more",
                mend="give 1 or more",
            )
        if not 0 <= self.max_bad_fraction <= 1:
            raise DataError(
                f"Corpus.max_bad_fraction is {self.max_bad_fraction}",
                why="it is a fraction of the samples read",
                mend="give a number from 0 to 1",
            )
        # 0 and 0.0 are one corpus, with one key.
        object.__setattr__(self, "max_bad_fraction", float(self.max_bad_fraction))


@dataclass(frozen=True)
class Rows:
    """The rows of a split: per shard its path and the row numbers that belong to it.

    `name` tells splits of one corpus apart; `fingerprint` is the content's, not the place's.
    """

    paths: tuple[str, ...]
    num_rows: tuple[int, ...]  # rows in the shard, whether they belong to the split or not
    fingerprint: str
    holdout: bool | None = None  # None: all rows; else those in (True) or not in the hold-out
    holdout_one_in: int = field(default=HOLDOUT_ONE_IN)

    def of_shard(self, shard: int) -> list[int]:
        """The row numbers of `shard` that belong to this split, ascending."""
        everyone = range(self.num_rows[shard])
        if self.holdout is None:
            return list(everyone)
        name = Path(self.paths[shard]).name
        return [
            row
            for row in everyone
            if (zlib.crc32(f"{name}/{row}".encode()) % self.holdout_one_in == 0) == self.holdout
        ]

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """How many rows of each shard belong to this split."""
        if self.holdout is None:
            return self.num_rows
        return tuple(len(self.of_shard(shard)) for shard in range(len(self.paths)))

    @property
    def num_samples(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True)
class OpenCorpus:
    """A corpus whose shards have been found and counted."""

    corpus: Corpus
    train: Rows
    test: Rows
    fingerprint: str
    manifest: Manifest
    split: str  # the one that is trained on


def open_corpus(corpus: Corpus, home: Path) -> OpenCorpus:
    """Find and count the shards of `corpus`. Raises DataError when they are not as stated."""
    if "://" in corpus.uri:
        remote = open_remote(corpus.uri, home / "indexes")
        return _opened(corpus, corpus.uri, remote.manifest, remote.places, own=remote.own)
    folder = _folder(corpus, home)
    own = not (folder / MANIFEST_NAME).exists()
    manifest = index_folder(folder, home / "indexes") if own else read_manifest(folder)
    places = {shard.name: str(folder / shard.name) for shard in manifest.shards}
    opened = _opened(corpus, str(folder), manifest, places, own=own)
    _check_shards(folder, manifest, {corpus.split, opened.split, corpus.test_split})
    return opened


def _opened(
    corpus: Corpus, where: str, manifest: Manifest, places: Mapping[str, str], *, own: bool
) -> OpenCorpus:
    fingerprint = manifest.fingerprint

    def rows(split: str, holdout: bool | None, one_in: int = HOLDOUT_ONE_IN) -> Rows:
        shards = sorted((s for s in manifest.shards if s.split == split), key=lambda s: s.name)
        return Rows(
            paths=tuple(places[s.name] for s in shards),
            num_rows=tuple(s.num_samples for s in shards),
            fingerprint=hashlib.sha256(f"{fingerprint}/{split}/{holdout}".encode()).hexdigest(),
            holdout=holdout,
            holdout_one_in=one_in,
        )

    splits = {s.split for s in manifest.shards}
    split = manifest.shards[0].split if own else corpus.split
    if split not in splits:
        raise DataError(
            f"corpus '{corpus.uri}' has no split '{split}'",
            why=f"{MANIFEST_NAME} in {where} lists none of that name",
            mend=nearest(split, splits),
        )
    if corpus.test_split in splits and not own:
        train, test = rows(split, None), rows(corpus.test_split, None)
    else:
        total = sum(s.num_samples for s in manifest.shards if s.split == split)
        one_in = max(HOLDOUT_ONE_IN, -(-total // HOLDOUT_MAX))
        train, test = rows(split, False, one_in), rows(split, True, one_in)
    if not train.num_samples or not test.num_samples:
        raise DataError(
            f"corpus '{corpus.uri}' has {train.num_samples} samples to train on and "
            f"{test.num_samples} to evaluate",
            why="a trial needs both",
            mend="give a folder with more samples",
        )
    return OpenCorpus(corpus, train, test, fingerprint, manifest, split)


def _folder(corpus: Corpus, home: Path) -> Path:
    if corpus.uri.startswith("demo:"):
        folder = demo.resolve(corpus.uri, home)
        if not folder.exists():
            raise DataError(
                f"the demo corpus '{corpus.uri}' is not built yet",
                why=f"there is no {folder}",
                mend=f"ablate prepare {corpus.uri.removeprefix('demo:')}",
            )
        return folder
    folder = Path(corpus.uri)
    if not folder.is_dir():
        beside = [p.name for p in folder.parent.iterdir()] if folder.parent.is_dir() else []
        hint = nearest(folder.name, beside) if beside else f"There is no {folder.parent} either."
        raise DataError(
            f"corpus folder {folder} does not exist",
            why="--data (or Corpus.uri) names a folder of webdataset tars",
            mend=hint,
        )
    return folder


def _check_shards(folder: Path, manifest: Manifest, splits: set[str]) -> None:
    """A shard that is gone or has changed is another corpus: say so before training on it.

    Only shards newer than the manifest are read. A folder without one was indexed just now.
    """
    listed = folder / MANIFEST_NAME
    written_ns = listed.stat().st_mtime_ns if listed.exists() else None
    for shard in manifest.shards:
        if shard.split not in splits:
            continue
        path = folder / shard.name
        try:
            stat = path.stat()
        except FileNotFoundError:
            stat = None
        if stat is None or stat.st_size != shard.num_bytes:
            raise DataError(
                f"shard {path} has {'gone' if stat is None else f'{stat.st_size:,} bytes'}",
                why=f"the manifest says {shard.num_bytes:,} bytes",
                mend="restore the shard, or build the corpus anew",
            )
        if written_ns is not None and stat.st_mtime_ns > written_ns:
            _check_content(path, shard)


def _check_content(path: Path, shard: ShardEntry) -> None:
    if not shard.sha256:  # nobody has read the content: the size stands for it
        return
    try:
        with path.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"shard {path} cannot be read", why=str(error), mend="restore the shard"
        ) from error
    if found != shard.sha256:
        raise DataError(
            f"shard {path} has changed since {MANIFEST_NAME} was written",
            why=f"it is newer, of the same size, and its sha256 is {found[:12]}…; "
            f"the manifest says {shard.sha256[:12]}…",
            mend="restore the shard, or build the corpus anew",
        )
