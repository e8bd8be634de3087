"""Oracle: the same study told without trouble to an sqlite store; a real server, really killed."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from seedbed.track.mlflow.ledger import MlflowLedger

World = Any  # conftest.World
Server = Any  # conftest.Server
pytestmark = pytest.mark.slow


@pytest.fixture
def whole(world: World) -> dict[str, Any]:
    """What an untroubled study leaves."""
    return dict(world.told())


def replay(world: World) -> None:
    """What a driver does that starts again when all trials are done."""
    ledger = world.ledger()
    ledger.open_study(world.entry())
    for i in range(2):
        ledger.finish(world.record(i), {"examples/cifar.csv": world.examples()})
    ledger.attach({"report/trials.csv": world.examples()})
    assert not ledger.close(60)


def log_half(world: World, ledger: MlflowLedger) -> None:
    """Open the study and its trials, and log the first half of their curves."""
    ledger.open_study(world.entry())
    for i in range(2):
        ledger.open_trial(world.trial(i))
        for point in world.record(i).curve[:20]:
            ledger.log(world.record(i).key, point["samples"], {"train/loss": point["train/loss"]})


def wait_for_points(world: World) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if len(world.history(1, "train/loss")) == 20:
                return
        except (AssertionError, AttributeError):  # no run or no experiment yet
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_server_dead_from_the_start_loses_nothing_once_the_study_is_told_again(
    whole: dict[str, Any], remote: World, server: Server
) -> None:
    ledger = remote.ledger()
    remote.tell_all(ledger)  # no server has ever been up: a call that waited for it would hang
    unsent = ledger.close(1)
    assert set(unsent.keys) == {"a" * 16, "b" * 16}
    assert f"the record of trial {'a' * 16}" in unsent.what
    assert "onnection" in unsent.reason
    server.start()
    replay(remote)
    assert remote.snapshot() == whole


def test_a_server_that_comes_up_later_gets_everything(
    whole: dict[str, Any], remote: World, server: Server
) -> None:
    ledger = remote.ledger()
    remote.tell_all(ledger)
    server.start()
    assert not ledger.close(120)
    assert remote.snapshot() == whole


def test_a_server_killed_in_the_middle_and_started_again_gets_each_step_once(
    whole: dict[str, Any], remote: World, server: Server
) -> None:
    server.start()
    ledger = remote.ledger()
    log_half(remote, ledger)
    wait_for_points(remote)
    server.kill()
    for i in range(2):
        for point in remote.record(i).curve[20:]:
            ledger.log(remote.record(i).key, point["samples"], {"train/loss": point["train/loss"]})
        ledger.finish(remote.record(i), {"examples/cifar.csv": remote.examples()})
    ledger.attach({"report/trials.csv": remote.examples()})
    server.start()
    assert not ledger.close(120)
    assert remote.snapshot() == whole


def test_a_server_killed_in_the_middle_that_stays_down_is_made_up_for_by_the_next_driver(
    whole: dict[str, Any], remote: World, server: Server
) -> None:
    server.start()
    ledger = remote.ledger()
    log_half(remote, ledger)
    wait_for_points(remote)
    server.kill()
    ledger.finish(remote.record(0), {"examples/cifar.csv": remote.examples()})
    unsent = ledger.close(1)
    assert unsent.keys == ("a" * 16,)
    server.start()
    assert remote.run_of(0).info.status == "RUNNING"
    replay(remote)
    assert remote.snapshot() == whole


def test_a_server_that_takes_calls_and_never_answers_does_not_hold_up_the_end(
    remote: World,
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        remote.uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
        ledger = remote.ledger()
        remote.tell_all(ledger)
        start = time.monotonic()
        unsent = ledger.close(1)
        assert time.monotonic() - start < 20  # one request alone may take 30 s
    assert set(unsent.keys) == {"a" * 16, "b" * 16}


def test_nothing_is_printed_on_stdout_with_a_server(
    remote: World, server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    server.start()
    replay(remote)
    assert capfd.readouterr().out == ""
