"""A variant that diverges between two points of its curve. Oracle: it is looked at each step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.fixtures.ranks import OnRanks
from tests.run.worker.random_batches import ROWS, batch, cohort, recipe
from tests.run.worker.test_release import saved

from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpus
from seedbed.plan.cohort import Cohort
from seedbed.plan.cost import estimate
from seedbed.recipe.recipe import Budget, Recipe
from seedbed.run.worker import rank as of_rank
from seedbed.run.worker.assignment import Assignment
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.diverging import end_diverged, may_be_kept
from seedbed.run.worker.finite import all_finite
from seedbed.run.worker.mesh import Mesh
from seedbed.run.worker.variant import Variant, is_due
from seedbed.storage.folder import Folder
from seedbed.study import recorded
from seedbed.study.trial import Trial

CPU = torch.device("cpu")
BETWEEN = 20  # steps from a point of a curve to the next
BAD = 8  # the first step whose loss is not finite


def long(one: Recipe) -> Recipe:
    return replace(one, budget=Budget(samples=ROWS * 200 * BETWEEN, warmup_samples=0, batch=ROWS))


MEMBERS = cohort(long(recipe(1)), long(recipe(2)))
SICK, SOUND = (trial.key for trial in MEMBERS.trials)


def spoil(variant: Variant) -> None:
    """As a step does whose gradient is not finite: its own loss has been."""
    with torch.no_grad():
        variant.model.projections["text"].weight[0, 0] = torch.nan


def trained(
    looks: int, stop: int, training: CohortTraining | None = None, mesh: Mesh | None = None
) -> CohortTraining:
    """After `stop` steps, looked at after each `looks` of them and at the points of its curve."""
    training, mesh = training or CohortTraining(MEMBERS, CPU), mesh or Mesh()
    for step in range(training.step_number, stop):
        training.step(training.prepare(batch(MEMBERS, step), mesh.agree, mesh.part))
        if training.step_number == BAD - 1 and SICK in training.variants:
            spoil(training.variants[SICK])
        if training.is_due:
            training.collect()
        elif training.step_number % looks == 0:
            end_diverged(training, mesh)
    return training


def ended(variant: Variant) -> tuple[Any, ...]:
    state = variant.state_dict()
    names = ("status", "reason", "failure", "step_number", "curve", "text_tokens", "image_views")
    return tuple(state[name] for name in names)


@pytest.mark.slow
def test_it_ends_at_the_first_step_that_shows_it_however_often_one_looks() -> None:
    assert is_due(MEMBERS.recipe.budget, BETWEEN) and not is_due(MEMBERS.recipe.budget, BAD)
    each = trained(1, BETWEEN)
    sick = each.variants[SICK]
    assert ended(sick)[:4] == ("diverged", f"the loss was nan at step {BAD}", "diverged", BAD)
    views = sum(view.modality == "image" for view in sick.recipe.objective.views)
    assert sick.image_views == BAD * ROWS * views
    each.settle()
    seen = each.order_hash_after(BAD)
    assert seen not in (each.order_hash, each.order_hash_after(BAD - 1))
    for looks in (3, 11, 10**6):  # the last one sees it at the curve's point
        other = trained(looks, BETWEEN)
        assert ended(other.variants[SICK]) == ended(sick)
        assert other.order_hash_after(BAD) == seen  # which its record says
        assert_equal(other.variants[SOUND], each.variants[SOUND])
        assert other.variants[SOUND].curve == each.variants[SOUND].curve != []


def assert_equal(one: Variant, other: Variant) -> None:
    torch.testing.assert_close(one.model.state_dict(), other.model.state_dict(), rtol=0, atol=0)


@pytest.mark.slow
def test_resumed_before_it_was_noticed_it_ends_at_the_same_step() -> None:
    first = trained(10**6, BAD + 2)
    assert first.variants[SICK].status == "running"
    second = CohortTraining(MEMBERS, CPU)
    second.load_state_dict(saved(first))
    end_diverged(second, Mesh())
    assert ended(second.variants[SICK]) == ended(trained(1, BAD).variants[SICK])


@pytest.mark.slow
def test_weights_that_the_next_loss_will_show_are_not_kept() -> None:
    training = trained(1, BAD - 2)
    assert may_be_kept(training, Mesh())
    trained(1, BAD - 1, training)  # and spoiled by that step
    assert not all_finite(training.variants[SICK].model)
    assert not may_be_kept(training, Mesh())
    trained(1, BAD, training)
    assert training.variants[SICK].status == "diverged"
    assert may_be_kept(training, Mesh())  # it goes nowhere from there


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("num_parts", [1, 2])
def test_all_workers_of_a_mesh_end_it_together_at_that_step(
    on_ranks: OnRanks, num_parts: int
) -> None:
    told = on_ranks(2, on_mesh, num_parts)
    reasons = [said[SICK] for said in told if SICK in said]
    assert reasons == [f"the loss was nan at step {BAD}"] * num_parts
    assert all(said[SOUND] == "" for said in told if SOUND in said)


def on_mesh(rank: int, world: int, num_parts: int) -> dict[str, str]:
    mesh = Mesh(rank, world, num_parts)
    mine = mesh.mine(MEMBERS.trials, lambda trial: trial.recipe.text.layers)
    training = trained(BAD + 1, BAD + 1, CohortTraining(MEMBERS, CPU, mine), mesh)
    return {key: variant.reason for key, variant in training.variants.items()}


def as_ray_does_not(monkeypatch: pytest.MonkeyPatch, members: Cohort) -> list[dict[str, Any]]:
    """A rank without Ray, which looks after every step, and then keeps what this returns."""
    kept: list[dict[str, Any]] = []

    class Saver:
        is_due = True

        def __init__(self, assignment: Any, training: CohortTraining, *others: Any) -> None:
            self.training = training

        def save(self, report: Any) -> None:
            kept.append(saved(self.training))

    monkeypatch.setattr(of_rank, "Saver", Saver)
    monkeypatch.setattr(of_rank, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(of_rank.stopping, "is_asked", lambda since: False)
    monkeypatch.setattr(of_rank.stopping, "node_is_lost", lambda: False)
    monkeypatch.setattr(of_rank.ray.train, "report", lambda report: None)
    batches = (batch(members, step) for step in range(BAD + 2))
    monkeypatch.setattr(of_rank, "stream", lambda *given, **named: batches)
    return kept


def assignment(shapes: Path, home: Path, results: Path) -> Assignment:
    corpus = Corpus(uri=str(shapes), caption="txt")
    recipes = [replace(trial.recipe, corpus=corpus) for trial in MEMBERS.trials]
    return Assignment(
        study="s", scale="smoke", data={corpus: open_corpus(corpus, home)}, since="now",
        cohort=Cohort(tuple(Trial((("n", n),), one) for n, one in enumerate(recipes))),
        storage=str(results), code_version={}, threads=1, data_parallel=1, num_tasks=1,
        checkpoint_seconds=0, costs={one.key(): estimate(one) for one in recipes},
    )  # fmt: skip


@pytest.mark.slow
def test_a_rank_ends_it_at_once_and_keeps_no_weights_that_are_not_finite(
    shapes: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = assignment(shapes, home, tmp_path)
    sick, sound = (trial.key for trial in given.cohort.trials)
    kept = as_ray_does_not(monkeypatch, given.cohort)
    rank = of_rank.Rank(given, Mesh())
    variant = rank.training.variants[sick]
    variant.optimizer.register_step_post_hook(
        lambda *_: spoil(variant) if variant.step_number == BAD - 2 else None
    )
    assert rank.run()
    assert [state["step_number"] for state in kept] == [*range(1, BAD - 1), *range(BAD, BAD + 3)]
    for state in kept:
        for one in state["variants"].values():
            finite = all(value.isfinite().all() for value in one["model"].values())
            assert finite or one["status"] == "diverged"
    record = Folder(str(tmp_path)).read_json("trials", sick, "record.json")
    assert (record["status"], record["reason"]) == ("diverged", f"the loss was nan at step {BAD}")
    assert record["metrics"][recorded.SAMPLES.name] == BAD * ROWS
    assert rank.training.variants[sound].active


@pytest.mark.slow
@pytest.mark.parametrize("stops", [False, True])
def test_who_leaves_a_lost_node_has_not_left_the_study(
    shapes: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    """Others take the cohort up, and a stop that is asked for later is to wait for these."""
    given, said = assignment(shapes, home, tmp_path), list[tuple[str, str]]()
    as_ray_does_not(monkeypatch, given.cohort)
    monkeypatch.setattr(of_rank.stopping, "node_is_lost", lambda: True)
    monkeypatch.setattr(of_rank.stopping, "is_asked", lambda since: stops)
    monkeypatch.setattr(of_rank.stopping, "say_left", lambda *told: said.append(told))
    rank = of_rank.Rank(given, Mesh())
    assert not rank.run() and rank.training.active
    assert said == ([("now", given.cohort.id)] if stops else [])
