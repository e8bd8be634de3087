"""What every trial records beside its evaluation: its cost, its data, its losses."""

from __future__ import annotations

from seedbed.data.select.removed import removed_by
from seedbed.metric import Kind, Metric
from seedbed.model.objective import LOSS
from seedbed.recipe.recipe import Recipe


def _cost(name: str, label: str, kind: Kind = "cost") -> Metric:
    return Metric(f"cost/{name}", label, kind, higher_is_better=False)


DEVICE_HOURS = _cost("device_hours", "Device-hours")
PFLOP = _cost("pflop", "Arithmetic (PFLOP)")
TRAIN_SECONDS = _cost("train_seconds", "Training seconds (wall clock)", "time")
STARTUP_SECONDS = _cost("startup_seconds", "Start-up seconds (wall clock)", "time")
SHARED_SECONDS = _cost("shared_seconds", "Shared seconds (wall clock)", "time")
SAMPLES = _cost("samples", "Samples")
IMAGE_VIEWS = _cost("image_views", "Image views")
TEXT_TOKENS = _cost("text_tokens", "Text tokens")
NUM_PARAMS = _cost("num_params", "Parameters")
COSTS = (
    *(DEVICE_HOURS, PFLOP, TRAIN_SECONDS, STARTUP_SECONDS, SHARED_SECONDS),
    *(SAMPLES, IMAGE_VIEWS, TEXT_TOKENS, NUM_PARAMS),
)

BAD_SAMPLES = Metric("data/bad_samples", "Bad samples", "count", higher_is_better=False)
BAD_TEST_SAMPLES = Metric(
    "data/bad_test_samples", "Bad held-out samples", "count", higher_is_better=False
)
NUM_SAMPLES = Metric("data/num_samples", "Pairs to train on", "count")

LEARNING_RATE = Metric("lr", "Learning rate", "rate")
CURVE, FINAL = "train/", "final/"  # what a point of the curve, and the last of it, begin with


def of_point(metric: Metric) -> Metric:
    """What training records at every point, as it stands on a trial's curve."""
    return metric.under(CURVE)


def of_end(metric: Metric) -> Metric:
    """The last point of the same, as it stands in a trial's record."""
    return metric.under(FINAL, f"Final {metric.label[:1].lower()}{metric.label[1:]}")


TRAINING_LOSS = of_point(LOSS)
EVERY = (*COSTS, BAD_SAMPLES, BAD_TEST_SAMPLES, NUM_SAMPLES, of_end(LOSS), of_end(LEARNING_RATE))


def recorded(recipe: Recipe) -> tuple[Metric, ...]:
    """What a trial of `recipe` records beside its evaluation."""
    of_terms = map(of_end, recipe.objective.metrics)
    return (*EVERY, *of_terms, *removed_by(recipe.corpus.selection))
