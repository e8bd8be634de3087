"""The views of rendered samples. Oracles: the augmentations called by hand, and counts of calls."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seedbed.data.decode import decode
from seedbed.data.reads import Numbered
from seedbed.data.render import render as rendering_module
from seedbed.data.render import tokenizer
from seedbed.data.render.caption import EDA
from seedbed.data.render.image import MOCOV2, SLIP, sample_rng
from seedbed.data.render.masking import NOT_MASKED, Masking
from seedbed.data.render.render import Columns, Rendering, columns
from seedbed.data.shards.sample import RawSample
from seedbed.data.views import IMAGE, IMAGE_A, IMAGE_B, TEXT, TEXT_AUG, TEXT_MASKED, View

CONTEXT = 24


def noise(number: int) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def caption(number: int) -> str:
    return (
        f"  A photo of {number} small red dogs &amp; one very large   blue cat on the green grass"
    )


SAMPLES = [
    Numbered(
        number, "s", RawSample(f"{number}", {"png": noise(number), "txt": caption(number).encode()})
    )
    for number in range(12)
]
ALL = Rendering(
    dict(SLIP), (TEXT, TEXT_AUG, TEXT_MASKED), 16, CONTEXT, "txt", 7, EDA(synonyms="none")
)


def same(a: Columns, b: Columns) -> bool:
    return a.keys() == b.keys() and all(bool((a[name] == b[name]).all()) for name in a)


def test_the_same_seed_gives_the_same_views() -> None:
    assert same(columns(SAMPLES, ALL, 3), columns(SAMPLES, ALL, 3))


@pytest.mark.parametrize("view", [IMAGE, IMAGE_A, IMAGE_B, TEXT_AUG, TEXT_MASKED])
def test_another_epoch_or_seed_gives_other_views(view: View) -> None:
    first = columns(SAMPLES, ALL, 0)[view.name]
    assert (first != columns(SAMPLES, ALL, 1)[view.name]).any()
    assert (first != columns(SAMPLES, replace(ALL, seed=8), 0)[view.name]).any()


def test_a_sample_looks_the_same_whatever_stands_beside_it() -> None:
    together, alone = columns(SAMPLES, ALL, 0), columns(SAMPLES[5:6], ALL, 0)
    assert same({name: column[5:6] for name, column in together.items()}, alone)


def test_a_view_looks_the_same_whatever_else_is_asked_for() -> None:
    everything = columns(SAMPLES, ALL, 0)
    for view in (IMAGE, IMAGE_A, IMAGE_B):
        only = columns(SAMPLES, replace(ALL, images={view: SLIP[view]}, texts=()), 0)
        assert set(only) == {view.name, "id", "fault"}
        assert (only[view.name] == everything[view.name]).all()
    for view in (TEXT, TEXT_AUG, TEXT_MASKED):
        only = columns(SAMPLES, replace(ALL, images={}, texts=(view,)), 0)
        target = {view.target} if view == TEXT_MASKED else set()
        assert set(only) == {view.name, view.length, "id", "fault"} | target
        assert same(only, {name: everything[name] for name in only})


def test_the_two_strong_views_of_a_sample_differ() -> None:
    views = columns(SAMPLES, ALL, 0)
    for a, b in zip(views["image_a"], views["image_b"], strict=True):
        assert (a != b).any()


def test_views_are_the_augmentations_of_the_sample_by_its_own_generator() -> None:
    views = columns(SAMPLES, ALL, 2)
    for row, (number, _, sample) in enumerate(SAMPLES):
        picture, text = decode(sample.image()), tokenizer.clean(caption(number))
        strong = MOCOV2(picture, 16, sample_rng(7, number, 2, "image_a"))
        assert (views["image_a"][row] == strong).all()
        changed = EDA(synonyms="none")(text, sample_rng(7, number, 2, "text_aug"))
        ids, lengths = tokenizer.encode([changed], CONTEXT)
        assert (views["text_aug"][row] == ids[0]).all()
        assert views["text_aug_length"][row] == lengths[0]
        raw, lengths = tokenizer.encode([caption(number)], CONTEXT)
        assert (views["text"][row] == raw[0]).all()
        masked, targets = Masking()(raw, lengths, [sample_rng(7, number, 2, "text_masked")])
        assert (views["text_masked"][row] == masked[0]).all()
        assert (views["text_masked_target"][row] == targets[0]).all()
    assert (views["text_masked_target"] != NOT_MASKED).any()
    assert (views["text_masked_length"] == views["text_length"]).all()


@dataclass(frozen=True)
class Counted:
    """An augmentation that counts its calls."""

    calls: Counter[str] = field(default_factory=Counter)

    def __call__(
        self, picture: Image.Image, size: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        self.calls["image"] += 1
        return np.zeros((size, size, 3), np.uint8)


def counting(calls: Counter[str], name: str, inner: Callable[..., object]) -> Callable[..., object]:
    def counted(*given: object) -> object:
        calls[name] += 1
        return inner(*given)

    return counted


def test_a_picture_is_decoded_and_a_caption_tokenised_once_for_all_who_read_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = Counter[str]()
    monkeypatch.setattr(rendering_module, "decode", counting(calls, "decode", decode))
    monkeypatch.setattr(tokenizer, "encode", counting(calls, "encode", tokenizer.encode))
    monkeypatch.setattr(EDA, "__call__", counting(calls, "eda", EDA.__call__))
    augmentation = Counted(calls)
    asked = replace(
        ALL, images=dict.fromkeys((IMAGE_A, IMAGE_B), augmentation), texts=(TEXT, TEXT_MASKED)
    )
    columns(SAMPLES, asked, 0)
    assert calls == {"decode": 12, "image": 24, "encode": 1}
    columns(SAMPLES, replace(ALL, images={}, texts=(TEXT_AUG,)), 0)
    assert calls == {"decode": 24, "image": 24, "encode": 2, "eda": 12}


def test_a_faulty_sample_is_blank_in_every_view_and_shifts_no_other() -> None:
    broken = [*SAMPLES]
    broken[4] = Numbered(
        4, "s", RawSample("4", {"png": b"no picture", "txt": b"a caption of some words"})
    )
    columns(SAMPLES, ALL, 0)  # leaves pictures in the memory that comes next
    views, sound = columns(broken, ALL, 0), columns(SAMPLES, ALL, 0)
    assert views["fault"][4]
    assert (views["text_masked_target"][4] == NOT_MASKED).all()
    for view in (IMAGE, IMAGE_A, IMAGE_B):
        assert not views[view.name][4].any()
    for view in (TEXT, TEXT_AUG, TEXT_MASKED):
        assert views[view.name][4].tolist()[:3] == [tokenizer.START, tokenizer.END, 0]
        assert views[view.length][4] == 2
    others = [row for row in range(12) if row != 4]
    assert same(
        {name: column[others] for name, column in views.items()},
        {name: column[others] for name, column in sound.items()},
    )


def test_the_global_generators_are_left_alone() -> None:
    python, state = random.getstate(), np.random.get_state()[1]
    columns(SAMPLES, ALL, 0)
    assert random.getstate() == python
    assert (np.random.get_state()[1] == state).all()
