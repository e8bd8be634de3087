"""What every view and augmentation promises, found by walking the package.

Oracles: the shapes that `View` states, and the same view made by another hand.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import inspect
import io
import pickle
import pkgutil
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from PIL import Image

import seedbed.data.render
from seedbed.data import views as views_module
from seedbed.data.reads import Numbered
from seedbed.data.render.augmentation import Augmentation
from seedbed.data.render.caption import EDA
from seedbed.data.render.image import sample_rng
from seedbed.data.render.render import Columns, Rendering, columns
from seedbed.data.shards.sample import RawSample
from seedbed.data.views import TEXT, View
from seedbed.errors import StudyError
from seedbed.recipe.recipe import Augment

SIZE, CONTEXT, NUM = 16, 24, 10
VIEWS = sorted(view for view in vars(views_module).values() if isinstance(view, View))
EACH = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)


def found() -> list[type[Augmentation]]:
    """Every augmentation that the package defines."""
    kinds = []
    for module in pkgutil.iter_modules(seedbed.data.render.__path__):
        held = importlib.import_module(f"seedbed.data.render.{module.name}")
        for _, kind in inspect.getmembers(held, inspect.isclass):
            own = kind.__module__ == held.__name__
            if own and issubclass(kind, Augmentation) and dataclasses.is_dataclass(kind):
                kinds.append(kind)
    return kinds


KINDS = pytest.mark.parametrize("kind", found(), ids=lambda kind: kind.__name__)


def sample(number: int) -> Numbered:
    pixels = np.random.default_rng(number).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    caption = f"a photo of {number} small dogs and one very large blue cat on the green grass"
    members = {"png": out.getvalue(), "txt": caption.encode()}
    return Numbered(number, "s", RawSample(f"{number}", members))


SAMPLES = [sample(number) for number in range(NUM)]


def made(view: View, seed: int = 7) -> Rendering:
    """One view alone, as recipes have it by default; without files beside the samples."""
    augment = Augment(text_aug=EDA(synonyms="none"))
    image = view.modality == "image"
    return Rendering(
        {view: augment.of(view)} if image else {},  # type: ignore[dict-item]
        () if image else (view,),
        SIZE,
        CONTEXT,
        "txt",
        seed,
        augment.text_aug,
        augment.text_masked,
    )


def columns_of(view: View) -> set[str]:
    masked = view == views_module.TEXT_MASKED
    return {view.name} | (
        {view.length} | ({view.target} if masked else set()) if view.modality == "text" else set()
    )


def same(a: Columns, b: Columns) -> bool:
    return a.keys() == b.keys() and all(bool((a[name] == b[name]).all()) for name in a)


def test_the_package_has_its_views_and_augmentations() -> None:
    names = {view.name for view in VIEWS}
    assert names >= {"image", "image_a", "image_b", "text", "text_aug", "text_masked"}
    assert {kind.__name__ for kind in found()} >= {
        "RandomResizedCrop",
        "Strong",
        "CenterCrop",
        "EDA",
        "Masking",
    }


@EACH
def test_it_arrives_in_the_columns_and_shapes_that_it_states(view: View) -> None:
    out = columns(SAMPLES, made(view), 0)
    assert out.keys() == columns_of(view) | {"id", "fault"}
    assert not any(out["fault"])
    column = out[view.name]
    if view.modality == "image":
        assert column.shape == (NUM, SIZE, SIZE, 3) and column.dtype == np.uint8
        return
    assert column.shape == (NUM, CONTEXT) and column.dtype == np.int32
    lengths = out[view.length]
    assert lengths.shape == (NUM,) and lengths.dtype == np.int32
    assert ((lengths > 2) & (lengths <= CONTEXT)).all()
    padding = np.arange(CONTEXT) >= lengths[:, None]
    assert len(np.unique(column[padding])) == 1
    if view.target in out:
        target = out[view.target]
        assert target.shape == (NUM, CONTEXT) and target.dtype == np.int32
        assert (target[padding] == -100).all() and (target != -100).any()


@EACH
def test_it_is_seeded_by_sample_epoch_and_seed(view: View) -> None:
    first = columns(SAMPLES, made(view), 0)
    assert same(first, columns(SAMPLES, made(view), 0))
    others = (columns(SAMPLES, made(view), 1), columns(SAMPLES, made(view, seed=8), 0))
    twins = [Numbered(number + NUM, *rest) for number, *rest in SAMPLES]
    others = (*others, columns(twins, made(view), 0))
    for other in others:
        # The raw caption has nothing to draw; every other view has.
        assert (other[view.name] == first[view.name]).all() == (view == TEXT)


@EACH
def test_it_is_the_same_bits_whoever_makes_it_and_in_whatever_order(view: View) -> None:
    whole = columns(SAMPLES, made(view), 2)

    def alone(number: int) -> Columns:
        return columns(SAMPLES[number : number + 1], made(view), 2)

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(alone, reversed(range(NUM))))[::-1]
    assert same(whole, {name: np.concatenate([p[name] for p in parts]) for name in whole})


@pytest.mark.slow
def test_another_process_makes_the_same_bits() -> None:
    folder = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {folder!r}); import test_views as t; print(t.digest())"
    line = [sys.executable, "-c", code]
    told = subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()
    assert told == digest()


def digest() -> str:
    """Of every view of every sample."""
    parts = []
    for view in VIEWS:
        out = columns(SAMPLES, made(view), 2)
        parts += [out[name].tobytes() for name in sorted(columns_of(view))]
    return hashlib.sha256(b"".join(parts)).hexdigest()


@EACH
def test_it_leaves_the_global_generators_alone(view: View) -> None:
    python, numpy = random.getstate(), np.random.get_state()[1]
    columns(SAMPLES, made(view), 0)
    assert random.getstate() == python
    assert (np.random.get_state()[1] == numpy).all()


@KINDS
def test_an_augmentation_is_a_value(kind: type[Any]) -> None:
    one = kind()
    assert pickle.loads(pickle.dumps(one)) == one == kind() and hash(one) == hash(kind())
    assert pickle.loads(pickle.dumps(one.assets)) == one.assets


@pytest.mark.parametrize("kind", [kind for kind in found() if hasattr(kind, "needed_side")])
def test_an_augmentation_of_pictures_gives_the_size_that_was_asked(kind: type[Any]) -> None:
    picture = Image.open(io.BytesIO(SAMPLES[0].sample.image())).convert("RGB")
    before = picture.tobytes()
    for size in (8, 16, 33):
        one, again = (kind()(picture, size, sample_rng(0, 1, 2, "v")) for _ in range(2))
        assert one.shape == (size, size, 3) and one.dtype == np.uint8
        assert (one == again).all()
        assert kind().needed_side(size) >= size
    assert picture.tobytes() == before


def impossible() -> list[tuple[Any, str, object]]:
    cases: list[tuple[Any, str, object]] = []
    for kind in found():
        hints = get_type_hints(kind)
        for field in dataclasses.fields(kind):
            values: tuple[object, ...] = ("0.5", None, True, float("nan"), float("inf"))
            if get_origin(hints[field.name]) is Literal:
                assert "nonsense" not in get_args(hints[field.name])
                values = ("nonsense", 1, None)
            elif hints[field.name] is int:
                values = ("8", None, True, 2.5, -1)
            cases += [(kind, field.name, value) for value in values]
    return cases


@pytest.mark.parametrize(
    ("kind", "name", "value"), impossible(), ids=lambda v: getattr(v, "__name__", repr(v))
)
def test_impossible_fields_are_refused_by_name(kind: Any, name: str, value: object) -> None:
    with pytest.raises(StudyError) as error:
        kind(**{name: value})
    assert f"{kind.__name__}.{name}" in error.value.what
    assert error.value.why and error.value.mend
