"""The arguments of `seedbed evaluate`. Oracle: what is written to the right of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from seedbed.commands.evaluate import run
from seedbed.commands.seedbed import parser
from seedbed.errors import DataError


@pytest.mark.parametrize("word", ["--tests", "--tasks"])
def test_test_sets_are_named_by_either_word(word: str) -> None:
    given = parser().parse_args(["evaluate", "KEY", word, "cifar10", "imagenet=s3://b/imagenet1k"])
    assert given.tests == ["cifar10", "imagenet=s3://b/imagenet1k"]


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ((), "no model is named"),
        (("KEY", "--study", "depths"), "models and --study depths are named"),
    ],
)
def test_either_models_are_evaluated_or_a_study(models: tuple[str, ...], said: str) -> None:
    with pytest.raises(DataError, match=said) as refused:
        run(parser().parse_args(["evaluate", *models, "--tests", "cifar10"]))
    assert "--study NAME" in refused.value.mend


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--study", "depths", "--probe"), "--probe is given beside --study"),
        (("--study", "depths", "--device", "cuda:0"), "--device is given beside --study"),
        (("--study", "depths", "--untracked"), "--untracked is given beside --study"),
        (("KEY", "--at-once", "4"), "--at-once is given beside models"),
        (("KEY", "--actors", "2"), "--actors is given beside models"),
    ],
)
def test_an_option_that_would_say_nothing_is_refused(options: tuple[str, ...], said: str) -> None:
    with pytest.raises(DataError, match=said):
        run(parser().parse_args(["evaluate", *options, "--tests", "cifar10"]))


def test_prompts_that_are_not_known_are_answered_with_the_nearest() -> None:
    line = ["evaluate", "KEY", "--tests", "cifar10", "--templates", "promt80"]
    with pytest.raises(DataError, match="promt80 cannot be read") as refused:
        run(parser().parse_args(line))
    assert "prompt80" in refused.value.mend


def test_what_cannot_be_read_or_used_is_refused_before_anything_is_scored(tmp_path: Path) -> None:
    binary, first, second = tmp_path / "binary", tmp_path / "a" / "x", tmp_path / "b" / "x"
    binary.write_bytes(bytes([255, 254, 0]))
    for folder in (first, second):
        (folder / "test").mkdir(parents=True)
        (folder / "test" / "nshards.txt").write_text("1")
        (folder / "test" / "0.tar").touch()
        (folder / "classnames.txt").write_text("a\nb\n")
    tests = ["--tests", str(first)]
    for line, said in (
        ([*tests, "--templates", str(binary)], "binary cannot be read"),
        (["--tests", str(first), str(second)], "two test sets are called 'x'"),
        ([*tests, "--out", str(binary)], "--out .*binary is a file"),
        ([*tests, "--device", "cuda:97"], "--device cuda:97 cannot be used"),
        ([*tests, "--device", "gpu"], "--device gpu cannot be used"),
    ):
        with pytest.raises(DataError, match=said):
            run(parser().parse_args(["evaluate", "KEY", *line]))
