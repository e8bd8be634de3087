"""A test set of classes as a study's trials are scored on it: zero-shot, with its prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seedbed.data.decode import decode
from seedbed.data.render.image import CenterCrop
from seedbed.data.render.render import TestSet as Rendered
from seedbed.errors import DataError, SampleFault
from seedbed.evaluate.named import FOLDER, metrics_named
from seedbed.evaluate.scores import Scores
from seedbed.evaluate.task import Own, Pairs, Task
from seedbed.evaluate.test_set import Example, TestSet

if TYPE_CHECKING:
    from seedbed.model.pretrainer import Pretrainer

BATCH = 256
THREADS = 8  # that decode: Pillow lets go of the interpreter while it does


@dataclass(frozen=True)
class OpenTest:
    """A test set that a study's trials are scored on: its `mark` tells its shards from others."""

    test_set: TestSet
    mark: str
    num_pictures: int

    @property
    def protocol(self) -> dict[str, Any]:
        """What decides its numbers, beside the model."""
        from seedbed.evaluate.zeroshot import protocol_of

        return protocol_of(self.test_set, self.mark)

    def rendered(self, crop: CenterCrop, size: int) -> Iterator[Rendered]:
        """Its pictures as trials take them, a batch at a time, each with its label as the caption.

        Raises DataError for a picture that does not decode, and where there are more or fewer than
        were counted.
        """
        done = 0
        with ThreadPoolExecutor(THREADS) as pool:
            for some in _batched(self.test_set.examples()):
                ids = np.arange(done, done + len(some), dtype=np.int64)
                done += len(some)
                if done > self.num_pictures:
                    raise self._changed("more")
                images = np.stack(list(pool.map(lambda one: self._picture(one, crop, size), some)))
                yield Rendered(images, tuple(str(one.label) for one in some), ids, ())
        if done < self.num_pictures:
            raise self._changed(f"{done:,}")

    def _picture(self, example: Example, crop: CenterCrop, size: int) -> NDArray[np.uint8]:
        try:
            return crop(decode(example.picture), size)
        except SampleFault as fault:
            raise self.test_set.broken(example, fault) from None

    def _changed(self, found: str) -> DataError:
        return DataError(
            f"{self.test_set.uri} has {found} pictures, and {self.num_pictures:,} were counted",
            why="its shards have changed since the study was started",
            mend="give the same command again",
        )


@dataclass(frozen=True)
class Labelled:
    """One rank's pictures uint8 [n, S, S, 3], their labels and ids [n]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ids: NDArray[np.int64]
    context: int


class Prompted(Task[Labelled]):
    """Zero-shot top-1, top-5 and mean per class on the test set `one`, whose pictures models take
    by `crop` at `size` pixels.

    Columns: `label`, `predicted` and `above`, as `zeroshot.classify` has them.
    """

    needs_alignment = True

    def __init__(self, one: OpenTest, crop: CenterCrop, size: int) -> None:
        name = one.test_set.name
        self.one, self.crop, self.size, self.metrics = one, crop, size, metrics_named(name)
        self.file, self.examples = f"{FOLDER}/{name}.parquet", f"pictures of {name}"
        self.names_needed = {f"{name}/acc5": 6}  # with five every guess is right

    @property
    def own(self) -> Own:
        words = repr((self.one.mark, self.one.num_pictures, self.size, self.crop))
        mark = hashlib.sha256(words.encode()).hexdigest()[:24]
        return Own(mark, self.size, lambda: self.one.rendered(self.crop, self.size))

    def prepare(self, pairs: Pairs) -> Labelled:
        """Raises DataError for a class without a picture."""
        from seedbed.evaluate.zeroshot import counts_of

        counts_of(self.one.test_set, np.array([int(name) for name in pairs.names]))
        labels = np.array([int(label) for label in pairs.captions], np.int64)
        return Labelled(pairs.images, labels, pairs.ids, pairs.context)

    def run(self, model: Pretrainer, part: Labelled) -> Scores | None:
        import torch

        from seedbed.evaluate.encoder import Read
        from seedbed.evaluate.pretrained import TrainedEncoder
        from seedbed.evaluate.zeroshot import counted, namesakes_after, prompts_of
        from seedbed.model.gather import of_every_rank, own_rank, world_size

        if model.similarity() is None:
            return None
        test_set, training = self.one.test_set, model.training
        encoder = TrainedEncoder(test_set.name, model, self.crop, self.size, part.context)
        found: list[NDArray[np.int64]] = [np.empty((2, 0), np.int64)]
        num_not_finite, after = 0, namesakes_after(test_set.classes)
        try:
            prompts = prompts_of(test_set.classes, test_set.templates)
            # Most of the work, where templates are many: of several ranks each reads its part.
            read = of_every_rank(encoder.read(prompts, own_rank(), world_size()))
            classifier = encoder.classifier_of(Read.joined(read))
            for first in range(0, len(part.images), BATCH):
                rows = slice(first, first + BATCH)
                # A copy: the pictures may be mapped from a file, and are not for writing.
                scores = classifier(torch.tensor(part.images[rows])).float().cpu()
                *both, bad = counted(scores, torch.from_numpy(part.labels[rows]), after)
                found.append(np.stack(both))
                num_not_finite += bad
        finally:
            model.train(training)
        predicted, above = np.concatenate(found, axis=1)
        columns = {"label": part.labels, "predicted": predicted, "above": above}
        return Scores(part.ids, columns, len(test_set.classes), num_not_finite)

    def result(self, name: str, model: Pretrainer, scores: Scores) -> dict[str, Any] | None:
        """As `seedbed evaluate` writes it."""
        from seedbed.evaluate.pretrained import protocol_of
        from seedbed.evaluate.zeroshot import outcome_of

        protocol = protocol_of(self.crop, self.size, model.precision)
        return outcome_of(name, protocol, self.one.test_set, scores).to_json()

    def values(self, scores: Scores) -> dict[str, float]:
        from seedbed.evaluate.zeroshot import mean_per_class

        name = self.one.test_set.name
        return super().values(scores) | {
            f"{name}/mean_per_class_recall": mean_per_class(scores),
            f"{name}/num_pictures": float(len(scores.ids)),
            f"{name}/num_names": float(scores.num_names),
        }


def _batched(examples: Iterator[Example]) -> Iterator[list[Example]]:
    some: list[Example] = []
    for example in examples:
        some.append(example)
        if len(some) == BATCH:
            yield some
            some = []
    if some:
        yield some
