"""Rungs of one run. Oracle: each rung's recipe trained alone, over the same batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.cluster import layout
from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.render.render import Columns, render_span
from seedbed.data.rounds import Span
from seedbed.interchange.state_file import read_state, write_state
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.plan.cohort import Cohort
from seedbed.plan.cost import estimate
from seedbed.plan.ladder import grouped, ladders_of, own_shares
from seedbed.plan.memory import need_of
from seedbed.plan.rendering import rendering_of
from seedbed.recipe.recipe import AdamW, Budget, Recipe
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.memory import FirstStep, FirstSteps
from seedbed.run.worker.reading import order_of
from seedbed.study.trial import Trial
from seedbed.variants import CLIP, DECLIP

BATCH = 16
RUNGS = (5, 8, 12)  # steps, of which 3, 5 and 8 come before the decay
CPU = torch.device("cpu")


def recipe(steps: int, lr: float = 1e-3, schedule: Any = "wsd", **fields: Any) -> Recipe:
    return Recipe(
        **{"objective": CLIP} | fields,
        corpus=Corpus(uri="shapes", caption="txt"),
        image=ImageTower("test_resnet", size=32),
        text=TextTower(layers=1, width=32, heads=2, context=12),
        embed_dim=16,
        optimizer=AdamW(lr=lr, schedule=schedule, decay_share=0.4),
        budget=Budget(samples=BATCH * steps, warmup_samples=BATCH, batch=BATCH),
    )


def trials(*recipes: Recipe) -> tuple[Trial, ...]:
    return tuple(Trial((("n", i),), one) for i, one in enumerate(recipes))


LADDER = trials(*(recipe(steps) for steps in RUNGS))
OTHERS = trials(recipe(5, lr=2e-3))


@pytest.fixture(scope="module")
def columns(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Columns:
    corpus = open_corpus(
        Corpus(uri=str(shapes), caption="txt"), tmp_path_factory.mktemp("home_of_rungs")
    )
    return rendered(corpus)


def rendered(corpus: OpenCorpus) -> Columns:
    order = order_of(corpus, LADDER[0].recipe)
    span = Span(0, max(RUNGS) * BATCH, BATCH)
    parts = list(render_span(corpus.train, order, span, rendering_of(Cohort(LADDER)), 50))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def batches(columns: Columns, start: int, stop: int) -> Iterator[Columns]:
    for step in range(start, stop):
        yield {n: c[step * BATCH : (step + 1) * BATCH].copy() for n, c in columns.items()}


def train(training: CohortTraining, columns: Columns, stop: int) -> dict[str, dict[str, Any]]:
    """Of each trial that ends until `stop`, what stands when it does."""
    ended: dict[str, dict[str, Any]] = {}
    for one in batches(columns, training.step_number, stop):
        training.step(training.prepare(one))
        if training.is_due:
            training.collect()
        for key, variant in training.variants.items():
            if not variant.active and key not in ended:
                ended[key] = variant.state_dict() | {
                    "model": {k: v.clone() for k, v in variant.model.state_dict().items()},
                    "order": training.order_hash,
                }
    return ended


def alone(trial: Trial, columns: Columns) -> dict[str, Any]:
    training = CohortTraining(Cohort((trial,)), CPU)
    return train(training, columns, trial.recipe.budget.steps)[trial.key]


@pytest.fixture(scope="module")
def each_alone(columns: Columns) -> dict[str, dict[str, Any]]:
    return {trial.key: alone(trial, columns) for trial in LADDER}


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name in ("model", "optimizer", "rng"):
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)
    for name in ("step_number", "status", "curve", "image_views", "text_tokens", "order"):
        assert found[name] == expected[name], name
    assert (
        sum(found["clocks"][0][name] for name in ("startup_steps", "steps")) == found["step_number"]
    )


@pytest.mark.slow
def test_each_rung_equals_its_recipe_trained_alone_bit_for_bit(
    columns: Columns, each_alone: dict[str, dict[str, Any]]
) -> None:
    training = CohortTraining(Cohort(LADDER), CPU)
    steps: list[int] = []
    for variant in training.variants.values():
        variant.model.register_forward_pre_hook(lambda *_: steps.append(1))
    found = train(training, columns, max(RUNGS))
    assert len(steps) == 12  # all that the trunk trains
    assert found.keys() == each_alone.keys()
    for key, expected in each_alone.items():
        assert_same(found[key], expected)


@pytest.mark.slow
def test_rungs_of_several_variants_take_turns_and_change_no_bit(columns: Columns) -> None:
    others = trials(*(recipe(steps, lr=3e-3) for steps in RUNGS))
    found = train(CohortTraining(Cohort(LADDER + others), CPU), columns, max(RUNGS))
    assert len(found) == 6
    assert_same(found[others[0].key], alone(others[0], columns))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "trunk"), [(2, True), (3, True), (4, True), (6, True), (2, False), (4, False)]
)
def test_a_ladder_goes_on_from_a_checkpoint_with_or_without_its_trunk(
    columns: Columns,
    each_alone: dict[str, dict[str, Any]],
    tmp_path: Path,
    stop: int,
    trunk: bool,
) -> None:
    first = CohortTraining(Cohort(LADDER), CPU)
    train(first, columns, stop)
    write_state(first.state_dict(), tmp_path / "state")
    left = [t for t in LADDER if t.recipe.budget.steps > stop][: None if trunk else -1]
    second = CohortTraining(Cohort(tuple(left)), CPU)
    second.load_state_dict(read_state(tmp_path / "state"))
    found = train(second, columns, max(trial.recipe.budget.steps for trial in left))
    for trial in left:
        assert_same(found[trial.key], each_alone[trial.key])


def test_rungs_of_a_trunk_that_diverged_have_diverged_at_the_same_step(columns: Columns) -> None:
    training = CohortTraining(Cohort(LADDER), CPU)
    for number, one in enumerate(batches(columns, 0, 4)):
        if number == 2:
            (trunk,) = training.variants.values()
            with torch.no_grad():
                trunk.model.projections["text"].weight.fill_(torch.nan)
        training.step(training.prepare(one))
        training.collect()
    assert {v.status for v in training.variants.values()} == {"diverged"}
    assert len({v.reason for v in training.variants.values()}) == 1
    assert len(training.variants) == 3 and not training.active


def test_only_the_budget_may_differ_and_only_under_a_late_decay() -> None:
    assert [len(ladder) for ladder in ladders_of(LADDER)] == [3]
    for name, value in (("lr", 2e-3), ("schedule", "cosine"), ("objective", DECLIP)):
        other = trials(recipe(12, **{name: value}))
        assert [len(one) for one in ladders_of(LADDER[:2] + other)] == [2, 1], name
    falling = trials(*(recipe(steps, schedule="cosine") for steps in RUNGS))
    assert [len(ladder) for ladder in ladders_of(falling)] == [1, 1, 1]
    seeds = [trial.reseeded(1) for trial in LADDER]
    assert [len(ladder) for ladder in ladders_of([*LADDER, *seeds])] == [3, 3]


def test_what_a_rung_computes_itself_is_its_decay() -> None:
    shares = own_shares(LADDER)  # 3 of 5, 5 of 8 steps are the trunk's
    assert [round(shares[trial.key], 9) for trial in LADDER] == [0.4, 0.375, 1.0]
    assert set(own_shares([LADDER[0]]).values()) == {1.0}


@pytest.mark.parametrize(("size", "lengths"), [(6, [6]), (5, [3, 3]), (2, [2, 2, 2])])
def test_ladders_stay_in_one_cohort_where_they_fit(size: int, lengths: Sequence[int]) -> None:
    others = trials(*(replace(recipe(steps), seed=1) for steps in RUNGS))
    mixed = tuple(t for pair in zip(LADDER, others, strict=True) for t in pair)
    groups = grouped(mixed, size)
    assert [len(group) for group in groups] == lengths
    if size == 5:
        assert all(len(ladders_of(group)) == 1 for group in groups)


def test_what_a_step_needs_is_measured_anew_when_a_rung_has_left_its_trunk(
    columns: Columns, monkeypatch: pytest.MonkeyPatch
) -> None:
    at: list[int] = []
    training = CohortTraining(Cohort(LADDER), CPU)
    monkeypatch.setattr(training.first_steps, "again", lambda: at.append(training.step_number))
    train(training, columns, max(RUNGS))
    assert at == [3, 5]  # before the decay of each, but for the longest's
    on_gpu = FirstSteps(torch.device("cuda"), 2)
    on_gpu.steps["a"], on_gpu._checked, on_gpu._rounds = FirstStep("a", 1, 1, 1), True, 7
    on_gpu.again()
    assert not on_gpu.steps and not on_gpu._checked and on_gpu._rounds == 0


def test_a_step_of_a_norm_over_one_pixel_is_counted() -> None:
    assert need_of(LADDER[0]).total > 0  # whose last map is one pixel


def test_a_ladder_is_one_share_of_a_cohort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "WORTH_SECONDS", 0.0)
    plan = SimpleNamespace(costs=lambda: {t.key: estimate(t.recipe) for t in (*LADDER, *OTHERS)})
    assert layout.shares_of(plan, [Cohort(LADDER)]).allowed == (1,)  # type: ignore[arg-type]
    assert max(layout.shares_of(plan, [Cohort((*LADDER, *OTHERS))]).allowed) == 2  # type: ignore[arg-type]
