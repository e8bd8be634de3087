"""Ranks that sum over each other. Oracle: the sum by hand, which each rank checks, and a clock."""

from __future__ import annotations

import pytest

from seedbed.cluster.doctor.check import Node, Scope
from seedbed.cluster.doctor.checks.nccl import exchanged, prepare
from seedbed.errors import ResourceError

pytestmark = pytest.mark.slow


def test_two_processes_sum_and_tell_their_bandwidth() -> None:
    meet = prepare(Scope(), [])["meet"]
    found = exchanged(meet, 0, 2, 2, "gloo")
    assert found["world"] == 2
    # Of 4 MB, two ranks each send half and receive half, twice: the time times the bandwidth.
    assert found["bus"] * found["seconds"] == pytest.approx(4_000_000)


def test_a_rank_that_cannot_start_is_told_in_words() -> None:
    with pytest.raises(ResourceError, match="could not exchange anything"):
        exchanged("tcp://127.0.0.1:1", 0, 1, 1, "no such backend")


def test_every_gpu_gets_a_rank_of_its_own_and_they_meet_on_the_first_node() -> None:
    nodes = [
        Node(name, name, address=f"10.0.0.{place}", resources={"GPU": float(gpus)})
        for place, (name, gpus) in enumerate({"a": 8, "b": 1, "c": 4}.items())
    ]
    given = prepare(Scope(address="head:6379"), nodes)
    assert given["ranks"] == {"a": (0, 8), "b": (8, 1), "c": (9, 4)}
    assert given["world"] == 13 and given["meet"].startswith("tcp://10.0.0.0:")
