"""The corpus manifest. Oracles: the values that were written, and sha256 by hand."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seedbed.data.shards.manifest import (
    MANIFEST_NAME,
    Manifest,
    Provenance,
    ShardEntry,
    fingerprint,
    read_manifest,
    write_manifest,
)
from seedbed.errors import DataError

SHARDS = (
    ShardEntry("train-00000.tar", "train", 256, 10_240, "a" * 64),
    ShardEntry("test-00000.tar", "test", 7, 10_240, "b" * 64),
)
SOURCE = Provenance("élan", "elan-pictures", "1.0.0", "CC-BY-4.0", "Drawn by Zoë.", 263)
MANIFEST = Manifest("x", "1", ("raw", "clean"), SHARDS, (SOURCE,), fingerprint(SHARDS))


def edited(folder: Path, **changes: Any) -> Path:
    """`folder` with a manifest whose top-level values are changed by hand."""
    write_manifest(MANIFEST, folder)
    values = json.loads((folder / MANIFEST_NAME).read_text()) | changes
    (folder / MANIFEST_NAME).write_text(json.dumps(values))
    return folder


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(MANIFEST, tmp_path)
    assert read_manifest(tmp_path) == MANIFEST
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST_NAME]


def test_a_folder_without_sources_and_digests_has_a_manifest_too(tmp_path: Path) -> None:
    shards = tuple(replace(shard, sha256="") for shard in SHARDS)
    own = replace(MANIFEST, captions=(), shards=shards, sources=(), fingerprint=fingerprint(shards))
    write_manifest(own, tmp_path)
    assert read_manifest(tmp_path) == own


def test_the_fingerprint_is_the_sha256_of_the_sorted_shards() -> None:
    parts = [["test-00000.tar", "test", 7, "b" * 64], ["train-00000.tar", "train", 256, "a" * 64]]
    assert fingerprint(SHARDS) == hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    assert fingerprint(SHARDS[::-1]) == fingerprint(SHARDS)


@pytest.mark.parametrize(
    "change",
    [{"name": "other.tar"}, {"split": "other"}, {"num_samples": 255}, {"sha256": "c" * 64}],
    ids=lambda change: next(iter(change)),
)
def test_another_shard_is_another_fingerprint(change: dict[str, Any]) -> None:
    other = ShardEntry(**{**vars(SHARDS[0]), **change})
    assert fingerprint((other, SHARDS[1])) != fingerprint(SHARDS)


def test_the_size_counts_only_where_the_content_is_unknown() -> None:
    longer = replace(SHARDS[0], num_bytes=20_480)
    assert fingerprint([longer]) == fingerprint([SHARDS[0]])
    assert fingerprint([replace(longer, sha256="")]) != fingerprint([replace(SHARDS[0], sha256="")])


def test_a_folder_without_a_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no manifest\.json") as raised:
        read_manifest(tmp_path)
    assert str(tmp_path) in raised.value.what
    assert raised.value.why and raised.value.mend


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null"])
def test_what_is_no_manifest_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(DataError, match="cannot be read") as raised:
        read_manifest(tmp_path)
    assert str(tmp_path / MANIFEST_NAME) in raised.value.what
    assert raised.value.why and raised.value.mend


def shard(**changes: Any) -> list[dict[str, Any]]:
    return [{**vars(SHARDS[0]), **changes}, vars(SHARDS[1])]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "seedbed-corpus/9"}, "'seedbed-corpus/9', not 'seedbed-corpus/1'"),
        ({"shards": None}, "missing or unknown"),
        ({"sources": [{"name": "v"}]}, "missing or unknown"),
        ({"shards": shard(surprise=1)}, "surprise"),
        ({"shards": shard(num_samples="256")}, "num_samples of shard 'train-00000.tar' is '256'"),
        ({"shards": shard(num_bytes=-1)}, "num_bytes of shard 'train-00000.tar' is -1"),
        ({"shards": shard(sha256=None)}, "a shard's sha256 is None"),
        ({"shards": shard(sha256="md5:0")}, "the digest of shard 'train-00000.tar' is 'md5:0'"),
        ({"shards": shard(name="test-00000.tar")}, "'test-00000.tar' twice"),
        ({"shards": shard(num_samples=255)}, "changed after it was written"),
        ({"fingerprint": "0" * 64}, "0" * 64),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as raised:
        read_manifest(edited(tmp_path, **changes))
    assert said in str(raised.value)
