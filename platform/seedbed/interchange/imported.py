"""open_clip's weights into our towers: all of a tower, or an error that names what differs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from seedbed.data.render.tokenizer import MASK, VOCABULARY
from seedbed.errors import DataError, StudyError
from seedbed.interchange.architecture import architecture, preprocess_cfg, text_cfg
from seedbed.interchange.described import Described
from seedbed.interchange.exported import few
from seedbed.interchange.names import GLOBAL, Pair, Style, pairs
from seedbed.interchange.source import Source
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.towers.timm_encoder import PIXELS

# What of a `model_cfg` weights do not show, and two models with the same tensors may differ in. A
# field that is not said has open_clip's default.
_VISION = ("head_width", "no_ln_pre", "pool_type", "final_ln_after_pool", "timm_model_name")
_TEXT = ("heads", "no_causal_mask", "pool_type", "final_ln_after_pool", "hf_model_name")
_UNREAD = ("attn_mask", "logit_scale", "visual.attn_mask")


@torch.no_grad()
def start_from(source: Source, described: Described, model: Pretrainer) -> None:
    """Give the towers and projections of `model`, built from `described`, the weights of `source`.

    Its terms' own layers keep theirs. Three things of open_clip's models are another's in ours, and
    exact: a text projection without bias becomes one of 0; a vocabulary without the mask token
    leaves its row as drawn; a shorter context takes the first positions. Raises DataError, naming
    tensors and fields, for everything else that differs in name, shape or meaning.
    """
    style = _style(source.model_cfg)
    state = model.state_dict()
    known = pairs(state, style)
    fields = _differing_fields(source, described, model)
    words = _unmapped(state, known) + fields
    found: dict[str, Tensor] = {}
    for pair in known:
        if pair.theirs in source.absent:
            if pair.ours.split(".")[1] in model.frozen:
                words.append(f"{pair.theirs} was not trained in it, and is to be frozen")
            continue
        mine = state[pair.ours]
        theirs = _tensor(source, pair, mine)
        if theirs is None:
            words.append(f"{pair.theirs} is missing")
        elif theirs.shape != mine.shape:
            words.append(f"{pair.theirs} is {list(theirs.shape)}, not {list(mine.shape)}")
        else:
            found[pair.ours] = theirs
    words += _left_over(source, known)
    if words:
        raise DataError(
            f"'{source.said}' does not fit the recipe: {few(words)}",
            why=f"{len(words)} tensors or fields differ, and a tower that starts half from "
            "trained weights is neither",
            mend=_advice(source),
        )
    for ours, theirs in found.items():
        state[ours].copy_(theirs)
    _start_scale(source, described, model)


def _style(config: Mapping[str, Any]) -> Style:
    vision = config.get("vision_cfg", {})
    if vision.get("timm_model_name"):
        return "timm_pool" if vision.get("timm_proj", "linear") == "" else "timm"
    return "resnet" if isinstance(vision.get("layers"), (list, tuple)) else "vit"


def _tensor(source: Source, pair: Pair, mine: Tensor) -> Tensor | None:
    """Their tensor as ours would be; None where they have none."""
    weights = source.weights
    if pair.theirs.startswith("text_projection."):
        matrix = weights.get("text_projection")
        if matrix is not None:  # [width, embed_dim], without a bias
            return matrix.T if pair.theirs.endswith("weight") else torch.zeros_like(mine)
    theirs = weights.get(pair.theirs)
    if theirs is None:
        # A count, which no result depends on, and which is often left out.
        is_count = pair.theirs.endswith("num_batches_tracked")
        return torch.zeros_like(mine) if is_count else None
    theirs = pair.imported(theirs, mine)
    if pair.theirs == "positional_embedding" and len(theirs) > len(mine):
        return theirs[: len(mine)]
    if pair.theirs == "token_embedding.weight" and (len(mine), len(theirs)) == (VOCABULARY, MASK):
        return torch.cat([theirs.to(mine), mine[MASK:]])
    return theirs


def _unmapped(state: Mapping[str, Any], known: list[Pair]) -> list[str]:
    """Tensors of our towers that a model of open_clip's kind has not."""
    mapped = {pair.ours for pair in known}
    towers = (n for n in state if n.startswith(("towers.", "projections.")) and n not in mapped)
    return [f"{name} has no counterpart" for name in towers]


