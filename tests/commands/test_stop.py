"""`seedbed stop`. Oracle: a process that writes down how far it is, and what stops it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from seedbed.commands.seedbed import main
from seedbed.plan.plan import Plan, plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.run.driver.heartbeat import heartbeat
from seedbed.storage.folder import Folder
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.track.state import STATE_NAME, STOP_NAME
from seedbed.variants import CLIP

pytestmark = pytest.mark.slow


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEEDBED_STORAGE", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture
def what() -> Plan:
    study = Study(
        name="small",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
    )
    return plan(study, SCALES["smoke"], seeds=(0,))


def test_a_study_stops_once_when_it_is_asked_to_and_a_later_start_does_not(
    results: Path, what: Plan, capfd: pytest.CaptureFixture[str]
) -> None:
    store = Folder(str(results / "small"))
    asked: list[int] = []

    def ask() -> None:
        while not store.exists(STATE_NAME):
            time.sleep(0.05)
        asked.extend(main(["stop", "small"]) for _ in range(2))

    asking = threading.Thread(target=ask)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), heartbeat(store, what):
        asking.start()
        time.sleep(60)
    assert time.monotonic() - began < 30
    asking.join()
    out, err = capfd.readouterr()
    assert asked == [0, 0]
    assert "asked process" in out and "does not run: stopped" in out
    assert f"stop    asked for by {os.environ.get('USER', '')}" in err
    assert not store.exists(STOP_NAME)
    stopped = store.read_json(STATE_NAME)
    assert stopped["phase"] == "stopped" and stopped["outcomes"] == ".."

    # A request that came too late for it, and one that is not for this start.
    store.write_json({"start": stopped["token"], "by": "somebody"}, STOP_NAME)
    with heartbeat(store, what) as live:
        time.sleep(3)
        live.end("complete")
    assert store.read_json(STATE_NAME)["phase"] == "complete"
    assert not store.exists(STOP_NAME)


def test_an_error_of_the_driver_is_what_the_study_ended_with(
    results: Path, what: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError), heartbeat(Folder(str(results / "small")), what):
        raise ValueError("the disk is full")
    assert main(["status", "small"]) == 0
    assert "failed (ValueError: the disk is full)" in capsys.readouterr().out
