"""One source of a corpus, opened: its shards, where each lies, and how it looked just now."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedbed.data.provided import PREFIX, provider
from seedbed.data.shards.formats import suffixes
from seedbed.data.shards.groups import mean_group_of
from seedbed.data.shards.index import (
    FOLDER,
    folder_of,
    index_source,
    read_shards,
    shards_of,
    up_to_date,
)
from seedbed.data.shards.kept.stock import parts_in
from seedbed.data.shards.manifest import (
    DIGESTS,
    MANIFEST_NAME,
    Manifest,
    ShardEntry,
    fingerprint,
    parse_manifest,
    read_manifest,
)
from seedbed.data.shards.spread import Spread, in_threads
from seedbed.errors import DataError, nearest
from seedbed.storage.address import has_braces, has_glob
from seedbed.storage.objects import at, etag_of, exists, list_objects, read_object

SPLIT = "all"  # a source without a manifest is one split
ALL = ""  # where pairs are counted by split: all of a source that nobody described


@dataclass(frozen=True)
class OpenSource:
    """The shards of one source.

    `places` and `etags` are by the shards' names; `own` where nobody described the shards and
    the manifest is what was found. `kept_in` are where an index of them is looked for, and
    `num_bad` counts the samples that it found to be bad.
    """

    uri: str
    manifest: Manifest
    places: Mapping[str, str]
    etags: Mapping[str, str]
    own: bool
    kept_in: tuple[str, ...]
    num_bad: int = 0


def index_places(uri: str, home: Path) -> tuple[str, str]:
    """Where an index of `uri` is looked for: beside the shards, and under SEEDBED_HOME."""
    mark = hashlib.sha256(uri.encode()).hexdigest()[:16]
    beside = f"{folder_of(uri)}{FOLDER}"
    # Two patterns of one folder are two lists of shards.
    named = uri.rstrip("/") + "/" != folder_of(uri)
    return (f"{beside}/{mark}" if named else beside), str(home / "indexes" / mark)


def open_source(uri: str, home: Path, *, spread: Spread = in_threads) -> OpenSource:
    """Find and count the shards of `uri`. Raises DataError when they are not as stated.

    Beside a manifest.json the shards need only be there, with its sizes; those that are read for
    where their rows begin must have its digests. Others are read once; an index of them that is
    older than they are is refused.
    """
    remote = "://" in uri and not uri.startswith(PREFIX)
    folder = uri if remote else str(_folder(uri, home))
    pattern = has_glob(folder) or has_braces(folder)
    listed = f"{folder.rstrip('/')}/{MANIFEST_NAME}"
    if not pattern and (exists(listed) if remote else Path(listed).exists()):
        return _described(uri, folder, index_places(folder, home), remote=remote)
    beside, at_home = index_places(folder, home)
    index = index_source(folder, (beside, at_home), (at_home,), spread=spread, renew=False)
    shards = tuple(
        ShardEntry(s.name, SPLIT, s.num_samples, s.num_bytes, s.digest) for s in index.shards
    )
    root = folder_of(folder)
    manifest = Manifest(
        name=Path(folder).name,
        version="1",
        captions=tuple(sorted(set[str]().union(*(s.captions for s in index.shards)))),
        shards=shards,
        sources=(),
        fingerprint=fingerprint(shards),
    )
    return OpenSource(
        uri,
        manifest,
        {s.name: root + s.name for s in shards},
        {s.name: s.etag for s in index.shards},
        own=True,
        kept_in=(beside, at_home),
        num_bad=sum(s.num_bad for s in index.shards),
    )


@dataclass(frozen=True)
class Counted:
    """How many pairs a source has by split, and bytes in all.

    `group_rows` are the rows of the group that one is read with, on average, as far as an index
    knows them; 0 where rows are read one by one.
    """

    rows: Mapping[str, int]
    num_bytes: int
    group_rows: float = 0.0


def counts_at(uri: str, home: Path) -> Counted | None:
    """What a source has, from its manifest or an index; None without either.

    A demo corpus that is not built yet is not counted. Raises DataError for a folder that is not
    there, for a manifest that cannot be believed, and for an index older than the shards.
    """
    if uri.startswith(PREFIX) and not provider().resolve(uri, home).exists():
        return None
    remote = "://" in uri and not uri.startswith(PREFIX)
    folder = uri if remote else str(_folder(uri, home))
    listed = f"{folder.rstrip('/')}/{MANIFEST_NAME}"
    counts: dict[str, int] = {}
    if not (has_glob(folder) or has_braces(folder)) and exists(listed):
        described = parse_manifest(read_object(listed), listed).shards
        for shard in described:
            counts[shard.split] = counts.get(shard.split, 0) + shard.num_samples
        groups = mean_group_of(described, index_places(folder, home))
        return Counted(counts, sum(shard.num_bytes for shard in described), groups)
    places: Sequence[str] = index_places(folder, home)
    if indexed := {place: found for place in places if (found := parts_in(place))}:
        places = up_to_date(folder, indexed, shards_of(folder))
    for place in places:
        if shards := read_shards(place):
            rows = {ALL: sum(shard.num_samples for shard in shards)}
            return Counted(
                rows, sum(shard.num_bytes for shard in shards), mean_group_of(shards, [place])
            )
    return None


def _described(uri: str, folder: str, kept_in: tuple[str, ...], *, remote: bool) -> OpenSource:
    """A folder whose manifest.json says what belongs to it."""
    root = folder.rstrip("/") + "/"
    if not remote:
        manifest = read_manifest(Path(folder))
        _check_shards(Path(folder), manifest)
        etags = {s.name: etag_of(root + s.name) for s in manifest.shards}
    else:
        listed = root + MANIFEST_NAME
        manifest = parse_manifest(read_object(listed), listed)
        deep = any("/" in shard.name for shard in manifest.shards)
        entries = at(root).files(root, deep=True)[0] if deep else list_objects(folder, suffixes())
        objects = {item.uri.removeprefix(root): item for item in entries}
        for shard in manifest.shards:
            item = objects.get(shard.name)
            _check_size(root + shard.name, shard, item.num_bytes if item else None)
        etags = {s.name: objects[s.name].etag for s in manifest.shards}
    places = {s.name: root + s.name for s in manifest.shards}
    return OpenSource(uri, manifest, places, etags, own=False, kept_in=kept_in)


def _folder(uri: str, home: Path) -> Path:
    if uri.startswith(PREFIX):
        folder = provider().resolve(uri, home)
        if not folder.exists():
            raise DataError(
                f"the demo corpus '{uri}' is not built yet",
                why=f"there is no {folder}",
                mend=f"seedbed prepare {uri.removeprefix(PREFIX)}",
            )
        return folder
    folder = Path(uri)
    if not (folder.exists() or has_glob(uri) or has_braces(uri)):
        beside = [p.name for p in folder.parent.iterdir()] if folder.parent.is_dir() else []
        hint = nearest(folder.name, beside) if beside else f"There is no {folder.parent} either."
        raise DataError(
            f"corpus folder {folder} does not exist",
            why="--data (or Corpus.uri) names a folder of webdataset tars",
            mend=hint,
        )
    inside = [p.name for p in folder.iterdir()] if folder.is_dir() else []
    if folder.is_dir() and not any(name.endswith(suffixes()) for name in inside):
        names = sorted(inside)[:5]
        if MANIFEST_NAME not in names:
            raise DataError(
                f"folder {folder} holds no .tar shards",
                why=f"it holds {', '.join(names)}" if names else "it is empty",
                mend="give a folder of webdataset tars (KEY.jpg|png|webp, KEY.txt, KEY.json)",
            )
    return folder


def _check_shards(folder: Path, manifest: Manifest) -> None:
    """A shard that is gone or has changed is another corpus: say so before training on it.

    Only shards newer than the manifest are read.
    """
    written_ns = (folder / MANIFEST_NAME).stat().st_mtime_ns
    for shard in manifest.shards:
        path = folder / shard.name
        try:
            stat = path.stat()
        except FileNotFoundError:
            stat = None
        _check_size(str(path), shard, stat.st_size if stat else None)
        if stat and stat.st_mtime_ns > written_ns:
            _check_content(path, shard)


def _check_size(place: str, shard: ShardEntry, num_bytes: int | None) -> None:
    if num_bytes != shard.num_bytes:
        raise DataError(
            f"shard {place} {'has gone' if num_bytes is None else f'has {num_bytes:,} bytes'}",
            why=f"{MANIFEST_NAME} says {shard.num_bytes:,} bytes",
            mend="restore the shard, or build the corpus anew",
        )


def _check_content(path: Path, shard: ShardEntry) -> None:
    if not shard.sha256:  # nobody has read the content: the size stands for it
        return
    kind, _, said = shard.sha256.rpartition(":")
    try:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, DIGESTS[kind]).hexdigest()
    except OSError as error:
        raise DataError(
            f"shard {path} cannot be read", why=str(error), mend="restore the shard"
        ) from error
    if digest != said:
        raise DataError(
            f"shard {path} has changed since {MANIFEST_NAME} was written",
            why=f"it is newer, of the same size, and its {kind or 'sha256'} is {digest[:12]}…; "
            f"the manifest's field 'sha256' says {said[:12]}…",
            mend="restore the shard, or build the corpus anew",
        )
