"""The step time of each variant over CLIP's, and CLIP's over open_clip's own.

First table, baseline: CLIP's step in the same run; the floor is arithmetic, the tower passes that
each variant makes, at the times that one pass of each tower takes. To reach: 1.15 of the floor.
Second, baseline: open_clip's model and loss at the same sizes, batch and optimizer. To reach: 1.

    python tests/benchmarks/bench_variants.py [--scale paper|small] [--batch N] [--precision bf16]

On a GPU it also prints samples per second and peak memory.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from open_clip_step import open_clip_step
from table import Row, run
from torch import Tensor

from seedbed import Recipe
from seedbed.data.views import IMAGE, IMAGE_A, IMAGE_B, TEXT, TEXT_AUG, TEXT_MASKED
from seedbed.model.objective import Objective
from seedbed.model.pretrainer import Pretrainer
from seedbed.recipe.resolve import resolve
from seedbed.recipe.scale import SCALES
from seedbed.run.worker.optimizer import build_optimizer
from seedbed.variants import CLIP, UNIFIED

TOY = ("--scale", "smoke", "--batch", "8", "--repeats", "1")
NEEDS = ()
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def recipe_of(objective: Objective, args: argparse.Namespace) -> Recipe:
    recipe = resolve(Recipe.paper(objective=objective), SCALES[args.scale], ())
    return recipe.patch("precision", args.precision)


def batch_of(recipe: Recipe, rows: int) -> dict[str, Tensor]:
    """Random pictures and captions, with a sixth of the tokens masked."""
    rng = torch.Generator().manual_seed(0)
    size, context = recipe.image.size, recipe.text.context
    out = {
        v.name: torch.randint(0, 256, (rows, size, size, 3), generator=rng).byte()
        for v in (IMAGE, IMAGE_A, IMAGE_B)
    }
    for view in (TEXT, TEXT_AUG, TEXT_MASKED):
        out[view.name] = torch.randint(0, 49_000, (rows, context), generator=rng).int()
        out[view.length] = torch.full((rows,), context, dtype=torch.int32)
    masked = torch.rand(rows, context, generator=rng) < 0.15
    out[TEXT_MASKED.target] = torch.where(masked, out[TEXT_MASKED.name], -100)
    return {name: column.to(DEVICE) for name, column in out.items()}


def our_step(recipe: Recipe, batch: dict[str, Tensor]) -> Callable[[], None]:
    model = Pretrainer(
        recipe.image,
        recipe.text,
        recipe.objective,
        embed_dim=recipe.embed_dim,
        seed=0,
        precision=recipe.precision,
    ).to(DEVICE)
    optimizer = build_optimizer(model, recipe)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        model(batch)["loss"].backward()
        optimizer.step()
        model.clamp()

    return step


def tower_pass(recipe: Recipe, batch: dict[str, Tensor], name: str) -> Callable[[], None]:
    """Forward, backward and update of one tower alone."""
    model = Pretrainer(recipe.image, recipe.text, CLIP, embed_dim=recipe.embed_dim, seed=0).to(
        DEVICE
    )
    parts = torch.nn.ModuleList([model.towers[name], model.projections[name]])
    optimizer = build_optimizer(parts, recipe)
    embed: Any = model.embed_image if name == "image" else model.embed_text
    columns = [batch["image"]] if name == "image" else [batch["text"], batch["text_length"]]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            embed(*columns).float().square().mean().backward()
        optimizer.step()

    return step


def measured(steps: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median seconds of each, taken in turn so that noise meets them alike."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats + 1):
        for name, step in steps.items():
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            began = time.perf_counter()
            step()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="small")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    args = parser.parse_args(arguments)
    recipes = {n: recipe_of(level["objective"], args) for n, level in UNIFIED.items()}
    base = recipes["clip"]
    batch = batch_of(base, args.batch)
    steps = {name: our_step(recipe, batch) for name, recipe in recipes.items()}
    steps |= {f"{n} tower": tower_pass(base, batch, n) for n in ("image", "text")}
    theirs = open_clip_step(base, DEVICE)
    steps["open_clip"] = lambda: theirs(batch)
    took = measured(steps, args.repeats)
    clip = took["clip"]
    print(
        f"{args.scale} scale, batch {args.batch}, {args.precision}, {DEVICE.type}, medians of "
        f"{args.repeats}"
    )
    print(
        f"{'variant':<10}{'passes':>8}{'seconds':>10}{'over CLIP':>11}{'floor':>8}{'of floor':>10}"
    )
    rows = []
    for name, recipe in recipes.items():
        views = [v.modality for v in recipe.objective.views]
        num = {m: views.count(m) for m in ("image", "text")}
        passes = sum(num[m] * took[f"{m} tower"] for m in ("image", "text"))
        floor = passes / (took["image tower"] + took["text tower"])
        ratio = took[name] / clip
        print(
            f"{name:<10}{num['image']:>4} + {num['text']}{took[name]:>10.3f}{ratio:>11.2f}"
            f"{floor:>8.2f}{ratio / floor:>10.2f}"
        )
        if DEVICE.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            steps[name]()
            peak = torch.cuda.max_memory_allocated() / 2**30
            print(f"{'':<10}{args.batch / took[name]:>10.0f} samples/s, peak {peak:.1f} GiB")
        rows.append(Row(f"{name}, step", ratio / floor, "its tower passes, over CLIP's", 1.15))
    return [*rows, Row("clip, step", clip / took["open_clip"], "open_clip's", 1)]


if __name__ == "__main__":
    run(main, TOY)
