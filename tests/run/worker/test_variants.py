"""Every variant and tower on the real demo corpus. Oracle: the same run, uninterrupted."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.render.render import Columns, render_span
from seedbed.data.render.wordnet import WORDNET
from seedbed.data.rounds import Span
from seedbed.plan.cohort import Cohort
from seedbed.plan.rendering import rendering_of
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.resolve import Said, resolve
from seedbed.recipe.scale import DEMO
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.reading import order_of
from seedbed.study.trial import Trial
from seedbed.variants import AS_RELEASED, CLIP, UNIFIED
from seedbed_corpora import prepare

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(900)]

BATCH, STEPS = 32, 12
CPU = torch.device("cpu")
TOWERS = {"vit": "vit_base_patch32_clip_quickgelu_224", "resnet": "resnet50_clip"}
LEVELS = {**UNIFIED, **{f"{n}_released": level for n, level in AS_RELEASED.items()}}


def trial(name: str, tower: str) -> Trial:
    patches = {
        "budget.samples": BATCH * STEPS,
        "budget.warmup_samples": 2 * BATCH,
        "budget.batch": BATCH,
        "image.name": TOWERS[tower],
        # The data is the cohort's: all its members draw their random tokens alike.
        **{k: v for k, v in LEVELS[name].items() if not k.startswith("augment.")},
    }
    recipe = resolve(Recipe.paper(objective=CLIP), DEMO, [Said("the test", patches)])
    return Trial((("variant", name), ("tower", tower)), recipe)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenCorpus]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDBED_HOME", str(home))  # where the views look for synonyms
        prepare("emoji", home)
        WORDNET.prepare(home)
        yield open_corpus(trial("clip", "vit").recipe.corpus, home)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return Cohort(tuple(trial(name, tower) for name in LEVELS for tower in TOWERS))


@pytest.fixture(scope="module")
def batches(corpus: OpenCorpus, cohort: Cohort) -> list[Columns]:
    order, rendering = order_of(corpus, cohort.recipe), rendering_of(cohort)
    span = Span(0, STEPS * BATCH, BATCH)
    made = list(render_span(corpus.train, order, span, rendering, 256))
    whole = {name: np.concatenate([part[name] for part in made]) for name in made[0]}
    return [
        {name: column[step * BATCH : (step + 1) * BATCH] for name, column in whole.items()}
        for step in range(STEPS)
    ]


@pytest.fixture(scope="module")
def uninterrupted(cohort: Cohort, batches: list[Columns]) -> CohortTraining:
    training = CohortTraining(cohort, CPU)
    for step, columns in enumerate(batches):
        training.step(training.prepare(columns))
        training.collect()
        if step == STEPS // 2 - 1:
            held = io.BytesIO()
            torch.save(training.state_dict(), held)
            training.half_way = held.getvalue()  # type: ignore[attr-defined]
    return training


def test_every_variant_trains_to_the_end(uninterrupted: CohortTraining) -> None:
    states = {v.trial.name: (v.status, v.reason) for v in uninterrupted.variants.values()}
    assert states == dict.fromkeys(states, ("running", ""))
    assert len(states) == 20
    assert all(v.done for v in uninterrupted.variants.values())


def test_the_loss_of_every_variant_falls(uninterrupted: CohortTraining) -> None:
    for variant in uninterrupted.variants.values():
        losses = [point["train/loss"] for point in variant.curve]
        # From the second step on: in the first a queue is empty, and its term 0.
        assert np.mean(losses[-4:]) < np.mean(losses[1:5]), (variant.trial.name, losses)


def test_resumed_half_way_it_goes_on_bit_for_bit(
    uninterrupted: CohortTraining, cohort: Cohort, batches: list[Columns]
) -> None:
    training = CohortTraining(cohort, CPU)
    state = io.BytesIO(uninterrupted.half_way)  # type: ignore[attr-defined]
    training.load_state_dict(torch.load(state, weights_only=True))
    for columns in batches[STEPS // 2 :]:
        training.step(training.prepare(columns))
        training.collect()
    assert training.order_hash == uninterrupted.order_hash
    for key, variant in training.variants.items():
        ours = variant.model.state_dict()
        theirs = uninterrupted.variants[key].model.state_dict()
        assert list(ours) == list(theirs)
        for name, value in theirs.items():
            same = (
                torch.equal(ours[name], value)
                if isinstance(value, torch.Tensor)
                else (ours[name] == value)
            )
            assert same, (variant.trial.name, name)
        assert [p["train/loss"] for p in variant.curve] == [
            p["train/loss"] for p in uninterrupted.variants[key].curve
        ]


def test_a_queue_and_running_statistics_are_part_of_what_is_saved(
    uninterrupted: CohortTraining,
) -> None:
    saved = {
        name
        for variant in uninterrupted.variants.values()
        for name in variant.state_dict()["model"]
    }
    assert "terms.nearest_text.queue.rows" in saved
    assert "terms.nearest_text.queue._extra_state" in saved
    assert "terms.simsiam.projector.1.running_mean" in saved
    assert any(name.startswith("towers.image") and name.endswith("running_var") for name in saved)
