"""A study sent to a cluster. Oracle: the results folder that the same study has without one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.planning import Prepared

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, away from Ray's own range for workers."""
    found: list[int] = []
    for port in range(24_000, 32_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free ports")


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, shapes: Path, prepared: Prepared
) -> Iterator[dict[str, str]]:
    """`ray start --head` in the checkout, at the smoke scale; the environment to submit from."""
    port, dashboard, agent, metrics = free_ports(4)
    environment = {n: v for n, v in os.environ.items() if not n.startswith("RAY_")} | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "SEEDBED_HOME": str(prepared(tmp_path_factory.mktemp("submit") / "home")),
        "SEEDBED_SCALE": "smoke",
        "SEEDBED_DATA": str(shapes),
        "RAY_worker_niceness": "0",  # as tests/conftest.py says
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
    }
    with tempfile.TemporaryDirectory(prefix="ab") as short:
        head = subprocess.Popen(
            [
                BIN / "ray", "start", "--head", "--block", f"--port={port}",
                f"--dashboard-port={dashboard}", "--dashboard-host=127.0.0.1",
                f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}",
                f"--temp-dir={short}", "--num-cpus=2", "--disable-usage-stats",
                "--include-log-monitor=false",
            ],
            cwd=ROOT, env=environment | {"TMPDIR": short}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        environment["RAY_ADDRESS"] = f"http://127.0.0.1:{dashboard}"
        try:
            _wait(environment)
            yield environment
        finally:
            # All at once: the head would wait half a minute for its own processes.
            os.killpg(head.pid, signal.SIGKILL)
            head.wait(60)


def _wait(environment: dict[str, str]) -> None:
    for _ in range(60):
        listed = subprocess.run(
            [BIN / "ray", "job", "list"], env=environment, capture_output=True, check=False
        )
        if listed.returncode == 0:
            return
        time.sleep(1)
    raise AssertionError("the head did not come up")


def submit(environment: dict[str, str], *arguments: str, checkout: Path = ROOT) -> str:
    done = subprocess.run(
        [BIN / "ray", "job", "submit", *arguments, "--", "python", "studies/text_encoder_depth.py"],
        cwd=checkout, env=environment, capture_output=True, text=True, check=False, timeout=800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    return done.stdout


def test_submitted_without_flags_it_runs_into_the_same_results_folder(
    cluster: dict[str, str],
) -> None:
    out = submit(cluster)
    trials = Path(cluster["SEEDBED_HOME"]) / "results" / "text_encoder_depth" / "trials"
    records = [json.loads(path.read_text()) for path in trials.glob("*/record.json")]
    assert len(records) == 16
    assert {record["status"] for record in records} == {"completed"}
    assert "[16/16]" in out  # one line for each finished trial in the job's log
    plan = subprocess.run(
        [sys.executable, "studies/text_encoder_depth.py", "--plan", "--json"],
        cwd=ROOT, env=cluster, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {trial["key"] for trial in json.loads(plan.stdout)["trials"]} == {
        record["key"] for record in records
    }


def test_submitted_with_a_working_dir_it_finds_the_same_trials(cluster: dict[str, str]) -> None:
    environment = {"env_vars": {"PYTHONPATH": "platform"}}
    out = submit(cluster, "--working-dir", ".", "--runtime-env-json", json.dumps(environment))
    assert "16 done already" in out


# A study of a name and a budget that only the copy has.
CHANGES = {
    'name="text_encoder_depth"': 'name="changed_here"',
    "levels=(1, 3, 6, 12)": "levels=(3, 12)",
    "scales={": 'scales={"smoke": {"budget.samples": 640}, ',
}


@pytest.mark.long
def test_a_working_dir_with_changes_is_sent_and_what_it_says_is_trained(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    file = clone / "studies" / "text_encoder_depth.py"
    text = file.read_text()
    for old, new in CHANGES.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    file.write_text(text)
    out = submit(cluster, "--working-dir", ".", checkout=clone)
    assert "[8/8]" in out and "0 done already" in out
    trials = Path(cluster["SEEDBED_HOME"]) / "results" / "changed_here" / "trials"
    records = [json.loads(path.read_text()) for path in trials.glob("*/record.json")]
    assert [record["status"] for record in records] == ["completed"] * 8
    assert {record["curve"][-1]["samples"] for record in records} == {640}
    assert all(record["curve"][0]["train/loss"] > 0 for record in records)
