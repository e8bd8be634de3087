"""Memory and time of the token-wise and the two-view losses, forward and backward.

Baselines, in the same run: the textbook forms, which hold all similarities [B, 49, B, 77] and all
products [2B, 2B, D] at once. Each form runs in a process of its own; its memory is the growth of
the process' largest resident size, gradients left out. The forms take turns, and which is first
changes; a JSON line tells each run. To reach: a tenth of the memory, at no more time, with equal
gradients.

    python tests/benchmarks/bench_losses.py [--batch 512] [--repeats 5]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from table import Row, run
from torch import Tensor

from seedbed.model.terms.late_interaction import late_interaction
from seedbed.model.terms.simclr import nt_xent

TOY = ("--batch", "48", "--repeats", "1")
NEEDS = ()
PATCHES, WORDS, WIDTH = 49, 77, 256
COPIES = 3  # of all similarities, to have free before the textbook form starts; it needs 2


def textbook_late_interaction(image: Tensor, text: Tensor, scale: float, mask: Tensor) -> Tensor:
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    alike = torch.einsum("ipd,jld->ipjl", image, text)
    shares = mask.to(text.dtype) / mask.sum(1, keepdim=True)
    to_image = torch.einsum("ijl,jl->ji", alike.max(1).values, shares)
    to_text = alike.masked_fill(~mask, -torch.inf).max(-1).values.mean(1)
    target = torch.arange(len(image))
    return (
        F.cross_entropy(scale * to_text, target) + F.cross_entropy(scale * to_image, target)
    ) / 2


def textbook_nt_xent(z_a: Tensor, z_b: Tensor) -> Tensor:
    z = F.normalize(torch.cat([z_a, z_b]), dim=-1)
    logits = (z[:, None] * z[None]).sum(-1) / 0.1
    itself = torch.eye(len(z), dtype=torch.bool)
    target = (torch.arange(len(z)) + len(z_a)) % len(z)
    return F.cross_entropy(logits.masked_fill(itself, -torch.inf), target)


def inputs(loss: str, batch: int) -> tuple[list[Tensor], Tensor]:
    rng = torch.Generator().manual_seed(0)
    shapes = [(batch, PATCHES, WIDTH), (batch, WORDS, WIDTH)] if loss == "tokens" else []
    shapes = shapes or [(batch, WIDTH), (batch, WIDTH)]
    held = [torch.randn(*shape, generator=rng).requires_grad_() for shape in shapes]
    lengths = torch.randint(5, WORDS + 1, (batch,), generator=rng)
    return held, torch.arange(WORDS) < lengths[:, None]


def form(loss: str, which: str, mask: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    if loss == "tokens":
        if which == "ours":
            return lambda a, b: late_interaction(a, b, 10.0, text_mask=mask)
        return lambda a, b: textbook_late_interaction(a, b, 10.0, mask)
    return nt_xent if which == "ours" else textbook_nt_xent


def alone(loss: str, which: str, batch: int) -> None:
    """In a process of its own: growth in bytes, seconds, and the gradients' digest."""
    torch.set_num_threads(2)
    # The libraries' own first allocations are not the loss'.
    held, mask = inputs(loss, 4)
    form(loss, which, mask[:4])(*held).backward()
    held, mask = inputs(loss, batch)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    form(loss, which, mask)(*held).backward()
    seconds = time.perf_counter() - began
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # The gradients themselves are what was asked for, in either form.
    grads = sum(x.grad.numel() * 4 for x in held if x.grad is not None)
    sums = [[float(x.grad.double().square().sum()), float(x.grad[0].sum())] for x in held]  # type: ignore[index,union-attr]
    print(json.dumps({"mib": growth / 1024 - grads / 2**20, "seconds": seconds, "sums": sums}))


def affordable(batch: int) -> int:
    """The batch asked for, halved while its textbook form has no room in this machine."""
    told = Path("/proc/meminfo")
    if told.exists():
        free = next(x for x in told.read_text().splitlines() if x.startswith("MemAvailable"))
        while batch > 1 and COPIES * 4 * batch**2 * PATCHES * WORDS > int(free.split()[1]) * 1024:
            batch //= 2
            print(f"{free}: B = {batch} instead")
    return batch


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--alone", nargs=2)
    args = parser.parse_args(arguments)
    if args.alone:
        alone(*args.alone, args.batch)
        sys.exit()
    batch, rows = affordable(args.batch), []
    for loss, title in (("views", "NT-Xent"), ("tokens", "late interaction")):
        found: dict[str, list[dict[str, float]]] = {"textbook": [], "ours": []}
        for repeat in range(args.repeats):
            for which in sorted(found, reverse=bool(repeat % 2)):
                line = [sys.executable, __file__, "--batch", str(batch), "--alone", loss, which]
                result = json.loads(subprocess.check_output(line))
                found[which].append(result)
                print(
                    json.dumps({"loss": loss, "form": which, "batch": batch} | result), flush=True
                )
        for ours, theirs in zip(found["ours"], found["textbook"], strict=True):
            torch.testing.assert_close(
                torch.tensor(ours["sums"]), torch.tensor(theirs["sums"]), rtol=1e-3, atol=1e-5
            )
        print(f"{title}, B = {batch}, medians of {args.repeats}")
        middle = {
            which: {key: statistics.median(r[key] for r in results) for key in ("mib", "seconds")}
            for which, results in found.items()
        }
        for which, values in middle.items():
            print(f"  {which:<10}{values['mib']:>9.0f} MiB{values['seconds']:>9.2f} s")
        memory, took = (middle["ours"][key] / middle["textbook"][key] for key in ("mib", "seconds"))
        rows += [
            Row(f"{title}, memory", memory, "the textbook form", 0.1),
            Row(f"{title}, time", took, "the textbook form", 1),
        ]
    return rows


if __name__ == "__main__":
    run(main, TOY)
