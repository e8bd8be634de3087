"""From samples to arrays: read, decode, augment and tokenise, in stream order.

No Ray in here: a Ray task, a plain loop and a test call the same functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.data.decode import decode
from seedbed.data.fault import Fault
from seedbed.data.order import Order, Picks
from seedbed.data.reads import Numbered, Reads, plan_reads, samples
from seedbed.data.render import tokenizer
from seedbed.data.render.augmentation import Asset
from seedbed.data.render.caption import EDA
from seedbed.data.render.image import CenterCrop, ImageAugmentation, sample_rng
from seedbed.data.render.masking import Masking
from seedbed.data.render.memory import Memory
from seedbed.data.rounds import Span, rounds
from seedbed.data.rows import Rows
from seedbed.data.views import TEXT, TEXT_AUG, TEXT_MASKED, View
from seedbed.errors import SampleFault

Columns = dict[str, NDArray[Any]]
PIXEL = np.dtype(np.uint8)
MEMORY = Memory()  # a process renders chunk after chunk of one size
TEST_ROWS = 512  # of a test set that are held as they were read, at a time
TEST_THREADS = 8  # that decode them: nothing else runs yet, and decoding leaves Python's lock


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


def render(reads: Reads, rendering: Rendering, chunk: int) -> Iterator[Columns]:
    """The samples of `reads` in their order, at most `chunk` rows at a time.

    Columns: each image view uint8 [n, S, S, 3], each text view int32 [n, context] with its
    lengths [n] (a masked one with its targets too), `id` int64 [n], and `fault` str [n], empty
    for a sound sample (see `Fault.line`). A faulty sample keeps its place, blank, so that it
    shifts no other; whoever trains leaves it out.
    """
    asked = samples(reads)
    for first in range(0, len(reads.picks), chunk):
        epochs = reads.picks[first : first + chunk, 0]
        yield columns(list(islice(asked, chunk)), rendering, epochs)


def render_span(
    rows: Rows, order: Order, span: Span, rendering: Rendering, chunk: int
) -> Iterator[Columns]:
    """What a rank reads of `span`, in this process: the stream without Ray."""
    for part in rounds(order, span):
        yield from render(plan_reads(rows, part.picks), rendering, chunk)


def columns(
    samples: Sequence[Numbered], rendering: Rendering, epoch: int | NDArray[np.int64]
) -> Columns:
    """Arrays of `samples` as described at `render`; `epoch` is that of all, or of each [n]."""
    n, size = len(samples), rendering.image_size
    epochs = np.broadcast_to(epoch, n).tolist()
    images = {view: MEMORY.array((n, size, size, 3), PIXEL) for view in rendering.images}
    captions, faults = [""] * n, [""] * n
    for i, (number, shard, sample) in enumerate(samples):
        try:
            picture = decode(sample.image(), rendering.decode_side)
            captions[i] = sample.caption(rendering.caption)
            for view, augmentation in rendering.images.items():
                rng = sample_rng(rendering.seed, number, epochs[i], view.name)
                images[view][i] = augmentation(picture, size, rng)
        except SampleFault as fault:
            for array in images.values():
                array[i] = 0
            captions[i], faults[i] = "", Fault(shard, sample.key, str(fault)).line
    out: Columns = {view.name: array for view, array in images.items()}
    out |= _texts([number for number, _, _ in samples], captions, rendering, epochs)
    out["id"] = np.array([number for number, _, _ in samples], np.int64)
    out["fault"] = np.array(faults, dtype=object)
    return out


def _texts(
    sample_ids: list[int], captions: list[str], rendering: Rendering, epochs: list[int]
) -> Columns:
    """The columns of the text views; a blank caption stays blank in each, with no target."""
    views, out = rendering.texts, Columns()

    def rngs(view: View) -> list[np.random.Generator]:
        numbered = zip(sample_ids, epochs, strict=True)
        return [sample_rng(rendering.seed, number, epoch, view.name) for number, epoch in numbered]

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

    @classmethod
    def joined(cls, parts: Sequence[TestSet]) -> TestSet:
        """The pairs of all `parts`, one after the other."""
        return cls(
            np.concatenate([part.images for part in parts]),
            tuple(caption for part in parts for caption in part.captions),
            np.concatenate([part.ids for part in parts]),
            tuple(fault for part in parts for fault in part.faults),
        )

    def part(self, rank: int, world: int) -> TestSet:
        """Every `world`-th pair from `rank` on, and all faults."""
        mine = slice(rank, None, world)
        return TestSet(self.images[mine], self.captions[mine], self.ids[mine], self.faults)


def test_set_parts(rows: Rows, rendering: Rendering) -> Iterator[TestSet]:
    """The sound samples of a test split, un-augmented, in their order, some at a time."""
    crop, size = rendering.test_crop, rendering.image_size
    every = Picks.of_all(rows.counts)

    def made(numbered: Numbered) -> tuple[NDArray[np.uint8], str] | Fault:
        _, name, sample = numbered
        try:
            picture = decode(sample.image(), crop.needed_side(size))
            caption = tokenizer.clean(sample.caption(rendering.test_caption))
        except SampleFault as fault:
            return Fault(name, sample.key, str(fault))
        return crop(picture, size), caption

    with ThreadPoolExecutor(TEST_THREADS) as pool:
        for first in range(0, len(every), TEST_ROWS):
            asked = list(samples(plan_reads(rows, every.at(slice(first, first + TEST_ROWS)))))
            found = list(pool.map(made, asked))
            sound = [
                (numbered.id, *one)
                for numbered, one in zip(asked, found, strict=True)
                if not isinstance(one, Fault)
            ]
            images = np.empty((len(sound), size, size, 3), np.uint8)
            for place, (_, picture, _) in enumerate(sound):
                images[place] = picture
            yield TestSet(
                images,
                tuple(caption for _, _, caption in sound),
                np.array([number for number, _, _ in sound], np.int64),
                tuple(one for one in found if isinstance(one, Fault)),
            )


def render_test_set(rows: Rows, rendering: Rendering) -> TestSet:
    """All of `test_set_parts`, in memory."""
    size = rendering.image_size
    nothing = TestSet(np.empty((0, size, size, 3), np.uint8), (), np.empty(0, np.int64), ())
    return TestSet.joined([nothing, *test_set_parts(rows, rendering)])


def text_columns(view: View, captions: list[str], context: int) -> Columns:
    """Token ids and lengths of `captions` under the names of a text view."""
    ids, lengths = tokenizer.encode(captions, context)
    return {view.name: ids, view.length: lengths}
