"""What holds for a whole process that trains: how it multiplies, and how much it compiles."""

from __future__ import annotations

import torch

# Of one tower: with and without gradients, in training and in evaluation, with all rows of a batch
# and with some left out, and with attention both ways.
GRAPHS_PER_TOWER = 8


def prepare(device: torch.device, num_compiled: int = 0) -> None:
    """Set this process up to train on `device`, `num_compiled` further variants of it compiled.

    On a GPU, products of fp32 numbers are made in TF32, as torch did by default before 1.12 and so
    in the paper's runs.
    """
    if device.type == "cuda":
        # By the older name of the setting: whoever still reads that one is refused after the newer
        # was set, while the newer one knows what the older set.
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    if num_compiled:
        _make_room_for_graphs(num_compiled)


def fp32_products(device: torch.device) -> str:
    """How this process multiplies fp32 numbers on `device`: "fp32" or "tf32"."""
    on = device.type == "cuda" and torch.backends.cuda.matmul.allow_tf32
    return "tf32" if on else "fp32"


def _make_room_for_graphs(num_compiled: int) -> None:
    """Let every variant have graphs of its own, and refuse to go on beyond that.

    Dynamo keeps its graphs by code, not by model: all towers share one list. Where that is full it
    runs the next ones eagerly and says so in a log only, which would make the variants' costs
    incomparable.
    """
    from torch._dynamo import config

    room = num_compiled * GRAPHS_PER_TOWER
    # Those of earlier cohorts of the process count too.
    config.recompile_limit = room + (config.recompile_limit if _said else 0)
    config.accumulated_recompile_limit = max(
        config.accumulated_recompile_limit, config.recompile_limit
    )
    config.fail_on_recompile_limit_hit = True
    _said.append(num_compiled)


_said: list[int] = []  # how many variants of each cohort so far are compiled
