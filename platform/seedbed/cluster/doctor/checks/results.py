"""Whether every node reads and writes the results folder, and how fast."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence

from seedbed.cluster.doctor.check import Answer, Check, Facts, Finding, Node, Scope, Visit, skipped
from seedbed.errors import DataError
from seedbed.storage.folder import Folder

NUM_BYTES = 16_000_000
SLOW = 10e6  # bytes/s: a checkpoint of a gigabyte would take minutes
FOLDER = "doctor"


def prepare(asked: Scope, nodes: Sequence[Node]) -> Facts:
    """A file of ours, which every node has to find: a local folder may be each node's own."""
    name = f"{FOLDER}-{uuid.uuid4().hex[:8]}"
    if asked.storage:
        Folder(asked.storage).write_bytes(b"ours", name, "mark")
    return {"name": name}


def probe(visit: Visit) -> Facts:
    if not visit.asked.storage:
        return {}
    store, name = Folder(visit.asked.storage), visit.given["name"]
    if not store.exists(name, "mark"):
        raise DataError(
            f"{visit.asked.storage} is not the same folder as the driver's",
            why="what this node writes there, nobody else sees",
            mend="give a bucket (s3://...), or a folder that all nodes mount",
        )
    content, path = os.urandom(NUM_BYTES), (name, uuid.uuid4().hex)
    began = time.perf_counter()
    store.write_bytes(content, *path)
    written = time.perf_counter()
    found = store.read_bytes(*path)
    read = time.perf_counter()
    store.remove(*path)
    if found != content:
        raise DataError(f"{store.place(*path)} came back changed", mend="check the store")
    return {"write": NUM_BYTES / (written - began), "read": NUM_BYTES / (read - written)}


def clean(asked: Scope, given: Facts) -> None:
    if asked.storage:
        Folder(asked.storage).remove(given["name"])


def judge(asked: Scope, answers: Sequence[Answer]) -> Sequence[Finding]:
    if not asked.storage:
        return skipped("no --storage is given")
    slow = [a for a in answers if min(a.facts["read"], a.facts["write"]) < SLOW]
    findings = [
        Finding(
            "caution",
            f"{answer.node.name}: {_speeds(answer)}",
            "keep the bucket in the cluster's region, and give it an endpoint in the network",
        )
        for answer in slow
    ]
    lines = [f"{answer.node.name} {_speeds(answer)}" for answer in answers]
    return findings or [Finding("ok", f"{asked.storage}: {'; '.join(lines)}")]


def _speeds(answer: Answer) -> str:
    facts = answer.facts
    return f"writes {facts['write'] / 1e6:,.0f} MB/s and reads {facts['read'] / 1e6:,.0f} MB/s"


CHECK = Check(
    "does every node read and write the results folder?",
    judge,
    probe,
    prepare,
    clean,
    seconds=60.0,
)
