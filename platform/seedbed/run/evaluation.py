"""Finished trials on a test set, on the cluster: one stream of pictures for several models.

Ray Data reads a shard a task, decodes its pictures and prepares them as the models take them; an
actor holds the models of a group and scores every batch with each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
import ray.data

from seedbed.data.decode import decode
from seedbed.data.render.image import CenterCrop
from seedbed.errors import DataError, SampleFault
from seedbed.evaluate.scores import Scores
from seedbed.evaluate.test_set import TestSet
from seedbed.interchange.described import Described
from seedbed.interchange.found import Finished

if TYPE_CHECKING:
    from seedbed.evaluate.zeroshot import Classified

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
                    raise DataError(
                        f"{self.test_set.uri}: the picture {example.key}: {fault}",
                        why="a result on the others would be of another test set",
                        mend="repair it, or take it out of the shard",
                    ) from None
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
    ) -> None:
        import torch

        from seedbed.evaluate.zeroshot import prompts_of
        from seedbed.interchange.loading import model_of_trial

        device = "cuda" if torch.cuda.is_available() else "cpu"
        prompts = prompts_of(classes, templates)
        self.models = []
        for trial in trials:
            model = model_of_trial(trial).to(device)
            kind = (model.described.crop, model.described.image.size)
            encoder = model.encoder(trial.record.key)
            self.models.append((encoder.name, list(kinds).index(kind), encoder.classifier(prompts)))

    def __call__(self, batch: Batch) -> Batch:
        import torch

        from seedbed.evaluate.zeroshot import classified

        truth = torch.from_numpy(np.asarray(batch["label"]).copy())
        out: Batch = {"id": batch["id"], "label": batch["label"]}
        for name, kind, classifier in self.models:
            pictures = torch.from_numpy(np.asarray(batch[f"pictures-{kind}"]).copy())
            found: Classified = classified(name, classifier(pictures), truth)
            out[f"{name}/predicted"], out[f"{name}/above"] = found
        return out


def classify_trials(
    trials: Sequence[Finished], test_set: TestSet, templates: Sequence[str], *, at_once: int = 8
) -> Iterator[tuple[Finished, Scores]]:
    """Each trial's scores, `at_once` trials on one stream. Call it connected to a Ray."""
    gpus = 1 if ray.cluster_resources().get("GPU", 0) >= 1 else 0
    for first in range(0, len(trials), at_once):
        group = list(trials[first : first + at_once])
        kinds = _kinds(group)
        scored = (
            ray.data.from_items(list(range(len(test_set.shards))))
            .map_batches(Reading(test_set, kinds), batch_size=1, num_cpus=1)
            .map_batches(
                Scoring,
                fn_constructor_args=(group, kinds, test_set.classes, tuple(templates)),
                batch_size=None,
                compute=ray.data.ActorPoolStrategy(size=1),
                num_gpus=gpus,
                num_cpus=0,
            )
            .to_pandas()
        )
        columns = {name: np.asarray(scored[name]) for name in scored.columns}
        line = np.argsort(columns["id"], kind="stable")
        for trial in group:
            yield trial, _scores(columns, line, trial.record.key, len(test_set.classes))


def _kinds(trials: Sequence[Finished]) -> tuple[Kind, ...]:
    described = [Described.read(one.record.recipe, one.place) for one in trials]
    return tuple(dict.fromkeys((one.crop, one.image.size) for one in described))


def _scores(columns: Mapping[str, Any], line: Any, key: str, num_classes: int) -> Scores:
    own = {name: columns[f"{key}/{name}"][line] for name in ("predicted", "above")}
    ids = np.arange(len(line), dtype=np.int64)
    return Scores(ids, {"label": columns["label"][line], **own}, num_classes)
