"""The model card beside exported weights: what was trained, on what, and how well it does."""

from __future__ import annotations

import json
from collections.abc import Mapping

from seedbed.evaluate.outcome import wilson
from seedbed.interchange.exported import HEADS, Exported
from seedbed.interchange.found import Finished
from seedbed.study.measured import declared

CARD = "README.md"


def card(
    found: Finished,
    made: Exported,
    *,
    difference: float,
    version: str,
) -> str:
    """Markdown; `difference` is how far open_clip's embeddings were from the model's own."""
    record = found.record
    lines = [
        f"# {record.study}: {found.name}",
        "",
        f"One trial of the study `{record.study}` at the scale `{record.scale}`, by seedbed "
        f"{version}. One seed of one cell: what the study found of its factors is in its report.",
        "",
        "| | |",
        "|---|---|",
        *(
            f"| {name} | `{value}` |"
            for name, value in {
                "cell": record.cell,
                "seed": record.seed,
                "trial key": record.key,
                "digest of the trial's weights": record.weights or "not recorded",
                "data fingerprint": record.data_fingerprint,
                "order hash": record.order_hash,
                "test set digest": record.test_digest,
                "trained on": record.made_by,
                "code": record.code_version.get("git_commit", "unknown"),
            }.items()
        ),
        "",
        "## Use",
        "",
        *_use(made),
        "",
        "## Results",
        "",
        *_results(record.metrics),
        "",
        "## Limits",
        "",
        *_limits(found, made, difference),
        "",
        "## Recipe",
        "",
        "```json",
        json.dumps(dict(record.recipe), indent=1, sort_keys=True),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _use(made: Exported) -> list[str]:
    ours = made.config["model_cfg"]["vision_cfg"].get("timm_model_name") == "modified_resnet_small"
    first = [
        "import seedbed.model.towers.modified_resnet  # timm learns the name of the picture's tower"
    ]
    return [
        "```python",
        *(first if ours else []),
        "import open_clip",
        "",
        'model, _, prepare = open_clip.create_model_and_transforms("local-dir:FOLDER")',
        'tokenizer = open_clip.get_tokenizer("local-dir:FOLDER")',
        "```",
        "",
        "or, with its heads, and scored as it was in the study:",
        "",
        "```python",
        "import seedbed",
        "",
        'model = seedbed.load("FOLDER")',
        'model.classify("picture.jpg", ["cat", "dog"], ["a photo of a {}."])',
        "```",
    ]


def _results(metrics: Mapping[str, float]) -> list[str]:
    rows = []
    for name, value in sorted(metrics.items()):
        metric = declared(name)
        if metric.is_share and metric.out_of in metrics:
            n = metrics[metric.out_of]
            low, high = wilson(value, int(n))
            shown = f"{value:.2%}", f"{low:.2%} to {high:.2%}", f"{n:,.0f}"
        elif metric.kind in ("share", "count", "cost"):
            shown = f"{value:,.6g}", "", ""
        else:
            continue
        rows.append(f"| {metric.label} | `{name}` | {' | '.join(shown)} |")
    return [
        "| | metric | value | 95 % interval | n |",
        "|---|---|---|---|---|",
        *rows,
        "",
        "Intervals are of the test set alone (Wilson): another seed of the same cell differs by "
        "more than chance in the pictures.",
    ]


def _limits(found: Finished, made: Exported, difference: float) -> list[str]:
    what = "tokens" if made.absent else "embeddings"
    lines = [
        f"- open_clip's {what} of drawn pictures and captions differ from the model's by at most "
        f"{difference:.1g} of the largest number.",
        f"- What open_clip has no place for (heads, queues, scales) is in `{HEADS}`.",
    ]
    if made.absent:
        lines.append(
            "- The model compares tokens, as FILIP does, and no loss trained an embedding of a "
            f"whole picture or caption. Where open_clip needs one ({_some(made.absent)}) the "
            "weights are 0, and so is every embedding: a number made with it is no result. "
            "`seedbed.load` scores tokens."
        )
    ratio = found.record.recipe.get("augment.test.ratio", 1.0)
    if ratio != 1.0:
        lines.append(
            f"- In the study a test picture's short side was resized to {float(ratio or 1):.4g} "
            "times the input and its centre taken; open_clip's transform takes the whole square."
        )
    return lines


def _some(names: tuple[str, ...], most: int = 4) -> str:
    return ", ".join(f"`{n}`" for n in names[:most]) + (", …" if len(names) > most else "")
