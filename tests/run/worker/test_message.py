"""Reports of workers. Oracle: the message that was sent, and what Tune's loggers accept."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback, TBXLoggerCallback

from seedbed.run.worker.message import CurvePoint, Message

SENT = Message(
    samples=4_096,
    seconds=1 / 3,
    points=(
        CurvePoint("abc", 2_048, {"train/loss": 0.1 + 0.2, "train/lr": 1e-300}),
        CurvePoint("def", 2_048, {"train/loss": math.inf}),
    ),
    finished=("abc", "def"),
)


@pytest.mark.parametrize("message", [SENT, Message(0, 0.0)], ids=["full", "empty"])
def test_a_message_arrives_as_it_was_sent(message: Message) -> None:
    assert Message.from_report(message.to_report() | {"training_iteration": 1}) == message


def test_what_tune_reports_by_itself_is_no_message() -> None:
    assert Message.from_report({"done": True, "training_iteration": 3}) is None


@pytest.mark.parametrize("message", [SENT, Message(0, 0.0)], ids=["full", "empty"])
@pytest.mark.parametrize("kind", [TBXLoggerCallback, JsonLoggerCallback, CSVLoggerCallback])
def test_loggers_of_tune_have_nothing_to_complain_of(
    kind: type[TBXLoggerCallback],
    message: Message,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Trial(SimpleNamespace):
        __hash__ = object.__hash__

    storage = SimpleNamespace(trial_working_directory=tmp_path.as_posix())
    trial = Trial(
        trial_id="t", config={}, evaluated_params={}, checkpoint=None,
        local_path=str(tmp_path), storage=storage, init_local_path=lambda: None,
    )  # fmt: skip
    written = kind()
    with caplog.at_level(logging.WARNING, logger="ray"):
        written.log_trial_start(trial)
        written.log_trial_result(1, trial, message.to_report() | {"training_iteration": 1})
        written.log_trial_end(trial)
    assert caplog.records == []
