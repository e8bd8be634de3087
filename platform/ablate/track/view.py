"""What a person sees in MLflow: the study's note, a ready-made view, the command and the link."""

from __future__ import annotations

import json
import shlex
from typing import Any

from ablate.track.batches import trackable
from ablate.track.connection import redacted
from ablate.track.ledger import StudyEntry

NOTE = """**{question}**

{factors}

Scale `{scale}`. Responses, the primary first: {responses}.

Each child run is one cell and seed. Its params are the factors and the seed only; what all trials
share is on this run. **The step of every metric is samples seen**, not optimizer steps. Runs with
the same `ablate.order_hash` saw the same samples in the same order: compare them as pairs. Only
trials whose `ablate.status` is completed count; the others are missing, not zero.
"""


def note(entry: StudyEntry) -> str:
    """The text at the top of the study's run: the question, and how to read the runs."""
    factors = [
        f"- `{name}`: {', '.join(map(str, factor.get('levels', ())))}"
        f" (baseline {factor.get('baseline')})"
        for name, factor in _factors(entry).items()
    ]
    responses = ", ".join(f"`{name}`" for name in _responses(entry))
    return NOTE.format(
        question=entry.question,
        factors="\n".join(factors),
        scale=entry.scale,
        responses=responses or "none stated",
    )


def view_tag(entry: StudyEntry) -> str:
    """The experiment's tag that holds the study's view."""
    return f"mlflow.sharedViewState.{entry.identity}"


def view_state(entry: StudyEntry, study_run: str) -> str:
    """The state of MLflow's runs page as JSON: the study's trials only, factors and finals as
    columns, the best of the primary response first.

    Undocumented; read from the bundle of MLflow 3.17 (its share link stores the same). A page
    that does not know it says so and shows the plain table.
    """
    params = [*(f"params.`{trackable(name)}`" for name in _factors(entry)), "params.`seed`"]
    metrics = [f"metrics.`{trackable(name)}`" for name in _responses(entry)]
    columns = [*params, *metrics, "tags.`ablate.status`"]
    state: dict[str, Any] = {
        "searchFilter": f"tags.mlflow.parentRunId = '{study_run}' and tags.ablate.kind = 'trial'",
        "orderByKey": metrics[0] if metrics else params[0],
        "orderByAsc": not metrics or _responses(entry)[0].startswith(("cost/", "train/")),
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": columns,
        "columnOrder": columns,
        "runsHiddenMode": "SHOW_ALL",
        "groupBy": None,
    }
    return json.dumps(state)


def ui_command(uri: str, *, port: int = 5000) -> str:
    """The command that shows the store in a browser; empty where a server does already."""
    if uri.startswith(("http://", "https://")):
        return ""
    return f"mlflow ui --backend-store-uri {shlex.quote(redacted(uri))} --port {port}"


def ui_link(uri: str, experiment_id: str, *, identity: str = "", port: int = 5000) -> str:
    """The address of an experiment's runs, on the store's server or on `ui_command`'s.

    With a `StudyEntry.identity` it opens that study's view.
    """
    is_server = uri.startswith(("http://", "https://"))
    server = redacted(uri).rstrip("/") if is_server else f"http://127.0.0.1:{port}"
    view = f"?viewStateShareKey={identity}" if identity else ""
    return f"{server}/#/experiments/{experiment_id}/runs{view}"


def _factors(entry: StudyEntry) -> dict[str, Any]:
    return dict(entry.design.get("factors") or {})


def _responses(entry: StudyEntry) -> list[str]:
    return [str(name) for name in entry.design.get("responses") or ()]
