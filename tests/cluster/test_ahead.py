"""What is started ahead of a study. Oracles: Ray's own list of actors, and its processes."""

from __future__ import annotations

import gc

import pytest

from seedbed.cluster.ahead import start_helpers
from seedbed.collecting import SELDOM

pytestmark = pytest.mark.ray


@pytest.mark.usefixtures("cluster")
def test_what_ray_has_once_is_there_before_it_is_asked_for_and_is_not_made_twice() -> None:
    import ray
    import ray.data

    def named() -> set[str]:
        return {actor["name"] for actor in ray.util.list_named_actors(all_namespaces=True)}

    start_helpers()
    helpers = named()
    assert len(helpers) >= 2
    assert ray.data.range(10).map(lambda row: row).sum("id") == 45
    assert named() == helpers
    start_helpers()
    assert named() == helpers


@pytest.mark.usefixtures("cluster")
def test_a_process_of_a_private_ray_collects_seldom() -> None:
    import ray

    assert ray.get(ray.remote(lambda: gc.get_threshold()).remote()) == SELDOM
