"""What the cluster's autoscaler can start: of a cluster without work only the head is there."""

from __future__ import annotations

from collections.abc import Sequence

from seedbed.cluster.autoscaler import NodeType
from seedbed.cluster.capacity import Capacity, cluster_capacity, counted
from seedbed.cluster.cards import LABEL, kinds
from seedbed.cluster.doctor.check import Answer, Check, Finding, Scope, skipped
from seedbed.cluster.doctor.starting import cheapest
from seedbed.cluster.prices import Prices


def judge(asked: Scope, answers: Sequence[Answer]) -> Sequence[Finding]:
    if not asked.address:
        return skipped("no cluster: this machine starts no other")
    return can_start(cluster_capacity(), Prices.read(asked.prices))


def can_start(capacity: Capacity, prices: Prices) -> Sequence[Finding]:
    """A line for each node type, and before them one where none of their nodes is there."""
    if capacity.unknown:
        what = f"what it can start is not known ({capacity.unknown})"
        return [Finding("caution", what, "see `ray status` and monitor.log on the head")]
    types = capacity.node_types
    if not types:
        return skipped("no autoscaler: there can be no other nodes than there are")
    findings = [finding for one in types for finding in _of_type(one, prices)]
    if len(capacity.present) <= 1:
        one = cheapest(types, prices)
        what = "no node is there but the head, and no other was examined"
        mend = f"--start starts a node of {one.name} ({price_words(one, prices)}) and examines it, "
        findings.insert(0, Finding("caution", what, mend + "--start TYPE one of another type"))
    most = f"at most {capacity.max_workers} nodes at a time, {counted(capacity.most)} in all"
    return [*findings, Finding("ok", most)]


def _of_type(one: NodeType, prices: Prices) -> list[Finding]:
    has = one.resources
    kind = ", ".join(sorted(kinds(has)))
    words = f"up to {one.most} x {one.name}" + (f" ({one.instance})" if one.instance else "")
    words += f" of {counted(has)}" + (f" ({kind})" if kind else "")
    if has.get("memory"):
        words += f", {has['memory'] / 1e9:,.1f} GB of memory"
    found = [Finding("ok", f"{words}, {price_words(one, prices)}")]
    if not has.get("memory"):
        what = f"{one.name} states no memory: it is not started for data tasks, which ask for some"
        found.append(Finding("caution", what, "resources: {memory: BYTES} in the cluster's file"))
    if has.get("GPU") and not kind:
        what = f"{one.name} does not say the kind of its GPUs: no --accelerator gets one of them"
        mend = f"resources: {{{LABEL}KIND: 1}} in the cluster's file, by Ray's name of the kind"
        found.append(Finding("caution", what, mend))
    return found


def price_words(one: NodeType, prices: Prices) -> str:
    """`$1.62 an hour`, of a node."""
    dollars = prices.node(one)
    if dollars is None:
        return "of a price that is not known (--prices FILE)"
    return f"${dollars:.2f} an hour{' as spot' if one.spot else ''}"


CHECK = Check("what can the autoscaler start?", judge)
