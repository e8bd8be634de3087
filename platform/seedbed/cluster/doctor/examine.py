"""Examines a cluster, or this machine: every check in turn, and what each found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from seedbed.cluster.doctor import checks
from seedbed.cluster.doctor.check import Answer, Check, Facts, Finding, Node, Scope, refusal
from seedbed.cluster.doctor.probing import (
    here,
    nodes_of_cluster,
    on_nodes,
    plain,
    this_machine,
)
from seedbed.errors import SeedbedError

Ask = Callable[..., list[Answer | Finding]]


@dataclass(frozen=True)
class Examined:
    """A check and what it found."""

    name: str
    about: str
    findings: tuple[Finding, ...]
    facts: Mapping[str, Facts]  # that each node's probe found, by its name

    @property
    def ok(self) -> bool:
        return all(finding.status != "bad" for finding in self.findings)


def examine(asked: Scope, only: Sequence[str] = ()) -> Iterator[Examined]:
    """Every check, or those of the names `only`. Joins the cluster of `asked.address`."""
    nodes, ask = [this_machine()], here
    if asked.address:
        nodes, ask = nodes_of_cluster(), on_nodes
    for name, check in checks.all_checks().items():
        if only and name not in only:
            continue
        answered = _visited(name, check, asked, nodes, ask)
        found = _judged(check, asked, answered)
        # One that hangs is named once, and not asked again.
        silent = {finding.silent for finding in found}
        nodes = [node for node in nodes if node.id not in silent]
        facts = {one.node.name: one.facts for one in answered if isinstance(one, Answer)}
        yield Examined(name, check.about, tuple(found), facts)


def _visited(
    name: str, check: Check, asked: Scope, nodes: Sequence[Node], ask: Ask
) -> Sequence[Answer | Finding]:
    """What the probe of a check finds on each node that it is for."""
    if check.probe is None:
        return []
    busy = [node for node in nodes if check.gpus and node.free.get("GPU", 0) < node.gpus]
    wanted = [node for node in nodes if (node.gpus or not check.gpus) and node not in busy]
    found: list[Answer | Finding] = [
        Finding("skipped", f"{node.name}: its GPUs are in use, and were not measured")
        for node in busy
    ]
    if not wanted:
        return found
    module = f"{checks.__name__}.{name}"
    try:
        given = check.prepare(asked, wanted) if check.prepare is not None else {}
        found += ask(module, wanted, plain(asked), given, check.seconds, check.gpus)
        if check.clean is not None:
            check.clean(asked, given)
    except SeedbedError as error:
        found.append(refusal(error))
    return found


def _judged(check: Check, asked: Scope, found: Sequence[Answer | Finding]) -> Sequence[Finding]:
    answers = [one for one in found if isinstance(one, Answer)]
    told = [one for one in found if isinstance(one, Finding)]
    if told and not answers:
        return told
    try:
        return [*told, *check.judge(asked, answers)]
    except SeedbedError as error:
        return [*told, refusal(error)]
