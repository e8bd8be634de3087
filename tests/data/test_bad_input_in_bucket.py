"""Bad samples, bad shards and passing faults in a bucket. Oracles: sound twins, and no fault."""

from __future__ import annotations

import io
import struct
import tarfile
import uuid
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.anew import index_anew

from seedbed.data.corpus import Corpus
from seedbed.data.decode import decode
from seedbed.data.fault import Fault
from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.order import Order
from seedbed.data.render.image import CenterCrop
from seedbed.data.render.render import Columns, Rendering, render_span
from seedbed.data.rounds import Span
from seedbed.data.views import IMAGE, TEXT
from seedbed.errors import DataError
from seedbed.storage.objects import write_object

pytestmark = pytest.mark.s3

RENDERING = Rendering({IMAGE: CenterCrop()}, (TEXT,), 16, 12, "txt", seed=0)
RED = (200, 30, 40)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def plain(shade: int = 120) -> bytes:
    return saved(Image.new("RGB", (20, 20), (shade, shade, shade)), "PNG")


def bomb() -> bytes:
    """A PNG whose header says 20,000 x 10,000 pixels: 200 Mpx in some 60 bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def turned() -> bytes:
    """A JPEG, red above and black below, stored on its side as a phone stores it."""
    upright = Image.new("RGB", (32, 32), RED)
    upright.paste((0, 0, 0), (0, 16, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    return saved(upright.rotate(90, expand=True), "JPEG", exif=exif.tobytes(), quality=95)


def animated() -> bytes:
    frames = [Image.new("RGB", (20, 20), colour) for colour in (RED, (0, 0, 255))]
    return saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)


Members = dict[str, bytes]
FAULTY: dict[str, tuple[Members, str]] = {
    "no-picture": ({"jpg": b"<html>404</html>", "txt": b"a"}, "picture does not decode"),
    "half": ({"png": plain()[:40], "txt": b"a"}, "picture does not decode"),
    "bomb": ({"png": bomb(), "txt": b"a"}, "picture is too large"),
    "none": ({"txt": b"a"}, "no picture"),
    "empty": ({"png": plain(), "txt": b""}, "caption is empty"),
    "blank": ({"png": plain(), "txt": b" \n\t"}, "caption is empty"),
    "long": ({"png": plain(), "txt": b"x " * 50_000}, "caption of 100,000 bytes"),
    "latin": ({"png": plain(), "txt": b"caf\xe9"}, "caption is not UTF-8"),
}
# Pictures that are unlike a plain RGB one, and the colour of their upper half.
STRANGE: dict[str, tuple[bytes, tuple[int, int, int]]] = {
    "cmyk": (saved(Image.new("RGB", (20, 20), RED).convert("CMYK"), "JPEG", quality=98), RED),
    "gray": (saved(Image.new("L", (20, 20), 77), "JPEG"), (77, 77, 77)),
    "alpha": (saved(Image.new("RGBA", (20, 20), (0, 0, 0, 0)), "PNG"), (255, 255, 255)),
    "animated": (animated(), RED),
    "turned": (turned(), RED),
}


def tar(samples: list[tuple[str, Members]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for key, members in samples:
            for extension, content in members.items():
                member = tarfile.TarInfo(f"{key}.{extension}")
                member.size = len(content)
                made.addfile(member, io.BytesIO(content))
    return out.getvalue()


def sound(first: int, count: int = 40) -> list[tuple[str, Members]]:
    return [
        (f"s{n}", {"png": plain(n % 256), "txt": f"number {n}".encode()})
        for n in range(first, first + count)
    ]


@pytest.fixture
def prefix(s3: dict[str, str]) -> str:
    where = f"s3://corpus/{uuid.uuid4().hex}"
    for shard in range(3):
        write_object(f"{where}/{shard:03}.tar", tar(sound(shard * 40)))
    return where


def opened(uri: str, home: Path) -> OpenCorpus:
    return open_corpus(Corpus(uri=uri, caption="txt"), home)


def rendered(corpus: OpenCorpus) -> Columns:
    order = Order(corpus.train.blocks, fingerprint="one", seed=0, lanes=1, window_rows=64)
    span = Span(0, order.num_samples, 1)
    parts = list(render_span(corpus.train, order, span, RENDERING, 50))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_a_samples_fault_is_named_with_shard_key_and_reason_and_replaced_by_nothing(
    prefix: str, home: Path
) -> None:
    samples = sound(500, 200)
    # Among 200 sound ones, at rows that are trained on.
    write_object(f"{prefix}/009.tar", tar(samples))
    rows = opened(prefix, home).train.of_shard(3)[: len(FAULTY)]
    for row, (name, (members, _)) in zip(rows, FAULTY.items(), strict=True):
        samples[row] = (name, members)
    before = rendered(opened(prefix, home))
    write_object(f"{prefix}/009.tar", tar(samples))
    index_anew(prefix, home)
    after = rendered(opened(prefix, home))
    found = {f.key: f for f in map(Fault.parse, filter(None, after["fault"]))}
    assert set(found) == set(FAULTY)
    for name, (_, words) in FAULTY.items():
        assert found[name].shard == "009.tar"
        assert found[name].reason.startswith(words)
    bad = after["fault"] != ""
    assert not after["image"][bad].any()
    for name in before:
        np.testing.assert_array_equal(after[name][~bad], before[name][~bad])
    np.testing.assert_array_equal(after["id"], before["id"])


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_picture_is_seen_as_a_person_sees_it(name: str) -> None:
    content, colour = STRANGE[name]
    picture = decode(content)
    assert picture.mode == "RGB"
    np.testing.assert_allclose(picture.getpixel((9, 4)), colour, atol=12)
    if name == "turned":
        assert picture.size == (32, 32)
        np.testing.assert_allclose(picture.getpixel((9, 28)), (0, 0, 0), atol=12)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda content: b"", r"001\.tar is cut short or is not a tar\n  why:  it has zero bytes"),
        (lambda content: content[: len(content) // 2], r"001\.tar is cut short"),
        (lambda content: tar([*sound(0), *sound(0, 1)]), r"001\.tar has the key 's0' twice"),
        (lambda content: b"no tar" * 500, r"001\.tar is cut short or is not a tar"),
    ],
    ids=["zero bytes", "cut", "keys twice", "no tar"],
)
def test_a_bad_shard_stops_with_its_name(prefix: str, home: Path, spoil: Any, words: str) -> None:
    write_object(f"{prefix}/001.tar", spoil(tar(sound(40))))
    with pytest.raises(DataError, match=words):
        opened(prefix, home)


def test_a_shard_that_changed_or_went_after_the_index_stops_with_its_name(
    prefix: str, home: Path
) -> None:
    from seedbed.storage import s3

    corpus = opened(prefix, home)
    write_object(f"{prefix}/002.tar", tar(sound(0)))
    with pytest.raises(DataError, match=r"002\.tar has changed since the corpus was indexed"):
        rendered(corpus)
    index_anew(prefix, home)
    corpus = opened(prefix, home)
    s3.delete(f"{prefix}/000.tar")
    with pytest.raises(DataError, match=r"000\.tar is gone"):
        rendered(corpus)


@pytest.mark.parametrize("kind", ["statuses", "cuts", "resets"])
def test_passing_faults_in_the_middle_change_no_batch(
    prefix: str, flaky_s3: Any, home: Path, kind: str
) -> None:
    corpus = opened(prefix, home)
    undisturbed = rendered(corpus)
    setattr(flaky_s3, kind, [503, 500, 503] if kind == "statuses" else 3)
    disturbed = rendered(corpus)
    assert not getattr(flaky_s3, kind)
    for name in undisturbed:
        np.testing.assert_array_equal(disturbed[name], undisturbed[name])
