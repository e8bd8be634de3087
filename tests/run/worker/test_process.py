"""What holds for a process. Oracles: the same models not compiled; products in float64."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from tests.run.worker.random_batches import STEPS, VIT, batch, cohort, recipe
from torch._dynamo import config
from torch._dynamo.exc import FailOnRecompileLimitHit
from torch._dynamo.utils import counters

import seedbed.run.worker.process as module
from seedbed.model.pretrainer import Pretrainer
from seedbed.run.worker.batch import make_batch
from seedbed.run.worker.origin import made_by
from seedbed.run.worker.process import fp32_products, prepare

CPU = torch.device("cpu")
TORCH_LIMIT = 3  # instead of 8: each graph takes seconds
DEPTHS = range(1, 6)  # more than the graphs that Dynamo keeps


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Dynamo as in a process that has just started, but for its limit."""
    monkeypatch.setattr(module, "_said", [])
    torch._dynamo.reset_code_caches()
    counters.clear()
    with config.patch(
        recompile_limit=TORCH_LIMIT,
        accumulated_recompile_limit=256,
        fail_on_recompile_limit_hit=False,
    ):
        yield
    torch._dynamo.reset_code_caches()


def losses(*, compiled: bool, depths: range = DEPTHS) -> list[torch.Tensor]:
    """Of a model of each depth, on captions of three lengths by turns, in turn with the others."""
    models = []
    for layers in depths:
        one = recipe(layers)
        models.append(Pretrainer(VIT, one.text, one.objective, embed_dim=16, seed=0))
        if compiled:
            models[-1].compile_towers("eager")
    found = []
    for step in range(STEPS):
        columns = make_batch(batch(cohort(recipe()), step), recipe(), CPU).tensors
        for model in models:
            loss = model(columns)["loss"]
            loss.backward()
            found.append(loss.detach())
    return found


@pytest.mark.slow
def test_towers_of_many_depths_are_compiled_in_one_process_a_graph_each_for_all_lengths(
    fresh: None,
) -> None:
    prepare(CPU, num_compiled=len(DEPTHS))
    ours, theirs = losses(compiled=True), losses(compiled=False)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    # The image tower is the same for all.
    assert counters["stats"]["unique_graphs"] == len(DEPTHS) + 1


@pytest.mark.slow
def test_more_graphs_than_there_is_room_for_are_an_error_and_no_silent_eager_run(
    fresh: None,
) -> None:
    prepare(CPU, num_compiled=1)
    with pytest.raises(FailOnRecompileLimitHit):
        losses(compiled=True, depths=range(1, module.GRAPHS_PER_TOWER + 2))


def test_a_further_cohort_of_the_process_has_room_of_its_own(fresh: None) -> None:
    prepare(CPU, num_compiled=40)
    prepare(CPU, num_compiled=2)
    assert config.recompile_limit == 42 * module.GRAPHS_PER_TOWER
    assert config.accumulated_recompile_limit >= config.recompile_limit


def test_nothing_changes_for_a_process_that_compiles_nothing_on_a_cpu(fresh: None) -> None:
    prepare(CPU)
    assert config.recompile_limit == TORCH_LIMIT and not config.fail_on_recompile_limit_hit
    assert fp32_products(CPU) == "fp32"
    assert made_by({"seedbed": "1"}, CPU, 1, 2) == "device=cpu; workers=1; threads=2; seedbed=1"


@pytest.mark.gpu
def test_on_a_gpu_fp32_products_are_tf32_s_and_a_trial_says_so() -> None:
    device = torch.device("cuda", 0)
    prepare(device)
    rng = torch.Generator().manual_seed(0)
    a, b = (torch.randn(512, 512, generator=rng).to(device) for _ in range(2))
    error = ((a @ b).double() - a.double() @ b.double()).abs().max().item()
    assert 1e-4 < error < 0.5  # fp32's would be about 1e-5; TF32 has 10 bits
    assert "; fp32_products=tf32" in made_by({}, device, 1, 1)
