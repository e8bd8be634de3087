"""A study of two trials to tell a ledger about, fresh sqlite stores, and a real MLflow server."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from seedbed.plan.design import Design
from seedbed.study.cell import Cell
from seedbed.study.record import TrialRecord
from seedbed.track.ledger import StudyEntry, TrialEntry
from seedbed.track.mlflow.address import default_tracking_uri
from seedbed.track.mlflow.connection import client, prepare_store
from seedbed.track.mlflow.ledger import MlflowLedger
from seedbed.track.mlflow.study_runs import MlflowRuns

STUDY = "text_depth"
KEYS = ("a" * 16, "b" * 16)
CELLS = (
    Cell({"supervision": "clip", "depth": 3}),
    Cell({"supervision": "declip", "depth": 6}),
)
NUM_POINTS = 40
BATCH = 256


def curve(start: int = 1, stop: int = NUM_POINTS) -> tuple[dict[str, float], ...]:
    """Points `start` to `stop`, with values that no decimal writes exactly."""
    return tuple(
        {"samples": i * BATCH, "train/loss": 1 / (i + 0.1), "train/lr": i / 3}
        for i in range(start, stop + 1)
    )


@dataclass
class World:
    """One study at one store."""

    uri: str
    folder: Path
    ledgers: list[MlflowLedger] = field(default_factory=list)

    @property
    def mlflow(self) -> Any:
        return client(self.uri)

    def entry(self, **changes: Any) -> StudyEntry:
        design = {
            "study": STUDY,
            "scale": "demo",
            "factors": {
                "supervision": {"levels": ["clip", "declip"], "baseline": "clip"},
                "depth": {"levels": [3, 6], "baseline": 3},
            },
            "responses": ["zeroshot/top1", "cost/device_hours"],
            "data": {"uri": "/corpora/demo", "fingerprint": "f" * 16},
            "trials": [
                {"key": key, "cell": cell.to_json(), "seed": 0, "cohort": "c0"}
                for key, cell in zip(KEYS, CELLS, strict=True)
            ],
        }
        values: dict[str, Any] = {
            "study": STUDY,
            "scale": "demo",
            "question": "Is text depth worth its cost?",
            "design": Design.from_json(design | changes.pop("design", {})),
            "params": {"optimizer.lr": 1e-3, "budget.batch": BATCH},
            "tags": {
                "mlflow.source.name": "studies/text_depth.py",
                "mlflow.source.git.commit": "1" * 40,
                "seedbed.data_fingerprint": "f" * 16,
            },
        }
        return StudyEntry(**(values | changes))

    def trial(self, i: int) -> TrialEntry:
        return TrialEntry(
            KEYS[i], CELLS[i], 0, "c0", {"text.layers": 3}, {"seedbed.recipe_key": KEYS[i]}
        )

    def record(self, i: int, **changes: Any) -> TrialRecord:
        values: dict[str, Any] = {
            "key": KEYS[i],
            "study": STUDY,
            "scale": "demo",
            "cell": CELLS[i],
            "seed": 0,
            "cohort": "c0",
            "status": "completed",
            "metrics": {
                "zeroshot/top1": 0.1 + 0.2,
                "zeroshot/top5": 2 / 3,
                "cost/image_views": 2.0**53 - 1,
                "train/final_loss": 1.5e-11,
            },
            "curve": curve(),
            "order_hash": "0" * 15 + "1",
            "data_fingerprint": "f" * 16,
            "recipe_key": KEYS[i],
            "code_version": {"seedbed": "0.1.0", "git_commit": "1" * 40},
            "recipe": {"text.layers": 3},
        }
        return TrialRecord(**(values | changes))

    def examples(self) -> Path:
        path = self.folder / "per_example.csv"
        path.write_text("id,correct\n1,1\n")
        return path

    def ledger(self, **options: Any) -> MlflowLedger:
        made = MlflowLedger(self.uri, STUDY, **({"linger_s": 0.05} | options))
        self.ledgers.append(made)
        return made

    def run_of(self, i: int) -> Any:
        """The one run of trial `i`."""
        found = self.search(f"tags.`seedbed.trial_key` = '{KEYS[i]}'")
        assert len(found) == 1
        return found[0]

    def study_runs(self) -> list[Any]:
        return self.search("tags.`seedbed.kind` = 'study'")

    def history(self, i: int, name: str) -> list[tuple[int, float]]:
        points = self.mlflow.get_metric_history(self.run_of(i).info.run_id, name)
        return sorted((point.step, point.value) for point in points)

    def snapshot(self) -> dict[str, Any]:
        """All that the store holds of the study, but for times and the ids that it gave."""
        return {run.info.run_name: self._snapshot(run) for run in self.search("")}

    def search(self, where: str) -> list[Any]:
        experiment = self.mlflow.get_experiment_by_name(STUDY)
        return list(self.mlflow.search_runs([experiment.experiment_id], where))

    def _snapshot(self, run: Any) -> dict[str, Any]:
        mlflow, run_id = self.mlflow, run.info.run_id
        tags = dict(run.data.tags)
        parent = tags.pop("mlflow.parentRunId", None)
        histories = {
            name: sorted((p.step, p.value) for p in mlflow.get_metric_history(run_id, name))
            for name in run.data.metrics
        }
        return {
            "status": run.info.status,
            "params": dict(run.data.params),
            "tags": tags,
            "parent": parent and mlflow.get_run(parent).info.run_name,
            "latest": dict(run.data.metrics),
            "histories": histories,
            "files": self._files(run_id, None),
        }

    def _files(self, run_id: str, folder: str | None) -> dict[str, str]:
        out: dict[str, str] = {}
        for found in self.mlflow.list_artifacts(run_id, folder):
            if found.is_dir:
                out |= self._files(run_id, found.path)
            else:
                with tempfile.TemporaryDirectory() as scratch:
                    path = Path(self.mlflow.download_artifacts(run_id, found.path, scratch))
                    out[found.path] = path.read_text()
        return out

    def opened(self, **changes: Any) -> MlflowRuns:
        """The runs of the study, opened without a writer thread."""
        runs = MlflowRuns(self.uri, STUDY)
        runs.open_study(self.entry(**changes))
        return runs

    def told(self) -> dict[str, Any]:
        """The store after an untroubled study."""
        ledger = self.ledger()
        self.tell_all(ledger)
        assert not ledger.close(60)
        return self.snapshot()

    def tell_all(self, ledger: MlflowLedger) -> None:
        """The study from its first word to its last, as an untroubled driver tells it."""
        ledger.open_study(self.entry())
        for i in range(2):
            ledger.open_trial(self.trial(i))
        for point in curve():
            for key in KEYS:
                values = {name: v for name, v in point.items() if name != "samples"}
                ledger.log(key, int(point["samples"]), values)
        for i in range(2):
            ledger.finish(self.record(i), {"examples/cifar.csv": self.examples()})
        ledger.attach({"report/trials.csv": self.examples()})


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated sqlite database, to copy: a migration takes more than a second."""
    folder = tmp_path_factory.mktemp("mlflow")
    client(default_tracking_uri(folder)).search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def world(tmp_path: Path, empty_database: Path) -> Iterator[World]:
    """The study at a fresh sqlite store."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    made = World(default_tracking_uri(tmp_path), tmp_path)
    prepare_store(made.uri, STUDY)
    yield made
    for ledger in made.ledgers:
        ledger.close(0)


class Server:
    """A real `mlflow server` on a port of its own, with its store in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str] = ()) -> None:
        """Start it with `command`, which begins with `mlflow`, and wait until it answers."""
        store = f"sqlite:///{self.folder / 'mlflow.db'}"
        artifacts = str(self.folder / "artifacts")
        command = command or [
            *("mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--backend-store-uri", store, "--artifacts-destination", artifacts),
        ]
        command = [sys.executable, "-m", *command, "--workers", "1"]
        with (self.folder / "server.log").open("ab") as out:
            self._process = subprocess.Popen(
                command,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                start_new_session=True,
                # MLflow leaves locks in the temporary folder; its jobs are processes for nothing.
                env=os.environ
                | {"TMPDIR": str(self.folder), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            )
        self._wait_until(self._is_healthy)

    def kill(self) -> None:
        """End it as a lost machine would, workers and all."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            self._wait_until(lambda: not self._is_healthy())

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _wait_until(self, is_true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 90
        while not is_true():
            if time.monotonic() > deadline:
                raise TimeoutError((self.folder / "server.log").read_text()[-3000:])
            time.sleep(0.1)


@pytest.fixture
def server(tmp_path: Path, empty_database: Path) -> Iterator[Server]:
    """A server that was not started yet."""
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    made = Server(folder)
    yield made
    made.kill()


@pytest.fixture
def remote(server: Server, tmp_path: Path) -> Iterator[World]:
    """The study at the server."""
    made = World(server.uri, tmp_path)
    yield made
    for ledger in made.ledgers:
        ledger.close(0)
