"""A stop that was asked for, or a node that will be lost: workers save, leave and say so.

By keys in Ray's own store, which needs no process of ours and can be read without waiting for one.
"""

from __future__ import annotations

NAMESPACE = b"seedbed"


def ask(start: str) -> None:
    """For the driver: the study of this start is to stop."""
    _put(f"stop {start}")


def is_asked(start: str) -> bool:
    """For a worker: whether the study is to stop."""
    return _has(f"stop {start}")


def say_left(start: str, cohort: str) -> None:
    """For a worker: the cohort is saved, and its workers leave."""
    _put(f"left {start} {cohort}")


def has_left(start: str, cohort: str) -> bool:
    """For the driver: whether the cohort's workers have saved and left."""
    return _has(f"left {start} {cohort}")


def _put(key: str) -> None:
    from ray.experimental import internal_kv

    internal_kv._internal_kv_put(key.encode(), b"1", namespace=NAMESPACE)


def _has(key: str) -> bool:
    from ray.exceptions import RayError
    from ray.experimental import internal_kv

    try:
        return internal_kv._internal_kv_get(key.encode(), namespace=NAMESPACE) is not None
    except RayError:  # the store is away for a moment: asked again soon
        return False


def node_is_lost() -> bool:
    """Whether a node of this cohort's workers is about to be taken away; all workers ask together.

    Ray tells them so when its provider's notice has made it drain: see `cluster/notices.py`.
    """
    import ray.train

    ask = getattr(ray.train, "get_preemption_info", None)  # Ray 2.58 has none
    return ask is not None and ask() is not None
