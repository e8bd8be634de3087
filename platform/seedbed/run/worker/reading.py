"""What a cohort reads: the order of its samples."""

from __future__ import annotations

from seedbed.data.opening import OpenCorpus
from seedbed.data.order import Order
from seedbed.recipe.recipe import Recipe


def order_of(corpus: OpenCorpus, recipe: Recipe) -> Order:
    """The order in which `recipe`'s seed reads the training rows."""
    return Order(
        corpus.train.blocks,
        fingerprint=corpus.train.fingerprint,
        seed=recipe.seed,
        lanes=recipe.corpus.lanes,
        window_rows=recipe.corpus.window_rows,
    )
