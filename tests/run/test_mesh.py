"""Cohorts on meshes of workers. Oracle: the same cohort on one worker, and each variant alone."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch
from safetensors.torch import load
from tests.fixtures.interrupting import Interrupting
from tests.fixtures.models import trained
from tests.fixtures.studies import FOUR_DEPTHS, Undisturbed, opened, run_study, small_plan

import seedbed
from seedbed.cluster.asked import Asked
from seedbed.data.render.render import render_span
from seedbed.data.rounds import Span
from seedbed.interchange.described import Described
from seedbed.interchange.exported import exported
from seedbed.interchange.state_file import read_state
from seedbed.plan.memory import held_by
from seedbed.plan.plan import Plan, plan
from seedbed.plan.rendering import rendering_of
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.run.worker.reading import order_of
from seedbed.storage.folder import Folder
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.track.ledger import InMemoryLedger
from seedbed.variants import CLIP

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]


def weights(folder: Path, what: Plan) -> dict[str, dict[str, Any]]:
    store = Folder(str(folder / "results"))
    return {
        str(trial.cell): load(store.read_bytes("trials", trial.key, "model.safetensors"))
        for trial in what.trials
    }


def assert_same(a: dict[str, dict[str, Any]], b: dict[str, dict[str, Any]]) -> None:
    assert a.keys() == b.keys() and len(a) == 4
    for cell, theirs in a.items():
        assert theirs.keys() == b[cell].keys()
        for name, tensor in theirs.items():
            assert torch.equal(tensor, b[cell][name]), (cell, name)


@pytest.fixture(scope="module")
def alone(
    cluster: None, shapes: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Each variant in a cohort of its own."""
    folder = tmp_path_factory.mktemp("alone")
    what = small_plan(shapes, **FOUR_DEPTHS, cohort_size=1)
    assert len(what.cohorts) == 4
    assert run_study(what, folder).missing(what.trials) == []
    return weights(folder, what)


def test_a_variants_bits_do_not_depend_on_how_many_workers_share_the_cohort(
    alone: dict[str, dict[str, Any]], undisturbed: Undisturbed, tmp_path: Path
) -> None:
    what, *one = undisturbed
    assert len(what.cohorts) == 1
    ledger = InMemoryLedger()
    four = run_study(what, tmp_path, asked=Asked(4), ledger=ledger), ledger, tmp_path
    for outcome, told, folder in (one, four):
        assert outcome.missing(what.trials) == []
        assert_same(weights(folder, what), alone)
        records = [outcome.records[trial.key] for trial in what.trials]
        assert len({record.order_hash for record in records}) == 1
        assert all("workers=1; threads=1" in record.made_by for record in records)
        assert {len(points) for points in told.points.values()} == {len(records[0].curve)} != {0}


