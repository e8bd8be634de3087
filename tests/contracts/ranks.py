"""One rank of several, for `test_terms.py`.

Steps every term twice on its part of the batches, and whole models with batch norms in their
tower, and saves what 1 rank would have: losses and gradients averaged over ranks, as DDP averages
them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from tests.contracts.terms import LEVELS, ROWS, features, name_of, thetas, values, widths

from seedbed.data.views import IMAGE, IMAGE_A, IMAGE_B, TEXT, TEXT_AUG, TEXT_MASKED
from seedbed.model.gather import Gather
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.term import Term
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.resolve import resolve
from seedbed.recipe.scale import DEMO
from seedbed.variants import DEFILIP, SLIP

STEPS, CONTEXT, VOCABULARY = 2, 8, 49_409
MODELS = {"slip": SLIP, "defilip": DEFILIP}


def batch(rows: int) -> dict[str, torch.Tensor]:
    """Random columns for every view."""
    rng = torch.Generator().manual_seed(0)

    def integers(high: int, *shape: int) -> torch.Tensor:
        return torch.randint(0, high, shape, generator=rng)

    out = {v.name: integers(256, rows, 32, 32, 3).byte() for v in (IMAGE, IMAGE_A, IMAGE_B)}
    for view in (TEXT, TEXT_AUG, TEXT_MASKED):
        out[view.name] = integers(VOCABULARY, rows, CONTEXT).int()
        out[view.length] = 3 + integers(CONTEXT - 2, rows).int()
    masked = torch.rand(rows, CONTEXT, generator=rng) < 0.3
    out[TEXT_MASKED.target] = torch.where(masked, out[TEXT_MASKED.name], -100)
    return out


def steps(term: Term, rank: int, world: int, *, uneven: bool = False) -> dict[str, Any]:
    """Losses, gradients of the last step, and the module's state, of the whole batch."""
    torch.manual_seed(0)
    module = term.build(widths(term))
    module.train()
    scales = thetas(term)
    out: dict[str, Any] = {}
    sizes = split(world, uneven)
    mine = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
    for step in range(STEPS):
        held = {
            need: value.detach()[mine].clone().requires_grad_(value.requires_grad)
            for need, value in values(term, seed=step).items()
        }
        module.zero_grad()
        for theta in scales.values():
            theta.grad = None
        loss = module(features(term, held, Gather(tuple(sizes) if world > 1 else (), rank), scales))
        loss.backward()
        out[f"loss {step}"] = averaged(loss.detach(), world)
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        out[f"grad {name}"] = averaged(parameter.grad, world)
    for name, theta in scales.items():
        grad = theta.grad if theta.grad is not None else torch.zeros(())
        out[f"grad theta {name}"] = averaged(grad, world)
    for need, value in held.items():
        if value.grad is not None:
            # A feature's gradient reaches the towers, whose gradients are averaged over ranks.
            out[f"grad {need}"] = joined(value.grad / world, sizes, world)
    for name, buffer in module.named_buffers():
        out[f"buffer {name}"] = buffer.clone()
    return out


def model_step(name: str, rank: int, world: int) -> dict[str, Any]:
    """Loss, gradients and running statistics of a small ResNet's model, of the whole batch."""
    text = TextTower(layers=1, width=32, heads=2, context=CONTEXT)
    objective = resolve(Recipe(objective=MODELS[name]), DEMO, ()).objective
    model = Pretrainer(
        ImageTower("modified_resnet_small", 32), text, objective, embed_dim=24, seed=0
    )
    sizes = split(world, uneven=True)
    mine = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
    gather = Gather(tuple(sizes) if world > 1 else (), rank)
    loss = model({column: x[mine] for column, x in batch(ROWS).items()}, gather)["loss"]
    loss.backward()
    out = {"loss": averaged(loss.detach(), world)}
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        out[f"grad {parameter_name}"] = averaged(parameter.grad, world)
    for buffer_name, buffer in model.named_buffers():
        out[f"buffer {buffer_name}"] = buffer.clone()
    return out


def split(world: int, uneven: bool) -> list[int]:
    even = [ROWS // world] * world
    if uneven and world > 1:
        even[0], even[-1] = even[0] + 1, even[-1] - 1
    return even


def averaged(x: torch.Tensor, world: int) -> torch.Tensor:
    x = x.detach().clone()
    if world > 1:
        dist.all_reduce(x)
        x /= world
    return x


def joined(x: torch.Tensor, sizes: list[int], world: int) -> torch.Tensor:
    if world == 1:
        return x.clone()
    parts: list[Any] = [None] * world
    dist.all_gather_object(parts, x)
    return torch.cat(parts)


def all_terms(rank: int, world: int) -> dict[str, dict[str, Any]]:
    torch.set_num_threads(1)
    found = {
        f"{name_of(term)}{' uneven' if uneven else ''}": steps(term, rank, world, uneven=uneven)
        for uneven in (False, True)
        for term in LEVELS
    }
    return found | {f"model {name}": model_step(name, rank, world) for name in MODELS}
