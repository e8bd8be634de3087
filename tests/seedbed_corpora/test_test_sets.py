"""The built-in test sets. Oracles: small files made here in the published forms; of the whole sets
their published counts, their first labels, and CIFAR-10's class order as its authors list it
(https://www.cs.toronto.edu/~kriz/cifar.html)."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seedbed.evaluate.test_set import open_test_set
from seedbed_corpora import prepare as prepare_corpus
from seedbed_corpora.test_sets import cifar10, fashion_mnist, prepare

RNG = np.random.default_rng(0)


def decoded(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)))


def test_a_row_of_a_cifar_strip_is_a_picture_and_strips_follow_each_other() -> None:
    drawn = RNG.integers(0, 256, (5, 32, 32, 3), np.uint8)
    strips = []
    for some in (drawn[:3], drawn[3:]):
        out = io.BytesIO()
        Image.fromarray(some.reshape(len(some), 32 * 32, 3)).save(out, "PNG")
        strips.append(out.getvalue())
    found = list(cifar10.pictures(strips, [3, 8, 8, 0, 6]))
    assert [label for _, _, label in found] == [3, 8, 8, 0, 6]
    for expected, (picture, ending, _) in zip(drawn, found, strict=True):
        assert ending == "png" and (decoded(picture) == expected).all()


def test_idx_files_are_read_behind_their_headers(tmp_path: Path) -> None:
    drawn = RNG.integers(0, 256, (3, 28, 28), np.uint8)
    labels = bytes([9, 2, 1])
    sizes = np.array([0x803, 3, 28, 28], ">i4").tobytes()
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(sizes + drawn.tobytes()))
    number = np.array([0x801, 3], ">i4").tobytes()
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(number + labels))
    found = list(fashion_mnist.pictures(tmp_path, "t10k"))
    assert [label for _, _, label in found] == [9, 2, 1]
    assert all((decoded(p) == one).all() for one, (p, _, _) in zip(drawn, found, strict=True))


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("cifar10", [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]),
        ("fashion-mnist", [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]),
    ],
)
def test_a_set_has_its_published_labels_and_a_thousand_pictures_of_each(
    name: str, first: list[int], home: Path
) -> None:
    test_set = open_test_set(str(prepare(name, home)))
    labels = [example.label for example in test_set.examples()]
    assert list(islice(labels, 10)) == first
    assert np.bincount(labels).tolist() == [1_000] * 10


@pytest.mark.network
@pytest.mark.slow
def test_the_held_out_vendors_emoji_are_each_of_the_class_of_its_name(
    home: Path, tmp_path: Path
) -> None:
    built = prepare_corpus(
        "emoji", Path.home() / ".seedbed"
    )  # which tests share: it takes a minute
    home.mkdir()
    (home / "corpora").symlink_to(built.parent)
    test_set = open_test_set(str(prepare("emoji-test", home)))
    expected = []
    for path in sorted(built.glob("test-[0-9]*.tar")):
        with tarfile.open(path) as tar:
            content = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        for name in (name for name in content if name.endswith(".json")):
            said = json.loads(content[name])
            assert said["source"] == "twitter"
            expected.append((content[name.replace(".json", ".png")], said["clean"]))
    found = [(one.picture, test_set.classes[one.label]) for one in test_set.examples()]
    assert len(found) == 1_911 and found == expected
    # No class without a picture, and none twice.
    assert set(test_set.classes) == {name for _, name in expected}
    assert len(set(test_set.classes)) == len(test_set.classes) > 1_800


def test_cifars_classes_stand_in_its_authors_order() -> None:
    assert " ".join(cifar10.CLASSES) == (
        "airplane automobile bird cat deer dog frog horse ship truck"
    )
