"""A corpus in a bucket. Oracle: the same shards in a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures.anew import index_anew

from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.order import Order
from seedbed.data.overlap import RowIndexes
from seedbed.data.render.image import STANDARD_SLIP
from seedbed.data.render.render import Rendering, render_span
from seedbed.data.rounds import Span
from seedbed.data.shards import shard_index
from seedbed.data.shards.index import index_source, shards_of
from seedbed.data.shards.manifest import (
    MANIFEST_NAME,
    Manifest,
    ShardEntry,
    digest,
    fingerprint,
    write_manifest,
)
from seedbed.data.shards.samples import read_shard
from seedbed.data.shards.shard_index import IndexJob
from seedbed.data.shards.source import SPLIT, index_places, open_source
from seedbed.data.views import IMAGE, TEXT
from seedbed.errors import DataError
from seedbed.storage.objects import write_object
from seedbed.storage.s3 import remove

pytestmark = pytest.mark.s3


@pytest.fixture
def bucket(s3: dict[str, str], shapes: Path, request: pytest.FixtureRequest) -> str:
    prefix = f"s3://corpus/{abs(hash(request.node.name))}"  # one for each test
    for path in sorted(shapes.glob("*.tar")):
        write_object(f"{prefix}/{path.name}", path.read_bytes())
    return prefix


def rendered(opened: OpenCorpus) -> dict[str, np.ndarray]:
    order = Order(
        opened.train.blocks, fingerprint=opened.train.fingerprint, seed=0, lanes=1, window_rows=64
    )
    rendering = Rendering({IMAGE: STANDARD_SLIP}, (TEXT,), 32, 12, "txt", seed=0)
    span = Span(0, 64, 1)
    parts = list(render_span(opened.train, order, span, rendering, 64))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.mark.parametrize("form", ["{}", "{}/*.tar", "{}/{{00000..00007}}.tar"])
def test_it_gives_the_samples_of_the_same_folder(
    bucket: str, shapes: Path, home: Path, form: str
) -> None:
    there = open_corpus(Corpus(uri=form.format(bucket), caption="txt"), home)
    here = open_corpus(Corpus(uri=str(shapes), caption="txt"), home)
    assert there.fingerprint == here.fingerprint
    ours, theirs = rendered(there), rendered(here)
    assert ours.keys() == theirs.keys()
    for name, column in theirs.items():
        assert (ours[name] == column).all(), name


def test_a_shard_is_read_again_only_when_it_has_changed(
    bucket: str, shapes: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    whole = shard_index.read_object

    def noted(uri: str, **asked: Any) -> bytes:
        if uri.endswith(".tar"):
            read.append(uri)
        return whole(uri, **asked)

    monkeypatch.setattr(shard_index, "read_object", noted)
    corpus = Corpus(uri=bucket, caption="txt")
    before = open_corpus(corpus, home)
    assert len(read) == 8
    assert open_corpus(corpus, home).fingerprint == before.fingerprint
    assert len(read) == 8
    write_object(f"{bucket}/00003.tar", (shapes / "00004.tar").read_bytes())
    with pytest.raises(DataError, match="is older than its shards"):
        open_corpus(corpus, home)
    index_anew(bucket, home)
    assert len(read) == 9
    assert open_corpus(corpus, home).fingerprint != before.fingerprint
    assert len(read) == 9


def test_an_empty_prefix_is_refused_in_words(s3: dict[str, str], home: Path) -> None:
    with pytest.raises(DataError):
        open_corpus(Corpus(uri="s3://corpus/nothing-here"), home)


def test_a_shard_cut_short_is_named(bucket: str, shapes: Path, home: Path) -> None:
    write_object(f"{bucket}/00002.tar", (shapes / "00002.tar").read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"00002\.tar is cut short"):
        open_corpus(Corpus(uri=bucket, caption="txt"), home)


def described(bucket: str, shapes: Path, kind: str, tmp_path: Path) -> None:
    """Put a manifest of `shapes`, with digests of one kind, beside the shards of `bucket`."""
    shards = []
    for path in sorted(shapes.glob("*.tar")):
        content = path.read_bytes()
        said = digest(content) if kind else hashlib.sha256(content).hexdigest()
        size = len(read_shard(str(path)))
        shards.append(ShardEntry(path.name, SPLIT, size, len(content), said))
    found = tuple(shards)
    write_manifest(Manifest("shapes", "1", (), found, (), fingerprint(found)), tmp_path)
    write_object(f"{bucket}/{MANIFEST_NAME}", (tmp_path / MANIFEST_NAME).read_bytes())


def test_a_manifest_may_name_shards_in_folders(
    bucket: str, shapes: Path, home: Path, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    shards = []
    for number, path in enumerate(sorted(shapes.glob("*.tar"))):
        split = "test" if number == 7 else "train"
        name, content = f"{split}/{path.name}", path.read_bytes()
        (here / split).mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(content)
        write_object(f"{bucket}/split/{name}", content)
        size = len(read_shard(str(path)))
        shards.append(ShardEntry(name, split, size, len(content), digest(content)))
    found = tuple(shards)
    write_manifest(Manifest("shapes", "1", (), found, (), fingerprint(found)), here)
    write_object(f"{bucket}/split/{MANIFEST_NAME}", (here / MANIFEST_NAME).read_bytes())
    there, local = open_source(f"{bucket}/split", home), open_source(str(here), home)
    assert there.manifest == local.manifest
    assert there.places == {s.name: f"{bucket}/split/{s.name}" for s in shards}
    assert len(RowIndexes().of(there)) == 8
    # One that is not there is named.
    remove(f"{bucket}/split/test/00007.tar")
    with pytest.raises(DataError, match=r"split/test/00007\.tar has gone"):
        open_source(f"{bucket}/split", home)


@pytest.mark.parametrize("kind", ["", "xxh3_128"])
def test_a_shard_of_equal_size_that_its_manifest_does_not_describe_is_refused(
    bucket: str, shapes: Path, home: Path, tmp_path: Path, kind: str
) -> None:
    index_source(bucket, (), index_places(bucket, home))  # by nobody's manifest
    described(bucket, shapes, kind, tmp_path)
    assert len(RowIndexes().of(open_source(bucket, home))) == 8
    changed = bytearray((shapes / "00003.tar").read_bytes())
    changed[-1] ^= 1
    write_object(f"{bucket}/00003.tar", bytes(changed))
    refused = rf"00003\.tar is not the one that manifest\.json.*\n.*{kind or 'sha256'} is "
    places = index_places(bucket, home)
    for _ in range(2):
        with pytest.raises(DataError, match=refused) as error:
            RowIndexes().of(open_source(bucket, home))
        assert f"remove manifest.json and run `seedbed index {bucket}`" in str(error.value)
        with pytest.raises(DataError, match=refused):  # nor is it taken up by an index
            index_source(bucket, places, places)


def test_a_shard_replaced_after_it_was_listed_is_refused(bucket: str, shapes: Path) -> None:
    job = IndexJob("00003.tar", shards_of(bucket)["00003.tar"])
    changed = bytearray((shapes / "00003.tar").read_bytes())
    changed[-1] ^= 1  # of equal size
    write_object(f"{bucket}/00003.tar", bytes(changed))
    with pytest.raises(DataError, match=r"00003\.tar has changed since the corpus was indexed"):
        shard_index.read_shard_index(job)
