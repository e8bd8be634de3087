"""What is wrong with a test set is said before there is a number. Oracle: files damaged by hand."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import xxhash
from PIL import Image
from safetensors.torch import save_file

from seedbed.errors import DataError
from seedbed.evaluate.pretrained import OpenClipEncoder
from seedbed.evaluate.stream import parts
from seedbed.evaluate.test_set import open_test_set
from seedbed.evaluate.zeroshot import classify, outcome


@pytest.fixture
def folder(classification: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(classification, tmp_path / "copy"))


def names(folder: Path, *lines: str) -> None:
    (folder / "classnames.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: names(folder, "a", "", "c"), "line 2 of .* is empty"),
        (
            lambda folder: (folder / "zeroshot_classification_templates.txt").write_text("a photo"),
            "line 1 of .* is 'a photo'",
        ),
        (lambda folder: (folder / "test" / "nshards.txt").write_text("many"), "says 'many'"),
        (lambda folder: (folder / "test" / "nshards.txt").write_text("3"), "there is no .*2.tar"),
        (lambda folder: (folder / "test" / "nshards.txt").unlink(), "clip_benchmark's layout"),
        (lambda folder: (folder / "dataset_type.txt").write_text("multilabel"), "'multilabel'"),
    ],
)
def test_a_layout_that_cannot_be_used_is_refused_before_a_shard_is_read(
    damage: Callable[[Path], object], message: str, folder: Path
) -> None:
    damage(folder)
    (folder / "test" / "0.tar").write_bytes(b"never read")
    with pytest.raises(DataError, match=message):
        open_test_set(str(folder))


def test_a_label_outside_the_list_is_named_with_its_picture(folder: Path) -> None:
    names(folder, "a", "b", "c")
    with pytest.raises(DataError, match=r"the label of s\d+ is '[3-6]'"):
        list(open_test_set(str(folder)).examples())


@pytest.mark.slow
def test_a_class_without_a_picture_gives_no_number(
    folder: Path, tiny: Callable[[int], str]
) -> None:
    old = (folder / "classnames.txt").read_text().split("\n")
    names(folder, *filter(None, old), "nobody")
    encoder, test_set = OpenClipEncoder.named(tiny(0)), open_test_set(str(folder))
    (scores,) = classify([encoder], test_set)
    with pytest.raises(DataError, match="no picture of class 7, 'nobody'"):
        outcome(encoder, test_set, scores)


def test_a_picture_that_does_not_decode_is_named(folder: Path, tiny: Callable[[int], str]) -> None:
    content = (folder / "test" / "0.tar").read_bytes()
    at = content.index(b"IHDR")
    (folder / "test" / "0.tar").write_bytes(content[:at] + b"XXXX" + content[at + 4 :])
    encoder = OpenClipEncoder.named(tiny(0))
    with pytest.raises(DataError, match="the picture s0000"):
        list(parts(open_test_set(str(folder)), [encoder]))


def test_a_shard_that_is_cut_off_is_named(folder: Path) -> None:
    content = (folder / "test" / "1.tar").read_bytes()
    (folder / "test" / "1.tar").write_bytes(content[: len(content) // 2 + 100])
    with pytest.raises(DataError, match=r"1\.tar"):
        list(open_test_set(str(folder)).examples())


def test_embeddings_that_are_no_number_give_none(
    classification: Path, tiny: Callable[[int], str]
) -> None:
    encoder = OpenClipEncoder.named(tiny(0))
    with torch.no_grad():
        encoder.model.visual.proj.fill_(float("nan"))
    test_set = open_test_set(str(classification))
    (scores,) = classify([encoder], test_set)
    assert scores.num_not_finite == 168
    with pytest.raises(DataError, match="a score is no number"):
        outcome(encoder, test_set, scores)


def test_the_mark_of_a_folder_is_kept_until_a_file_changes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEDBED_HOME", str(tmp_path / "home"))
    shard = folder / "test" / "0.tar"
    content = shard.read_bytes()
    os.utime(shard, (1_000_000_000, 1_000_000_000))
    os.utime(folder / "test" / "1.tar", (1_000_000_000, 1_000_000_000))

    def mark() -> str:
        return open_test_set(str(folder)).mark

    oracle = xxhash.xxh3_64()
    for part in (content, (folder / "test" / "1.tar").read_bytes()):
        oracle.update(f"{len(part)}\n".encode() + part)
    first = mark()
    assert first == oracle.hexdigest()
    shard.write_bytes(content[::-1])
    changed = mark()
    assert changed != first  # by its new time, though its size is the same
    assert len(list((tmp_path / "home" / "marks").iterdir())) == 1  # too young to be believed
    os.utime(shard, (1_000_000_000, 1_000_000_000))
    assert mark() == first  # no byte of it is read
    shutil.rmtree(tmp_path / "home")
    assert mark() == changed


def test_an_unknown_model_is_answered_with_the_nearest() -> None:
    with pytest.raises(DataError, match="ViT-B-32"):
        OpenClipEncoder.named("ViT-B32")


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
@pytest.mark.parametrize("left", [0, 0.5], ids=["nothing", "half"])
def test_a_file_of_weights_that_is_cut_off_is_named(
    ending: str, left: float, tiny: Callable[[int], str], tmp_path: Path
) -> None:
    architecture, _, path = tiny(0).partition("@")
    whole = tmp_path / f"whole.{ending}"
    if ending == "pt":
        shutil.copy(path, whole)
    else:
        save_file(torch.load(path), whole)
    OpenClipEncoder.named(f"{architecture}@{whole}")
    content, cut = whole.read_bytes(), tmp_path / f"cut.{ending}"
    cut.write_bytes(content[: int(left * len(content))])
    with pytest.raises(DataError, match=f"open_clip cannot make {architecture}@{cut}"):
        OpenClipEncoder.named(f"{architecture}@{cut}")


def test_shards_without_a_picture_give_no_number(folder: Path, tiny: Callable[[int], str]) -> None:
    for number in (0, 1):
        with tarfile.open(folder / "test" / f"{number}.tar", "w"):
            pass
    test_set = open_test_set(str(folder))
    with pytest.raises(DataError, match="has no picture in its 2 shards"):
        classify([OpenClipEncoder.named(tiny(0))], test_set)
    (folder / "test" / "0.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"0\.tar cannot be read"):
        list(test_set.examples())


@pytest.mark.slow
def test_several_ranks_have_the_scores_of_one_and_each_example_once(
    classification: Path, tiny: Callable[[int], str]
) -> None:
    encoder, test_set = OpenClipEncoder.named(tiny(0)), open_test_set(str(classification))
    (whole,) = classify([encoder], test_set, batch=168)
    shares = [classify([encoder], test_set, batch=168, rank=rank, of=4)[0] for rank in range(4)]
    joined = type(whole).joined(shares)
    assert (joined.ids == whole.ids).all()
    for name, column in whole.columns.items():
        assert (joined.columns[name] == column).all()


@pytest.mark.slow
def test_models_on_one_stream_score_as_each_alone_and_a_picture_is_decoded_once(
    classification: Path, tiny: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoders, test_set = (
        [OpenClipEncoder.named(tiny(n)) for n in (0, 1)],
        open_test_set(str(classification)),
    )
    alone = [classify([encoder], test_set)[0] for encoder in encoders]
    decoded = []
    decode = OpenClipEncoder.decode

    def counting(self: OpenClipEncoder, content: bytes) -> Image.Image:
        decoded.append(1)
        return decode(self, content)

    monkeypatch.setattr(OpenClipEncoder, "decode", counting)
    together = classify(encoders, test_set)
    assert len(decoded) == 168
    for one, other in zip(alone, together, strict=True):
        assert all((one.columns[name] == other.columns[name]).all() for name in one.columns)


def test_a_model_that_has_collapsed_is_right_nowhere(
    classification: Path, tiny: Callable[[int], str]
) -> None:
    encoder, test_set = OpenClipEncoder.named(tiny(0)), open_test_set(str(classification))
    with torch.no_grad():
        encoder.model.text_projection.zero_()  # no text differs from another
    (scores,) = classify([encoder], test_set)
    assert np.mean(scores.columns["above"] == 0) == 0
