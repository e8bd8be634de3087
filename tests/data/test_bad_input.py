"""Bad corpora and bad samples. Oracles: folders spoiled by hand, and a sound twin of each."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image
from tests.fixtures.anew import index_anew

from seedbed.data.corpus import Corpus
from seedbed.data.decode import decode
from seedbed.data.decode.pillow import MAX_PIXELS
from seedbed.data.fault import Fault
from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.order import Order
from seedbed.data.reads import Numbered
from seedbed.data.render.image import CenterCrop
from seedbed.data.render.render import (
    Columns,
    Rendering,
    columns,
    render_span,
    render_test_set,
)
from seedbed.data.rounds import Span
from seedbed.data.select.columns import COLUMNS, HASHES, ShardColumns
from seedbed.data.shards.manifest import (
    MANIFEST_NAME,
    Manifest,
    Provenance,
    fingerprint,
    read_manifest,
    write_manifest,
)
from seedbed.data.shards.sample import RawSample
from seedbed.data.shards.samples import read_shard
from seedbed.data.shards.source import open_source
from seedbed.data.views import IMAGE, TEXT
from seedbed.errors import DataError, SampleFault

Members = dict[str, bytes]
RENDERING = Rendering({IMAGE: CenterCrop()}, (TEXT,), 8, 12, "txt", 0)
BLOCK = 512  # bytes of a tar's header, and what members are padded to


def picture(shade: int = 100, mode: str = "RGB", kind: str = "PNG", side: int = 12) -> bytes:
    out = io.BytesIO()
    Image.new("L", (side, side), shade).convert(mode).save(out, kind)
    return out.getvalue()


def sound(number: int) -> Members:
    return {"png": picture(number % 256), "txt": f"picture {number}".encode()}


def write_tar(path: Path, samples: list[tuple[str, Members]]) -> None:
    with tarfile.open(path, "w") as tar:
        for key, members in samples:
            for extension, content in members.items():
                member = tarfile.TarInfo(f"{key}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def write_folder(folder: Path, num_shards: int = 3, per_shard: int = 40) -> Path:
    folder.mkdir(parents=True)
    for shard in range(num_shards):
        numbers = range(shard * per_shard, (shard + 1) * per_shard)
        write_tar(folder / f"{shard:05}.tar", [(f"{n:06}", sound(n)) for n in numbers])
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "pairs")


def opened(folder: Path, home: Path) -> OpenCorpus:
    return open_corpus(Corpus(uri=str(folder), caption="txt"), home)


def test_a_missing_folder_is_refused_with_the_nearest(folder: Path, home: Path) -> None:
    with pytest.raises(DataError, match=r"folder .*pair does not exist\n(.|\n)*mean 'pairs'\?"):
        opened(folder.with_name("pair"), home)


def test_a_folder_whose_parent_is_missing_says_so(tmp_path: Path, home: Path) -> None:
    with pytest.raises(DataError, match=r"There is no .*nowhere either"):
        opened(tmp_path / "nowhere" / "pairs", home)


def test_an_empty_folder_is_refused(tmp_path: Path, home: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no \.tar shards\n  why:  it is empty"):
        opened(tmp_path / "empty", home)


def test_a_folder_of_other_files_is_refused_with_their_names(tmp_path: Path, home: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"it holds a\.jpg"):
        opened(tmp_path / "photos", home)


def cut_in_a_member(path: Path) -> int:
    with tarfile.open(path) as tar:
        return tar.getmembers()[9].offset_data + 5


def cut_between_members(path: Path) -> int:
    with tarfile.open(path) as tar:
        return tar.getmembers()[10].offset


def cut_in_a_header(path: Path) -> int:
    return cut_between_members(path) + BLOCK // 2


@pytest.mark.parametrize(
    "where", [cut_in_a_member, cut_between_members, cut_in_a_header, lambda _: 0]
)
def test_a_tar_cut_short_is_refused_by_name(
    folder: Path, home: Path, where: Callable[[Path], int]
) -> None:
    os.truncate(folder / "00001.tar", where(folder / "00001.tar"))
    with pytest.raises(DataError, match=r"shard .*00001\.tar is cut short"):
        opened(folder, home)


def test_a_file_that_is_no_tar_is_refused_by_name(folder: Path, home: Path) -> None:
    (folder / "00001.tar").write_bytes(b"not a tar " * 1000)
    with pytest.raises(DataError, match=r"00001\.tar is cut short or is not a tar"):
        opened(folder, home)


def test_a_shard_cut_short_after_it_was_indexed_is_refused_when_it_is_read(folder: Path) -> None:
    path = folder / "00001.tar"
    os.truncate(path, cut_in_a_member(path))
    with pytest.raises(DataError, match=r"00001\.tar is cut short"):
        read_shard(str(path))


@pytest.mark.parametrize("keys", [("a", "b", "a"), ("a", "a")])
def test_a_key_that_comes_twice_is_refused_by_name(tmp_path: Path, keys: tuple[str, ...]) -> None:
    write_tar(tmp_path / "x.tar", [(key, sound(n)) for n, key in enumerate(keys)])
    with pytest.raises(DataError, match=r"x\.tar has the key 'a' twice"):
        read_shard(str(tmp_path / "x.tar"))


def test_a_key_that_comes_twice_is_refused_before_anything_starts(folder: Path, home: Path) -> None:
    write_tar(folder / "00001.tar", [(key, sound(n)) for n, key in enumerate("aba")])
    with pytest.raises(DataError, match=r"00001\.tar has the key 'a' twice"):
        opened(folder, home)


def too_large() -> bytes:
    side = int(MAX_PIXELS**0.5) + 1
    out = io.BytesIO()
    Image.new("1", (side, side)).save(out, "PNG")
    return out.getvalue()


BAD: dict[str, tuple[Callable[[], Members], str]] = {
    "garbage": (lambda: sound(1) | {"png": b"no picture"}, "picture does not decode"),
    "half": (lambda: sound(1) | {"png": picture(side=99)[:90]}, "picture does not decode"),
    "empty": (lambda: sound(1) | {"png": b""}, "picture does not decode"),
    "bomb": (lambda: sound(1) | {"png": too_large()}, "picture is too large: 8001 x 8001 pixels"),
    "no picture": (lambda: {"txt": b"words"}, "no picture"),
    "no caption": (lambda: {"png": picture()}, "no caption"),
    "not UTF-8": (lambda: sound(1) | {"txt": b"caf\xe9"}, "caption is not UTF-8 at byte 3"),
    "no words": (lambda: sound(1) | {"txt": b""}, "caption is empty"),
    "blank": (lambda: sound(1) | {"txt": b" \n\t"}, "caption is empty"),
    "a book": (lambda: sound(1) | {"txt": b"a" * 20_001}, "caption of 20,001 bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_sample_is_named_with_its_key_and_keeps_its_place_blank(name: str) -> None:
    make, words = BAD[name]
    good = [Numbered(n, "s.tar", RawSample(f"k{n}", sound(n + 50))) for n in range(3)]
    spoiled = [good[0], Numbered(1, "s.tar", RawSample("k1", make())), good[2]]
    plain, found = columns(good, RENDERING, 0), columns(spoiled, RENDERING, 0)
    assert str(Fault.parse(found["fault"][1])).startswith(f"s.tar/k1: {words}")
    assert list(found["fault"][[0, 2]]) == ["", ""]
    assert list(found["id"]) == [0, 1, 2]
    assert not found["image"][1].any()
    for column in plain:
        np.testing.assert_array_equal(found[column][[0, 2]], plain[column][[0, 2]])


@pytest.mark.parametrize(
    ("json", "words"),
    [(b"{", "does not parse"), (b"[]", "it has none"), (b'{"alt": "x"}', "it has alt")],
)
def test_a_json_member_without_the_caption_is_named(json: bytes, words: str) -> None:
    with pytest.raises(SampleFault, match=words):
        RawSample("k", {"png": picture(), "json": json}).caption("clean")


def stream(corpus: OpenCorpus) -> Columns:
    order = Order(corpus.train.blocks, fingerprint="one", seed=0, lanes=1, window_rows=64)
    span = Span(0, order.num_samples, 1)
    parts = list(render_span(corpus.train, order, span, RENDERING, 7))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_a_bad_sample_shifts_no_other_in_the_stream(folder: Path, home: Path) -> None:
    before = stream(opened(folder, home))
    samples = [(s.key, s.members) for s in read_shard(str(folder / "00001.tar"))]
    bad = opened(folder, home).train.of_shard(1)[4]
    samples[bad] = (samples[bad][0], {**samples[bad][1]} | {"png": b"spoiled"})
    write_tar(folder / "00001.tar", samples)
    index_anew(folder, home)
    after = stream(opened(folder, home))
    place = np.flatnonzero(after["id"] == (1 << 32) | bad)
    faults = [Fault.parse(line) for line in after["fault"][place]]
    assert [(fault.shard, fault.key) for fault in faults] == [("00001.tar", samples[bad][0])]
    for column in before:
        np.testing.assert_array_equal(
            np.delete(after[column], place, 0), np.delete(before[column], place, 0)
        )
    np.testing.assert_array_equal(after["id"], before["id"])


def test_a_bad_held_out_sample_is_left_out_and_named(folder: Path, home: Path) -> None:
    corpus = opened(folder, home)
    shard = next(s for s in range(3) if len(corpus.test.of_shard(s)))
    bad = corpus.test.of_shard(shard)[0]
    path = folder / f"{shard:05}.tar"
    samples = [(s.key, s.members) for s in read_shard(str(path))]
    samples[bad] = (samples[bad][0], {**samples[bad][1]} | {"txt": b"\xff"})
    write_tar(path, samples)
    index_anew(folder, home)
    found = render_test_set(opened(folder, home).test, RENDERING)
    reason = "caption is not UTF-8 at byte 0"
    assert found.faults == (Fault(path.name, samples[bad][0], reason),)
    assert len(found.images) == len(found.captions) == corpus.test.num_samples - 1


def saved(image: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def palette_with_a_hole() -> bytes:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 1), 1)
    out = io.BytesIO()
    image.save(out, "PNG", transparency=0)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "colour"),
    [
        (saved(Image.new("RGBA", (4, 4), (255, 0, 0, 0))), (255, 255, 255)),
        (saved(Image.new("RGBA", (4, 4), (255, 0, 0, 255))), (255, 0, 0)),
        (saved(Image.new("RGBA", (4, 4), (0, 0, 0, 128))), (127, 127, 127)),
        (saved(Image.new("LA", (4, 4), (0, 0))), (255, 255, 255)),
        (palette_with_a_hole(), (255, 255, 255)),
        (saved(Image.new("RGB", (4, 4), (9, 8, 7)).quantize(2)), (9, 8, 7)),
        (saved(Image.new("L", (4, 4), 77)), (77, 77, 77)),
        (saved(Image.new("1", (4, 4), 1)), (255, 255, 255)),
        (saved(Image.new("I;16", (4, 4), 77 * 257)), (77, 77, 77)),
        (saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), (255, 0, 0)),
    ],
    ids=["clear", "opaque", "half", "gray-clear", "hole", "palette", "gray", "bit", "16", "cmyk"],
)
def test_every_kind_of_picture_becomes_rgb_on_white(
    content: bytes, colour: tuple[int, int, int]
) -> None:
    image = decode(content)
    assert image.mode == "RGB"
    np.testing.assert_allclose(image.getpixel((0, 0)), colour, atol=2)


def with_manifest(folder: Path, tmp_path: Path) -> Manifest:
    manifest = open_source(str(folder), tmp_path).manifest
    write_manifest(manifest, folder)
    return manifest


def test_a_manifest_reads_as_it_was_written(folder: Path, tmp_path: Path) -> None:
    plain = open_source(str(folder), tmp_path).manifest
    source = Provenance("n", "p", "1", "MIT", "someone, é", 3)
    fields = {name: getattr(plain, name) for name in ("name", "version", "shards", "fingerprint")}
    manifest = Manifest(**fields, captions=("raw", "clean"), sources=(source,))
    write_manifest(manifest, folder)
    assert read_manifest(folder) == manifest


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": "other"}', '{"format": "seedbed-corpus/1"}']
)
def test_a_manifest_that_is_none_is_refused(folder: Path, home: Path, text: str) -> None:
    (folder / MANIFEST_NAME).write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json cannot be read"):
        opened(folder, home)


def test_a_shard_changed_or_gone_after_the_manifest_was_written_is_refused(
    folder: Path, tmp_path: Path, home: Path
) -> None:
    with_manifest(folder, tmp_path)
    corpus = Corpus(uri=str(folder), split="all", caption="txt")
    open_corpus(corpus, home)
    write_tar(folder / "00001.tar", [(f"{n}", sound(n)) for n in range(5)])
    with pytest.raises(DataError, match=r"00001\.tar has .* bytes\n  why:  manifest.json says"):
        open_corpus(corpus, home)
    (folder / "00001.tar").unlink()
    with pytest.raises(DataError, match=r"00001\.tar has gone"):
        open_corpus(corpus, home)


def recolour(path: Path, modified_ns: int) -> None:
    """Other bytes of the same size, as of `modified_ns`."""
    before, content = path.stat().st_size, path.read_bytes()
    path.write_bytes(content.replace(b"picture", b"drawing"))
    os.utime(path, ns=(modified_ns, modified_ns))
    assert path.stat().st_size == before
    assert path.read_bytes() != content


def test_a_shard_changed_at_its_size_after_the_manifest_was_written_is_refused(
    folder: Path, tmp_path: Path, home: Path
) -> None:
    with_manifest(folder, tmp_path)
    corpus = Corpus(uri=str(folder), split="all", caption="txt")
    later = (folder / MANIFEST_NAME).stat().st_mtime_ns + 10**9
    os.utime(folder / "00000.tar", ns=(later, later))  # touched, or copied: the same content
    open_corpus(corpus, home)
    recolour(folder / "00001.tar", later)
    with pytest.raises(
        DataError, match=r"00001\.tar has changed since(.|\n)*sha256(.|\n)*mend: restore the shard"
    ):
        open_corpus(corpus, home)


@pytest.mark.parametrize("kind", ["", "sha256:", "xxh3_128:"])
def test_a_manifest_is_held_to_its_own_kind_of_digest(
    folder: Path, tmp_path: Path, home: Path, kind: str
) -> None:
    shards = open_source(str(folder), tmp_path).manifest.shards
    if kind != "xxh3_128:":
        digests = [hashlib.sha256((folder / s.name).read_bytes()).hexdigest() for s in shards]
        shards = tuple(replace(s, sha256=kind + d) for s, d in zip(shards, digests, strict=True))
    assert all(s.sha256.startswith(kind) for s in shards)
    manifest = Manifest("x", "1", ("txt",), shards, (), fingerprint(shards))
    write_manifest(manifest, folder)
    later = (folder / MANIFEST_NAME).stat().st_mtime_ns + 10**9
    for shard in shards:
        os.utime(folder / shard.name, ns=(later, later))
    open_source(str(folder), home)
    recolour(folder / "00001.tar", later)
    with pytest.raises(DataError, match=rf"its {kind[:-1] or 'sha256'} is [0-9a-f]{{12}}…"):
        open_source(str(folder), home)


def test_only_shards_newer_than_the_manifest_are_read(
    folder: Path, tmp_path: Path, home: Path
) -> None:
    """A shard spoiled behind its time is let through, so it was not read."""
    with_manifest(folder, tmp_path)
    corpus = Corpus(uri=str(folder), split="all", caption="txt")
    open_corpus(corpus, home)  # which keeps what is known of its rows
    path = folder / "00001.tar"
    recolour(path, path.stat().st_mtime_ns)
    open_corpus(corpus, home)
    with pytest.raises(DataError, match=r"00001\.tar is not the one that manifest\.json describes"):
        open_corpus(corpus, tmp_path / "where its rows are read")


def test_a_split_that_is_not_there_is_refused_with_the_nearest(
    folder: Path, tmp_path: Path, home: Path
) -> None:
    with_manifest(folder, tmp_path)
    with pytest.raises(DataError, match=r"no split 'al'\n(.|\n)*Did you mean 'all'\?"):
        open_corpus(Corpus(uri=str(folder), split="al", caption="txt"), home)


def test_an_index_is_kept_and_only_changed_shards_are_read_again(folder: Path, home: Path) -> None:
    """An unread shard keeps its entry even when its bytes are spoiled behind its size and time."""
    first = open_source(str(folder), home).manifest
    path = folder / "00000.tar"
    stat = path.stat()
    path.write_bytes(b"x" * stat.st_size)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    write_tar(folder / "00001.tar", [(f"{n}", sound(n)) for n in range(30)])
    index_anew(folder, home)
    second = opened(folder, home)
    assert open_source(str(folder), home).manifest.shards[0] == first.shards[0]
    assert open_source(str(folder), home).manifest.shards[1].num_samples == 30
    assert open_source(str(folder), home).manifest.shards[2] == first.shards[2]
    assert second.fingerprint != first.fingerprint


@pytest.mark.parametrize("seconds", [-3600, 3600], ids=["older", "newer"])
def test_an_index_notices_a_shard_of_the_same_size_but_another_time(
    folder: Path, home: Path, seconds: int
) -> None:
    first = open_source(str(folder), home).manifest
    path = folder / "00001.tar"
    recolour(path, path.stat().st_mtime_ns + seconds * 10**9)
    index_anew(folder, home)
    second = open_source(str(folder), home).manifest
    assert second.shards[1].sha256 != first.shards[1].sha256
    assert [second.shards[n] for n in (0, 2)] == [first.shards[n] for n in (0, 2)]
    assert second.fingerprint != first.fingerprint


@pytest.mark.parametrize("text", ["", "[]", '{"00000.tar": 1}'])
def test_an_index_that_cannot_be_read_is_made_again(folder: Path, home: Path, text: str) -> None:
    first = open_source(str(folder), home).manifest
    (kept,) = home.glob("indexes/*/index.json")
    kept.write_text(text)
    assert open_source(str(folder), home).manifest == first
    assert json.loads(kept.read_text())["shards"] == 3


def test_a_fingerprint_is_of_the_content_and_not_of_the_place(
    folder: Path, tmp_path: Path, home: Path
) -> None:
    twin = write_folder(tmp_path / "twin")
    assert opened(folder, home).fingerprint == opened(twin, home).fingerprint


def test_hold_out_and_training_rows_are_disjoint_and_cover_everything(
    folder: Path, home: Path
) -> None:
    corpus = opened(folder, home)
    for shard in range(3):
        train, test = corpus.train.of_shard(shard), corpus.test.of_shard(shard)
        assert not set(train) & set(test)
        assert sorted([*train, *test]) == list(range(40))
    assert corpus.train.num_samples + corpus.test.num_samples == 120
    assert corpus.test.num_samples > 0
    assert corpus.train.fingerprint != corpus.test.fingerprint


GHOSTSCRIPT = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 12 12
%%EndComments
0 0 12 12 rectfill
showpage
%%EOF
"""


