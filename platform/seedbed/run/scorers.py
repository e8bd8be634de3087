"""What processes of the cluster do for trials on a test set: read its pictures, read its prompts,
and score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seedbed.data.decode import decode
from seedbed.data.render.image import CenterCrop
from seedbed.errors import SampleFault
from seedbed.evaluate.test_set import TestSet
from seedbed.interchange.found import Finished

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from seedbed.evaluate.encoder import Read
    from seedbed.evaluate.pretrained import TrainedEncoder

BATCH = 256
SHARD_IDS = 100_000_000  # an example's id is its shard's number times this, and its place in it

Kind = tuple[CenterCrop, int]  # how a picture is cropped, and to how many pixels
Batch = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """Reads shards into prepared pictures: a column `pictures-N` for each of `kinds`."""

    test_set: TestSet
    kinds: tuple[Kind, ...]

    def __call__(self, shards: Batch) -> Iterator[Batch]:
        for number in shards["item"].tolist():
            one = replace(self.test_set, shards=(self.test_set.shards[number],))
            rows: list[tuple[int, int, list[Any]]] = []
            for place, example in enumerate(one.examples()):
                try:
                    picture = decode(example.picture)
                except SampleFault as fault:
                    raise self.test_set.broken(example, fault) from None
                made = [crop(picture, size) for crop, size in self.kinds]
                rows.append((number * SHARD_IDS + place, example.label, made))
                if len(rows) == BATCH:
                    yield self._batch(rows)
                    rows = []
            if rows:
                yield self._batch(rows)

    def _batch(self, rows: Sequence[tuple[int, int, list[Any]]]) -> Batch:
        out: Batch = {
            "id": np.array([row[0] for row in rows]),
            "label": np.array([row[1] for row in rows]),
        }
        for n in range(len(self.kinds)):
            out[f"pictures-{n}"] = np.stack([row[2][n] for row in rows])
        return out


class Scoring:
    """Holds the models of some trials, and scores batches with each of them."""

    def __init__(
        self,
        trials: Sequence[Finished],
        kinds: Sequence[Kind],
        classes: Sequence[str],
        templates: Sequence[str],
        texts: Sequence[Any] = (),
    ) -> None:
        """`texts` are references to what `texts_of` made of each part of the prompts; without any
        this process reads them all."""
        from seedbed.evaluate.encoder import Read
        from seedbed.evaluate.zeroshot import namesakes_after, prompts_of

        self.after = namesakes_after(classes)
        self.models: list[tuple[str, int, Callable[[Tensor], Tensor]]] = []
        parts = _fetched(texts)
        for number, encoder in enumerate(_encoders(trials)):
            if parts:
                read = Read.joined([part[number] for part in parts])
            else:
                read = encoder.read(prompts_of(classes, templates))
            kind = list(kinds).index((encoder.crop, encoder.size))
            self.models.append((encoder.name, kind, encoder.classifier_of(read)))

    def __call__(self, block: Batch) -> Batch:
        import torch

        from seedbed.evaluate.zeroshot import counted

        truth = torch.from_numpy(np.asarray(block["label"]).copy())
        out: Batch = {"id": block["id"], "label": block["label"]}
        for name, kind, classifier in self.models:
            pictures = block[f"pictures-{kind}"]
            # Copies, and in parts: a block lies in Ray's store, and is as large as Ray likes.
            parts = [
                classifier(torch.from_numpy(pictures[first : first + BATCH].copy())).float().cpu()
                for first in range(0, len(truth), BATCH)
            ]
            scores = torch.cat(parts or [torch.empty(0, len(self.after))])
            out[f"{name}/predicted"], out[f"{name}/above"], _ = counted(scores, truth, self.after)
            out[f"{name}/bad"] = (~torch.isfinite(scores)).any(1).numpy()
        return out


def texts_of(
    trials: Sequence[Finished], classes: Sequence[str], templates: Sequence[str], rank: int, of: int
) -> tuple[list[Read], bool]:
    """What each trial's model makes of a part of the prompts, of blocks `rank` modulo `of`; and
    that it is done, which can be asked for without the rest."""
    from seedbed.evaluate.zeroshot import prompts_of

    prompts = prompts_of(classes, templates)
    return [encoder.read(prompts, rank, of) for encoder in _encoders(trials)], True


def _encoders(trials: Sequence[Finished]) -> Iterator[TrainedEncoder]:
    import torch

    from seedbed.interchange.loading import model_of_trial

    device = "cuda" if torch.cuda.is_available() else "cpu"
    for trial in trials:
        yield model_of_trial(trial).to(device).encoder(trial.record.key)


def _fetched(texts: Sequence[Any]) -> list[list[Read]]:
    import ray

    return list(ray.get(list(texts))) if texts else []
