"""Parameters and FLOPs of a model's parts: counted once on torch's meta device, then cached.

A part is a tower with the outputs that are asked of it, or a term with the widths that it reads.
Its counts are cached under the home folder, so that the next plan does not wait for torch.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import seedbed
from seedbed.errors import DataError, StudyError
from seedbed.home import COUNTS, home
from seedbed.model.term import Feature, Term
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.storage.objects import write_object

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Counts:
    """Of a part: its parameters; the matrix products of one sample's pass, and of one whose
    attention goes both ways; the shapes of its outputs without the batch dimension; the bytes of
    the buffers that are kept with its parameters, as a queue's rows."""

    num_params: int
    flops: int = 0
    both_ways_flops: int = 0
    width: int = 0
    tokens: tuple[int, ...] = ()
    projection_bias: bool = True
    buffer_bytes: int = 0


@functools.lru_cache(maxsize=4_096)
def count_image(tower: ImageTower, *, pooled: bool, tokens: bool) -> Counts:
    """Counts of an image tower. Raises StudyError where it cannot be built, or read its size."""
    what = f"{tower!r} pooled={pooled} tokens={tokens}"
    return _known(what, _ours(tower) and _stock(tower.name), lambda: _image(tower, pooled, tokens))


@functools.lru_cache(maxsize=4_096)
def count_text(tower: TextTower, *, both_ways: bool) -> Counts:
    """Counts of a text tower."""
    what = f"{tower!r} both_ways={both_ways}"
    return _known(what, _ours(tower), lambda: _text(tower, both_ways))


@functools.lru_cache(maxsize=4_096)
def count_term(term: Term, widths: tuple[tuple[Feature, int], ...]) -> Counts:
    """Counts of a term's own layers, for features of the given last dimensions."""
    return _known(f"{term!r} {widths!r}", _ours(term), lambda: _term(term, dict(widths)))


def _image(tower: ImageTower, pooled: bool, tokens: bool) -> Counts:
    import torch

    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        encoder = tower.build(pooled=pooled, tokens=tokens).eval()
        columns = (torch.zeros(1, tower.size, tower.size, 3, dtype=torch.uint8),)
    try:
        flops, encoded = _passed(encoder, columns)
    except RuntimeError as error:
        raise StudyError(
            f"'{tower.name}' cannot read an image of this recipe",
            why=str(error),
            mend=f"image.size is {tower.size}; towers that halve their maps want a multiple of 32",
        ) from error
    return Counts(
        num_params=_num_params(encoder),
        buffer_bytes=_buffer_bytes(encoder),
        flops=flops,
        width=encoder.width,
        tokens=() if encoded.tokens is None else tuple(encoded.tokens.shape[1:]),
        projection_bias=encoder.projection_bias,
    )


def _text(tower: TextTower, both_ways: bool) -> Counts:
    import torch

    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        encoder = tower.build().eval()
        ids = torch.zeros(1, tower.context, dtype=torch.int32)
        columns = ids, torch.ones(1, dtype=torch.int32)
    flops, encoded = _passed(encoder, columns)
    return Counts(
        num_params=_num_params(encoder),
        buffer_bytes=_buffer_bytes(encoder),
        flops=flops,
        both_ways_flops=_passed(encoder, columns, both_ways=True)[0] if both_ways else 0,
        width=encoder.width,
        tokens=tuple(encoded.tokens.shape[1:]),
    )


def _term(term: Term, widths: Mapping[Feature, int]) -> Counts:
    import torch

    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        own = term.build(widths)
        return Counts(_num_params(own), buffer_bytes=_buffer_bytes(own))


def _num_params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _buffer_bytes(module: nn.Module) -> int:
    """Bytes of the tensors of a module's state that are not its parameters."""
    import torch

    params = {id(p) for p in module.parameters()}
    kept = module.state_dict(keep_vars=True).values()
    return sum(t.nbytes for t in kept if isinstance(t, torch.Tensor) and id(t) not in params)


def _passed(encoder: Any, columns: tuple[Any, ...], **options: bool) -> tuple[int, Any]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.device("meta"), torch.no_grad(), counter:
        encoded = encoder(*columns, **options)
    return counter.get_total_flops(), encoded


def _ours(part: object) -> bool:
    """Whether this package defines it: code from elsewhere may change under the same name."""
    return type(part).__module__.startswith(f"{seedbed.__name__}.")


def _stock(name: str) -> bool:
    """Whether timm's model of that name is timm's or ours, and not one that a study registered,
    which it can only have done with timm imported."""
    if "timm" not in sys.modules:
        return True
    import timm

    if not timm.is_model(name):
        return False
    home_of = timm.models.model_entrypoint(name).__module__
    return home_of.startswith(("timm.", f"{seedbed.__name__}."))


def _known(what: str, kept: bool, count: Callable[[], Counts]) -> Counts:
    """The counts of a part, from the cache in the home folder or else counted and cached.

    A cached file is used only if it is whole and of this very description, code and libraries:
    otherwise the part is counted again.
    """
    if not kept:
        return count()
    of = {"part": what, "code": _code(), "torch": version("torch"), "timm": version("timm")}
    path = home() / COUNTS / f"{_digest(of)[:32]}.json"
    try:
        read = json.loads(path.read_bytes())
        if read["of"] == of and read["check"] == _digest(read["counts"]):
            counts = read["counts"]
            return Counts(**counts | {"tokens": tuple(counts["tokens"])})
    except (OSError, ValueError, TypeError, KeyError):
        pass
    counted = count()
    counts = json.loads(json.dumps(asdict(counted)))
    body = {"of": of, "counts": counts, "check": _digest(counts)}
    with contextlib.suppress(DataError):  # the home cannot be written: no cache
        write_object(str(path), json.dumps(body, indent=1).encode())
    return counted


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@functools.cache
def _code() -> str:
    """A digest of the source of all that is counted, and of how it is."""
    package = Path(__file__).parent.parent
    seen = hashlib.sha256()
    for path in [*sorted((package / "model").rglob("*.py")), Path(__file__)]:
        seen.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return seen.hexdigest()
