"""A mesh of processes over gloo. Oracles: the batch in one process, and a cohort trained by one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.fixtures.ranks import OnRanks

from seedbed.data.corpus import Corpus
from seedbed.data.fault import Fault
from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.render.render import Columns, render_span
from seedbed.data.rounds import Span
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.plan.cohort import Cohort
from seedbed.plan.rendering import rendering_of
from seedbed.recipe.recipe import AdamW, Budget, Recipe
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.mesh import Mesh, split_by_cost
from seedbed.run.worker.optimizer import ATTENTION_BIASES
from seedbed.run.worker.reading import order_of
from seedbed.study.trial import Trial
from seedbed.variants import CLIP

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
STEPS, BATCH = 4, 16
CPU = torch.device("cpu")


def cohort(shapes: Path) -> Cohort:
    return Cohort(
        tuple(
            Trial(
                (("layers", layers),),
                Recipe.paper(
                    objective=CLIP,
                    corpus=Corpus(uri=str(shapes), caption="txt", window_rows=8),
                    image=ImageTower("test_vit", size=32),
                    text=TextTower(layers=layers, width=32, heads=2, context=12),
                    embed_dim=16,
                    optimizer=AdamW(lr=1e-3),
                    budget=Budget(samples=BATCH * STEPS, warmup_samples=BATCH, batch=BATCH),
                    seed=3,
                ),
            )
            for layers in (1, 2, 3)
        )
    )


def layers(trial: Trial) -> float:
    return trial.recipe.text.layers


def batches(corpus: OpenCorpus, members: Cohort, rank: int = 0, world: int = 1) -> list[Columns]:
    """A worker's part of each batch; the second sample of step 1 is said to be unreadable."""
    order, rendering = order_of(corpus, members.recipe), rendering_of(members)
    span = Span(0, STEPS * BATCH, BATCH, rank, world)
    parts = list(render_span(corpus.train, order, span, rendering, 1000))
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    each = BATCH // world
    found = [
        {n: c[step * each : (step + 1) * each] for n, c in whole.items()} for step in range(STEPS)
    ]
    if rank == 0:
        found[1]["fault"] = found[1]["fault"].copy()
        found[1]["fault"][1] = Fault("a.tar", "k", "a fault for a test").line
    return found


def work(rank: int, world: int, num_parts: int, shapes: Path, folder: Path) -> dict[str, Any]:
    members = cohort(shapes)
    corpus = open_corpus(members.recipe.corpus, folder / f"home-{rank}")
    mesh = Mesh(rank, world, num_parts)
    training = CohortTraining(members, CPU, mesh.mine(members.trials, layers))
    seen = []
    for columns in batches(corpus, members, rank, world):
        every = mesh.exchange(columns)
        seen.append(every)
        training.step(training.prepare(every, mesh.agree, mesh.part))
    points = training.collect()
    told = {
        "weights": {key: v.model.state_dict() for key, v in training.variants.items()},
        "hash": training.order_hash,
        "faults": training.num_faults,
        "losses": {point.key: point.metrics["train/loss"] for point in points},
        "first": mesh.is_first,
        "counted": {k: (v.image_views, v.text_tokens) for k, v in training.variants.items()},
    }
    if mesh.num_parts == 1:
        np.savez(
            folder / f"{rank}.npz", **{f"{n}/{s}": c[n] for s, c in enumerate(seen) for n in c}
        )
    assert mesh.any(rank == world - 1) and not mesh.any(False)
    assert mesh.of_every_worker(rank) == list(range(world))
    made = folder / f"made-{num_parts}"

    def slow_to_make() -> bool:
        found = made.exists()
        time.sleep(0.0 if found else 0.5)
        made.touch()
        return found

    assert mesh.first_alone(slow_to_make) is (rank > 0)
    return told


OnMesh = Callable[[Path, int, int], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def on_mesh(on_ranks: OnRanks, shapes: Path) -> OnMesh:
    """Trains the cohort on `world` workers, of which `num_parts` share a variant."""

    def run(folder: Path, world: int, num_parts: int) -> list[dict[str, Any]]:
        folder.mkdir(exist_ok=True)
        return on_ranks(world, work, num_parts, shapes, folder)

    return run


@pytest.fixture(scope="module")
def one(on_mesh: OnMesh, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    (told,) = on_mesh(tmp_path_factory.mktemp("one"), 1, 1)
    return told


@pytest.mark.parametrize("world", [2, 4])
def test_workers_that_share_variants_see_whole_batches_and_train_the_same_bits(
    one: dict[str, Any], on_mesh: OnMesh, shapes: Path, tmp_path: Path, home: Path, world: int
) -> None:
    told = on_mesh(tmp_path / "mesh", world, 1)
    members = cohort(shapes)
    corpus = open_corpus(members.recipe.corpus, home)
    for rank in range(world):
        seen = np.load(tmp_path / "mesh" / f"{rank}.npz", allow_pickle=True)
        for step, columns in enumerate(batches(corpus, members)):
            for name, column in columns.items():
                assert (seen[f"{name}/{step}"] == column).all(), (name, step)
                assert seen[f"{name}/{step}"].dtype == column.dtype
    trained = [key for part in told for key in part["weights"]]
    assert sorted(trained) == sorted(one["weights"])  # each by one worker; one has none of three
    for part in told:
        assert (part["hash"], part["faults"]) == (one["hash"], one["faults"]) == (one["hash"], 1)
        for key, weights in part["weights"].items():
            assert part["losses"][key] == one["losses"][key]
            for name, tensor in weights.items():
                assert torch.equal(tensor, one["weights"][key][name]), name


def test_two_to_a_variant_and_two_shares_of_variants_train_what_one_does(
    one: dict[str, Any], on_mesh: OnMesh, tmp_path: Path
) -> None:
    told = on_mesh(tmp_path / "mesh", 4, 2)
    assert [part["first"] for part in told] == [True, True, False, False]
    assert all((part["hash"], part["faults"]) == (one["hash"], 1) for part in told)
    for part in told:
        for key, weights in part["weights"].items():
            # Of the whole batch, so that it may go on from a checkpoint on another number of ranks.
            assert part["counted"][key] == one["counted"][key]
            assert part["losses"][key] == pytest.approx(one["losses"][key], rel=1e-5)
            for name, tensor in weights.items():
                # A key's bias has no gradient but rounding, and Adam makes steps of that.
                if name.endswith(ATTENTION_BIASES):
                    continue
                assert torch.allclose(
                    tensor.float(), one["weights"][key][name].float(), atol=3e-4
                ), name
    for a, b in ((0, 2), (1, 3)):  # the two of one share agree to the bit
        for key, weights in told[a]["weights"].items():
            for name, tensor in weights.items():
                assert torch.equal(tensor, told[b]["weights"][key][name]), name


def test_shares_are_each_trial_once_and_about_as_costly() -> None:
    costs = [1.0, 23.0, 2.0, 30.0, 4.0, 41.0, 9.0, 70.0]  # by turns of two kinds
    shares = split_by_cost(costs, 2)
    assert sorted(shares[0] + shares[1]) == list(range(8))
    sums = [sum(costs[n] for n in share) for share in shares]
    assert max(sums) / sum(sums) < 0.55
    assert [sorted(share) for share in shares] == shares
    assert split_by_cost([1.0], 3) == [[0], [], []]
