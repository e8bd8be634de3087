"""Weights as files. Oracle: the bytes of many calls."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from seedbed.interchange.weights import digest_of, packed, unpacked


@pytest.mark.parametrize("plain", [{}, {"queue.next_row": 3, "queue.full": True}])
def test_the_same_state_has_the_same_bytes_and_comes_back(plain: dict[str, Any]) -> None:
    state = {"b": torch.arange(3.0), "a": torch.ones(2, 2), **plain}
    assert len({digest_of(packed(state)) for _ in range(40)}) == 1
    found = unpacked(packed(state), "here")
    assert {n: v for n, v in found.items() if not isinstance(v, torch.Tensor)} == plain
    assert torch.equal(found["a"], state["a"]) and torch.equal(found["b"], state["b"])
