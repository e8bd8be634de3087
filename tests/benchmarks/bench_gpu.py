"""What one GPU makes of a step at the paper's sizes, and open_clip's own step beside it.

Of every variant on both towers, in bf16 and in fp32 with TF32 products, eager and compiled, with
the batch resident and fed by a thread from host memory: samples per second, the share of the card's
peak (MFU, of the model's own arithmetic, twice the forward pass for the backward one), peak memory
and kernel launches a step. One line of JSON for each, in the order of what is most asked for; what
would not fit into `--budget` seconds is a line that says so. A batch too large for the card is
halved until it fits.

Baselines, all of the same run: the batch resident, for the fed one (to reach: 0.9); the card's peak
(35 % for CLIP on ViT-B/32, 40 % on ViT-B/16); open_clip's model and loss at the same sizes, batch
and precision (1).

    python tests/benchmarks/bench_gpu.py [--batch N] [--budget SECONDS] [--variants clip,slip]

Neither Ray nor a network is needed.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from gpu_cases import BATCH, TOWERS, Case, cases, columns_of, peak_tflops
from open_clip_step import open_clip_step
from table import Row, run
from torch import Tensor

from seedbed.model.gather import Gather
from seedbed.plan.cost import estimate
from seedbed.recipe.recipe import Recipe
from seedbed.run.worker.batch import make_batch
from seedbed.run.worker.feed import Feed
from seedbed.run.worker.process import fp32_products, prepare
from seedbed.run.worker.variant import Variant
from seedbed.study.trial import Trial
from seedbed.variants import UNIFIED

TOY = ("--device", "cpu", "--scale", "smoke", "--batch", "8", "--seconds", "0.05")
TOY += ("--variants", "clip", "--precisions", "bf16", "--backend", "eager", "--budget", "300")
NEEDS = ()

WARM_STEPS, LEAST_STEPS = 3, 3
FIRST_GUESS = {False: 10.0, True: 60.0}  # seconds that a case takes, eager and compiled

Step = Callable[[Mapping[str, Tensor]], None]


def step_of(case: Case, recipe: Recipe, args: argparse.Namespace) -> Step:
    """The very step that a worker takes, or open_clip's."""
    backend = args.backend if case.compiled else ""
    if case.library == "open_clip":
        return open_clip_step(recipe, args.device, backend=backend)
    variant = Variant(Trial((("variant", case.variant),), recipe), args.device)
    if backend:
        variant.model.compile_towers(backend)
    return lambda batch: variant.step(batch, Gather())


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def steps_per_second(step: Step, batches: Iterator[Mapping[str, Tensor]], args: Any) -> float:
    for _ in range(WARM_STEPS):
        step(next(batches))
    synchronize(args.device)
    began, count = time.perf_counter(), 0
    while count < LEAST_STEPS or time.perf_counter() - began < args.seconds:
        step(next(batches))
        count += 1
    synchronize(args.device)
    return count / (time.perf_counter() - began)


