"""From a window of shards to arrays: read, untar, decode, augment and tokenise, in stream order.

No Ray in here: a Ray task, a plain loop and a test call the same functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seedbed.data.decode import decode
from seedbed.data.fault import Fault
from seedbed.data.order import Order, Window, owned, sample_id
from seedbed.data.render import tokenizer
from seedbed.data.render.augmentation import Asset
from seedbed.data.render.caption import EDA
from seedbed.data.render.image import CenterCrop, ImageAugmentation, sample_rng
from seedbed.data.render.masking import Masking
from seedbed.data.rows import Rows
from seedbed.data.shards.samples import RawSample, read_shard
from seedbed.data.views import TEXT, TEXT_AUG, TEXT_MASKED, View
from seedbed.errors import SampleFault

Columns = dict[str, NDArray[Any]]
MAX_READS = 4  # shards of a window that are read at a time


@dataclass(frozen=True)
class Rendering:
    """How samples become arrays: the views that some term reads, and their sizes.

    `images` maps each image view to its augmentation; `texts` lists the text views, of which
    TEXT_AUG is changed by `text_augmentation` and TEXT_MASKED by `masking`. `decode_side` is
    how small a picture may be decoded (0: whole): see `decode`. `assets` are the files that the
    views read beside the samples.
    """

    images: Mapping[View, ImageAugmentation]
    texts: tuple[View, ...]
    image_size: int
    context: int
    caption: str
    seed: int
    text_augmentation: EDA = EDA()
    masking: Masking = Masking()
    test_caption: str = ""
    decode_side: int = 0
    test_crop: CenterCrop = CenterCrop(ratio=1.0)
    assets: tuple[Asset, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "test_caption", self.test_caption or self.caption)


@dataclass(frozen=True)
class Span:
    """Samples start to stop - 1 of the stream, in global batches, and one rank's part of them."""

    start: int
    stop: int
    batch: int
    rank: int = 0
    world: int = 1


def render(
    rows: Rows, order: Order, window: Window, span: Span, rendering: Rendering, chunk: int
) -> Iterator[Columns]:
    """This rank's samples of `window`, in stream order, at most `chunk` rows at a time.

    Columns: each image view uint8 [n, S, S, 3], each text view int32 [n, context] with its
    lengths [n] (a masked one with its targets too), `id` int64 [n], and `fault` str [n], empty
    for a sound sample (see `Fault.line`). A faulty sample keeps its place, blank, so that it
    shifts no other; whoever trains leaves it out.
    """
    positions = owned(
        window,
        start=span.start,
        stop=span.stop,
        batch=span.batch,
        rank=span.rank,
        world=span.world,
    )
    if not len(positions):
        return
    picks = order.rows(window)[positions]
    shards = _Shards(rows, sorted(set(picks[:, 0].tolist())))
    for first in range(0, len(picks), chunk):
        part = picks[first : first + chunk]
        samples = [shards.sample(shard, position) for shard, position in part.tolist()]
        yield columns(samples, rendering, window.epoch)


class _Shards:
    """Some shards in memory, their samples addressed by position among the rows of the split."""

    def __init__(self, rows: Rows, shards: Sequence[int]) -> None:
        self._rows = {shard: rows.of_shard(shard) for shard in shards}
        self._names = {shard: PurePosixPath(rows.paths[shard]).name for shard in shards}

        def read(shard: int) -> list[RawSample]:
            return read_shard(rows.paths[shard], rows.etag(shard))

        # A bucket answers several requests in the time of one.
        with ThreadPoolExecutor(MAX_READS) as pool:
            self._samples = dict(zip(shards, pool.map(read, shards), strict=True))

    def sample(self, shard: int, position: int) -> Numbered:
        rows = self._rows[shard]
        row = int(rows[position])
        copy = position - int(np.searchsorted(rows, row))
        number = sample_id(shard, row, copy)
        return Numbered(number, self._names[shard], self._samples[shard][row])


class Numbered(NamedTuple):
    """A sample with its id and the name of its shard."""

    id: int
    shard: str
    sample: RawSample