def _left_over(source: Source, known: list[Pair]) -> list[str]:
    """Tensors of theirs that ours do not take: more layers, or another kind of model."""
    taken = {pair.theirs for pair in known} | {*_UNREAD, "text_projection"}
    return [
        f"{name} is left over"
        for name in sorted(source.weights)
        if name not in taken and not any(parts.match(name) for parts in GLOBAL.values())
    ]


def _differing_fields(source: Source, described: Described, model: Pretrainer) -> list[str]:
    """Fields by which the same tensors compute something else, in words."""
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg

    theirs, words = source.model_cfg, _differing_pixels(source, described)
    ours: dict[str, Any] = {"quick_gelu": described.text.activation == "quick_gelu"}
    named = theirs["vision_cfg"].get("timm_model_name")
    if named:
        ours["text_cfg"] = text_cfg(described.text)
        if (named.partition(".")[0], ()) != (described.image.name, described.image.options):
            words.append(f"vision_cfg.timm_model_name is '{named}', not '{described.image.name}'")
    else:
        try:
            ours, _ = architecture(described, model)
        except StudyError as error:
            words.append(error.what)
    own, other = bool(ours["quick_gelu"]), bool(theirs.get("quick_gelu", False))
    if own != other:
        words.append(
            f"the activation is {'quick_gelu' if other else 'gelu'}, not "
            f"{'quick_gelu' if own else 'gelu'}"
        )
    for part, kind, names in (
        ("vision_cfg", CLIPVisionCfg, _VISION),
        ("text_cfg", CLIPTextCfg, _TEXT),
    ):
        if part not in ours:
            continue
        defaults = {field.name: field.default for field in dataclasses.fields(kind)}
        for name in names:
            mine, their = (c[part].get(name, defaults[name]) for c in (ours, theirs))
            if mine != their:
                words.append(f"{part}.{name} is {their!r}, not {mine!r}")
    return words


def _differing_pixels(source: Source, described: Described) -> list[str]:
    said = preprocess_cfg(described)
    ours, theirs = (*said["mean"], *said["std"]), (*source.mean, *source.std)
    if all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(ours, theirs, strict=True)):
        return []
    return [f"pictures are normalised by the mean {list(source.mean)}, not {said['mean']}"]


def _advice(source: Source) -> str:
    """The recipe fields that fit such a model, as far as they can be told."""
    config = source.model_cfg
    text, vision = config.get("text_cfg", {}), config.get("vision_cfg", {})
    fields = {
        "embed_dim": config.get("embed_dim"),
        "text.layers": text.get("layers", 12),
        "text.width": text.get("width", 512),
        "text.heads": text.get("heads", 8),
        "text.context": text.get("context_length", 77),
        "text.activation": "quick_gelu" if config.get("quick_gelu") else "gelu",
        "image.size": vision.get("image_size", 224),
    }
    if vision.get("timm_model_name"):
        fields["image.name"] = vision["timm_model_name"]
    elif not isinstance(vision.get("layers"), (list, tuple)):
        quick = "_quickgelu" if config.get("quick_gelu") else ""
        fields["image.name"] = f"vit_base_patch32_clip{quick}_224"
        width = vision.get("width", 768)
        fields["image.options"] = {
            "patch_size": vision.get("patch_size", 16),
            "embed_dim": width,
            "depth": vision.get("layers", 12),
            "num_heads": width // vision.get("head_width", 64),
        }
    elif list(vision["layers"]) == [3, 4, 6, 3] and vision.get("width") == 64:
        fields["image.name"] = "resnet50_clip"
    by_means = {v[0]: n for n, v in PIXELS.items()}
    fields["image.pixels"] = by_means.get(source.mean, "clip")
    return "a recipe that fits has " + ", ".join(f"{n}={v!r}" for n, v in fields.items())


def _start_scale(source: Source, described: Described, model: Pretrainer) -> None:
    """theta starts where theirs ended, within the bounds of the recipe."""
    theta = source.weights.get("logit_scale")
    for temperature in described.objective.temperatures:
        if temperature.name == "logit" and theta is not None and "logit_scale" not in source.absent:
            bounds = math.log(temperature.least), math.log(temperature.most)
            model.thetas["logit"].copy_(theta.reshape(()).clamp(*bounds))
