"""A model's architecture as open_clip's `model_cfg`, or by name why it has none."""

from __future__ import annotations

from typing import Any, cast

from seedbed.errors import StudyError
from seedbed.interchange.described import Described
from seedbed.interchange.names import Style
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.towers.modified_resnet import SMALL_SIZE
from seedbed.model.towers.text import TextTower
from seedbed.model.towers.timm_encoder import PIXELS, ImageEncoder

EPS = 1e-5  # of the layer norms of open_clip
OURS = "modified_resnet_small"  # a timm model that this package registers


def architecture(described: Described, model: Pretrainer) -> tuple[dict[str, Any], Style]:
    """open_clip's `model_cfg` for `model`, built from `described`, and how it holds the picture's
    tower. Raises StudyError, naming the tower, where open_clip cannot express it."""
    image = _image_of(model)
    quick = described.text.activation == "quick_gelu"
    vision, style = _vision(described, image, quick)
    config = {
        "embed_dim": described.embed_dim,
        "quick_gelu": quick,
        "vision_cfg": vision,
        "text_cfg": text_cfg(described.text),
    }
    return config, style


def text_cfg(text: TextTower) -> dict[str, Any]:
    """open_clip's `text_cfg` for a text tower; its projection has a bias."""
    return {
        "context_length": text.context,
        "vocab_size": text.vocabulary,
        "width": text.width,
        "heads": text.heads,
        "layers": text.layers,
        "proj_bias": True,
    }


def preprocess_cfg(described: Described) -> dict[str, Any]:
    """How open_clip is to prepare a picture. It knows no margin around the central square."""
    mean, std = PIXELS[described.image.pixels]
    return {
        "size": [described.image.size, described.image.size],
        "mode": "RGB",
        "mean": list(mean),
        "std": list(std),
        "interpolation": "bilinear",
        "resize_mode": "shortest",
        "fill_color": 0,
    }


def _image_of(model: Pretrainer) -> Any:
    both = {"image", "text"} <= set(model.towers)
    encoder = model.towers["image"] if both else None
    if not isinstance(encoder, ImageEncoder):
        raise StudyError(
            "the model has one tower",
            why="its objective reads pictures or captions alone, and open_clip's models have both",
            mend="export a trial whose objective aligns the two, like CLIP",
        )
    return encoder.model


def _vision(described: Described, image: Any, quick: bool) -> tuple[dict[str, Any], Style]:
    tower = described.image
    reasons = []
    for own in (_vit, _resnet):
        config, why = own(image, tower.size, quick)
        if config is not None:
            return config, cast(Style, own.__name__.removeprefix("_"))
        reasons.append(why)
    config, why = _timm(described, image)
    if config is not None:
        return config, "timm_pool" if config["timm_pool"] else "timm"
    why = next((reason for reason in reasons if reason), "") or why
    raise StudyError(
        f"open_clip cannot express the image tower '{tower.name}' at {tower.size} px with "
        f"{dict(tower.options)}",
        why=why,
        mend="export a trial with a CLIP ViT whose text tower has the same activation, with CLIP's "
        "ModifiedResNet at a multiple of 32 px, or with a timm model as it is at its own size; "
        "seedbed.load reads this one as it stands",
    )


def _vit(image: Any, size: int, quick: bool) -> tuple[dict[str, Any] | None, str]:
    """open_clip's own ViT: of what timm's can be, CLIP's."""
    from timm.models.vision_transformer import Block, VisionTransformer

    if type(image) is not VisionTransformer:
        return None, ""
    block = image.blocks[0]
    activation = type(block.mlp.act).__name__ if hasattr(block, "mlp") else ""
    is_quick = {"GELU": False, "QuickGELU": True}.get(activation)
    is_clips = (
        isinstance(block, Block)
        and image.cls_token is not None
        and image.reg_token is None
        and image.pos_embed is not None
        and not image.no_embed_class
        and image.global_pool in ("token", "")  # "" where no pooled output is asked of it
        and image.patch_embed.proj.bias is None
        and block.attn.qkv.bias is not None
        and is_quick is not None
    )
    if not is_clips:
        return None, ""  # perhaps as timm's
    if is_quick is not quick:
        wanted = "quick_gelu" if quick else "gelu"
        return None, (
            f"its activation is {activation} and the text tower's {wanted}; open_clip's own towers "
            "share one"
        )
    width = int(image.embed_dim)
    config: dict[str, Any] = {
        "image_size": size,
        "layers": len(image.blocks),
        "width": width,
        "head_width": width // block.attn.num_heads,
        "patch_size": image.patch_embed.patch_size[0],
    }
    ratio = block.mlp.fc1.out_features / width
    if ratio != 4:
        config["mlp_ratio"] = ratio
    if not hasattr(image.norm_pre, "weight"):
        config["no_ln_pre"] = True
    if hasattr(block.ls1, "gamma"):
        config["ls_init_value"] = 1.0  # its start, which the weights replace
    if block.norm1.eps != EPS:
        config["norm_kwargs"] = {"eps": block.norm1.eps}
    return config, ""


def _resnet(image: Any, size: int, quick: bool) -> tuple[dict[str, Any] | None, str]:
    """open_clip's own ModifiedResNet, with an attention pool or with none built."""
    from timm.models.byobnet import BottleneckBlock, ByobNet
    from torch.nn import AvgPool2d

    if not isinstance(image, ByobNet) or not hasattr(getattr(image, "stem", None), "conv3"):
        return None, ""
    blocks = [list(stage.children()) for stage in image.stages]
    width = image.stem.conv3.conv.out_channels
    channels = [stage[-1].conv3_1x1.conv.out_channels for stage in blocks if _is_bottle(stage)]
    head = getattr(image, "head", None)
    num_heads = getattr(head, "num_heads", width // 2)
    is_clips = (
        channels == [width * 4, width * 8, width * 16, width * 32]
        and all(isinstance(block, BottleneckBlock) for stage in blocks for block in stage)
        and isinstance(getattr(image.stem, "pool", None), AvgPool2d)
        and num_heads
    )
    if not is_clips:
        return None, ""
    if size % 32:
        return None, f"open_clip halves a map five times, and {size} px is no multiple of 32"
    return {
        "image_size": size,
        "layers": [len(stage) for stage in blocks],
        "width": width,
        "head_width": width * 32 // num_heads,
    }, ""


def _is_bottle(stage: list[Any]) -> bool:
    return bool(stage) and hasattr(stage[-1], "conv3_1x1")


def _timm(described: Described, image: Any) -> tuple[dict[str, Any] | None, str]:
    """A model of timm, which open_clip makes by its name alone: at its own size, as it is."""
    tower = described.image
    if tower.options:
        return None, "open_clip makes timm's models without options"
    config = getattr(image, "pretrained_cfg", None) or {}
    own = SMALL_SIZE if tower.name == OURS else config.get("input_size", (3, 224, 224))[-1]
    fixed = tower.name == OURS or config.get("fixed_input_size", False)
    if fixed and tower.size != own:
        return None, f"open_clip makes timm's models at their own size, here {own} px"
    pools = "AttentionPool" in type(getattr(image, "head", None)).__name__
    return {
        "image_size": tower.size,
        "timm_model_name": tower.name,
        "timm_model_pretrained": False,
        "timm_pool": "token" if pools else "",
        "timm_proj": "" if pools else "linear",
        "timm_proj_bias": False,
    }, ""
