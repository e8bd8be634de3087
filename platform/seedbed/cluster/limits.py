"""What of a cluster a study may use: the kind of its GPUs, how many, and at what price.

Ray's autoscaler starts nodes for whatever waits for a place. So a limit is kept by asking for no
more than nodes within it can hold: cohorts, workers and data tasks are laid out on what `within`
leaves of the cluster.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from seedbed.cluster.asked import Asked
from seedbed.cluster.autoscaler import NodeType
from seedbed.cluster.capacity import Capacity, at_most
from seedbed.cluster.cards import CARDS, LABEL
from seedbed.cluster.memory import gigabytes
from seedbed.cluster.node_memory import places
from seedbed.cluster.prices import KNOWN, Prices
from seedbed.errors import ResourceError, nearest


def within(capacity: Capacity, asked: Asked) -> Capacity:
    """Of a cluster what a study may use that asks for `asked`.

    Raises ResourceError where its nodes can never give that, with those that there can be.
    """
    allowed = _suited(capacity, asked)
    if asked.max_gpus:
        allowed = _with(
            allowed,
            [
                _at_most(one, math.ceil(asked.max_gpus / one.resources["GPU"]))
                if one.resources.get("GPU")
                else one
                for one in allowed.node_types
            ],
            asked.max_gpus,
        )
    if asked.max_price:
        allowed = _priced(allowed, asked, capacity)
    return allowed


def suits(resources: Mapping[str, float], asked: Asked) -> bool:
    """Whether the GPUs of a node are such as were asked for."""
    kind = not asked.accelerator or LABEL + asked.accelerator in resources
    return kind and resources.get("GPU", 0) >= max(1, asked.gpus_per_node)


def usable(resources: Mapping[str, float], asked: Asked) -> Mapping[str, float]:
    """Of a node with no more GPUs than workers that its memory holds: each has one of them."""
    if not (asked.worker_memory and resources.get("GPU")):
        return resources
    return {**resources, "GPU": float(min(resources["GPU"], places(resources, asked)))}


def _suited(capacity: Capacity, asked: Asked) -> Capacity:
    """Without GPUs of another kind, and nodes with too few or too little memory."""
    if not (asked.accelerator or asked.gpus_per_node or asked.worker_memory):
        return capacity
    kinds = [replace(one, resources=usable(one.resources, asked)) for one in capacity.node_types]
    types = [
        one
        for one, whole in zip(kinds, capacity.node_types, strict=True)
        if not _has(whole) or suits(one.resources, asked)
    ]
    nodes = [(name, usable(node, asked)) for name, node in capacity.present]
    present = tuple(
        (name, node if suits(node, asked) else {**node, "GPU": 0.0})
        if node.get("GPU")
        else (name, node)
        for name, node in nodes
    )
    wants_gpus = bool(asked.accelerator or asked.gpus_per_node or capacity.most.get("GPU"))
    able = [
        node
        for node in [*(one.resources for one in types), *(node for _, node in present)]
        if (node.get("GPU") or not wants_gpus) and (not asked.worker_memory or places(node, asked))
    ]
    if not able and not capacity.unknown:
        raise _never(capacity, asked)
    return _with(replace(capacity, present=present), types)


def _never(capacity: Capacity, asked: Asked) -> ResourceError:
    wanted = [
        f"GPUs of the kind {asked.accelerator}" if asked.accelerator else "",
        f"{asked.gpus_per_node} GPUs a node" if asked.gpus_per_node else "",
        f"{asked.worker_memory / 1e9:g} GB of memory for a worker" if asked.worker_memory else "",
    ]
    seen = [one.resources for one in capacity.node_types] + [node for _, node in capacity.present]
    there = {n.removeprefix(LABEL) for node in seen for n in node if n.startswith(LABEL)}
    mend = "ask for what a node has, or add a node type to the cluster's file"
    if asked.accelerator and asked.accelerator not in there:
        near = nearest(asked.accelerator, there or CARDS)
        mend = f"{near} A node type says its kind as a resource: {{{LABEL}{asked.accelerator}: 1}}"
    wants_gpus = asked.accelerator or asked.gpus_per_node or capacity.most.get("GPU")
    able = [n for n in seen if suits(n, asked)] if wants_gpus else seen
    largest = max(able, key=lambda node: node.get("memory", 0), default={})
    count = max(1, asked.gpus_per_node)
    fitting = places(largest, asked) if asked.worker_memory else count
    why = ""
    if largest.get("memory") and fitting < count:
        left = largest["memory"] - asked.task_memory
        task = f" beside the {gigabytes(asked.task_memory)} of a data task"
        why = (
            f"{count} x {asked.worker_memory / 1e9:g} GB = "
            f"{count * asked.worker_memory / 1e9:g} GB, and a node has {left / 1e9:.4g} GB"
            f"{task if asked.task_memory else ''}; "
        )
        mend = f"--worker-memory {math.floor(left / count / 1e8) / 10:g}, or " + (
            f"--gpus-per-node {fitting}" if fitting else mend
        )
    return ResourceError(
        f"no node of the cluster has {' and '.join(filter(None, wanted))}",
        why=f"{why}{capacity.words}; its autoscaler would start nothing, and the study wait for "
        "ever",
        mend=mend,
    )


def _priced(capacity: Capacity, asked: Asked, whole: Capacity) -> Capacity:
    """As many nodes as `asked.max_price` dollars an hour pay for, each with all that it has in
    `whole`, also where not all its GPUs may be used.

    The head, and what was joined by hand, run without the study, and do not count.
    """
    prices = Prices.read(asked.prices)
    kept = {one.name for one in capacity.node_types}
    price = {one.name: prices.node(one) for one in whole.node_types if one.name in kept}
    unknown = [one for one in capacity.node_types if price[one.name] is None]
    if unknown:
        one = unknown[0]
        raise ResourceError(
            f"the price of the node type '{one.name}' ({one.instance or 'no machine named'}) is "
            "not known",
            why=f"the cluster may start it, and --max-price {asked.max_price:g} is to hold",
            mend=f"--prices FILE with\n[node_types]\n{one.name} = {{ on_demand = DOLLARS }}\n"
            f"(those known are in {KNOWN})",
        )
    known = {name: value for name, value in price.items() if value is not None}
    suited = sorted((t for t in capacity.node_types if _has(t)), key=lambda t: known[t.name])
    others = [one for one in capacity.node_types if not _has(one)]
    fixed = sum(n.get("GPU", 0) for name, n in capacity.present if name not in known)
    gpus, used, labels = _affordable(suited, known, asked.max_price, capacity)
    if suited and not gpus and not fixed:
        cheap, dear = suited[0], suited[-1]
        raise ResourceError(
            f"--max-price {asked.max_price:g} pays for no node with a GPU",
            why=f"{cheap.name} is ${known[cheap.name]:g} an hour and {dear.name} "
            f"${known[dear.name]:g}, and a worker may come to any that suits it unless a label "
            f"tells them apart ({prices.stated})",
            mend=f"--max-price {known[dear.name]:g}, or --accelerator for one kind of GPU, or in "
            "the cluster's file a label for each node type, of its name",
        )
    left = asked.max_price - cost_of(used, known, gpus)
    types = [_at_most(one, math.ceil(gpus / one.resources["GPU"])) for one in used]
    number = sum(one.most for one in types)
    if others:
        count = int(left / max(known[one.name] for one in others))
        types += [_at_most(one, count) for one in others]
        number += count
    limited = replace(capacity, max_workers=min(capacity.max_workers, number), labels=labels)
    return _with(limited, types, int(fixed) + gpus)


def _affordable(
    suited: Sequence[NodeType], price: Mapping[str, float], dollars: float, capacity: Capacity
) -> tuple[int, Sequence[NodeType], tuple[tuple[str, str], ...]]:
    """The most GPUs that `dollars` an hour pay for, of which node types, and the labels that keep
    workers to these: `suited`, cheapest first, all of them or some of the cheapest."""
    best: tuple[int, Sequence[NodeType], tuple[tuple[str, str], ...]] = (0, (), ())
    for count in range(1, len(suited) + 1):
        used = suited[:count]
        labels = telling(used, [one for one in capacity.node_types if one not in used])
        if labels is None and count < len(suited):
            continue
        room = int(at_most([], used, capacity.max_workers).get("GPU", 0))
        gpus = gpus_for(used, price, dollars, room)
        if gpus >= max(1, best[0]):
            best = gpus, used, (labels or ()) if count < len(suited) else ()
    return best


def telling(
    used: Sequence[NodeType], others: Sequence[NodeType]
) -> tuple[tuple[str, str], ...] | None:
    """A label that all of `used` have, with values that none of `others` has, as Ray selects by it;
    None where there is none."""
    for key in dict(used[0].labels):
        values = [dict(one.labels).get(key) for one in used]
        if None in values or {dict(one.labels).get(key) for one in others} & set(values):
            continue
        return ((key, f"in({','.join(sorted({str(value) for value in values}))})"),)
    return None


def cost_of(types: Sequence[NodeType], price: Mapping[str, float], gpus: int) -> float:
    """Dollars an hour that `gpus` workers of one GPU can come to, whichever types are started.

    A node is started when those that are there are full: all but one are, each of them at the
    dearest GPU's price, and that one may be the dearest node.
    """
    if not gpus or not types:
        return 0.0
    if len(types) == 1:
        return math.ceil(gpus / types[0].resources["GPU"]) * price[types[0].name]
    each = max(price[one.name] / one.resources["GPU"] for one in types)
    return (gpus - 1) * each + max(price[one.name] for one in types)


def gpus_for(
    types: Sequence[NodeType], price: Mapping[str, float], dollars: float, room: int
) -> int:
    """The most GPUs, of `room`, that surely cost no more than `dollars` an hour."""
    gpus = 0
    while gpus < room and cost_of(types, price, gpus + 1) <= dollars:
        gpus += 1
    return gpus if types else 0


def _has(one: NodeType) -> bool:
    return bool(one.resources.get("GPU"))


def _at_most(one: NodeType, most: int) -> NodeType:
    return replace(one, most=min(one.most, most))


def _with(capacity: Capacity, types: Sequence[NodeType], gpus: float = math.inf) -> Capacity:
    """A cluster of `types` alone, of which `gpus` GPUs may be used."""
    kept = tuple(one for one in types if one.most > 0)
    most = at_most(capacity.present, kept, capacity.max_workers)
    most["GPU"] = min(most.get("GPU", 0.0), gpus)
    return replace(capacity, most=most, node_types=kept)
