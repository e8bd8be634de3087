"""How fast devices are taken to be where nothing was measured on one."""

from __future__ import annotations

from seedbed.cluster.cards import CARDS
from seedbed.cluster.layout import CORE_FLOPS
from seedbed.plan.speed import Speed

# Of a card's peak: what LAION's ViT-B/32 reached on A100s (850 samples a second and GPU of 40 GB).
# Who tunes reaches three times as much.
UTILISATION = 0.12
LEAST_STEP = 0.02  # seconds: a step starts some thousand kernels, however little they do


def of_gpu(kind: str) -> Speed | None:
    """By its data sheet; None where its peak is not noted."""
    card = CARDS.get(kind)
    if card is None or not card.half:
        return None
    flops = {
        "bf16": UTILISATION * 1e12 * card.half,
        "fp32": UTILISATION * 1e12 * card.single,
    }
    words = (
        f"roughly: at {100 * UTILISATION:g} % of its peak, no step under {1000 * LEAST_STEP:g} ms"
    )
    return Speed(words, flops, least_step=LEAST_STEP)


def of_core() -> Speed:
    """One core of whatever machine."""
    words = f"roughly: at {CORE_FLOPS / 1e9:g} GFLOP/s a core; --probe times it"
    return Speed(words, {"fp32": CORE_FLOPS, "bf16": CORE_FLOPS})
