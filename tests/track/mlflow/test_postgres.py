"""An MLflow server on Postgres, behind a password. Oracle: what each of 32 writers was handed."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from seedbed.plan.design import Design
from seedbed.study.cell import Cell
from seedbed.study.record import TrialRecord
from seedbed.track.ledger import StudyEntry, TrialEntry
from seedbed.track.mlflow.connection import client, prepare_store
from seedbed.track.mlflow.ledger import MlflowLedger
from seedbed_local.credentials import Credentials
from seedbed_local.postgres import Postgres
from seedbed_local.s3 import S3Server
from seedbed_local.tracking import DATABASES, MlflowServer, connections

pytestmark = [pytest.mark.s3, pytest.mark.slow]
NUM_WRITERS, NUM_POINTS = 32, 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("tracking")
    credentials = Credentials(folder / "home")
    s3 = S3Server(folder / "s3", keys=credentials.s3_keys())
    postgres = Postgres(
        folder / "postgres",
        password=credentials.postgres_password(),
        databases=DATABASES,
        max_connections=connections(2, 30, 20),
    )
    credentials.write(postgres.pass_line)
    mlflow = MlflowServer(folder / "mlflow", credentials, postgres, s3)
    try:
        s3.launch()
        postgres.start()
        mlflow.start()
        s3.wait()
        yield mlflow
    finally:
        for one in (mlflow, postgres, s3):
            one.stop()


@pytest.fixture
def uri(server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server's, with its password in the environment."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", server.credentials.mlflow_password())
    return server.uri


def status(server: MlflowServer, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    body = '{"max_results": 1}'
    kept = {"Content-Type": "application/json", **headers}
    connection.request("POST", "/api/2.0/mlflow/experiments/search", body, kept)
    return connection.getresponse().status


def test_it_answers_those_who_know_the_password_and_call_it_by_its_name(
    server: MlflowServer,
) -> None:
    import base64

    def login(password: str) -> dict[str, str]:
        pair = base64.b64encode(f"admin:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    right = login(server.credentials.mlflow_password())
    assert status(server, **right) == 200
    assert status(server) == 401
    assert status(server, **login("password1234")) == 401
    assert status(server, Host="elsewhere.example", **right) == 403
    assert status(server, Origin="http://elsewhere.example", **right) == 403


def points(writer: int) -> list[tuple[int, dict[str, float]]]:
    """Values that no decimal writes exactly."""
    return [
        (64 * n, {"train/loss": 1 / (n + writer + 0.1), "train/lr": n / 3})
        for n in range(1, NUM_POINTS + 1)
    ]


def tell(uri: str, writer: int, ready: threading.Barrier, folder: Path) -> object:
    """A driver's life at once with 31 others': its study, a trial's curve, its record and file."""
    name, key = f"study{writer}", f"{writer:016x}"
    cell = Cell({"depth": writer})
    design = {
        "study": name,
        "scale": "demo",
        "factors": {"depth": {"levels": [writer], "baseline": writer}},
        "responses": ["zeroshot/top1"],
        "data": {"uri": "/corpora/demo", "fingerprint": "f" * 16},
        "trials": [{"key": key, "cell": cell.to_json(), "seed": 0, "cohort": "c0"}],
    }
    (folder / f"{name}.csv").write_text(f"writer\n{writer}\n")
    ready.wait()
    prepare_store(uri, name, timeout_s=60)
    ledger = MlflowLedger(uri, name, linger_s=0.05)
    ledger.open_study(StudyEntry(name, "demo", "?", Design.from_json(design)))
    ledger.open_trial(TrialEntry(key, cell, 0, "c0", {"text.layers": writer}))
    for samples, metrics in points(writer):
        ledger.log(key, samples, metrics)
    record = TrialRecord(
        key=key,
        study=name,
        scale="demo",
        cell=cell,
        seed=0,
        cohort="c0",
        status="completed",
        metrics={"zeroshot/top1": writer / 7},
        curve=tuple({"samples": s, **m} for s, m in points(writer)),
        recipe_key=key,
        recipe={"text.layers": writer},
    )
    ledger.finish(record, {"examples/cifar.csv": folder / f"{name}.csv"})
    return ledger.close(1200)


@pytest.mark.timeout(1500)
def test_of_32_that_write_at_once_nothing_is_lost_and_nothing_told_twice(
    uri: str, server: MlflowServer, tmp_path: Path
) -> None:
    ready = threading.Barrier(NUM_WRITERS)
    with ThreadPoolExecutor(NUM_WRITERS) as pool:
        unsent = list(
            pool.map(lambda n: tell(uri, n, ready, tmp_path), range(NUM_WRITERS)),
        )
    assert not any(unsent), unsent
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(lambda n: read(uri, n), range(NUM_WRITERS)))
    for writer, (found, histories, files) in enumerate(kept):
        assert [run.info.status for run in found] == ["FINISHED"], writer
        assert found[0].data.metrics["zeroshot/top1"] == writer / 7
        for name, history in histories.items():
            told = [(samples, metrics[name]) for samples, metrics in points(writer)]
            assert history == told, (writer, name)
        assert "examples" in files
    said = server.log.read_text()
    assert "QueuePool limit" not in said and "too many clients" not in said


def read(uri: str, writer: int) -> tuple[list[Any], dict[str, list[tuple[int, float]]], list[str]]:
    """What the server holds of one writer's trial: its runs, its curves and its files."""
    mlflow = client(uri)
    experiment = mlflow.get_experiment_by_name(f"study{writer}")
    found = mlflow.search_runs([experiment.experiment_id], "tags.`seedbed.kind` = 'trial'")
    histories = {
        name: sorted(
            (point.step, point.value)
            for point in mlflow.get_metric_history(found[0].info.run_id, name)
        )
        for name in ("train/loss", "train/lr")
    }
    files = [file.path for file in mlflow.list_artifacts(found[0].info.run_id)]
    return list(found), histories, files
