"""A trained model in MLflow's model registry: a pyfunc that takes pictures and captions."""

from __future__ import annotations

import contextlib
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seedbed.errors import SeedbedError, TrackingError, first_line
from seedbed.study.record import TrialRecord
from seedbed.track.mlflow.address import redacted
from seedbed.track.mlflow.connection import check_tracking, client, experiment_id

EXPERIMENT = "seedbed_models"
ARTIFACT = "export"
# What reads an export, beside the seedbed that wrote it.
NEEDS = ("torch", "timm", "open_clip_torch", "safetensors", "tokenizers", "ftfy", "pillow", "numpy")


def register(uri: str, name: str, folder: Path, record: TrialRecord) -> str:
    """Make the exported model in `folder` the newest version of the registered model `name`.

    Returns its address, `models:/NAME/VERSION`. Raises TrackingError where MLflow refuses it.
    """
    try:
        check_tracking(uri)
        return _registered(uri, name, folder, record)
    except SeedbedError:
        raise
    except Exception as error:
        raise TrackingError(
            f"the model '{name}' could not be registered at {redacted(uri)}",
            why=redacted(first_line(error)),
            mend=f"mend the name or the server; the export is whole, in {folder}",
        ) from error


def _registered(uri: str, name: str, folder: Path, record: TrialRecord) -> str:
    from mlflow.exceptions import MlflowException

    mlflow = client(uri)
    marks = {"seedbed.trial_key": record.key, "seedbed.study": record.study}
    tags = {**marks, "seedbed.kind": "model", "mlflow.runName": f"{name} {record.key}"}
    run = mlflow.create_run(experiment_id(uri, EXPERIMENT), tags=tags)
    with tempfile.TemporaryDirectory() as scratch:
        saved = Path(scratch) / "model"
        _save(folder, saved)
        mlflow.log_artifacts(run.info.run_id, str(saved), "model")
    mlflow.set_terminated(run.info.run_id)
    with contextlib.suppress(MlflowException):  # it is there already
        mlflow.create_registered_model(name)
    made = mlflow.create_model_version(
        name, f"{run.info.artifact_uri}/model", run.info.run_id, tags=marks
    )
    return f"models:/{name}/{made.version}"


def _save(folder: Path, saved: Path) -> None:
    import mlflow.pyfunc

    mlflow.pyfunc.save_model(
        path=str(saved),
        python_model=str(Path(__file__).with_name("pyfunc.py")),
        artifacts={ARTIFACT: str(folder)},
        signature=_signature(),
        pip_requirements=[f"{package}=={version(package)}" for package in ("seedbed", *NEEDS)],
    )


def _signature() -> Any:
    """Columns `image` (the bytes of a file) and `text`, of which one may be left out; parameters
    `names` and `templates`, with which pictures are classified."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    return ModelSignature(
        inputs=Schema(
            [ColSpec("binary", "image", required=False), ColSpec("string", "text", required=False)]
        ),
        params=ParamSchema(
            [
                ParamSpec("names", "string", [], shape=(-1,)),
                ParamSpec("templates", "string", ["{}"], shape=(-1,)),
            ]
        ),
    )
