"""Several ranks that train one variant, over gloo. Oracles: the same left uninterrupted; the eager
tower; the time that a group says it waits."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch
import torch.distributed as dist
from tests.fixtures.ranks import OnRanks
from tests.run.worker.random_batches import ROWS, STEPS, VIT, batch, cohort, recipe

from seedbed.data.fault import Fault
from seedbed.data.order import derive
from seedbed.model.gather import of_every_rank
from seedbed.model.objective import Objective
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.term import Temperature
from seedbed.model.terms.nearest_text import NearestText
from seedbed.model.towers.image import ImageTower
from seedbed.recipe.recipe import Recipe
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.mesh import Mesh
from seedbed.run.worker.random_state import RandomState
from seedbed.variants import MaskedLM, MultiView

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
CPU = torch.device("cpu")
FAULT = Fault("a.tar", "k", "a fault for a test").line
DROPPING = dataclasses.replace(VIT, options=(*VIT.options, ("proj_drop_rate", 0.5)))


def step(training: CohortTraining, mesh: Mesh, number: int, faulty: frozenset[int]) -> None:
    """One step of `training` on this rank's rows, one of which is faulty in some steps."""
    columns = batch(training.cohort, number)
    columns["fault"] = columns["fault"].copy()
    if number in faulty:
        columns["fault"][0] = FAULT
    each = ROWS // mesh.num_parts
    mine = slice(mesh.part * each, (mesh.part + 1) * each)
    part = {name: column[mine] for name, column in columns.items()}
    training.step(training.prepare(part, mesh.agree, mesh.part))


def losses(
    rank: int, world: int, of: Recipe, faulty: frozenset[int] = frozenset()
) -> list[float | str]:
    """The mean of a recipe's losses over all steps, and what it ended by."""
    whole = Pretrainer.compile_towers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pretrainer, "compile_towers", lambda self: whole(self, "aot_eager"))
        mesh, training = Mesh(rank, world, world), CohortTraining(cohort(of), CPU)
        for number in range(STEPS):
            step(training, mesh, number, faulty)
        points = training.collect()
    (variant,) = training.variants.values()
    return [*(point.metrics["train/loss"] for point in points), variant.reason]


def test_compiled_norms_of_ranks_of_unlike_size_meet_in_the_same_sums(on_ranks: OnRanks) -> None:
    """Compiled anew for other sizes, norms of as many positions had one count between them: on one
    rank, where another's had one each."""
    tower = ImageTower("modified_resnet_small", 32)
    found = [
        on_ranks(2, losses, recipe(compile=compiled, image=tower), frozenset({3, 5}))
        for compiled in (False, True)
    ]
    (eager, _), (compiled, _) = found
    assert eager[1] == compiled[1] == ""
    assert compiled[0] == pytest.approx(eager[0], rel=1e-4)


def resumed(rank: int, world: int) -> int:
    """How many of the tensors of a training's state are others after it was resumed."""
    mesh, members = Mesh(rank, world, world), cohort(recipe(image=DROPPING))
    whole = CohortTraining(members, CPU)
    for number in range(STEPS // 2):
        step(whole, mesh, number, frozenset())
    state = copy.deepcopy(whole.state_dict())
    again = CohortTraining(members, CPU)
    # As from a checkpoint: what the first of these ranks wrote.
    again.load_state_dict(of_every_rank(state)[0])
    for training in (whole, again):
        for number in range(STEPS // 2, STEPS):
            step(training, mesh, number, frozenset())
    models = [next(iter(one.variants.values())).model.state_dict() for one in (whole, again)]
    return sum(not torch.equal(models[0][name], models[1][name]) for name in models[0])


@pytest.mark.parametrize("world", [2, 3])
def test_resumed_on_as_many_ranks_it_is_bit_for_bit_the_same(on_ranks: OnRanks, world: int) -> None:
    assert on_ranks(world, resumed) == [0] * world


def test_a_queue_that_is_still_empty_leaves_its_temperature_alone(on_ranks: OnRanks) -> None:
    own = NearestText(temperature=Temperature(name="neighbours"))
    objective = Objective(
        multi_view=MultiView(), nearest_text=0.2 * own, masked_lm=0.2 * MaskedLM()
    )
    (first, _) = on_ranks(2, losses, recipe(1, objective))
    assert first[1] == ""


def waits(rank: int, world: int, num_parts: int, seconds: float) -> list[float]:
    """How long the groups of a mesh wait [s]."""
    groups: list[Any] = []
    made = dist.new_group
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dist, "new_group", lambda *a, **k: groups.append(made(*a, **k)) or groups[-1])
        Mesh(rank, world, num_parts, seconds=seconds)
    mine = [group for group in groups if isinstance(group, dist.ProcessGroup)]
    return [group._get_backend(CPU).options._timeout.total_seconds() for group in mine]


@pytest.mark.parametrize("num_parts", [1, 2])
def test_workers_wait_for_each_other_as_long_as_it_says(on_ranks: OnRanks, num_parts: int) -> None:
    for found in on_ranks(4, waits, num_parts, 2_700.0):
        assert found and set(found) == {2_700.0}


def numbers(rank: int, world: int) -> tuple[list[float], list[float], list[float]]:
    """Random numbers of a rank: the first, the next, and these drawn from what was saved."""
    Mesh(rank, world, world)
    one = RandomState(7, CPU)

    def drawn(state: RandomState) -> list[float]:
        with state.own():
            return torch.rand(3).tolist()

    first, saved = drawn(one), of_every_rank(one.state_dict())[0]
    other = RandomState(7, CPU)
    other.load_state_dict(saved)
    return first, drawn(one), drawn(other)


def test_each_rank_draws_its_own_numbers_and_goes_on_with_them(on_ranks: OnRanks) -> None:
    told = on_ranks(3, numbers)
    assert len({tuple(first) for first, _, _ in told}) == 3
    assert all(after == again for _, after, again in told)
    alone = torch.rand(3, generator=torch.Generator().manual_seed(derive("train", 7) % 2**63))
    assert told[0][0] == alone.tolist()  # as it is of one rank
