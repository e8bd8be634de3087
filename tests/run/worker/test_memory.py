"""Memory of a GPU, measured. Oracle: the arithmetic by hand, and what torch itself allocates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from seedbed.errors import ResourceError
from seedbed.run.worker.memory import FirstStep, FirstSteps, check_room

GB = 10**9


def step(name: str, before: int, after: int, peak: int) -> FirstStep:
    return FirstStep(name, before * GB, after * GB, peak * GB)


def test_what_all_keep_and_the_greatest_step_must_fit_together() -> None:
    # Each keeps 10 GB; the first alone looked as if it needed 40, and needs 60 beside the others.
    steps = [step("a", 6, 14, 44), step("b", 14, 22, 32), step("c", 22, 30, 40)]
    check_room(steps, 60 * GB)
    with pytest.raises(ResourceError, match=r"3 variants need 60\.0 GB of one GPU") as caught:
        check_room(steps, 60 * GB - 1)
    assert "they keep 30.0 GB, and a step of 'a' takes 30.0 GB more" in caught.value.why
    assert caught.value.mend == "--cohort-size 2, or more --workers"  # 20 + 30 GB


def test_a_variant_that_does_not_fit_alone_is_told_what_else_there_is() -> None:
    with pytest.raises(ResourceError) as caught:
        check_room([step("a", 1, 5, 20)], 19 * GB)
    assert "micro_batch" in caught.value.mend and "cohort-size" not in caught.value.mend


def test_on_a_cpu_nothing_is_measured() -> None:
    first = FirstSteps(torch.device("cpu"), 2)
    with first.measured("a"):
        pass
    first.check()
    assert first.steps == {}


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
    for name, stays, passes in (("a", 300, 500), ("b", 200, 100)):
        with first.measured(name):
            kept.append(held(stays * 10**6, gpu))
            passing = held(passes * 10**6, gpu)
            del passing
    a, b = first.steps["a"], first.steps["b"]
    assert (a.after - a.before) / 1e6 == pytest.approx(300, rel=0.01)
    assert (a.passing / 1e6, b.passing / 1e6) == pytest.approx((500, 100), rel=0.05)
    assert b.before == a.after
    first.check()
    with first.measured("a"):  # of its second step nothing is kept
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
    no_room = pytest.raises(ResourceError, match="'b' ran out of memory in its first")
    with no_room as caught, first.measured("b"):
        kept.append(held(1_000 * 10**6, gpu))
    assert caught.value.mend == "--cohort-size 1, or more --workers"


@pytest.mark.gpu
def test_a_variant_alone_on_its_gpu_fails_alone(gpu: torch.device) -> None:
    first = FirstSteps(gpu, 1)
    with pytest.raises(torch.OutOfMemoryError, match="micro_batch"), first.measured("a"):
        held(3 * GB, gpu)
