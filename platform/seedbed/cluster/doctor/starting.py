"""Makes an autoscaler start nodes, and keeps them until they were examined.

Nothing here waits for ever: a node that does not come in time is named, and no longer asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from seedbed.cluster.autoscaler import NodeType, node_type_of
from seedbed.cluster.cards import kinds
from seedbed.cluster.doctor.check import Finding
from seedbed.cluster.limits import telling
from seedbed.cluster.prices import Prices
from seedbed.errors import ResourceError, nearest

WAIT_SECONDS = 900.0  # a machine starts, and the packages are installed on it
SAY_SECONDS = 30.0  # between words while nothing comes
HOLD_SECONDS = 60.0  # within which a node that has come starts one more process
MEND = "see `ray status` and monitor.log on the head (a quota, no capacity, a wrong image), or "


def cheapest(types: Sequence[NodeType], prices: Prices) -> NodeType:
    """Of those with GPUs, or of all where none has; one of unknown price comes last, by its size"""
    with_gpus = [one for one in types if one.resources.get("GPU")]

    def cost(one: NodeType) -> tuple[float, ...]:
        dollars = prices.node(one)
        size = (one.resources.get("GPU", 0.0), one.resources.get("CPU", 0.0))
        return (float(dollars is None), dollars or 0.0, *size)

    return min(with_gpus or types, key=cost)


def chosen(names: Sequence[str], types: Sequence[NodeType], prices: Prices) -> list[NodeType]:
    """The node types of these names, the cheapest for none. Raises ResourceError for another."""
    if not types:
        raise ResourceError(
            "--start, and the cluster can start no node",
            why="it has no autoscaler, or it is not known what that may start",
            mend="without --start the nodes that are there are examined",
        )
    by_name = {one.name: one for one in types}
    for name in names:
        if name not in by_name:
            why = "the cluster's autoscaler has no node type of this name"
            raise ResourceError(f"--start {name}", why=why, mend=nearest(name, by_name))
    return [by_name[name] for name in dict.fromkeys(names)] or [cheapest(types, prices)]


def asks_for(one: NodeType, types: Sequence[NodeType]) -> dict[str, Any]:
    """What a task asks for that nodes of this type can hold, and others no better, by Ray's names.

    A label tells the type from others where the file has one; else the number and kind of GPUs do.
    """
    gpus = one.resources.get("GPU", 0.0)
    asked: dict[str, Any] = {"num_cpus": 0 if gpus else 1, "num_gpus": gpus}
    if kind := max(kinds(one.resources), key=len, default=""):
        asked["accelerator_type"] = kind
    others = [other for other in types if other is not one]
    if label := telling([one], others):
        asked["label_selector"] = dict(label)
    return asked


@contextmanager
def started(
    wanted: Sequence[NodeType],
    types: Sequence[NodeType],
    seconds: float,
    say: Callable[[str], None],
) -> Iterator[list[Finding]]:
    """A node of each of `wanted`, of all `types`, held until the block ends; what became of each.

    It waits for them `seconds` at most, and says what for. The autoscaler ends them once they have
    been idle.
    """
    import ray

    # Of no module: a node without the package can run it, too.
    def where() -> str:
        import ray

        return str(ray.get_runtime_context().get_node_id())

    task = ray.remote(max_retries=0)(where)
    flying = {task.options(**asks_for(one, types)).remote(): one for one in wanted}
    held: list[Any] = []
    try:
        yield _awaited(flying, held, seconds, say)
    finally:
        for reference in flying:
            ray.cancel(reference, force=True)
        for holder in held:
            ray.kill(holder)


def _awaited(
    flying: dict[Any, NodeType], held: list[Any], seconds: float, say: Callable[[str], None]
) -> list[Finding]:
    """Wait for the nodes on which the tasks of `flying` run; who holds each is added to `held`."""
    import ray

    began, found = time.monotonic(), []
    while flying and (left := began + seconds - time.monotonic()) > 0:
        names = ", ".join(one.name for one in flying.values())
        passed = time.monotonic() - began
        say(f"waiting for {names}: {passed:.0f} of at most {seconds:g} s{_failures()}")
        ready, _ = ray.wait(list(flying), num_returns=1, timeout=min(left, SAY_SECONDS))
        for reference in ready:
            one = flying.pop(reference)
            try:
                node = ray.get(reference)
                held.append(_holder(node))
                found.append(_came(one, node, time.monotonic() - began))
            except ray.exceptions.RayError as error:
                lines = str(error).strip().splitlines() or [type(error).__name__]
                words = f"a node for {one.name} came and was lost: {lines[-1][:300]}"
                found.append(Finding("bad", words, "see the node's logs, and try it again"))
    mend = f"{MEND}--wait {2 * seconds:g}"
    for one in flying.values():
        what = f"no {one.name} came in {seconds:g} s{_failures()}"
        found.append(Finding("bad", what, mend))
    return found


def _holder(node: str) -> Any:
    """An actor on the node, which is not idle as long as it lives. Raises RayError."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    class Holds:
        def ready(self) -> None: ...

    near = NodeAffinitySchedulingStrategy(node, soft=False)
    holder = ray.remote(num_cpus=0, scheduling_strategy=near)(Holds).remote()
    ray.get(holder.ready.remote(), timeout=HOLD_SECONDS)
    return holder


def _came(one: NodeType, node: str, seconds: float) -> Finding:
    name = node_type_of(node)
    if name == one.name:
        words = f"{name} came in {seconds:.0f} s as node {node[:6]}, and ends once it was idle"
        return Finding("ok", words)
    return Finding(
        "caution",
        f"{one.name} was asked for, and {name or 'a node of no type'} ({node[:6]}) has taken it",
        f"a label for each node type in the cluster's file: labels: {{type: {one.name}}}",
    )


def _failures() -> str:
    """What the autoscaler says of launches that have failed, in words; "" where it says nothing."""
    import ray
    from ray.autoscaler.v2.sdk import get_cluster_status

    try:
        status = get_cluster_status(ray.get_runtime_context().gcs_address)
    except Exception:  # not Ray's public interface, and only words
        return ""
    failed = [f"{f.ray_node_type_name}: {f.details}" for f in status.failed_launches if f.details]
    return f" ({'; '.join(dict.fromkeys(failed))[:300]})" if failed else ""
