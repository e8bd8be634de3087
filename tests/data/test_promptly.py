"""Ray Data's pauses. Oracle: the installed Ray's own code, which must have and read what is set."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ray.data._internal.execution import resource_manager, streaming_executor_state

from seedbed.data.promptly import ALONE_SECONDS, SHARE_SECONDS, TURN_SECONDS, look_often


def test_the_pauses_are_those_that_ray_reads_and_shorter_than_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn, share = "WAIT_FOR_TASK_COMPLETION_TIMEOUT_S", "GLOBAL_LIMITS_UPDATE_INTERVAL_S"
    manager = resource_manager.ResourceManager
    for place, name in ((streaming_executor_state, turn), (manager, share)):
        monkeypatch.setattr(place, name, 10.0)  # fails where Ray has it no more
    look_often(2)
    assert turn in streaming_executor_state.process_completed_tasks.__code__.co_names
    assert share in manager.get_global_limits.__code__.co_names
    assert streaming_executor_state.WAIT_FOR_TASK_COMPLETION_TIMEOUT_S == TURN_SECONDS < 0.1
    assert manager.GLOBAL_LIMITS_UPDATE_INTERVAL_S == SHARE_SECONDS < 1
    look_often(1)
    assert streaming_executor_state.WAIT_FOR_TASK_COMPLETION_TIMEOUT_S == ALONE_SECONDS


SIZES = """
import seedbed.data.stream
from seedbed.data.promptly import look_often
look_often(2)
from ray.data._internal.execution import metadata_fetcher
print(metadata_fetcher._PREFETCH_ON_THREAD)
"""


@pytest.mark.parametrize(("said", "on_a_thread"), [(None, "False"), ("1", "True")])
def test_sizes_are_asked_for_in_the_loop_itself_unless_somebody_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, said: str | None, on_a_thread: str
) -> None:
    name = "RAY_DATA_METADATA_PREFETCH_ON_THREAD"
    monkeypatch.delenv(name, raising=False)
    if said is not None:
        monkeypatch.setenv(name, said)
    done = subprocess.run([sys.executable, "-c", SIZES], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [on_a_thread]
