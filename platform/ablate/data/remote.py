"""A corpus in a bucket: its manifest, or an index of its shards kept at home."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ablate.data.index import SPLIT
from ablate.data.manifest import (
    MANIFEST_NAME,
    Manifest,
    ShardEntry,
    fingerprint,
    read_manifest,
    write_manifest,
)
from ablate.data.shard import cut_short, samples_of
from ablate.data.sources import has_braces, has_glob
from ablate.data.storage import Object, exists, list_objects, read_object
from ablate.errors import DataError

ETAGS_NAME = "etags.json"  # beside the kept index: per shard the etag that was read


@dataclass(frozen=True)
class RemoteCorpus:
    """The shards of a corpus and where each lies; `own` where nobody described them."""

    manifest: Manifest
    places: dict[str, str]
    own: bool


def open_remote(uri: str, indexes: Path) -> RemoteCorpus:
    """List the shards of `uri` (a prefix, a glob or a brace range) and count their samples.

    Beside a manifest.json the shards need only be there, with its sizes; else each is read once,
    and again only when its etag changes. Raises DataError when they are not as stated.
    """
    objects = [found for found in list_objects(uri) if found.uri.endswith(".tar")]
    places: dict[str, str] = {}
    for found in objects:
        name = PurePosixPath(found.uri).name
        if places.setdefault(name, found.uri) != found.uri:
            raise DataError(
                f"'{uri}' holds two shards named {name}",
                why=f"{places[name]} and {found.uri} could not be told apart",
                mend="rename one of them, or name fewer folders",
            )
    kept = indexes / hashlib.sha256(uri.encode()).hexdigest()[:16]
    kept.mkdir(parents=True, exist_ok=True)
    described = f"{uri.rstrip('/')}/{MANIFEST_NAME}"
    if not (has_glob(uri) or has_braces(uri)) and exists(described):
        listed = kept / "listed"
        listed.mkdir(exist_ok=True)
        (listed / MANIFEST_NAME).write_bytes(read_object(described))
        manifest = read_manifest(listed)
        _check_sizes(uri, manifest, {PurePosixPath(o.uri).name: o.num_bytes for o in objects})
        return RemoteCorpus(manifest, places, own=False)
    return RemoteCorpus(_index(uri, objects, kept), places, own=True)


def _check_sizes(uri: str, manifest: Manifest, sizes: dict[str, int]) -> None:
    for shard in manifest.shards:
        size = sizes.get(shard.name)
        if size != shard.num_bytes:
            found = "is gone" if size is None else f"has {size:,} bytes"
            raise DataError(
                f"shard {shard.name} of {uri} {found}",
                why=f"{MANIFEST_NAME} says {shard.num_bytes:,} bytes",
                mend="restore the shard, or write the corpus anew",
            )


def _index(uri: str, objects: list[Object], kept: Path) -> Manifest:
    known: dict[str, ShardEntry] = {}
    etags: dict[str, str] = {}
    if (kept / MANIFEST_NAME).exists() and (kept / ETAGS_NAME).exists():
        known = {shard.name: shard for shard in read_manifest(kept).shards}
        etags = json.loads((kept / ETAGS_NAME).read_text(encoding="utf-8"))
    shards = []
    for found in objects:
        name = PurePosixPath(found.uri).name
        same = name in known and etags.get(name) == found.etag
        shards.append(known[name] if same else _entry(name, found))
    manifest = Manifest(
        name=PurePosixPath(uri).name,
        version="1",
        captions=(),
        shards=tuple(shards),
        sources=(),
        fingerprint=fingerprint(shards),
    )
    told = {PurePosixPath(found.uri).name: found.etag for found in objects}
    (kept / ETAGS_NAME).write_text(json.dumps(told, indent=1), encoding="utf-8")
    write_manifest(manifest, kept)
    return manifest


def _entry(name: str, found: Object) -> ShardEntry:
    blob = read_object(found.uri)
    num_samples = sum(1 for _ in samples_of(found.uri, io.BytesIO(blob)))
    if not num_samples:
        raise cut_short(found.uri, "it holds no samples")
    if any(blob[-1024:]):
        # Cut between two members, a tar reads to its end without complaint.
        raise cut_short(found.uri, "it does not end with a tar's two blocks of zeros")
    return ShardEntry(name, SPLIT, num_samples, len(blob), hashlib.sha256(blob).hexdigest())
