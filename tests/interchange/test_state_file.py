"""A checkpoint's files. Oracles: what was written, and torch's own file of the same state."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from seedbed.interchange.state_file import read_state, write_state


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return (
            isinstance(other, torch.Tensor)
            and (one.dtype, one.shape) == (other.dtype, other.shape)
            and bool((one.flatten() == other.flatten()).all())
        )
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and all(map(same, one, other)) and len(one) == len(other)
    return type(one) is type(other) and (one == other or (one != one and other != other))


def trained() -> dict[str, Any]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(3):
        model(torch.randn(4, 5)).square().sum().backward()
        optimizer.step()
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": {"cpu": torch.get_rng_state()},
        "curve": [{"samples": 3, "loss": 0.1 + 0.2}, {"samples": 6, "loss": math.nan}],
        "seen": [(1.0, 2)],
        "most": math.inf,
        "reason": None,
        "half": torch.arange(4, dtype=torch.bfloat16),
        "<tensor>": {"<items>": ["a", ()]},
    }


def test_a_state_is_read_as_it_was_written_and_as_torch_would_have_kept_it(tmp_path: Path) -> None:
    state = trained()
    write_state(state, tmp_path / "ours")
    torch.save(state, tmp_path / "theirs")
    found = read_state(tmp_path / "ours")
    assert same(found, state)
    assert same(found, torch.load(tmp_path / "theirs", weights_only=True))
    assert (tmp_path / "ours").read_bytes() != b"" and not same(found, trained() | {"most": 1.0})


def test_tensors_that_share_memory_or_leave_gaps_in_it_are_written_whole(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    state = {"all": whole, "again": whole, "row": whole[1], "turned": whole.T, "none": whole[:0]}
    write_state(state, tmp_path / "x")
    assert same(read_state(tmp_path / "x"), state)
    # And a row alone is no more than a row.
    write_state({"row": torch.zeros(10_000, 10)[0]}, tmp_path / "row")
    assert (tmp_path / "row").stat().st_size < 1_000


@pytest.mark.parametrize("wrong", [object(), {1, 2}, b"bytes", torch.nn.Linear(1, 1)])
def test_what_is_no_plain_value_is_refused_before_anything_is_written(
    wrong: object, tmp_path: Path
) -> None:
    with pytest.raises(TypeError, match=type(wrong).__name__):
        write_state({"x": [wrong]}, tmp_path / "x")
    assert not (tmp_path / "x").exists()
