"""Weights of open_clip's models, wherever they are, and what identifies them."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.errors import DataError, StudyError, first_line, nearest
from seedbed.storage.folder import Folder

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "open_clip:"
CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
NAMES = (WEIGHTS, "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
NOTE = "seedbed"  # beside `model_cfg` in CONFIG: what open_clip does not read
KEPT = "weights"  # below a results folder: what its trials start from, by digest
DIGITS = 16
MOVED = (
    "Weights that are gone are still with the results that began from them: say NAME#DIGEST, with "
    "the digest that the trials' recipes have as init_from"
)
# What open_clip normalises pictures with where nothing else is said.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Source:
    """Weights in open_clip's layout: its `model_cfg`, and tensors by its names.

    `absent` are those that the model does not have, zeros in a file that open_clip can load.
    """

    said: str
    model_cfg: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    absent: tuple[str, ...] = ()
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD

    @functools.cached_property
    def digest(self) -> str:
        """What enters a recipe's key: 16 hex digits of the weights, and of the architecture."""
        from seedbed.interchange.weights import digest_of_tensors

        return digest_of_tensors(self.weights, [self.model_cfg, self.mean, self.std])[:DIGITS]


def source_of(said: str) -> Source:
    """The weights that `Recipe.init_from` names, read whole.

    Raises StudyError for a name that is none, and DataError for files that are not what they say:
    not there, cut off, without an architecture, or of another digest than the name states.
    """
    name, digest = _parts(said)
    found = _pretrained(name) if name.startswith(PREFIX) else _files(name)
    if digest and digest != found.digest:
        raise DataError(
            f"the weights of '{name}' have the digest {found.digest}, and {digest} was stated",
            why="they have changed since: the trials would start from others than their key says",
            mend="restore them, or state no digest to start anew from what is there now",
        )
    return found


@functools.cache
def identified(said: str) -> str:
    """`said` with the digest of what it names, read once in a process; "" stays."""
    if not said or _parts(said)[1]:
        return said
    return f"{said}#{source_of(said).digest}"


def keep(store: Folder, said: str) -> None:
    """Copy the weights that `said` names with their digest into a results folder, for every node.

    What is there already is left alone: it goes by its digest.
    """
    if is_kept(store, said):
        return
    _, digest = _parts(said)
    from seedbed.interchange.weights import packed

    found = source_of(said)
    store.write_bytes(packed(found.weights), KEPT, digest, WEIGHTS)
    note = {"said": found.said, "absent": list(found.absent)}
    # Last: it says that the weights beside it are whole.
    pixels = {"mean": found.mean, "std": found.std}
    config = {"model_cfg": dict(found.model_cfg), "preprocess_cfg": pixels, NOTE: note}
    store.write_json(config, KEPT, digest, CONFIG)


def is_kept(store: Folder, said: str) -> bool:
    """Whether `keep` has left a copy of what `said` names with its digest."""
    return store.exists(KEPT, _parts(said)[1], CONFIG)


def kept(store: Folder, said: str) -> Source:
    """What `keep` left for `said`. Raises DataError where it is gone, or has changed."""
    _, digest = _parts(said)
    return source_of(f"{store.place(KEPT, digest)}#{digest}")


def _parts(said: str) -> tuple[str, str]:
    """The name and the digest of `NAME#DIGEST`; "" where it has none."""
    name, _, digest = said.rpartition("#")
    stated = name and re.fullmatch(rf"[0-9a-f]{{{DIGITS}}}", digest)
    return (name, digest) if stated else (said, "")