def columns(samples: Sequence[Numbered], rendering: Rendering, epoch: int) -> Columns:
    """Arrays of `samples` as described at `render`."""
    n, size = len(samples), rendering.image_size
    images = {view: np.zeros((n, size, size, 3), np.uint8) for view in rendering.images}
    captions, faults = [""] * n, [""] * n
    for i, (number, shard, sample) in enumerate(samples):
        try:
            picture = decode(sample.image(), rendering.decode_side)
            captions[i] = sample.caption(rendering.caption)
            for view, augmentation in rendering.images.items():
                rng = sample_rng(rendering.seed, number, epoch, view.name)
                images[view][i] = augmentation(picture, size, rng)
        except SampleFault as fault:
            captions[i], faults[i] = "", Fault(shard, sample.key, str(fault)).line
    out: Columns = {view.name: array for view, array in images.items()}
    out |= _texts([number for number, _, _ in samples], captions, rendering, epoch)
    out["id"] = np.array([number for number, _, _ in samples], np.int64)
    out["fault"] = np.array(faults, dtype=object)
    return out


def _texts(sample_ids: list[int], captions: list[str], rendering: Rendering, epoch: int) -> Columns:
    """The columns of the text views; a blank caption stays blank in each, with no target."""
    views, out = rendering.texts, Columns()

    def rngs(view: View) -> list[np.random.Generator]:
        return [sample_rng(rendering.seed, number, epoch, view.name) for number in sample_ids]

    if TEXT in views or TEXT_MASKED in views:
        plain = text_columns(TEXT, captions, rendering.context)
        if TEXT in views:
            out |= plain
        if TEXT_MASKED in views:
            ids, lengths = plain[TEXT.name], plain[TEXT.length]
            masked, targets = rendering.masking(ids, lengths, rngs(TEXT_MASKED))
            out[TEXT_MASKED.name], out[TEXT_MASKED.target] = masked, targets
            out[TEXT_MASKED.length] = lengths
    if TEXT_AUG in views:
        augment = rendering.text_augmentation
        changed = [
            augment(tokenizer.clean(caption), rng)
            for caption, rng in zip(captions, rngs(TEXT_AUG), strict=True)
        ]
        out |= text_columns(TEXT_AUG, changed, rendering.context)
    return out


@dataclass(frozen=True)
class TestSet:
    """Held-out pairs: pictures uint8 [n, S, S, 3], their captions and ids [n]."""

    __test__ = False  # not a test class, whatever its name says to pytest
    images: NDArray[np.uint8]
    captions: tuple[str, ...]
    ids: NDArray[np.int64]
    faults: tuple[Fault, ...]


def render_test_set(rows: Rows, rendering: Rendering, *, rank: int = 0, world: int = 1) -> TestSet:
    """The sound samples of a test split, un-augmented: every `world`-th one from `rank` on."""
    crop = rendering.test_crop
    images: list[NDArray[np.uint8]] = []
    captions: list[str] = []
    ids: list[int] = []
    faults: list[Fault] = []
    number = 0
    needed = crop.needed_side(rendering.image_size)
    for shard in range(len(rows.paths)):
        if not rows.counts[shard]:
            continue
        held = _Shards(rows, [shard])
        for position in range(rows.counts[shard]):
            number += 1
            if (number - 1) % world != rank:
                continue
            sample_id, name, sample = held.sample(shard, position)
            try:
                picture = decode(sample.image(), needed)
                caption = tokenizer.clean(sample.caption(rendering.test_caption))
            except SampleFault as fault:
                faults.append(Fault(name, sample.key, str(fault)))
                continue
            images.append(crop(picture, rendering.image_size))
            captions.append(caption)
            ids.append(sample_id)
    shape = (0, rendering.image_size, rendering.image_size, 3)
    return TestSet(
        images=np.stack(images) if images else np.zeros(shape, np.uint8),
        captions=tuple(captions),
        ids=np.array(ids, np.int64),
        faults=tuple(faults),
    )


def text_columns(view: View, captions: list[str], context: int) -> Columns:
    """Token ids and lengths of `captions` under the names of a text view."""
    ids, lengths = tokenizer.encode(captions, context)
    return {view.name: ids, view.length: lengths}
