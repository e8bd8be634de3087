"""What a corpus consists of: `manifest.json` in its root."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import xxhash

from seedbed.errors import DataError
from seedbed.storage import local

MANIFEST_NAME = "manifest.json"
FORMAT = "seedbed-corpus/1"
# By the prefix before a digest's `:`; a manifest that another tool wrote has a bare sha256.
DIGESTS: dict[str, Callable[..., Any]] = {
    "": hashlib.sha256,
    "sha256": hashlib.sha256,
    "xxh3_128": xxhash.xxh3_128,
}


@dataclass(frozen=True)
class ShardEntry:
    """One tar: its file name, the split it belongs to, and what it holds.

    `sha256` is the content's: 64 digits, or another digest with its name ("xxh3_128:…", as an index
    has it). It is "" where the content was not read; the fingerprint then uses the size.
    """

    name: str
    split: str
    num_samples: int
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """Where pairs came from, and under which terms."""

    name: str
    package: str
    version: str
    licence: str
    attribution: str
    num_pairs: int


@dataclass(frozen=True)
class Manifest:
    """A corpus: its shards, its sources (if known), and the fingerprint of the whole.

    `captions` names the json fields that hold one; none for a folder without a manifest.
    """

    name: str
    version: str
    captions: tuple[str, ...]
    shards: tuple[ShardEntry, ...]
    sources: tuple[Provenance, ...]
    fingerprint: str


def digest(content: bytes) -> str:
    """A fast digest of the content; not a cryptographic one."""
    return f"xxh3_128:{xxhash.xxh3_128(content).hexdigest()}"


def fingerprint(shards: Iterable[ShardEntry]) -> str:
    """sha256 over the shards' names, splits, counts and contents, wherever they lie."""
    parts = sorted((s.name, s.split, s.num_samples, s.sha256 or str(s.num_bytes)) for s in shards)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def check_digest(place: str, said: str, content: bytes) -> None:
    """Raise DataError where the `content` of a shard is not what a manifest `said`; "" said none.

    It would be trained on under the fingerprint of another corpus.
    """
    kind, _, wanted = said.rpartition(":")
    if not said or (found := DIGESTS[kind](content).hexdigest()) == wanted:
        return
    raise DataError(
        f"shard {place} is not the one that {MANIFEST_NAME} describes",
        why=f"its {kind or 'sha256'} is {found[:12]}…; the manifest's field 'sha256' says "
        f"{wanted[:12]}…",
        mend=f"restore the shard or build the corpus anew; or, if the change was meant, remove "
        f"{MANIFEST_NAME} and run `seedbed index {place.rpartition('/')[0]}`: it is another "
        "corpus then",
    )


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write `folder`/manifest.json atomically."""
    text = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1)
    local.write(folder / MANIFEST_NAME, text.encode())


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`. Raises DataError if it is missing or inconsistent."""
    path = folder / MANIFEST_NAME
    try:
        return parse_manifest(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise DataError(
            f"{folder} has no {MANIFEST_NAME}",
            why="it says which shards belong to the corpus",
            mend="build the corpus again",
        ) from None
    except OSError as error:
        raise _unreadable(str(path), str(error)) from error


def parse_manifest(content: bytes, path: str) -> Manifest:
    """The manifest in `content`, which was read from `path`. Raises DataError as above."""
    try:
        values = json.loads(content)
    except ValueError as error:
        raise _unreadable(path, str(error)) from error
    version = values.get("format") if isinstance(values, dict) else None
    if version != FORMAT:
        raise _unreadable(path, f"its format is {version!r}, not {FORMAT!r}")
    try:
        manifest = _parsed(values)
    except (KeyError, TypeError) as error:
        raise _unreadable(path, f"a field is missing or unknown: {error}") from error
    _check(path, manifest)
    return manifest


def _parsed(values: dict[str, Any]) -> Manifest:
    return Manifest(
        name=values["name"],
        version=values["version"],
        captions=tuple(values["captions"]),
        shards=tuple(ShardEntry(**shard) for shard in values["shards"]),
        sources=tuple(Provenance(**source) for source in values["sources"]),
        fingerprint=values["fingerprint"],
    )


def _check(path: str, manifest: Manifest) -> None:
    """Raise DataError where a value is of the wrong kind, or the parts contradict each other."""
    seen: set[str] = set()
    for shard in manifest.shards:
        for field in ("name", "split", "sha256"):
            if not isinstance(getattr(shard, field), str):
                raise _unreadable(path, f"a shard's {field} is {getattr(shard, field)!r}")
        for field in ("num_samples", "num_bytes"):
            value = getattr(shard, field)
            if type(value) is not int or value < 0:
                raise _unreadable(path, f"{field} of shard '{shard.name}' is {value!r}")
        if shard.sha256.rpartition(":")[0] not in DIGESTS:
            raise _unreadable(path, f"the digest of shard '{shard.name}' is {shard.sha256!r}")
        if shard.name in seen:
            raise _unreadable(path, f"it lists the shard '{shard.name}' twice")
        seen.add(shard.name)
    expected = fingerprint(manifest.shards)
    if manifest.fingerprint != expected:
        # Results are paired by the fingerprint: a wrong one would pair two different corpora.
        raise DataError(
            f"{path} has the fingerprint {manifest.fingerprint!r}",
            why=f"its shards have {expected!r}: they were changed after it was written",
            mend="build the corpus again, or write the second if the change was meant",
        )


def _unreadable(path: str, why: str) -> DataError:
    return DataError(
        f"{path} cannot be read", why=why, mend="remove the folder and build the corpus again"
    )
