"""Whether the driver reaches MLflow, which version it is, and whether it asks who is there."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from seedbed.cluster.doctor.check import Answer, Check, Finding, Scope
from seedbed.home import home
from seedbed.track.mlflow.address import default_tracking_uri, redacted
from seedbed.track.mlflow.connection import check_tracking
from seedbed.track.mlflow.server import is_local, is_server, lets_anyone_in, server_version


def judge(asked: Scope, answers: Sequence[Answer]) -> Sequence[Finding]:
    uri = asked.tracking_uri or default_tracking_uri(home())
    check_tracking(uri)
    said = redacted(uri)
    if not is_server(uri):
        return [Finding("ok", f"{said}: a database, for one driver at a time")]
    findings, theirs, ours = [], server_version(uri), version("mlflow")
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        findings.append(
            Finding(
                "caution",
                f"{said} runs MLflow {theirs or 'of an unknown version'}, and this is {ours}",
                f"install mlflow=={ours} on the server",
            )
        )
    open_to_all = lets_anyone_in(uri)
    if open_to_all and not is_local(uri):
        findings.append(
            Finding(
                "caution",
                f"{said} answers whoever asks, without a password",
                "start it with --app-name basic-auth and --allowed-hosts",
            )
        )
    asks = "answers whoever asks, on this machine" if open_to_all else "wants a password"
    return findings or [Finding("ok", f"{said}: MLflow {theirs}, {asks}")]


CHECK = Check("does the driver reach MLflow?", judge)
