"""The charts of a study's page in MLflow, as its runs page keeps them.

Undocumented; the fields are those of the chart classes in the bundle of MLflow 3.17.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from seedbed.study.recorded import DEVICE_HOURS, TRAINING_LOSS

MOST_RUNS = 100  # that a bar chart or a scatter shows
CARD_HEIGHT = 400  # pixels
_COST, _LOSS = DEVICE_HOURS.name, TRAINING_LOSS.name
_SPACE = uuid.UUID("6f1d3f0a-6f0b-5f0e-9d2b-5b8f0c5a7c11")  # an arbitrary namespace for uuid5


def charts(
    study: str,
    factors: Mapping[str, Sequence[Any]],
    responses: Sequence[str],
    *,
    grouped: bool,
) -> dict[str, Any]:
    """`compareRunCharts` and `compareRunSections` of the page's state.

    Parallel coordinates over factors and primary response, cost against it, the curves of the
    loss, and each response as bars: MLflow adds a section of its own for any metric without a
    chart. When runs are `grouped` it draws no coordinates of factors with words.
    """
    primary = responses[0]
    section = _id(study, "section", str(grouped))
    common = {"metricSectionId": section, "deleted": False, "isGenerated": False}
    made: list[dict[str, Any]] = []
    if not grouped or all(map(_is_number, (v for levels in factors.values() for v in levels))):
        made.append(
            {
                "type": "PARALLEL",
                "selectedParams": list(factors),
                "selectedMetrics": [primary],
                "showAllRuns": True,
            }
        )
    if _COST in responses and primary != _COST:
        made.append(
            {
                "type": "SCATTER",
                "xaxis": {"key": _COST, "type": "METRIC"},
                "yaxis": {"key": primary, "type": "METRIC"},
                "runsCountToCompare": MOST_RUNS,
            }
        )
    made.append(
        {
            "type": "LINE",
            "metricKey": _LOSS,
            "selectedMetricKeys": [_LOSS],
            "xAxisKey": "step",
            "scaleType": "linear",
            "xAxisScaleType": "linear",
            "lineSmoothness": 0,
            "displayPoints": False,
            "runsCountToCompare": MOST_RUNS,
        }
    )
    made += [
        {"type": "BAR", "metricKey": name, "runsCountToCompare": MOST_RUNS}
        for name in dict.fromkeys(responses)
    ]
    return {
        "compareRunCharts": [
            {"uuid": _id(study, c["type"], c.get("metricKey", ""), str(grouped)), **common, **c}
            for c in made
        ],
        "compareRunSections": [
            {
                "uuid": section,
                "name": "The study",
                "display": True,
                "isReordered": True,
                "columns": 2,
                "cardHeight": CARD_HEIGHT,
            }
        ],
        "isAccordionReordered": True,
    }


def _id(*parts: str) -> str:
    return str(uuid.uuid5(_SPACE, "/".join(parts)))


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True
