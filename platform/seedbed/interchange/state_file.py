"""Nested state in a file: safetensors for the tensors, JSON for what is between them.

Nothing that such a file may hold is run, whoever wrote it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

STATE = "state"  # of the file's metadata: the state with numbers in its tensors' places
# In the JSON a dict of one of these keys stands for what JSON has not.
TENSOR, TUPLE, ITEMS = "<tensor>", "<tuple>", "<items>"


def write_state(state: Any, path: Path) -> None:
    """Write dicts, lists and tuples of tensors and plain values.

    Raises TypeError for anything else.
    """
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    told = json.dumps(_told(state, tensors, seen))
    save_file(tensors, path, {STATE: told})


def read_state(path: Path, device: str | torch.device = "cpu") -> Any:
    """What `write_state` wrote, its tensors on `device`.

    Raises ValueError, KeyError or safetensors' own error for a file that is no such one.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(path, "pt") as file:
        said = json.loads((file.metadata() or {})[STATE])
    tensors = load_file(path, str(device))
    if torch.device(device).type == "cpu":
        # Of their own: mapped from the file they would go with it, where its disk is another's.
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    return _read(said, tensors)


def _told(value: Any, tensors: dict[str, Tensor], seen: set[int]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = _own(value.detach(), seen)
        return {TENSOR: name}
    if isinstance(value, tuple):
        return {TUPLE: [_told(one, tensors, seen) for one in value]}
    if isinstance(value, list):
        return [_told(one, tensors, seen) for one in value]
    if isinstance(value, dict):
        # Optimizers number their parameters, and JSON's keys are words.
        items = [[_plain(key), _told(one, tensors, seen)] for key, one in value.items()]
        return {ITEMS: items}
    return _plain(value)


def _own(tensor: Tensor, seen: set[int]) -> Tensor:
    """The tensor, alone in its memory: safetensors writes no memory twice."""
    whole = tensor.contiguous()
    if whole.untyped_storage().nbytes() != whole.nbytes or whole.data_ptr() in seen:
        whole = whole.clone()
    seen.add(whole.data_ptr())
    return whole


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}: {value!r}")


def _read(said: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(said, list):
        return [_read(one, tensors) for one in said]
    if not isinstance(said, dict):
        return said
    ((kind, held),) = said.items()
    if kind == TENSOR:
        return tensors[held]
    if kind == TUPLE:
        return tuple(_read(one, tensors) for one in held)
    if kind != ITEMS:
        raise ValueError(f"it holds '{kind}', which is no part of a state")
    return {key: _read(one, tensors) for key, one in held}
