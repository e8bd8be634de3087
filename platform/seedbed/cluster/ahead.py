"""Processes that a study will need, started ahead: each would take a second of its way."""

from __future__ import annotations


def start_helpers() -> None:
    """Start what Ray Data and Ray Train have once in a cluster, and else start when it is needed.

    So it is on the driver's node, and not on that of the first worker, which may be lost. It is
    not waited for.
    """
    from ray.data._internal.cluster_autoscaler.default_autoscaling_coordinator import (
        get_or_create_autoscaling_coordinator,
    )
    from ray.data._internal.stats import get_or_create_stats_actor

    get_or_create_autoscaling_coordinator()
    get_or_create_stats_actor()
