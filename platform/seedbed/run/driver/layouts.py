"""How a study's cohorts were laid out, start after start, kept beside its report."""

from __future__ import annotations

from typing import Any

from seedbed.cluster.capacity import Capacity
from seedbed.cluster.layout import Layout
from seedbed.plan.plan import Plan
from seedbed.storage.folder import Folder

FILE_NAME = "layouts.json"


def note_layout(store: Folder, plan: Plan, layout: Layout, capacity: Capacity) -> None:
    """Keep how this start is laid out, and on what; one that is as the last is kept once."""
    kept: list[dict[str, Any]] = store.read_json(plan.variation, FILE_NAME) or []
    now = layout.to_json() | {"cluster": capacity.to_json()}
    if kept[-1:] != [now]:
        store.write_json([*kept, now], plan.variation, FILE_NAME)
