"""Models out of folders: a trial's results, an export, or any model of open_clip's that fits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from seedbed.errors import DataError, StudyError
from seedbed.interchange.described import Described
from seedbed.interchange.exported import HEADS, differences, few
from seedbed.interchange.found import Finished
from seedbed.interchange.imported import start_from
from seedbed.interchange.model import Model
from seedbed.interchange.source import CONFIG, NOTE, Source, source_of
from seedbed.interchange.state_file import read_state
from seedbed.interchange.weights import unpacked
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.model.towers.timm_encoder import PIXELS
from seedbed.storage.folder import Folder
from seedbed.variants import CLIP


def model_of_trial(found: Finished) -> Model:
    """The model of a finished trial, with its final weights."""
    described = Described.read(found.record.recipe, found.place)
    model = described.build()
    fill(model, found.state(), found.place)
    record = found.record
    return Model(model, described, dict(record.recipe), record.data_fingerprint)


def model_of_export(said: str) -> Model:
    """The model of a folder in open_clip's layout, or `open_clip:MODEL@PRETRAINED`.

    One that this package exported is whole, heads and all; of another both towers are read.
    Raises StudyError where our towers cannot express it, and DataError for what is not whole.
    """
    source = source_of(said)
    note = _note(said)
    if "recipe" not in note:
        described = described_by(source)
        model = described.build()
        start_from(source, described, model)
        return Model(model, described)
    described = Described.read(note["recipe"], said)
    model = described.build()
    start_from(source, described, model)
    folder = Folder(said)
    heads = unpacked(folder.read_bytes(HEADS), folder.place(HEADS))
    fill(model, model.state_dict() | heads, folder.place(HEADS))
    return Model(model, described, dict(note["recipe"]), note.get("data_fingerprint", ""))


def model_of_checkpoint(said: str) -> Model:
    """The model of a trial's part of a checkpoint, `variant-KEY.safetensors`, as far as it is.

    Raises DataError for a file that is no such one, or cut off.
    """
    path = Path(said)
    try:
        state = read_state(path)
        recipe, weights = state["recipe"], state["model"]
    except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
        raise DataError(
            f"{said} is no checkpoint of a trial",
            why=f"{type(error).__name__}: {error}",
            mend="name variant-KEY.safetensors in a folder cohorts/RUN/checkpoint_... of a study's "
            "results",
        ) from None
    described = Described.read(recipe, said)
    model = described.build()
    fill(model, weights, said)
    return Model(model, described, dict(recipe), state.get("data_fingerprint", ""))


def is_checkpoint(said: str) -> bool:
    """Whether a file's name says that it is a trial's part of a checkpoint."""
    return re.fullmatch(r"variant-[0-9a-f]+\.safetensors", Path(said).name) is not None


def is_export(said: str) -> bool:
    """Whether there is a model in open_clip's layout by that name."""
    if said.startswith("open_clip:"):
        return True
    if "://" not in said and not Path(said).expanduser().is_dir():
        return False
    return Folder(said).exists(CONFIG)


def _note(said: str) -> dict[str, Any]:
    if said.startswith("open_clip:"):
        return {}
    note: dict[str, Any] = Folder(said).read_json(CONFIG).get(NOTE, {})
    return note


def fill(model: Pretrainer, state: Mapping[str, Any], where: str) -> None:
    """Load a whole state into `model`. Raises DataError, naming the tensors that differ."""
    found = {n: tuple(v.shape) for n, v in state.items() if hasattr(v, "shape")}
    expected = {n: tuple(v.shape) for n, v in model.state_dict().items() if hasattr(v, "shape")}
    words = differences(found, expected)
    if words:
        raise DataError(
            f"the weights in {where} are of another model: {few(words)}",
            why=f"{len(words)} tensors differ from what its recipe describes",
            mend="restore the weights that belong to the record, or name another trial",
        )
    model.load_state_dict(dict(state))


def described_by(source: Source) -> Described:
    """What our towers must be to take a model of open_clip's. Raises StudyError where they cannot.

    Of its own ViT and ModifiedResNet, and of timm's models at their own size.
    """
    config = source.model_cfg
    vision, text = config["vision_cfg"], config["text_cfg"]
    if text.get("hf_model_name"):
        raise _beyond(source, f"its captions are read by {text['hf_model_name']}")
    quick = bool(config.get("quick_gelu", False))
    name, options = _tower(source, vision, quick)
    pixels = {means: name for name, means in PIXELS.items()}.get((source.mean, source.std))
    if pixels is None:
        raise _beyond(source, f"it normalises pictures by the mean {list(source.mean)}")
    return Described(
        ImageTower(
            name,
            size=vision.get("image_size", 224),
            options=options,  # type: ignore[arg-type]
            pixels=pixels,  # type: ignore[arg-type]
        ),
        TextTower(
            layers=text.get("layers", 12),
            width=text.get("width", 512),
            heads=text.get("heads", 8),
            context=text.get("context_length", 77),
            vocabulary=text.get("vocab_size", 49_408),
            activation="quick_gelu" if quick else "gelu",
        ),
        CLIP,
        int(config["embed_dim"]),
    )


def _tower(source: Source, vision: Mapping[str, Any], quick: bool) -> tuple[str, dict[str, Any]]:
    """The name of timm's model and its options."""
    if vision.get("timm_model_name"):
        return vision["timm_model_name"], {}
    layers, width = vision.get("layers", 12), vision.get("width", 768)
    if isinstance(layers, list):
        known = {(3, 4, 6, 3): "resnet50_clip", (3, 4, 23, 3): "resnet101_clip"}
        name = known.get(tuple(layers), "")
        if not name:
            raise _beyond(source, f"timm has no ModifiedResNet of {layers} blocks by a name")
        return name, {} if width == 64 else {"width_factor": width / 64}
    options = {
        "patch_size": vision.get("patch_size", 16),
        "embed_dim": width,
        "depth": layers,
        "num_heads": width // vision.get("head_width", 64),
    }
    if vision.get("mlp_ratio", 4.0) != 4.0:
        options["mlp_ratio"] = vision["mlp_ratio"]
    if vision.get("ls_init_value") is not None:
        options["init_values"] = vision["ls_init_value"]
    return f"vit_base_patch32_clip{'_quickgelu' if quick else ''}_224", options


def _beyond(source: Source, why: str) -> StudyError:
    return StudyError(
        f"'{source.said}' is no model that our towers can be",
        why=why,
        mend="name a CLIP of open_clip's with a ViT, a ModifiedResNet or a model of timm",
    )
