"""A real command is stopped. Oracles: a clock, what is printed, and the same command again."""

from __future__ import annotations

import csv
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_kill_and_resume import NUM_STEPS, start

STEPS = 2_000
pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]


def checkpointed(folder: Path, driver: subprocess.Popen[str]) -> None:
    """Wait until a cohort has a checkpoint."""
    cohorts = folder / "home" / "results" / "tiny" / "cohorts"
    for _ in range(3000):
        if list(cohorts.glob("*/checkpoint_*/place.json")):
            return
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.1)
    raise AssertionError("no checkpoint came")


def read_until(driver: subprocess.Popen[str], words: str, seconds: float) -> str:
    """What stderr says until `words` come, for at most so long."""
    assert driver.stderr is not None
    os.set_blocking(driver.stderr.fileno(), False)
    chosen = selectors.DefaultSelector()
    chosen.register(driver.stderr, selectors.EVENT_READ)
    said, until = "", time.monotonic() + seconds
    while words not in said and time.monotonic() < until:
        if chosen.select(timeout=0.2):
            said += os.read(driver.stderr.fileno(), 65_536).decode()
    os.set_blocking(driver.stderr.fileno(), True)
    return said


@pytest.mark.long
def test_ctrl_c_says_at_once_what_it_does_and_the_next_start_from_which_step_it_goes_on(
    tmp_path: Path, shapes: Path, head: Mapping[str, str]
) -> None:
    folder = tmp_path / "stopped"
    driver = start(folder, shapes, checkpoint_seconds=0, joins=head)
    checkpointed(folder, driver)
    driver.send_signal(signal.SIGINT)
    said = read_until(driver, "Press again to stop at once", 3.0)
    assert "stopping: workers end where they are" in said
    assert "Press again to stop at once, without a report." in said
    out, err = driver.communicate(timeout=120)
    assert driver.returncode == 130, err
    missing = [line for line in err.splitlines() if line.startswith("missing: ")]
    stopped = [line for line in missing if "last heard of at step" in line]
    assert stopped and all("the same command goes on" in line for line in stopped)
    assert all(("never started" in line) != (line in stopped) for line in missing)
    assert "interrupted" in out
    (table,) = (folder / "home" / "results" / "tiny").glob("*/report/trials.csv")
    rows = list(csv.DictReader(table.open()))
    ended = {row["status"] for row in rows if "stopped" in row["reason"]}
    assert ended == {"interrupted"}
    # What it had measured by then is compared with nothing.
    response = next(name for name in rows[0] if name.startswith("zeroshot/"))
    assert not [row for row in rows if row["status"] == "interrupted" and row[response]]

    # That it ends with the same numbers is shown where drivers are killed.
    again = start(folder, shapes, joins=head)
    said = read_until(again, f" of {NUM_STEPS}: ", 240)
    again.kill()
    again.communicate(timeout=60)
    found = re.findall(rf"goes on from step (\d+) of {NUM_STEPS}: (.*)", said)
    assert found and all(0 < int(step) < NUM_STEPS for step, _ in found)
    assert all("depth=1" in names and "depth=2" in names for _, names in found)


@pytest.mark.long
def test_a_study_is_watched_and_stopped_through_its_results_folder_and_loses_no_step(
    tmp_path: Path, shapes: Path, head: Mapping[str, str]
) -> None:
    folder = tmp_path / "asked"
    # After the first checkpoint none is made for an hour, but for the one that the stop asks for.
    driver = start(
        folder,
        shapes,
        "--set",
        f"budget.samples={STEPS * 64}",
        checkpoint_seconds=3600,
        joins=head,
    )
    results = ("tiny", "--storage", str(folder / "home" / "results"))

    def seen() -> dict[str, Any]:
        done = seedbed("status", *results, "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    try:
        checkpointed(folder, driver)
        now, until = seen(), time.monotonic() + 60
        while not now["cohorts"][0]["samples"] and time.monotonic() < until:
            time.sleep(0.5)  # the first checkpoint may come before the first point of the curve
            now = seen()
        assert now["phase"] == "running" and now["counts"]["running"] == 2
        step = now["cohorts"][0]["samples"] // 64
        assert 0 < step < STEPS and now["cohorts"][0]["total_samples"] == STEPS * 64
        stop(results)
        out, err = driver.communicate(timeout=120)
        assert driver.returncode == 130, err
        assert "stop    asked for by" in err and "stopping: workers end where they are" in err
        assert "Does it resume?" in out  # its report
        stopped = seen()
        assert stopped["phase"] == "stopped" and not stopped["lost"]
        assert stopped["counts"] == {"interrupted": 2, "waiting": 2}
        assert 0 < stopped["job_seconds"] < stopped["total_seconds"]
        heard_of = max(numbers(r"last heard of at step ([\d,]+)", err))

        driver = start(folder, shapes, "--set", f"budget.samples={STEPS * 64}", joins=head)
        said = read_until(driver, "goes on from step", 240)
        # What was trained between the last word and the stop is kept too.
        (kept,) = numbers(r"goes on from step ([\d,]+) of", said)
        assert kept >= heard_of >= step
        stop(results)
        driver.communicate(timeout=120)
        assert (seen()["phase"], seen()["starts"]) == ("stopped", 2)
    finally:
        driver.kill()


def numbers(pattern: str, text: str) -> list[int]:
    return [int(found.replace(",", "")) for found in re.findall(pattern, text)]


def stop(results: tuple[str, ...]) -> None:
    asked = seedbed("stop", *results)
    assert asked.returncode == 0, asked.stderr
    assert "tiny: stopped" in asked.stdout


def seedbed(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "seedbed.commands.seedbed", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


@pytest.mark.long
def test_a_second_ctrl_c_ends_the_driver_without_a_report(
    tmp_path: Path, shapes: Path, head: Mapping[str, str]
) -> None:
    folder = tmp_path / "pressed"
    driver = start(folder, shapes, checkpoint_seconds=0, joins=head)
    checkpointed(folder, driver)
    driver.send_signal(signal.SIGINT)
    read_until(driver, "stopping", 3.0)
    driver.send_signal(signal.SIGINT)
    out, _ = driver.communicate(timeout=120)
    assert driver.returncode != 0
    assert "Does it resume?" not in out
    assert not list((folder / "home" / "results" / "tiny").glob("*/report/report.html"))