@pytest.mark.parametrize("kind", ["EPS", "BMP", "TIFF", "PPM"])
def test_a_picture_of_another_format_is_a_bad_sample_and_starts_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Ghostscript's oracle: a program of its name, first on the path, that leaves a file."""
    started = tmp_path / "started"
    for name in ("gs", "gswin64c"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\ntouch {started}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # looked for anew
    content = GHOSTSCRIPT if kind == "EPS" else picture(kind=kind)
    with pytest.raises(SampleFault, match="picture does not decode"):
        decode(content)
    sample = RawSample("k", {"jpg": content, "txt": b"words"})
    out = columns([Numbered(1, "s.tar", sample)], RENDERING, 0)
    assert Fault.parse(out["fault"][0]).key == "k"
    write_tar(tmp_path / "x.tar", [("k", {"jpg": content, "txt": b"words"})])
    kept = {kind: str(tmp_path / kind) for kind in (COLUMNS, HASHES)}
    ShardColumns(str(tmp_path / "x.tar"), "", 0, kept).read()
    assert not started.exists()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "MPO"])
def test_the_formats_of_corpora_decode_under_any_name(kind: str) -> None:
    shade = np.asarray(decode(picture(kind=kind)))
    assert abs(int(shade.mean()) - 100) <= 2


def test_a_reason_is_the_same_whenever_a_picture_is_read() -> None:
    with pytest.raises(SampleFault) as caught:
        decode(b"no picture")
    assert str(caught.value) == (
        "picture does not decode: cannot be read as JPEG, PNG, WEBP or GIF"
    )