def _files(said: str) -> Source:
    """Weights in a folder with open_clip's description, or a file in one."""
    is_file = said.endswith(SUFFIXES)
    parent, _, name = said.rstrip("/").rpartition("/") if is_file else (said, "", "")
    folder = Folder(parent or ".")
    config = _config(folder, said)
    if not name:
        held = [n for n in folder.names() if n.endswith(SUFFIXES)]
        name = next((n for n in NAMES if n in held), held[0] if len(held) == 1 else "")
        if not name:
            raise DataError(
                f"{folder.uri} has {', '.join(held) or 'no weights'}",
                why=f"a folder's weights are {NAMES[0]}, or its only file of weights",
                mend="name the file itself",
            )
    weights = _tensors(folder, name)
    absent = tuple(config.get(NOTE, {}).get("absent", ()))
    pixels = config.get("preprocess_cfg", {})
    mean, std = pixels.get("mean", CLIP_MEAN), pixels.get("std", CLIP_STD)
    return Source(said, config["model_cfg"], weights, absent, tuple(mean), tuple(std))


def _config(folder: Folder, said: str) -> dict[str, Any]:
    config: dict[str, Any] | None = None
    with suppress(ValueError):
        config = folder.read_json(CONFIG)
    if not config or "model_cfg" not in config:
        raise DataError(
            f"init_from is '{said}', and {folder.place(CONFIG)} describes no model",
            why="heads and activations cannot be told from weights: the same tensors would compute "
            "something else",
            mend=f"put open_clip's description there, or say {PREFIX}MODEL@FILE with the name of "
            f"its architecture. {MOVED}",
        )
    return config


def _tensors(folder: Folder, name: str) -> dict[str, Tensor]:
    from seedbed.interchange.names import plain_names
    from seedbed.interchange.weights import unpacked

    if not folder.exists(name):
        raise DataError(
            f"{folder.place(name)} is not there",
            why="a trial was to start from it",
            mend=f"correct init_from. {MOVED}",
        )
    if name.endswith(".safetensors"):
        return plain_names(unpacked(folder.read_bytes(name), folder.place(name)))
    with folder.as_file(name) as path:
        return plain_names(_pickled(path))


def _pickled(path: Path) -> dict[str, Any]:
    """Tensors of a checkpoint that torch wrote: no code is run that it may hold."""
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        found = found.get("state_dict", found)
        return {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}
    except Exception as error:  # whatever a broken archive makes of torch's reader
        raise DataError(
            f"{path} cannot be read as weights",
            why=f"{type(error).__name__}: {first_line(error)}",
            mend="copy it again, or write it anew as safetensors",
        ) from None


def _pretrained(said: str) -> Source:
    """`open_clip:MODEL@PRETRAINED`, with a tag that open_clip knows or a file."""
    import open_clip

    model, _, tag = said.removeprefix(PREFIX).partition("@")
    config = open_clip.get_model_config(model)
    if config is None:
        raise StudyError(
            f"init_from is '{said}', and open_clip has no model '{model}'",
            why=f"{PREFIX} is followed by the name of an architecture",
            mend=nearest(model, open_clip.list_models()),
        )
    if tag.endswith(SUFFIXES):
        parent, _, name = tag.rpartition("/")
        return Source(said, config, _tensors(Folder(parent or "."), name))
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        raise StudyError(
            f"init_from is '{said}', and open_clip has no weights '{tag}' of {model}",
            why="after @ comes a tag of weights that it can fetch, or a file of weights",
            mend=nearest(tag, tags),
        )
    stated = open_clip.get_pretrained_cfg(model, tag)
    config = config | {"quick_gelu": bool(stated.get("quick_gelu", config.get("quick_gelu")))}
    try:
        path = Path(open_clip.download_pretrained(stated))
    except Exception as error:  # whatever the hub's client raises
        raise DataError(
            f"the weights '{tag}' of {model} could not be fetched",
            why=f"{type(error).__name__}: {first_line(error)}",
            mend="fetch them where there is a network, and name their folder",
        ) from None
    weights = _tensors(Folder(str(path.parent)), path.name)
    mean, std = stated.get("mean", CLIP_MEAN), stated.get("std", CLIP_STD)
    return Source(said, config, weights, (), tuple(mean), tuple(std))
