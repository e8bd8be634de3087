"""What every tower promises, found by walking the package. Oracle: its own fields."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pickle
import pkgutil
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from torch import Tensor, nn

import seedbed.model.towers
from seedbed.errors import StudyError
from seedbed.model.towers.encoded import Encoded
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower

ROWS, SIDE, CONTEXT = 6, 32, 10

# Small towers of each kind that the package has: a new kind is asked for here by name.
SMALL: dict[str, list[Any]] = {
    "ImageTower": [
        ImageTower("test_vit", size=SIDE),
        ImageTower("test_vit", size=SIDE, init="released"),
        ImageTower("test_resnet", size=SIDE),
        ImageTower("test_resnet", size=SIDE, norm="local"),
        ImageTower("modified_resnet_small", size=SIDE),
        ImageTower("modified_resnet_small", size=SIDE, init="released"),
    ],
    "TextTower": [
        TextTower(layers=1, width=32, heads=2, context=CONTEXT),
        TextTower(layers=3, width=48, heads=3, context=CONTEXT, vocabulary=60_000),
    ],
}


def found() -> list[type[Any]]:
    """Every tower that the package defines: a dataclass with `build`."""
    towers = []
    for module in pkgutil.iter_modules(seedbed.model.towers.__path__):
        held = importlib.import_module(f"seedbed.model.towers.{module.name}")
        for _, kind in inspect.getmembers(held, inspect.isclass):
            own = kind.__module__ == held.__name__
            if own and dataclasses.is_dataclass(kind) and hasattr(kind, "build"):
                towers.append(kind)
    return towers


TOWERS = [tower for kind in found() for tower in SMALL.get(kind.__name__, [])]


def name_of(tower: Any) -> str:
    fields = [getattr(tower, field.name) for field in dataclasses.fields(tower)]
    return "-".join([type(tower).__name__, *map(str, fields)]).replace("()-", "")


def outputs(tower: Any) -> list[dict[str, bool]]:
    """What may be asked of `build`."""
    if "pooled" not in inspect.signature(tower.build).parameters:
        return [{}]
    return [{"pooled": p, "tokens": t} for p, t in ((True, False), (False, True), (True, True))]


EACH = pytest.mark.parametrize("tower", TOWERS, ids=name_of)
BUILT = [(tower, asked) for tower in TOWERS for asked in outputs(tower)]
OUTPUTS = pytest.mark.parametrize(
    ("tower", "asked"),
    BUILT,
    ids=["+".join([name_of(tower), *(k for k in asked if asked[k])]) for tower, asked in BUILT],
)


def encoder(tower: Any, asked: dict[str, bool], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    built: nn.Module = tower.build(**asked)
    return built


def inputs(tower: Any, rows: int = ROWS) -> tuple[Tensor, ...]:
    rng = torch.Generator().manual_seed(0)
    if isinstance(tower, ImageTower):
        return (torch.randint(0, 256, (rows, SIDE, SIDE, 3), generator=rng).byte(),)
    lengths = 3 + torch.randint(0, CONTEXT - 2, (rows,), generator=rng)
    return torch.randint(0, 49_000, (rows, CONTEXT), generator=rng), lengths


def test_every_tower_of_the_package_is_tried() -> None:
    assert {kind.__name__ for kind in found()} == SMALL.keys()


@OUTPUTS
def test_it_returns_what_was_asked_in_the_shapes_it_says(
    tower: Any, asked: dict[str, bool]
) -> None:
    built: Any = encoder(tower, asked)
    result = built(*inputs(tower))
    assert isinstance(result, Encoded)
    assert (result.pooled is not None) == asked.get("pooled", True)
    assert (result.tokens is not None) == asked.get("tokens", True)
    if result.pooled is not None:
        assert result.pooled.shape == (ROWS, built.width)
        assert torch.isfinite(result.pooled).all()
    if result.tokens is not None:
        assert result.tokens.shape[::2] == (ROWS, getattr(built, "token_width", built.width))
        assert torch.isfinite(result.tokens).all()
    if isinstance(tower, TextTower):
        _, lengths = inputs(tower)
        assert result.tokens is not None and result.mask is not None
        assert result.tokens.shape[1] == CONTEXT
        assert torch.equal(result.mask.sum(1), lengths)


@OUTPUTS
@pytest.mark.slow
def test_the_gradient_reaches_every_parameter_that_is_trained(
    tower: Any, asked: dict[str, bool]
) -> None:
    built = encoder(tower, asked).train()
    result = built(*inputs(tower))
    parts = [part for part in (result.pooled, result.tokens) if part is not None]
    torch.manual_seed(1)
    # A random direction: a plain sum of what a layer norm has centred has no gradient.
    torch.stack([(part * torch.randn_like(part)).sum() for part in parts]).sum().backward()
    left = [name for name, p in built.named_parameters() if p.requires_grad and p.grad is None]
    assert left == []
    assert all(torch.isfinite(p.grad).all() for p in built.parameters() if p.grad is not None)


@OUTPUTS
def test_the_same_seed_gives_the_same_weights_and_another_gives_others(
    tower: Any, asked: dict[str, bool]
) -> None:
    one, same, other = (encoder(tower, asked, seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@EACH
def test_a_row_does_not_depend_on_its_neighbours(tower: Any) -> None:
    asked = outputs(tower)[0]
    built = encoder(tower, asked).eval()
    with torch.inference_mode():
        whole = built(*inputs(tower)).pooled
        alone = built(*(column[2:3] for column in inputs(tower))).pooled
    torch.testing.assert_close(whole[2:3], alone, rtol=1e-4, atol=1e-5)


@EACH
def test_it_is_a_value(tower: Any) -> None:
    again = pickle.loads(pickle.dumps(tower))
    assert again == tower and hash(again) == hash(tower)
    for other in TOWERS:
        assert (other == tower) == (name_of(other) == name_of(tower))


def impossible() -> list[tuple[Any, str, object]]:
    """Of each kind's numbers and choices, values that nothing can be built from."""
    cases: list[tuple[Any, str, object]] = []
    for kind in found():
        hints = get_type_hints(kind)
        for field in dataclasses.fields(kind):
            hint = hints[field.name]
            if hint is int:
                cases += [(kind, field.name, value) for value in (0, -1, 2.5, "8", None)]
            elif hint is bool:
                cases += [(kind, field.name, value) for value in ("yes", None)]
            elif get_origin(hint) is Literal:
                assert "nonsense" not in get_args(hint)
                cases += [(kind, field.name, value) for value in ("nonsense", 1, None)]
    return cases


@pytest.mark.parametrize(
    ("kind", "name", "value"), impossible(), ids=lambda v: getattr(v, "__name__", repr(v))
)
def test_impossible_fields_are_refused_by_name(kind: Any, name: str, value: object) -> None:
    with pytest.raises(StudyError) as error:
        dataclasses.replace(SMALL[kind.__name__][0], **{name: value})
    assert f"{kind.__name__}.{name}" in error.value.what
    assert error.value.why and error.value.mend