def test_a_shorter_budget_is_recorded_where_it_ends_whoever_trains_on(
    cluster: None, shapes: Path, tmp_path: Path
) -> None:
    """Each of two workers trains one, scored as it trains. Oracle: the order's hash of a plain loop
    over the samples, and the points that each budget has room for."""
    study = Study(
        name="budgets",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("samples", at="budget.samples", levels=(6 * 64, 18 * 64)),),
        responses=("zeroshot/top1_of_100",),
    )
    settings = {"corpus.uri": str(shapes), "corpus.caption": "txt", "image.name": "test_vit"}
    what = plan(study, SCALES["smoke"], overrides=settings, seeds=(0,))
    (cohort,) = what.cohorts
    outcome = run_study(what, tmp_path, asked=Asked(2), validate_every=4 * 64)
    assert outcome.missing(what.trials) == []
    corpus = opened(what, tmp_path)[cohort.recipe.corpus]
    order, rendering = order_of(corpus, cohort.recipe), rendering_of(cohort)
    whole = Span(0, cohort.samples, 64)
    parts = [part["id"] for part in render_span(corpus.train, order, whole, rendering, 64)]
    batches = np.concatenate(parts).astype("<i8").reshape(-1, 64)
    for trial in what.trials:
        digest = hashlib.sha256(b"").hexdigest()
        for batch in batches[: trial.recipe.budget.steps]:
            digest = hashlib.sha256(digest.encode() + batch.tobytes()).hexdigest()
        record, steps = outcome.records[trial.key], trial.recipe.budget.steps
        assert record.order_hash == digest, trial.name
        points = [p["samples"] // 64 for p in record.curve if "zeroshot/top1_of_100" in p]
        assert points == list(range(4, steps, 4))


def steps_kept(folder: Path) -> list[int]:
    """The steps of the checkpoints that lie in the results, ascending."""
    places = (folder / "results" / "cohorts").glob("*/checkpoint_*/place.json")
    return sorted(json.loads(path.read_text())["step_number"] for path in places)


class Killing(Interrupting):
    """Kills one of the workers in the middle, and stops the study once others have gone on."""

    killed: frozenset[int] = frozenset()  # it and its neighbours

    def log(self, key: str, step: int, metrics: Mapping[str, float]) -> None:
        InMemoryLedger.log(self, key, step, metrics)
        kept = any(self.cohorts.glob("*/checkpoint_*/place.json"))
        if self.pressed or len(self.points[key]) < self.after or not kept:
            return
        there = workers()
        if not self.killed:
            self.killed = frozenset(there)
            os.kill(there[-1], signal.SIGKILL)
        elif there and self.killed.isdisjoint(there):
            self.pressed = True
            os.kill(os.getpid(), signal.SIGINT)


def workers() -> list[int]:
    """The processes of the workers that are alive."""
    return [
        actor["Pid"]
        for actor in ray._private.state.actors().values()
        if actor["State"] == "ALIVE" and actor["ActorClassName"].endswith("RayTrainWorker")
    ]


class KillingOnce(Killing):
    """Kills one of the workers in the middle, and lets the others end."""

    def log(self, key: str, step: int, metrics: Mapping[str, float]) -> None:
        if self.killed:
            InMemoryLedger.log(self, key, step, metrics)
        else:
            super().log(key, step, metrics)


@pytest.mark.long
@pytest.mark.parametrize("num_workers", [1, 2, 4])
@pytest.mark.parametrize("killed", [False, True])
def test_on_any_number_of_workers_killed_or_not_it_has_the_same_bits(
    alone: dict[str, dict[str, Any]], shapes: Path, tmp_path: Path, num_workers: int, killed: bool
) -> None:
    what = small_plan(shapes, **FOUR_DEPTHS)
    ledger = KillingOnce(tmp_path / "results" / "cohorts", after=3) if killed else InMemoryLedger()
    every = 0 if killed else 30
    outcome = run_study(
        what, tmp_path, asked=Asked(num_workers), ledger=ledger, checkpoint_seconds=every
    )
    assert outcome.missing(what.trials) == []
    if isinstance(ledger, KillingOnce):
        assert len(ledger.killed) == num_workers
    assert_same(weights(tmp_path, what), alone)


@pytest.mark.long
def test_a_variant_alone_that_was_killed_has_the_same_bits(
    alone: dict[str, dict[str, Any]], shapes: Path, tmp_path: Path
) -> None:
    what = small_plan(shapes, **FOUR_DEPTHS, cohort_size=1)
    ledger = KillingOnce(tmp_path / "results" / "cohorts", after=3)
    outcome = run_study(what, tmp_path, ledger=ledger, checkpoint_seconds=0)
    assert outcome.missing(what.trials) == [] and ledger.killed
    assert_same(weights(tmp_path, what), alone)


@pytest.mark.long
def test_killed_on_two_workers_then_cut_off_and_ended_on_four_it_has_the_same_bits(
    alone: dict[str, dict[str, Any]], shapes: Path, tmp_path: Path
) -> None:
    what = small_plan(shapes, **FOUR_DEPTHS)
    ledger = Killing(tmp_path / "results" / "cohorts", after=3)
    cut = run_study(what, tmp_path, asked=Asked(2), ledger=ledger, checkpoint_seconds=0)
    assert len(ledger.killed) == 2 and ledger.pressed  # two to the cohort: half its variants each
    assert len(cut.missing(what.trials)) == 4
    assert 0 < steps_kept(tmp_path)[-1] < what.trials[0].recipe.budget.steps
    outcome = run_study(what, tmp_path, asked=Asked(4))
    assert outcome.missing(what.trials) == []
    assert_same(weights(tmp_path, what), alone)


@pytest.mark.long
def test_cut_off_on_two_workers_then_on_four_and_ended_on_one_it_has_the_same_bits(
    alone: dict[str, dict[str, Any]], shapes: Path, tmp_path: Path
) -> None:
    what = small_plan(shapes, **FOUR_DEPTHS)
    cohorts = tmp_path / "results" / "cohorts"
    reached = [0]
    for num_workers in (2, 4):
        ledger = Interrupting(cohorts, after=8)
        asked = Asked(num_workers)
        cut = run_study(what, tmp_path, asked=asked, ledger=ledger, checkpoint_seconds=0)
        assert len(cut.missing(what.trials)) == 4
        reached.append(steps_kept(tmp_path)[-1])
    assert reached == sorted(set(reached)) and reached[-1] < what.trials[0].recipe.budget.steps
    # A trial's part of a checkpoint is a model by itself.
    last = max(cohorts.glob("*/checkpoint_*/variant-*.safetensors"))
    model = seedbed.load(last).pretrainer.state_dict()
    kept = read_state(last)["model"]
    assert all(torch.equal(model[name], kept[name]) for name in model)
    outcome = run_study(what, tmp_path)
    assert outcome.missing(what.trials) == []
    assert_same(weights(tmp_path, what), alone)


@pytest.mark.long
def test_a_cohort_that_its_device_cannot_hold_is_trained_in_parts_with_the_same_bits(
    alone: dict[str, dict[str, Any]],
    shapes: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    what = small_plan(shapes, **FOUR_DEPTHS)
    held = held_by(what.cohorts[0].trials)
    batch = what.trials[0].recipe.budget.batch
    two = 2 * max(held.states) + batch * held.row
    outcome = run_study(what, tmp_path, asked=Asked(1, device_memory=two))
    assert outcome.missing(what.trials) == [] and outcome.reasons == {}
    assert_same(weights(tmp_path, what), alone)
    records = [outcome.records[trial.key] for trial in what.trials]
    assert len({record.order_hash for record in records}) == 1
    assert len({record.cohort for record in records}) == 2
    said = "4 variants need at least"
    assert all(said in record.layout and "in 2 parts" in record.layout for record in records)
    assert capfd.readouterr().err.count(f"parts   {said}") == 1


@pytest.mark.long
def test_a_checkpoint_that_was_tampered_with_is_left_for_the_one_before_it(
    alone: dict[str, dict[str, Any]], shapes: Path, tmp_path: Path
) -> None:
    what = small_plan(shapes, **FOUR_DEPTHS)
    ledger = Interrupting(tmp_path / "results" / "cohorts", after=8)
    cut = run_study(what, tmp_path, ledger=ledger, checkpoint_seconds=0)
    assert len(cut.missing(what.trials)) == 4 and len(steps_kept(tmp_path)) > 1
    places = (tmp_path / "results" / "cohorts").glob("*/checkpoint_*/place.json")
    last = max(places, key=lambda path: int(json.loads(path.read_text())["step_number"])).parent
    file = next(last.glob("variant-*.safetensors"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    outcome = run_study(what, tmp_path)
    assert outcome.missing(what.trials) == []
    assert_same(weights(tmp_path, what), alone)


@pytest.mark.long
def test_a_frozen_tower_on_two_workers_stays_as_its_weights_were(
    cluster: None, shapes: Path, tmp_path: Path
) -> None:
    base = (
        small_plan(shapes, **FOUR_DEPTHS)
        .trials[0]
        .recipe.patch("image.name", "modified_resnet_small")
    )
    given = Described.of(base)
    start = trained(given)
    exported(given, start).write(tmp_path / "given")
    study = Study(
        name="starts",
        question="?",
        base=Recipe.paper(objective=CLIP).patch("init_from", str(tmp_path / "given")),
        factors=(Factor("freeze", levels={"none": {}, "image": {"freeze": ("image",)}}),),
        responses=("zeroshot/top1_of_100",),
    )
    settings = {
        "corpus.uri": str(shapes),
        "corpus.caption": "txt",
        "image.name": "modified_resnet_small",
        "text.layers": base.text.layers,
        "budget.samples": 640,
    }
    what = plan(study, SCALES["smoke"], overrides=settings, seeds=(0,))
    outcome = run_study(what, tmp_path, asked=Asked(2, 2))
    assert outcome.missing(what.trials) == []
    ended = weights(tmp_path, what)
    same = {
        cell: {n for n, v in start.state_dict().items() if torch.equal(state[n], v)}
        for cell, state in ended.items()
    }
    image = {name for name in start.state_dict() if "image" in name}
    assert image == same["freeze=image"] and not {n for n in same["freeze=none"] if "weight" in n}
    for trial in what.trials:
        assert outcome.records[trial.key].recipe["init_from"] == trial.recipe.init_from[-16:]
