"""Weights in a file: safetensors for the tensors, JSON for what else a model's state holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from seedbed.errors import DataError

PLAIN = "plain"  # of the file's metadata: state that is no tensor, as where a queue's next row is


def packed(state: Mapping[str, Any]) -> bytes:
    """A model's `state_dict` as a safetensors file, with plain values in its metadata:
    the same bytes for the same state."""
    from safetensors.torch import save

    tensors = {n: v.detach().cpu().contiguous() for n, v in state.items() if _is_tensor(v)}
    plain = {name: value for name, value in state.items() if not _is_tensor(value)}
    # One entry: of several, safetensors writes them in an order that changes from call to call, and
    # equal weights would have unequal digests.
    return save(tensors, {PLAIN: json.dumps(plain, sort_keys=True)} if plain else {"format": "pt"})


def unpacked(content: bytes, where: str) -> dict[str, Any]:
    """The state that `packed` wrote, or the tensors of any other safetensors file.

    Raises DataError, naming `where` it was read, for a file that is cut off or is no such file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        state: dict[str, Any] = load(content)
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        return state | json.loads(header.get("__metadata__", {}).get(PLAIN, "{}"))
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(
            f"{where} is no whole safetensors file",
            why=f"it has {len(content):,} bytes, and reading it says: {error}",
            mend="copy it again from where it was written; weights that are cut off are not used",
        ) from None


def digest_of(content: bytes) -> str:
    """What a record says of the weights beside it: 64 hex digits of their bytes."""
    return hashlib.sha256(content).hexdigest()


def check_digest(content: bytes, expected: str, where: str) -> None:
    """Raise DataError where `content` is not what was recorded; "" expects nothing."""
    found = digest_of(content)
    if expected and found != expected:
        raise DataError(
            f"{where} has the digest {found[:16]}, and its record says {expected[:16]}",
            why="the weights are not those that the recorded results were measured with: the file "
            "was cut off, or changed since",
            mend="restore it from a copy, or remove the trial's folder: it is then trained again",
        )


def digest_of_tensors(tensors: Mapping[str, Tensor], about: Any) -> str:
    """64 hex digits of the names, types, shapes and values of `tensors`, and of plain `about`.

    The same whatever the format, the order or the name of the file they came from.
    """
    seen = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        seen.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        seen.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return seen.hexdigest()


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)
