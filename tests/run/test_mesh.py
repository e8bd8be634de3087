"""Cohorts on meshes of workers. Oracle: the same cohort on one worker, and each variant alone.

All compute with one thread, since sums are taken in another order by several.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from safetensors.torch import load
from tests.fixtures.models import trained

from seedbed.cluster.asked import Asked
from seedbed.cluster.choice import choose
from seedbed.data.opening import open_corpora
from seedbed.interchange.described import Described
from seedbed.interchange.exported import exported
from seedbed.plan.memory import held_by
from seedbed.plan.plan import Plan, plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.run.driver import launch
from seedbed.run.driver.launch import run_plan
from seedbed.run.driver.outcome import Outcome
from seedbed.storage.folder import Folder
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.track.ledger import InMemoryLedger
from seedbed.variants import CLIP

sys.path.insert(0, str(Path(__file__).parent))

from interrupting import Interrupting

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]
VERSION = {"seedbed": "test", "git_commit": "test"}
WORKERS = (1, 4)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A private Ray that counts five CPUs: four workers and their tasks fit anywhere."""
    ray.init(address="local", num_cpus=5, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "choose", lambda *args, **kw: replace(choose(*args, **kw), threads=1))
        yield


def small(shapes: Path, cohort_size: int = 8) -> Plan:
    study = Study(
        name="mesh",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(1, 2, 3, 4)),),
        responses=("zeroshot/top1_of_100",),
    )
    settings = {
        "corpus.uri": str(shapes),
        "corpus.caption": "txt",
        "image.name": "test_vit",
        "budget.samples": 6_400,
    }
    return plan(study, SCALES["smoke"], overrides=settings, seeds=(0,), cohort_size=cohort_size)


def run(
    what: Plan,
    folder: Path,
    asked: Asked,
    *,
    ledger: InMemoryLedger | None = None,
    checkpoint_seconds: float = 30,
) -> Outcome:
    corpora = open_corpora([what.trials[0].recipe.corpus], folder / "home")
    return run_plan(
        what,
        corpora,
        Folder(str(folder / "results")),
        ledger or InMemoryLedger(),
        asked=asked,
        checkpoint_seconds=checkpoint_seconds,
        code_version=VERSION,
    )


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
    cluster: None, one_thread: None, shapes: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Each variant in a cohort of its own."""
    folder = tmp_path_factory.mktemp("alone")
    what = small(shapes, cohort_size=1)
    assert len(what.cohorts) == 4
    assert run(what, folder, Asked(1)).missing(what.trials) == []
    return weights(folder, what)


@pytest.mark.parametrize("num_workers", WORKERS)
def test_a_variants_bits_do_not_depend_on_how_many_workers_share_the_cohort(
    alone: dict[str, dict[str, Any]], shapes: Path, tmp_path: Path, num_workers: int
) -> None:
    what = small(shapes)
    assert len(what.cohorts) == 1
    ledger = InMemoryLedger()
    outcome = run(what, tmp_path, Asked(num_workers), ledger=ledger)
    assert outcome.missing(what.trials) == []
    assert_same(weights(tmp_path, what), alone)
    records = [outcome.records[trial.key] for trial in what.trials]
    assert len({record.order_hash for record in records}) == 1
    assert all("workers=1; threads=1" in record.made_by for record in records)
    assert {len(points) for points in ledger.points.values()} == {len(records[0].curve)} != {0}


def steps_kept(folder: Path) -> list[int]:
    """The steps of the checkpoints that lie in the results, ascending."""
    places = (folder / "results" / "cohorts").glob("*/checkpoint_*/place.json")
    return sorted(json.loads(path.read_text())["step_number"] for path in places)


def test_cut_off_on_two_workers_then_on_four_and_ended_on_one_it_has_the_same_bits(
    alone: dict[str, dict[str, Any]], shapes: Path, tmp_path: Path
) -> None:
    what = small(shapes)
    cohorts = tmp_path / "results" / "cohorts"
    reached = [0]
    for num_workers in (2, 4):
        ledger = Interrupting(cohorts, after=8)
        cut = run(what, tmp_path, Asked(num_workers), ledger=ledger, checkpoint_seconds=0)
        assert len(cut.missing(what.trials)) == 4
        reached.append(steps_kept(tmp_path)[-1])
    assert reached[0] < reached[1] < reached[2] < 100
    outcome = run(what, tmp_path, Asked(1))
    assert outcome.missing(what.trials) == []
    assert_same(weights(tmp_path, what), alone)


def test_a_cohort_that_its_device_cannot_hold_is_trained_in_parts_with_the_same_bits(
    alone: dict[str, dict[str, Any]],
    shapes: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    what = small(shapes)
    held = held_by(what.cohorts[0].trials)
    batch = what.trials[0].recipe.budget.batch
    two = 2 * max(held.states) + batch * held.row
    outcome = run(what, tmp_path, Asked(1, device_memory=two))
    assert outcome.missing(what.trials) == [] and outcome.reasons == {}
    assert_same(weights(tmp_path, what), alone)
    records = [outcome.records[trial.key] for trial in what.trials]
    assert len({record.order_hash for record in records}) == 1
    assert len({record.cohort for record in records}) == 2
    said = "4 variants need at least"
    assert all(said in record.layout and "in 2 parts" in record.layout for record in records)
    assert capfd.readouterr().err.count(f"parts   {said}") == 1


def test_a_checkpoint_that_was_tampered_with_is_left_for_the_one_before_it(
    alone: dict[str, dict[str, Any]], shapes: Path, tmp_path: Path
) -> None:
    what = small(shapes)
    ledger = Interrupting(tmp_path / "results" / "cohorts", after=8)
    cut = run(what, tmp_path, Asked(1), ledger=ledger, checkpoint_seconds=0)
    assert len(cut.missing(what.trials)) == 4 and len(steps_kept(tmp_path)) > 1
    places = (tmp_path / "results" / "cohorts").glob("*/checkpoint_*/place.json")
    last = max(places, key=lambda path: int(json.loads(path.read_text())["step_number"])).parent
    file = next(last.glob("variant-*.pt"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    outcome = run(what, tmp_path, Asked(1))
    assert outcome.missing(what.trials) == []
    assert_same(weights(tmp_path, what), alone)


def test_a_frozen_tower_on_two_workers_stays_as_its_weights_were(
    cluster: None, one_thread: None, shapes: Path, tmp_path: Path
) -> None:
    study = Study(
        name="starts",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("freeze", levels={"none": {}, "image": {"freeze": ("image",)}}),),
        responses=("zeroshot/top1_of_100",),
    )
    base = small(shapes).trials[0].recipe.patch("image.name", "modified_resnet_small")
    given = Described.of(base)
    start = trained(given)
    exported(given, start).write(tmp_path / "given")
    settings = {
        "corpus.uri": str(shapes),
        "corpus.caption": "txt",
        "image.name": "modified_resnet_small",
        "text.layers": base.text.layers,
        "budget.samples": 640,
        "init_from": str(tmp_path / "given"),
    }
    what = plan(study, SCALES["smoke"], overrides=settings, seeds=(0,))
    outcome = run(what, tmp_path, Asked(2, 2))
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
