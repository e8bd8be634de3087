"""What a check of a cluster is: what each node is asked, and what the answers mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from seedbed.errors import SeedbedError

Facts = Mapping[str, Any]  # plain JSON values
Status = Literal["ok", "caution", "bad", "skipped"]


@dataclass(frozen=True)
class Scope:
    """What a person wants examined: the addresses of results, corpus and MLflow, "" for none.

    `address` is the Ray cluster's, "" where this machine is examined alone; `prices` a file of
    what nodes cost, "" for ours.
    """

    storage: str = ""
    data: str = ""
    tracking_uri: str = ""
    address: str = ""
    prices: str = ""


@dataclass(frozen=True)
class Node:
    """A node: its id, name and address, and what of Ray's resources it has, and has free."""

    id: str
    name: str
    address: str = "127.0.0.1"
    resources: Mapping[str, float] = field(default_factory=dict)
    free: Mapping[str, float] = field(default_factory=dict)

    @property
    def gpus(self) -> int:
        return int(self.resources.get("GPU", 0))


@dataclass(frozen=True)
class Visit:
    """What a probe knows on a node; `given` is what the check's `prepare` has made."""

    asked: Scope
    node: str  # its id
    given: Facts


@dataclass(frozen=True)
class Answer:
    """What a probe found on a node, and when it was asked and answered by our own clock."""

    node: Node
    facts: Facts
    sent: float = 0.0
    received: float = 0.0


@dataclass(frozen=True)
class Finding:
    """What is so, and how to mend it: one line each.

    `silent` is the id of a node that gave no answer.
    """

    status: Status
    what: str
    mend: str = ""
    silent: str | None = None


@dataclass(frozen=True)
class Check:
    """A check, declared as `CHECK` by a file of `checks/`; its name is the file's.

    `probe` runs on every node, or where `gpus` is True on those with GPUs, which it then has all to
    itself. One that takes longer than `seconds` is given up and named. `judge` gets the answers,
    and runs once, where there is no probe too. `prepare` runs here before the probes and `clean`
    after them, with what that made.
    """

    about: str
    judge: Callable[[Scope, Sequence[Answer]], Sequence[Finding]]
    probe: Callable[[Visit], Facts] | None = None
    prepare: Callable[[Scope, Sequence[Node]], Facts] | None = None
    clean: Callable[[Scope, Facts], None] | None = None
    seconds: float = 20.0
    gpus: bool = False


def each(answers: Sequence[Answer], say: Callable[[Facts], str]) -> str:
    """`say` of each answer; what several nodes have in common is said once."""
    said: dict[str, list[str]] = {}
    for answer in answers:
        said.setdefault(say(answer.facts), []).append(answer.node.name)
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{', '.join(names)}: {words}" for words, names in said.items())


def refusal(error: SeedbedError) -> Finding:
    """An error of ours as a finding."""
    return Finding("bad", f"{error.what} ({error.why})" if error.why else error.what, error.mend)


def skipped(why: str) -> list[Finding]:
    """The findings of a check that does not apply."""
    return [Finding("skipped", why)]
