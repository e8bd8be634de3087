"""One value that is not finite is found, wherever it is; the largest finite ones are not taken for
one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seedbed.run.worker.finite import all_finite, first_not_finite

BEYOND = [float("nan"), float("inf"), float("-inf")]
NAMES = ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(33, 17), nn.BatchNorm1d(17))


@pytest.mark.parametrize("value", BEYOND)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", [0, -1])
def test_a_value_that_is_not_finite_is_found(name: str, place: int, value: float) -> None:
    spoiled = model()
    spoiled.state_dict()[name].view(-1)[place] = value
    assert not all_finite(spoiled)
    assert first_not_finite(spoiled, torch.device("cpu")) == name


def test_the_largest_finite_values_are_finite() -> None:
    large = model()
    for tensor in large.state_dict().values():
        if tensor.is_floating_point():
            most = torch.finfo(tensor.dtype).max
            tensor.view(-1)[::2], tensor.view(-1)[1::2] = most, -most
    assert all_finite(large)
    assert first_not_finite(large, torch.device("cpu")) is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_of_several_types_are_looked_at_together(dtype: torch.dtype) -> None:
    mixed = nn.ParameterList([torch.ones(3), torch.ones(3, dtype=dtype)])
    assert all_finite(mixed)
    mixed[1].data[1] = float("nan")
    assert not all_finite(mixed)
