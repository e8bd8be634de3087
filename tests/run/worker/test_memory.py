"""Memory of a GPU, measured. Oracle: the arithmetic by hand, and what torch itself allocates."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.run.worker.random_batches import VIT, batch, cohort, recipe
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from seedbed.errors import ResourceError, TooLargeError
from seedbed.model.gather import Gather
from seedbed.plan.memory import need_of
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.memory import FirstStep, FirstSteps, check_device, check_room

GB = 10**9


def step(name: str, before: int, after: int, peak: int) -> FirstStep:
    return FirstStep(name, before * GB, after * GB, peak * GB)


def test_what_all_keep_and_the_greatest_step_must_fit_together() -> None:
    # Each keeps 10 GB, as their second steps find them.
    steps = [step("a", 30, 30, 60), step("b", 30, 30, 40), step("c", 30, 30, 40)]
    check_room(steps, 60 * GB)
    with pytest.raises(ResourceError, match=r"3 variants need 60\.0 GB of one GPU") as caught:
        check_room(steps, 60 * GB - 1)
    assert "they keep 30.0 GB, and a step of 'a' takes 30.0 GB more" in caught.value.why
    assert caught.value.mend == "--cohort-size 2, or more --workers"  # 20 + 30 GB


def test_from_the_second_step_on_a_variant_needs_what_the_second_needed() -> None:
    """Not the first, in which Adam's moments come last. Oracle: the bytes of storages that are
    alive, as torch makes and frees them."""
    members = cohort(recipe(image=replace(VIT, options=(("depth", 2), *VIT.options[1:]))))
    training, alive = CohortTraining(members, torch.device("cpu")), Alive()
    (variant,) = training.variants.values()
    columns = training.prepare(batch(members, 2)).tensors
    for tensor in (*variant.model.parameters(), *variant.model.buffers(), *columns.values()):
        alive.take(tensor)
    steps = []
    for number in range(3):
        alive.most = before = alive.now
        with alive:
            variant.step(columns, Gather())
        gc.collect()
        steps.append(FirstStep(str(number), before, alive.now, alive.most))
    moments = 2 * 4 * sum(parameter.numel() for parameter in variant.model.parameters())
    assert steps[0].after - steps[0].before == pytest.approx(moments, rel=0.01)
    assert steps[0].peak < steps[1].peak
    needed = pytest.approx(steps[1].after + steps[1].passing, rel=1e-3)
    assert steps[1].peak == needed and steps[2].peak == needed  # but for losses, kept to be told


def test_a_variant_that_does_not_fit_alone_is_told_what_else_there_is() -> None:
    with pytest.raises(ResourceError) as caught:
        check_room([step("a", 5, 5, 20)], 19 * GB)
    assert "micro_batch" in caught.value.mend and "cohort-size" not in caught.value.mend


def test_a_device_that_the_driver_does_not_know_is_checked_for_a_whole_step() -> None:
    (trial,) = cohort(recipe().patched({"budget.batch": 1_024, "budget.samples": 1_024})).trials
    need, cpu = need_of(trial), torch.device("cpu")
    held = need.state + need.batch  # without activations, which the driver would have counted
    check_device([trial], cpu, 1, held)
    check_device([trial], cpu, 1, need.total, is_known=False)
    with pytest.raises(TooLargeError, match="and this one has") as caught:
        check_device([trial], cpu, 1, need.total - 1, is_known=False)
    assert "MB of activations" in caught.value.why and "with 1 to a variant" in caught.value.why
    assert "--set micro_batch=" in caught.value.mend


def test_on_a_cpu_nothing_is_measured() -> None:
    first = FirstSteps(torch.device("cpu"), 2)
    with first.measured("a"):
        pass
    first.check()
    assert first.steps == {}


class Alive(TorchDispatchMode):
    """Counts the bytes of storages: those that it was told of, and those that operations make."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._seen = set[int]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_iter(out):
            if isinstance(tensor, torch.Tensor):
                self.take(tensor)
        return out

    def take(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        number, size = storage._cdata, storage.nbytes()
        if number in self._seen:
            return
        self._seen.add(number)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._free, number, size)

    def _free(self, number: int, size: int) -> None:
        self._seen.discard(number)
        self.now -= size


@pytest.fixture
def gpu() -> Iterator[torch.device]:
    """A GPU of which 2 GB may be used."""
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    device = torch.device("cuda", 0)
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(2 * GB / total, device)
    yield device
    torch.cuda.set_per_process_memory_fraction(1.0, device)
    torch.cuda.empty_cache()


def held(num_bytes: int, device: torch.device) -> torch.Tensor:
    return torch.empty(num_bytes, dtype=torch.uint8, device=device)


@pytest.mark.gpu
def test_the_first_steps_are_measured_as_torch_allocates(gpu: torch.device) -> None:
    first, kept = FirstSteps(gpu, 2), []
    for turn in range(2):
        for name, stays, passes in (("a", 300, 500), ("b", 200, 100)):
            with first.measured(name):
                passing = held(passes * 10**6, gpu)
                del passing
                if not turn:
                    kept.append(held(stays * 10**6, gpu))
        first.check()
    a, b = first.steps["a"], first.steps["b"]
    assert a.after == a.before == b.before
    assert (a.passing / 1e6, b.passing / 1e6) == pytest.approx((500, 100), rel=0.05)
    with first.measured("a"):  # it is not measured any more
        kept.append(held(10**6, gpu))
    assert first.steps["a"] == a
    check_room([a, b], b.after + a.passing)
    with pytest.raises(ResourceError):
        check_room([a, replace(b, after=b.after + 1, peak=b.peak + 1)], b.after + a.passing)


@pytest.mark.gpu
def test_a_variant_without_room_beside_its_neighbours_ends_the_cohort_in_words(
    gpu: torch.device,
) -> None:
    first, kept = FirstSteps(gpu, 3), []
    with first.measured("a"):
        kept.append(held(1_500 * 10**6, gpu))
    no_room = pytest.raises(ResourceError, match="'b' ran out of memory in its step 1")
    with no_room as caught, first.measured("b"):
        kept.append(held(1_000 * 10**6, gpu))
    assert caught.value.mend == "--cohort-size 1, or more --workers"


@pytest.mark.gpu
def test_a_variant_alone_on_its_gpu_fails_alone(gpu: torch.device) -> None:
    first = FirstSteps(gpu, 1)
    with pytest.raises(torch.OutOfMemoryError, match="micro_batch"), first.measured("a"):
        held(3 * GB, gpu)
