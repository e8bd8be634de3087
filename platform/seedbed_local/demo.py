"""The demo study on the cluster, by the line that a person types."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from seedbed_local.head import BIN
from seedbed_local.reach import Reach
from seedbed_local.s3 import copy

STUDY = "studies/text_encoder_depth.py"
CORPUS = "emoji"


def demo(reach: Reach, checkout: Path, arguments: Sequence[str]) -> int:
    """Copy the corpus, submit the study with `arguments`, say how long it took; its exit status."""
    copied(reach, CORPUS)
    began = time.time()
    status = submit(reach, checkout, ["python", STUDY, *arguments])
    first = first_step_seconds(reach, Path(STUDY).stem, began)
    took = f"{time.time() - began:.0f} s"
    print(
        f"\nsubmit to end {took}"
        + (f", to the first step {first:.1f} s" if first is not None else ", without a step"),
        flush=True,
    )
    return status


def copied(reach: Reach, corpus: str) -> str:
    """The uri of a demo corpus in the bucket, put there if it is not yet."""
    from seedbed.storage.objects import exists, write_object

    os.environ.update(reach.reading)
    mark = f"s3://{reach.bucket}/.{corpus}-is-whole"
    if not exists(mark):
        copy(corpus, reach.bucket)
        write_object(mark, b"")
    return f"s3://{reach.bucket}/{corpus}"


def submit_environment(reach: Reach) -> dict[str, str]:
    """That of a shell which has read the cluster's `env.sh`, and no secret."""
    secret = (*reach.reading, "SEEDBED_")
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("RAY_", *secret))}
    return kept | reach.submitting


def submit(
    reach: Reach,
    checkout: Path,
    entrypoint: Sequence[str],
    flags: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> int:
    """`ray job submit FLAGS -- ENTRYPOINT` in the checkout, its log on our stdout; its status."""
    line = ["ray", "job", "submit", *flags, "--", *entrypoint]
    print(f"$ {shlex.join(line)}", flush=True)
    done = subprocess.run(
        [str(BIN / line[0]), *line[1:]],
        cwd=checkout,
        env=submit_environment(reach) | dict(environment or {}),
        stdout=sys.stdout,
        stderr=sys.stderr,
        check=False,
    )
    return done.returncode


def first_step_seconds(reach: Reach, study: str, since: float) -> float | None:
    """From the Unix time `since` to the first point that any trial told MLflow after it."""
    times = [when for when in point_times(reach, study) if when >= since]
    return min(times) - since if times else None


def point_times(reach: Reach, study: str) -> list[float]:
    """Unix times at which the driver got points of the trials' curves, ascending."""
    from mlflow import MlflowClient

    os.environ.update(reach.reading)
    client = MlflowClient(reach.mlflow)
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        return []
    runs = client.search_runs([experiment.experiment_id], "tags.`seedbed.kind` = 'trial'")
    return sorted(
        point.timestamp / 1000
        for run in runs
        for point in client.get_metric_history(run.info.run_id, "train/loss")
    )
