"""Whether every node reads the corpus, and how fast."""

from __future__ import annotations

import time
from collections.abc import Sequence

from seedbed.cluster.doctor.check import Answer, Check, Facts, Finding, Node, Scope, Visit, skipped
from seedbed.storage.address import parse_sources
from seedbed.storage.objects import find_object, list_objects, read_object

NUM_BYTES = 16_000_000
SLOW = 20e6  # bytes/s of one stream: some hundred photographs
BUILT = "demo:"  # an address of a corpus that code builds, on each machine


def prepare(asked: Scope, nodes: Sequence[Node]) -> Facts:
    """The first shard of each source. Raises DataError where there is none."""
    if not asked.data or asked.data.startswith(BUILT):
        return {"shards": []}
    return {"shards": [list_objects(one.uri)[0].uri for one in parse_sources(asked.data)]}


def probe(visit: Visit) -> Facts:
    num_bytes, seconds = 0, 0.0
    for uri in visit.given["shards"]:
        stop = min(NUM_BYTES, find_object(uri).num_bytes)
        began = time.perf_counter()
        num_bytes += len(read_object(uri, start=0, stop=stop))
        seconds += time.perf_counter() - began
    return {"bytes": num_bytes, "seconds": seconds}


def judge(asked: Scope, answers: Sequence[Answer]) -> Sequence[Finding]:
    if not asked.data:
        return skipped("no --data is given")
    if asked.data.startswith(BUILT):
        return skipped(f"{asked.data} is built by each study")
    findings, lines = [], []
    for answer in answers:
        rate = answer.facts["bytes"] / max(answer.facts["seconds"], 1e-6)
        lines.append(f"{answer.node.name} reads {rate / 1e6:,.0f} MB/s")
        # Of a few bytes nothing is told.
        if rate < SLOW and answer.facts["bytes"] >= NUM_BYTES:
            mend = "keep the corpus in the cluster's region; tasks read in parallel beside this"
            findings.append(Finding("caution", lines[-1], mend))
    return findings or [Finding("ok", f"{asked.data}: {'; '.join(lines)}")]


CHECK = Check("does every node read the corpus?", judge, probe, prepare, seconds=60.0)
