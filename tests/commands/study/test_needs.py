"""What a study asks of its cluster, as its command line says it. Oracle: the values by hand."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from seedbed.cluster.asked import Asked
from seedbed.commands.study.needs import add_needs, asked_of
from seedbed.errors import SeedbedError


def asked(*argv: str) -> Asked:
    parser = argparse.ArgumentParser()
    add_needs(parser)
    return asked_of(parser.parse_args(argv))


def test_what_is_not_said_is_left_to_rules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SEEDBED_PRICES", raising=False)
    assert asked() == Asked()
    monkeypatch.setenv("SEEDBED_PRICES", str(tmp_path))
    assert asked().prices == str(tmp_path)
    assert asked("--prices", "mine").prices == "mine"


def test_amounts_are_in_gb_and_dollars() -> None:
    said = asked(
        "--accelerator", "H100", "--gpus-per-node", "8", "--data-cpus", "12", "--workers", "4",
        "--data-parallel", "2", "--worker-memory", "1.5", "--device-memory", "40",
        "--max-gpus", "16", "--max-price", "99.5",
    )  # fmt: skip
    assert (said.accelerator, said.gpus_per_node, said.data_cpus) == ("H100", 8, 12)
    assert (said.workers, said.data_parallel, said.max_gpus) == (4, 2, 16)
    assert (said.worker_memory, said.device_memory, said.max_price) == (1.5e9, 40e9, 99.5)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--max-gpus", "0"), "--max-gpus is 0"),
        (("--data-parallel", "-1"), "--data-parallel is -1"),
        (("--max-price", "0"), "--max-price is 0"),
        (("--max-price", "inf"), "--max-price is inf"),
        (("--device-memory", "nan"), "--device-memory is nan"),
    ],
)
def test_what_cannot_be_is_refused(argv: tuple[str, ...], words: str) -> None:
    with pytest.raises(SeedbedError, match=words) as caught:
        asked(*argv)
    assert caught.value.mend