def launches(step: Step, batch: Mapping[str, Tensor]) -> int:
    """Kernels that the host launches in one step, as CUDA's runtime and driver report them."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        step(batch)
        torch.cuda.synchronize()
    names = ("cudaLaunch", "cuLaunch", "cudaGraphLaunch")
    return sum(event.count for event in found.key_averages() if event.key.startswith(names))


def measured(case: Case, batch: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    recipe, device = case.recipe(args.scale, batch), args.device
    step, on_cuda = step_of(case, recipe, args), device.type == "cuda"
    host = [columns_of(recipe, batch, seed) for seed in range(2)]
    resident = make_batch(host[0], recipe, device).tensors
    flops = estimate(recipe).train_flops / (recipe.budget.steps * batch)
    rates: dict[str, float] = {}
    if on_cuda:
        step(resident)  # of what is made once: the optimizer's state, workspaces
        torch.cuda.reset_peak_memory_stats(device)
    rates["resident"] = batch * steps_per_second(step, itertools.repeat(resident), args)
    peak_gib = torch.cuda.max_memory_allocated(device) / 2**30 if on_cuda else None
    num_launches = launches(step, resident) if on_cuda else None
    with Feed(
        itertools.cycle(host), lambda columns: make_batch(columns, recipe, device), device
    ) as feed:
        rates["fed"] = batch * steps_per_second(step, (fed.tensors for fed in feed), args)
    peak = args.peak_tflops or peak_tflops(args.card, case.precision)
    return [
        {
            "input": name,
            "batch": batch,
            "samples_per_second": round(rate, 1),
            "mfu": round(rate * flops / peak / 1e12, 4) if peak else None,
            "peak_gib": peak_gib and round(peak_gib, 2),
            "launches": num_launches,
        }
        for name, rate in rates.items()
    ]


def free(device: torch.device) -> None:
    """What the last case held."""
    torch.compiler.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def fitted(case: Case, args: argparse.Namespace) -> list[dict[str, Any]]:
    """`measured` with the largest batch that fits, half as many rows at a time."""
    batch = args.batch or BATCH[case.tower]
    while True:
        try:
            return measured(case, batch, args)
        except torch.OutOfMemoryError:
            if batch == 1:
                raise
        free(args.device)  # outside the except clause, whose traceback holds the tensors
        batch //= 2


def lines(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Of every case what was found, or why nothing was."""
    began, guess = time.perf_counter(), dict[tuple[str, bool], float]()
    for case in cases(args.variants.split(","), args.precisions.split(",")):
        start = time.perf_counter()
        left = args.budget - (start - began)
        products = fp32_products(args.device)
        head = {"card": args.card, **asdict(case), "fp32_products": products}
        kind = case.tower, case.compiled
        takes = guess.get(kind, FIRST_GUESS[case.compiled])
        if left < takes:
            yield head | {
                "skipped": f"{left:.0f} s of the budget are left, and such a case takes "
                f"{takes:.0f} s"
            }
            continue
        try:
            found = fitted(case, args)
        except ImportError as error:
            yield head | {"skipped": f"{error.name} is not installed"}
            continue
        except Exception as error:
            found = [{"skipped": f"{type(error).__name__}: {str(error)[:300]}"}]
        free(args.device)
        took = time.perf_counter() - start
        guess[kind] = took
        yield from (head | {**one, "seconds": round(took, 1)} for one in found)


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda", 0))
    parser.add_argument("--scale", default="paper")
    parser.add_argument("--variants", default=",".join(UNIFIED))
    parser.add_argument("--precisions", default="bf16,fp32")
    parser.add_argument("--batch", type=int, default=0, help="rows; 512 and 128 by tower")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument("--budget", type=float, default=420, help="seconds for all of it")
    parser.add_argument("--backend", default="inductor", help="of torch.compile")
    parser.add_argument("--peak-tflops", type=float, default=0, help="of a card not known by name")
    args = parser.parse_args(arguments)
    if args.device.type == "cuda" and not torch.cuda.is_available():
        print("There is no GPU here: the toy sizes on the CPU instead.", flush=True)
        args = parser.parse_args(TOY)
    args.card = args.device.type
    if args.device.type == "cuda":
        args.device = torch.device("cuda", args.device.index or 0)
        args.card = torch.cuda.get_device_name(args.device)
    # Of each case anew, so that none runs eagerly where its row says that it is compiled.
    prepare(args.device, num_compiled=1)
    found = []
    for line in lines(args):
        print(json.dumps(line), flush=True)
        if "skipped" not in line:
            found.append(line)
    return rows_of(found)


def rows_of(found: Sequence[Mapping[str, Any]]) -> list[Row]:
    """What is said of CLIP in bf16, tower by tower, of the faster of eager and compiled."""

    def best(key: str, tower: str, library: str = "seedbed", fed: str = "resident") -> float:
        of = {"variant": "clip", "precision": "bf16", "tower": tower, "library": library}
        lines = [line for line in found if line["input"] == fed and of.items() <= line.items()]
        return max((line[key] or 0.0 for line in lines), default=0.0)

    rows = []
    for tower in TOWERS:
        ours = best("samples_per_second", tower)
        if not ours:
            continue
        fed, theirs = (
            best("samples_per_second", tower, fed="fed"),
            best("samples_per_second", tower, "open_clip"),
        )
        rows.append(Row(f"clip, {tower}, fed", fed / ours, "the batch resident", 0.9, True))
        if theirs:
            rows.append(Row(f"clip, {tower}, samples/s", ours / theirs, "open_clip's", 1, True))
        if mfu := best("mfu", tower):
            goal = {"vit": 0.35, "vit16": 0.40}.get(tower)
            rows.append(Row(f"clip, {tower}, MFU", mfu, "the card's peak", goal, True))
    return rows


if __name__ == "__main__":
    run(main, TOY)
