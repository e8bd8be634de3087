"""A trained model in open_clip's layout, tried out against open_clip itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seedbed.data.render import tokenizer
from seedbed.errors import DataError
from seedbed.interchange.architecture import architecture, preprocess_cfg
from seedbed.interchange.described import Described
from seedbed.interchange.names import GLOBAL, pairs
from seedbed.interchange.source import CONFIG, NOTE, WEIGHTS
from seedbed.interchange.weights import packed
from seedbed.model.pretrainer import Pretrainer

HEADS = "seedbed_heads.safetensors"  # what of a model open_clip has no place for
TOLERANCE = 1e-5  # of the largest number of an embedding, on both sides

PROBES = (
    "a photo of a cat.",
    "seed",
    "Two dogs, and a very long caption about them: " + "far " * 90,
)


@dataclass(frozen=True)
class Exported:
    """A model in open_clip's layout.

    `absent` are the tensors of `weights` that the model does not have: what open_clip makes one
    embedding of, in a model that compares tokens. They are zeros, so that every such embedding is
    0 and no number made with it looks like a result.
    """

    config: dict[str, Any]
    weights: dict[str, Tensor]
    heads: dict[str, Any]
    absent: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """The three files."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WEIGHTS).write_bytes(packed(self.weights))
        (folder / HEADS).write_bytes(packed(self.heads))
        (folder / CONFIG).write_text(json.dumps(self.config, indent=2) + "\n")


def exported(
    described: Described,
    model: Pretrainer,
    recipe: Mapping[str, Any] | None = None,
    data_fingerprint: str = "",
) -> Exported:
    """`model`, built from `described`, in open_clip's layout; `recipe` is written beside it, and
    the `data_fingerprint` of what it was trained on.

    Raises StudyError, naming the tower, where open_clip cannot express it.
    """
    config, style = architecture(described, model)
    state = model.state_dict()
    shapes = _shapes(config)
    known = pairs(state, style)
    weights = {pair.theirs: pair.exported(state[pair.ours]).detach().cpu() for pair in known}
    weights["logit_scale"] = _logit_scale(described, model)
    absent = tuple(
        sorted(
            name for name in shapes.keys() - weights.keys() if any(map(_is_global(name), GLOBAL))
        )
    )
    weights |= {name: torch.zeros(shapes[name]) for name in absent}
    _check_shapes({n: tuple(t.shape) for n, t in weights.items()}, shapes)
    ours = {pair.ours for pair in known}
    heads = {name: value for name, value in state.items() if name not in ours}
    note = {
        "recipe": dict(recipe or {}),
        "data_fingerprint": data_fingerprint,
        "absent": list(absent),
    }
    whole = {
        "model_cfg": config,
        "preprocess_cfg": preprocess_cfg(described),
        NOTE: note,
    }
    return Exported(whole, weights, heads, absent)


def _is_global(name: str) -> Any:
    return lambda modality: GLOBAL[modality].match(name)


def _shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The tensors of open_clip's model of that architecture."""
    import open_clip

    with torch.device("meta"):
        peer = open_clip.model.CLIP(**config)
    return {name: tuple(tensor.shape) for name, tensor in peer.state_dict().items()}


def _check_shapes(
    ours: Mapping[str, tuple[int, ...]], theirs: Mapping[str, tuple[int, ...]]
) -> None:
    differing = differences(ours, theirs)
    if differing:
        raise DataError(
            f"{len(differing)} tensors differ from open_clip's model: {few(differing)}",
            why="open_clip would not load them strictly",
            mend="seedbed.load reads the model as it stands; tell which tower and options it has",
        )


def differences(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """By name, in words, which tensors are missing, left over, or of another shape."""
    words = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    words += [f"{name} is left over" for name in sorted(found.keys() - expected.keys())]
    words += [
        f"{name} is {list(found[name])}, not {list(expected[name])}"
        for name in sorted(found.keys() & expected.keys())
        if found[name] != expected[name]
    ]
    return words


def few(words: Sequence[str], most: int = 6) -> str:
    """The first of `words`, and how many more there are."""
    left = len(words) - most
    return "; ".join(words[:most]) + (f"; and {left} more" if left > 0 else "")


def _logit_scale(described: Described, model: Pretrainer) -> Tensor:
    """theta of the scale by which its embeddings are compared, within the term's cap."""
    for temperature in described.objective.temperatures:
        if temperature.name == "logit":
            theta = model.thetas["logit"].detach().cpu()
            return theta.clamp(max=math.log(temperature.cap)) if temperature.cap else theta
    return torch.zeros(())


@torch.inference_mode()
def check_against_open_clip(folder: Path, described: Described, model: Pretrainer) -> float:
    """Load `folder` with open_clip, strictly, and compare both sides on drawn inputs.

    Returns the largest difference, as a part of the largest number. A model that compares tokens is
    compared by its towers' tokens. Raises DataError where the difference exceeds TOLERANCE.
    """
    import open_clip

    name = f"local-dir:{folder}"
    peer = open_clip.create_model_and_transforms(name)[0].eval()
    ids = open_clip.get_tokenizer(name)(list(PROBES))
    ours_ids, lengths = tokenizer.encode(PROBES, described.text.context)
    if ids.tolist() != ours_ids.tolist():
        raise DataError(
            "open_clip reads a caption as other tokens than the model was trained on",
            why=f"{PROBES[0]!r} is {ids[0].tolist()} there and {ours_ids[0].tolist()} here",
            mend="export with the version of open_clip_torch in constraints.txt",
        )
    size = described.image.size
    drawn = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (2, size, size, 3), generator=drawn, dtype=torch.uint8)
    was, device = model.training, next(model.parameters()).device
    model.eval().cpu()
    pixels = _pixels(pictures, described)
    captions = torch.from_numpy(ours_ids), torch.from_numpy(lengths)
    worst = 0.0
    for modality, columns in (("image", (pictures,)), ("text", captions)):
        encoded = model.towers[modality](*columns)
        if modality in model.projections:
            ours = model.projections[modality](encoded.pooled)
            theirs = peer.encode_image(pixels) if modality == "image" else peer.encode_text(ids)
        else:
            ours, theirs = encoded.tokens, _tokens(peer, modality, pixels, ids)
        worst = max(worst, float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1)))
    model.train(was).to(device)
    if not worst <= TOLERANCE:
        raise DataError(
            f"open_clip's embeddings differ from the model's by {worst:.2g}",
            why=f"they may differ by {TOLERANCE:g}: it would be another model under this name",
            mend="seedbed.load reads the model as it stands; tell which tower and options it has",
        )
    return worst


def _pixels(pictures: Tensor, described: Described) -> Tensor:
    """As open_clip takes pictures uint8 [n, S, S, 3]: normalised, [n, 3, S, S]."""
    said = preprocess_cfg(described)
    mean, std = (torch.tensor(said[name]).view(3, 1, 1) for name in ("mean", "std"))
    return (pictures.permute(0, 3, 1, 2).float() / 255 - mean) / std


def _tokens(peer: Any, modality: str, pixels: Tensor, ids: Tensor) -> Tensor:
    """A tower's last tokens: a picture's before the last norm, a caption's after it."""
    if modality == "text":
        found = peer.forward_intermediates(
            text=ids, text_indices=1, normalize_intermediates=True, intermediates_only=True
        )
        tokens: Tensor = found["text_intermediates"][-1]
        return tokens
    found = peer.forward_intermediates(image=pixels, image_indices=1, intermediates_only=True)
    maps: Tensor = found["image_intermediates"][-1]
    return maps.flatten(2).transpose(1, 2)
