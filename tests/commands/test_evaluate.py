"""The arguments of `seedbed evaluate`. Oracle: what is written to the right of each."""

from __future__ import annotations

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
