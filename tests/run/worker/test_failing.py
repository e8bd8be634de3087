"""How a variant ends that an error has ended. Oracle: the errors of torch and of the network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from tests.fixtures.studies import small_plan

from seedbed.cluster.memory import would_fit
from seedbed.errors import DIVERGED, OUT_OF_MEMORY, OWN_ERROR
from seedbed.plan.memory import need_of
from seedbed.run.worker.variant import Variant


@pytest.fixture
def variant(shapes: Path) -> Variant:
    return Variant(small_plan(shapes).trials[0], torch.device("cpu"))


def test_one_that_is_out_of_memory_says_what_would_fit(variant: Variant) -> None:
    variant.fail(torch.OutOfMemoryError("CUDA out of memory"))
    assert (variant.status, variant.failure) == ("failed", OUT_OF_MEMORY)
    assert variant.reason.startswith("OutOfMemoryError at step 1: CUDA out of memory; what would")
    found = re.search(r"--set (micro_batch|budget.batch)=(\d+)", variant.reason)
    assert found is not None, variant.reason
    assert 0 < int(found[2]) < variant.recipe.budget.batch


def test_what_would_fit_needs_less_than_what_did_not(shapes: Path) -> None:
    large = {"budget.batch": 2_048, "budget.samples": 4_096}
    need = need_of(small_plan(shapes, settings=large).trials[0])
    found = re.search(r"--set micro_batch=(\d+)", would_fit(need.trial, 0.8 * need.total))
    assert found is not None
    smaller = small_plan(shapes, settings=large | {"micro_batch": int(found[1])}).trials[0]
    assert 0.5 * need.total < need_of(smaller).total <= 0.8 * need.total


def test_an_error_of_its_own_ends_it_and_one_of_the_network_is_raised_again(
    variant: Variant,
) -> None:
    with pytest.raises(ConnectionResetError):
        variant.fail(ConnectionResetError())
    assert variant.status == "running"  # its cohort goes on from a checkpoint, with the same seed
    variant.fail(ValueError("my own loss"))
    assert (variant.status, variant.failure) == ("failed", OWN_ERROR)


def test_its_class_is_in_its_checkpoint(variant: Variant, shapes: Path) -> None:
    variant.diverge("the loss was nan at step 3")
    other = Variant(small_plan(shapes).trials[0], torch.device("cpu"))
    other.load_state_dict(variant.state_dict())
    assert (other.status, other.failure) == ("diverged", DIVERGED)
