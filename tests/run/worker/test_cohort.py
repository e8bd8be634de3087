"""Training a cohort. Oracle: a plain Python loop over the same batches, written out here."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.render.render import Columns, render_span
from seedbed.data.rounds import Span
from seedbed.errors import DataError
from seedbed.interchange.state_file import read_state, write_state
from seedbed.model.gather import Gather
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.plan.cohort import Cohort
from seedbed.plan.rendering import rendering_of
from seedbed.recipe.recipe import AdamW, Budget, Recipe
from seedbed.run.worker.batch import make_batch
from seedbed.run.worker.cohort import CohortTraining, roll
from seedbed.run.worker.reading import order_of
from seedbed.study.trial import Trial
from seedbed.variants import CLIP

BATCH, STEPS = 32, 6
CPU = torch.device("cpu")


def recipe(shapes: Path, layers: int, seed: int = 0, lr: float = 1e-3) -> Recipe:
    return Recipe(
        objective=CLIP,
        corpus=Corpus(uri=str(shapes), caption="txt"),
        image=ImageTower("test_resnet", size=32),
        text=TextTower(layers=layers, width=32, heads=2, context=12),
        embed_dim=16,
        optimizer=AdamW(lr=lr),
        budget=Budget(samples=BATCH * STEPS, warmup_samples=BATCH, batch=BATCH),
        seed=seed,
    )


def cohort(*recipes: Recipe) -> Cohort:
    return Cohort(tuple(Trial((("n", i),), r) for i, r in enumerate(recipes)))


RENDERED: dict[object, Columns] = {}  # by all that decides them: the tests read the same shapes
LOOPS: dict[str, dict[str, torch.Tensor]] = {}


def batches(corpus: OpenCorpus, members: Cohort, start: int = 0) -> Iterator[Columns]:
    """The stream without Ray: every round rendered in turn, cut into batches."""
    order, rendering = order_of(corpus, members.recipe), rendering_of(members)
    span = Span(start * BATCH, STEPS * BATCH, BATCH)
    of = (corpus.fingerprint, members.recipe.seed, repr(rendering), start)
    if of not in RENDERED:
        parts = list(render_span(corpus.train, order, span, rendering, 50))
        RENDERED[of] = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    whole = {name: column.copy() for name, column in RENDERED[of].items()}  # a test may change them
    for step in range(STEPS - start):
        yield {n: c[step * BATCH : (step + 1) * BATCH] for n, c in whole.items()}


@pytest.fixture
def corpus(shapes: Path, home: Path) -> OpenCorpus:
    return open_corpus(Corpus(uri=str(shapes), caption="txt"), home)


def plain_loop(corpus: OpenCorpus, one: Recipe) -> dict[str, torch.Tensor]:
    """The weights after all steps; what a recipe makes is computed once."""
    if one.key() not in LOOPS:
        LOOPS[one.key()] = looped(corpus, one)
    return LOOPS[one.key()]


def looped(corpus: OpenCorpus, one: Recipe) -> dict[str, torch.Tensor]:
    model = Pretrainer(one.image, one.text, one.objective, embed_dim=one.embed_dim, seed=one.seed)
    decay = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        betas=(0.9, 0.98),
        eps=1e-8,
        fused=True,
    )
    for step, columns in enumerate(batches(corpus, cohort(one))):
        seen = step * BATCH
        if seen < BATCH:
            rate = 1e-4 + (1e-3 - 1e-4) * seen / BATCH
        else:
            rate = 0.5e-3 * (1 + math.cos(math.pi * (seen - BATCH) / (BATCH * (STEPS - 1))))
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = make_batch(columns, one, CPU).tensors
        optimizer.zero_grad()
        model(batch, Gather())["loss"].backward()
        optimizer.step()
        model.thetas["logit"].data.clamp_(0.0, math.log(100))
    return model.state_dict()


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def trained(corpus: OpenCorpus, members: Cohort) -> CohortTraining:
    training = CohortTraining(members, CPU)
    for columns in batches(corpus, members):
        training.step(training.prepare(columns))
    training.collect()
    return training


@pytest.mark.slow
def test_one_variant_equals_a_plain_loop_bit_for_bit(corpus: OpenCorpus, shapes: Path) -> None:
    one = recipe(shapes, 2)
    training = trained(corpus, cohort(one))
    assert equal(training.variants[one.key()].model.state_dict(), plain_loop(corpus, one))


@pytest.mark.slow
def test_a_variant_in_a_cohort_of_four_equals_a_plain_loop_bit_for_bit(
    corpus: OpenCorpus, shapes: Path
) -> None:
    recipes = [recipe(shapes, layers) for layers in (1, 2, 3, 4)]
    training = trained(corpus, cohort(*recipes))
    for one in recipes:
        assert equal(training.variants[one.key()].model.state_dict(), plain_loop(corpus, one))


@pytest.mark.slow
def test_every_variant_is_first_as_often_as_the_others(corpus: OpenCorpus, shapes: Path) -> None:
    recipes = [recipe(shapes, layers) for layers in (1, 2, 3)]
    training = CohortTraining(cohort(*recipes), CPU)
    came: list[str] = []
    for key, variant in training.variants.items():
        variant.model.register_forward_pre_hook(lambda *_, key=key: came.append(key))
    for columns in batches(corpus, cohort(*recipes)):
        training.step(training.prepare(columns))
    a, b, c = (one.key() for one in recipes)
    assert STEPS == 6
    assert came == [a, b, c, b, c, a, c, a, b] * 2


@pytest.mark.slow
def test_the_order_of_variants_changes_no_bit_of_their_weights(
    corpus: OpenCorpus, shapes: Path
) -> None:
    """Each of the orders that rotation makes, and each of them resumed at another step."""
    recipes = [recipe(shapes, layers) for layers in (1, 2, 3)]
    runs = [trained(corpus, cohort(*recipes[n:], *recipes[:n])) for n in range(3)]
    late = CohortTraining(cohort(*recipes), CPU)
    for number, columns in enumerate(batches(corpus, cohort(*recipes))):
        late.step_number = number + 2
        late.step(late.prepare(columns))
    for one in recipes:
        expected = plain_loop(corpus, one)
        for run in (*runs, late):
            assert equal(run.variants[one.key()].model.state_dict(), expected)


@pytest.mark.slow
def test_losses_fall(corpus: OpenCorpus, shapes: Path) -> None:
    one = recipe(shapes, 1, lr=3e-3)
    curve = trained(corpus, cohort(one)).variants[one.key()]
    first = CohortTraining(cohort(one), CPU)
    first.step(first.prepare(next(batches(corpus, cohort(one)))))
    assert curve.curve[-1]["train/loss"] < first.collect()[0].metrics["train/loss"]


@pytest.mark.slow
def test_resumed_equals_uninterrupted_bit_for_bit(
    corpus: OpenCorpus, shapes: Path, tmp_path: Path
) -> None:
    members = cohort(recipe(shapes, 1), recipe(shapes, 2))
    whole = trained(corpus, members)
    first = CohortTraining(members, CPU)
    for _, columns in zip(range(3), batches(corpus, members), strict=False):
        first.step(first.prepare(columns))
    first.collect()
    write_state(first.state_dict(), tmp_path / "state")
    second = CohortTraining(members, CPU)
    second.load_state_dict(read_state(tmp_path / "state"))
    for columns in batches(corpus, members, start=3):
        second.step(second.prepare(columns))
    second.collect()
    assert second.order_hash == whole.order_hash
    for key, variant in whole.variants.items():
        assert equal(variant.model.state_dict(), second.variants[key].model.state_dict())


@pytest.mark.slow
def test_some_variants_of_a_checkpoint_go_on_without_the_others_bit_for_bit(
    corpus: OpenCorpus, shapes: Path, tmp_path: Path
) -> None:
    recipes = [recipe(shapes, layers) for layers in (1, 2, 3)]
    first = CohortTraining(cohort(*recipes), CPU)
    for _, columns in zip(range(3), batches(corpus, cohort(*recipes)), strict=False):
        first.step(first.prepare(columns))
    first.collect()
    write_state(first.state_dict(), tmp_path / "state")
    one = cohort(recipes[1])
    second = CohortTraining(one, CPU)
    second.load_state_dict(read_state(tmp_path / "state"))
    # What was nobody's own step is still the cohort's, and the steps of the two others are not.
    own = sum(variant.clock.total_seconds for variant in first.variants.values())
    assert second.shared_seconds == pytest.approx(first.seconds - own)
    for columns in batches(corpus, one, start=3):
        second.step(second.prepare(columns))
    second.collect()
    expected = plain_loop(corpus, recipes[1])
    assert equal(second.variants[recipes[1].key()].model.state_dict(), expected)
    assert second.order_hash == trained(corpus, one).order_hash


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_the_variant_and_not_its_neighbour(
    corpus: OpenCorpus, shapes: Path
) -> None:
    sick, sound = recipe(shapes, 1), recipe(shapes, 2)
    members = cohort(sick, sound)
    training = CohortTraining(members, CPU)
    for step, columns in enumerate(batches(corpus, members)):
        if step == 2:
            with torch.no_grad():
                training.variants[sick.key()].model.projections["text"].weight.fill_(torch.nan)
        training.step(training.prepare(columns))
        training.collect()
    ended = training.variants[sick.key()]
    assert ended.status == "diverged"
    assert "step 3" in ended.reason
    assert equal(training.variants[sound.key()].model.state_dict(), plain_loop(corpus, sound))


@pytest.mark.parametrize("what", ["parameter", "running statistic"])
@pytest.mark.slow
def test_weights_that_are_not_finite_after_the_last_step_end_the_variant_as_diverged(
    corpus: OpenCorpus, shapes: Path, what: str
) -> None:
    """No further step would show it: the last loss was finite."""
    sick, sound = recipe(shapes, 1), recipe(shapes, 2)
    members = cohort(sick, sound)
    training = CohortTraining(members, CPU)
    for columns in batches(corpus, members):
        training.step(training.prepare(columns))
    model = training.variants[sick.key()].model
    tensors = dict(model.named_parameters() if what == "parameter" else model.named_buffers())
    name = next(n for n in tensors if n.endswith("weight" if what == "parameter" else "mean"))
    with torch.no_grad():
        tensors[name].view(-1)[0] = torch.inf
    points = training.collect()
    ended = training.variants[sick.key()]
    assert ended.status == "diverged"
    assert ended.reason == f"{name} is not finite after step {STEPS}"
    assert [point.key for point in points] == [sick.key(), sound.key()]  # what it learned is kept
    assert training.variants[sound.key()].status == "running"


@pytest.mark.slow
def test_an_error_in_one_variant_ends_it_alone(corpus: OpenCorpus, shapes: Path) -> None:
    sick, sound = recipe(shapes, 1), recipe(shapes, 2)
    members = cohort(sick, sound)
    training = CohortTraining(members, CPU)
    training.variants[sick.key()].model.projections["text"] = torch.nn.Linear(3, 16)
    for columns in batches(corpus, members):
        training.step(training.prepare(columns))
    training.collect()
    assert training.variants[sick.key()].status == "failed"
    assert training.sound == [sound.key()]  # the other stopped in the middle of a step
    assert "step 1" in training.variants[sick.key()].reason
    assert equal(training.variants[sound.key()].model.state_dict(), plain_loop(corpus, sound))


@pytest.mark.slow
def test_what_is_kept_of_a_batch_holds_no_block_of_pictures_in_memory(
    corpus: OpenCorpus, shapes: Path
) -> None:
    """Ray hands out views of shared blocks: a view that is kept keeps its whole block."""
    one = cohort(recipe(shapes, 1))
    training = CohortTraining(one, CPU)
    blocks = []
    for columns in batches(corpus, one):
        assert columns["id"].base is not None  # else there would be nothing to show
        blocks.append(weakref.ref(columns["id"].base))
        training.step(training.prepare(columns))
    del columns
    gc.collect()
    assert len(blocks) == STEPS and all(block() is None for block in blocks)
    assert training.collect()


@pytest.mark.slow
def test_order_hash_is_the_same_for_two_trials_and_another_for_another_seed(
    corpus: OpenCorpus, shapes: Path
) -> None:
    hashes = [
        trained(corpus, cohort(one)).order_hash
        for one in (
            recipe(shapes, 1),
            recipe(shapes, 1),
            recipe(shapes, 2),
            recipe(shapes, 1, seed=1),
        )
    ]
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]


def test_pixels_are_the_same_for_two_runs_and_others_for_another_seed(
    corpus: OpenCorpus, shapes: Path
) -> None:
    first, again, other = (
        next(batches(corpus, cohort(recipe(shapes, 1, seed=seed)))) for seed in (0, 0, 1)
    )
    assert (first["image"] == again["image"]).all()
    assert (first["image"] != other["image"]).any()


def test_faulty_samples_are_left_out_of_the_loss_and_shift_nothing(
    corpus: OpenCorpus, shapes: Path
) -> None:
    one = recipe(shapes, 1)
    columns = next(batches(corpus, cohort(one)))
    columns["fault"][[3, 7]] = "s.tar\tx\tpicture does not decode"
    training = CohortTraining(cohort(one), CPU)
    training.step(training.prepare(columns))
    kept = [i for i in range(BATCH) if i not in (3, 7)]
    sound = {name: column[kept] for name, column in columns.items()}
    other = CohortTraining(cohort(one), CPU)
    other.step(other.prepare(sound))
    assert training.collect()[0].metrics == other.collect()[0].metrics
    assert training.num_faults == 2
    assert training.order_hash == roll(CohortTraining(cohort(one), CPU).order_hash, columns["id"])


def test_too_many_faults_stop_the_trial_with_their_names(corpus: OpenCorpus, shapes: Path) -> None:
    one = recipe(shapes, 1)
    columns = next(batches(corpus, cohort(one)))
    columns["fault"][:11] = "s.tar\t000000001\tpicture does not decode"
    training = CohortTraining(cohort(one), CPU)
    training.step(training.prepare(columns))
    training.collect()
    with pytest.raises(DataError, match=r"11 of 32 samples .*\n.*000000001: picture"):
        training.check_faults()
