"""Whether torch sees the GPUs that Ray counts, and how fast they compute and are fed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from seedbed.cluster.doctor.check import (
    Answer,
    Check,
    Facts,
    Finding,
    Scope,
    Visit,
    each,
    skipped,
)

SIZE = 8_192  # of the matrices that are multiplied, in bf16
COPY_BYTES = 512_000_000  # from pinned memory, as batches are
NUM_TIMES = 10
SLOW_COPY = 5e9  # bytes/s: PCIe 3.0 x16 moves 12e9, and half a machine's lanes half of it
UNEVEN = 0.8  # of the fastest of the same kind


def probe(visit: Visit) -> Facts:
    import torch

    count = torch.cuda.device_count()
    return {"gpus": [measured(number) for number in range(count)], "cuda": torch.version.cuda or ""}


def measured(number: int) -> dict[str, object]:
    """A GPU's name and memory, FLOP/s of a bf16 product, and bytes/s from pinned memory."""
    import torch

    device = torch.device("cuda", number)
    factor = torch.ones(SIZE, SIZE, dtype=torch.bfloat16, device=device)
    pinned = torch.empty(COPY_BYTES, dtype=torch.uint8, pin_memory=True)
    there = torch.empty(COPY_BYTES, dtype=torch.uint8, device=device)

    def seconds(work: object) -> float:
        assert callable(work)
        work()  # the first one loads kernels
        torch.cuda.synchronize(device)
        began = time.perf_counter()
        for _ in range(NUM_TIMES):
            work()
        torch.cuda.synchronize(device)
        return (time.perf_counter() - began) / NUM_TIMES

    return {
        "name": torch.cuda.get_device_name(device),
        "bytes": torch.cuda.get_device_properties(device).total_memory,
        "flops": 2 * SIZE**3 / seconds(lambda: factor @ factor),
        "copy": COPY_BYTES / seconds(lambda: there.copy_(pinned, non_blocking=True)),
    }


def judge(asked: Scope, answers: Sequence[Answer]) -> Sequence[Finding]:
    if not answers:
        return skipped("no node that is there has a GPU")
    findings: list[Finding] = []
    for answer in answers:
        seen, counted = len(answer.facts["gpus"]), answer.node.gpus
        if seen < counted:
            findings.append(
                Finding(
                    "bad",
                    f"{answer.node.name}: Ray counts {counted} GPUs, and torch sees {seen}",
                    "install a torch for the driver's CUDA (nvidia-smi), or mend the driver",
                )
            )
    every = [(answer.node.name, gpu) for answer in answers for gpu in answer.facts["gpus"]]
    best: dict[str, float] = {}
    for _, gpu in every:
        best[gpu["name"]] = max(best.get(gpu["name"], 0.0), gpu["flops"])
    for name, gpu in every:
        if gpu["flops"] < UNEVEN * best[gpu["name"]]:
            words = f"{name}: a {gpu['name']} with {gpu['flops'] / 1e12:,.0f} TFLOP/s, where "
            words += f"another has {best[gpu['name']] / 1e12:,.0f}"
            mend = "look at its clocks, heat and neighbours (nvidia-smi -q -d PERFORMANCE)"
            findings.append(Finding("caution", words, mend))
        if gpu["copy"] < SLOW_COPY:
            words = f"{name}: {gpu['copy'] / 1e9:.1f} GB/s from memory to a {gpu['name']}"
            mend = "look at its PCIe link (nvidia-smi -q | grep -A4 'Link Width')"
            findings.append(Finding("caution", words, mend))
    return findings or [Finding("ok", each(answers, _said))]


def _said(facts: Facts) -> str:
    gpus = facts["gpus"]
    slowest = min(gpu["flops"] for gpu in gpus) / 1e12
    copy = min(gpu["copy"] for gpu in gpus) / 1e9
    return f"{len(gpus)} x {gpus[0]['name']}, {slowest:,.0f} TFLOP/s in bf16, {copy:.0f} GB/s to it"


CHECK = Check("do the GPUs compute as they should?", judge, probe, seconds=120.0, gpus=True)
