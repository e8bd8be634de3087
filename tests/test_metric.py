"""What a metric says of itself. Oracle: what its declaration states."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from seedbed.errors import StudyError
from seedbed.metric import KINDS, Metric, by_name

TOP1 = Metric("zeroshot/top1", "Caption retrieval top-1 among all", "share", column="among_all")


def test_a_share_is_written_in_percent_and_everything_else_as_it_is() -> None:
    assert TOP1.text(0.3125) == "31.25 %"
    others = [kind for kind in KINDS if kind != "share"]
    assert {Metric("m", kind=kind).text(0.3125) for kind in others} == {"0.3125"}  # type: ignore[arg-type]


def test_what_a_trial_took_is_a_cost() -> None:
    costs = {kind for kind in KINDS if Metric("m", kind=kind).is_cost}  # type: ignore[arg-type]
    assert costs == {"cost", "time"}


def test_without_a_label_a_metric_is_called_by_its_name() -> None:
    assert Metric("own/f1").label == "own/f1"


def test_it_comes_back_from_json_as_it_was() -> None:
    assert Metric.from_json(json.loads(json.dumps(TOP1.to_json()))) == TOP1


def test_what_a_newer_version_says_of_a_metric_is_read_as_far_as_it_is_known() -> None:
    newer = {"name": "own/x", "label": "X", "kind": "angle", "higher_is_better": False, "unit": "°"}
    assert Metric.from_json(newer) == Metric("own/x", "X", "number", higher_is_better=False)


def test_the_same_loss_under_another_prefix_keeps_its_kind() -> None:
    loss = Metric("loss", "Loss", "loss", higher_is_better=False)
    final = loss.under("final/", "Final training loss")
    assert final == Metric("final/loss", "Final training loss", "loss", higher_is_better=False)


@pytest.mark.parametrize("name", ["", 3, None])
def test_a_name_that_is_no_text_is_refused(name: str) -> None:
    with pytest.raises(StudyError, match="a metric's name is"):
        Metric(name)


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(StudyError, match="Did you mean 'share'"):
        Metric("m", kind="shares")  # type: ignore[arg-type]


def test_two_metrics_of_one_name_are_refused_and_the_same_twice_is_not() -> None:
    assert by_name([TOP1, TOP1]) == {"zeroshot/top1": TOP1}
    with pytest.raises(StudyError, match="declared twice"):
        by_name([TOP1, Metric("zeroshot/top1")])


def test_a_declaration_does_not_import_torch() -> None:
    code = "import sys, seedbed.metric; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
