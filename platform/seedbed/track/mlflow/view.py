"""What a person sees in MLflow: the study's note, a ready-made view, the command and the link."""

from __future__ import annotations

import base64
import json
import shlex
import zlib
from collections.abc import Mapping
from typing import Any

from seedbed.plan.design import PlannedFactor
from seedbed.study.label import label_text
from seedbed.track.ledger import StudyEntry
from seedbed.track.mlflow.address import redacted
from seedbed.track.mlflow.batches import trackable
from seedbed.track.mlflow.charts import charts

_TAG, _CELLS = "mlflow.sharedViewState.", "-cells"
_RUN_NAME, _SEED = "attributes.`Run Name`", "params.`seed`"
_LONGEST_VIEW = 4_500  # letters of an experiment's tag; MLflow refuses more than 5,000

NOTE = """**{question}**

{factors}

Scale `{scale}`. Responses, the primary first: {responses}.

Each child run is one cell and seed. Its params are the factors, the seed and its recipe's fields by
path (`text.layers`): all that vary, and of the others the main ones. `recipe.json` has every field,
and what all trials share is on this run too. **The step of every metric is samples seen**, not
optimizer steps. Runs with the same `seedbed.order_hash` saw the same samples in the same order:
compare them as pairs. Only trials whose `seedbed.status` is completed count; the others are
missing, not zero.
"""


def note(entry: StudyEntry) -> str:
    """The text at the top of the study's run: the question, and how to read the runs."""
    factors = [
        f"- `{name}`: {', '.join(map(str, factor.levels))} (baseline {factor.baseline})"
        for name, factor in entry.design.factors.items()
    ]
    responses = ", ".join(f"`{name}`" for name in entry.design.responses)
    return NOTE.format(
        question=entry.question,
        factors="\n".join(factors),
        scale=entry.scale,
        responses=responses or "none stated",
    )


def view_tags(entry: StudyEntry, study_run: str) -> dict[str, str]:
    """The experiment's tags that hold the study's views: its trials, and its cells."""
    return {
        f"{_TAG}{entry.view}": view_state(entry, study_run),
        f"{_TAG}{entry.view}{_CELLS}": view_state(entry, study_run, grouped=True),
    }


def view_state(entry: StudyEntry, study_run: str, *, grouped: bool = False) -> str:
    """The state of MLflow's runs page: the study's trials only, factors and finals as columns,
    the best of the primary response first, and charts of them.

    `grouped` puts the seeds of a cell into one line, their finals averaged, without the columns
    whose mean says nothing. JSON, deflated where it is long. Undocumented; read from the bundle of
    MLflow 3.17 (its share link stores the same). A page that knows nothing of it shows the plain
    table; 3.17 without the tag says that the key does not exist and opens the experiment's
    overview, where the switch "Model training" leads to the table.
    """
    factors, responses = entry.design.factors, entry.design.responses
    names = [trackable(name) for name in factors]
    params = [f"params.`{name}`" for name in names]
    metrics = [f"metrics.`{trackable(name)}`" for name in responses]
    columns = [*params, *metrics]
    if not grouped:
        columns = [*params, _SEED, *metrics, "tags.`seedbed.status`"]
    state: dict[str, Any] = {
        "searchFilter": f"tags.mlflow.parentRunId = '{study_run}' and tags.seedbed.kind = 'trial'",
        "orderByKey": [*metrics, *params, _SEED][0],
        "orderByAsc": not metrics or not entry.design.metric(responses[0]).higher_is_better,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": columns,
        "columnOrder": [_RUN_NAME, *columns],
        "columnWidths": {_RUN_NAME: _name_width(factors)} if grouped else {},
        "runsHiddenMode": "SHOW_ALL",
        "groupBy": _by_cell(names) if grouped else None,
        "useGroupedValuesInCharts": True,
    }
    if responses:
        levels = {trackable(name): factor.levels for name, factor in factors.items()}
        shown = [trackable(name) for name in responses]
        state |= charts(entry.study, levels, shown, grouped=grouped)
    text = json.dumps(state, separators=(",", ":"))
    if len(text) <= _LONGEST_VIEW:
        return text
    return "deflate;" + base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _by_cell(names: list[str]) -> dict[str, Any]:
    keys = [{"mode": "param", "groupByData": name} for name in names]
    return {"aggregateFunction": "average", "groupByKeys": keys}


def _name_width(factors: Mapping[str, PlannedFactor]) -> int:
    """The width in pixels of a group's name, the only place that shows levels which are words."""
    letters = sum(
        len(f"{name}: , ") + max((len(label_text(level)) for level in factor.levels), default=0)
        for name, factor in factors.items()
    )
    return min(150 + 6 * letters, 560)


def ui_command(uri: str, *, port: int = 5000) -> str:
    """The command that shows the store in a browser; empty where a server does already."""
    if uri.startswith(("http://", "https://")):
        return ""
    return f"mlflow ui --backend-store-uri {shlex.quote(redacted(uri))} --port {port}"


def ui_link(
    uri: str,
    experiment_id: str,
    *,
    view: str = "",
    port: int = 5000,
    charts: bool = False,
    cells: bool = False,
) -> str:
    """The address of an experiment's runs, on the store's server or on `ui_command`'s.

    With a `StudyEntry.view` it opens that study's view: its table, or its `charts`, of trials
    or of `cells`.
    """
    is_server = uri.startswith(("http://", "https://"))
    server = redacted(uri).rstrip("/") if is_server else f"http://127.0.0.1:{port}"
    state = f"?viewStateShareKey={view}{_CELLS if cells else ''}" if view else ""
    mode = f"{'&' if state else '?'}compareRunsMode=CHART" if charts else ""
    return f"{server}/#/experiments/{experiment_id}/runs{state}{mode}"
