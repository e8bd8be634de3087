"""What the contract tests share: every term of the package, at small sizes, and a batch for it."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor

import seedbed.model.terms
from seedbed.data.views import IMAGE_B, TEXT_AUG
from seedbed.model.gather import Gather
from seedbed.model.term import Feature, Features, Term

Kind = TypeVar("Kind", bound=Features)

ROWS, LENGTH = 12, 6
WIDTHS = {"embed": 12, "pooled": 20, "tokens": 16, "context": 16, "mask": 0, "targets": 0}
SMALL = {"hidden": 24, "out": 10, "bottleneck": 8, "dim": 9, "size": 30, "vocabulary": 50}


def found() -> list[type[Term]]:
    """Every term that the package defines, by walking it."""
    terms = []
    for module in pkgutil.iter_modules(seedbed.model.terms.__path__):
        held = importlib.import_module(f"seedbed.model.terms.{module.name}")
        for _, value in inspect.getmembers(held, inspect.isclass):
            if issubclass(value, Term) and value.__module__ == held.__name__:
                terms.append(value)
    return sorted(terms, key=lambda term: term.__name__)


def levels(term: type[Term]) -> list[Term]:
    """The term as it is by default, and with each named option at each of its levels, small."""
    small = {f.name: SMALL[f.name] for f in dataclasses.fields(term) if f.name in SMALL}
    default = term(**small)
    others = []
    for f in dataclasses.fields(term):
        text = str(f.type)
        if text == "bool":
            others.append(dataclasses.replace(default, **{f.name: not getattr(default, f.name)}))
        elif text.startswith("Literal["):
            choices = [part.strip(" '\"") for part in text[8:-1].split(",")]
            others += [
                dataclasses.replace(default, **{f.name: choice})
                for choice in choices
                if choice != getattr(default, f.name)
            ]
        elif f.name.endswith("_keep"):
            others.append(dataclasses.replace(default, **{f.name: 2}))
        elif text == "View | None":  # a second view of a side
            second = IMAGE_B if f.name.startswith("image") else TEXT_AUG
            others.append(dataclasses.replace(default, **{f.name: second}))
    return [default, *others]


def name_of(term: Term) -> str:
    default = type(term)()
    changed = [
        f"{f.name}={getattr(term, f.name)}"
        for f in dataclasses.fields(term)
        if f.name not in SMALL and getattr(term, f.name) != getattr(default, f.name)
    ]
    return " ".join([type(term).__name__, *changed])


LEVELS = [level for term in found() for level in levels(term)]


def widths(term: Term) -> dict[Feature, int]:
    return {need: WIDTHS[need.kind] for need in term.needs}


def values(term: Term, seed: int = 0, rows: int = ROWS) -> dict[Feature, Tensor]:
    """Features of a random batch: those that are computed ask for a gradient."""
    out: dict[Feature, Tensor] = {}
    lengths = 3 + torch.randint(
        0, LENGTH - 2, (rows,), generator=torch.Generator().manual_seed(seed)
    )
    for number, need in enumerate(sorted(term.needs)):
        rng = torch.Generator().manual_seed(1000 * seed + number)
        places = torch.arange(LENGTH)
        if need.kind == "mask":
            out[need] = places < lengths[:, None]
        elif need.kind == "targets":
            ids = torch.randint(0, SMALL["vocabulary"], (rows, LENGTH), generator=rng)
            kept = torch.rand(rows, LENGTH, generator=rng) < 0.4
            out[need] = torch.where(kept & (places < lengths[:, None]), ids, -100)
        else:
            shape = (rows, LENGTH) if need.kind in ("tokens", "context") else (rows,)
            x = torch.randn(*shape, WIDTHS[need.kind], generator=rng)
            out[need] = x.requires_grad_()
    return out


def features(
    term: Term,
    held: Mapping[Feature, Tensor],
    gather: Gather | None = None,
    thetas: Mapping[str, Tensor] | None = None,
    kind: type[Kind] = Features,  # type: ignore[assignment]
) -> Kind:
    scales = {
        t.name: thetas[t.name].exp() if thetas else torch.tensor(10.0) for t in term.temperatures
    }
    return kind(held, scales, gather or Gather())


def thetas(term: Term) -> dict[str, Tensor]:
    return {t.name: torch.tensor(2.0, requires_grad=True) for t in term.temperatures}
