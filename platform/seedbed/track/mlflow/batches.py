"""MLflow's limits on requests, names and values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from mlflow.entities import Metric, Param, RunTag

from seedbed.study.record import Value
from seedbed.track.mlflow.address import redacted

# mlflow/utils/validation.py, 3.17; the tests compare them.
MAX_METRICS = 1000
MAX_PARAMS = 100
MAX_TAGS = 100
_MOST_FIELDS = 80  # of a recipe: the rest of a request is for the factors and the seed
MAX_NAME_LENGTH = 250
MAX_PARAM_LENGTH = 6000
MAX_TAG_LENGTH = 8000

# The recipe's own fields. Whatever else a caller may hand over stays out of the ledger.
RECIPE_ROOTS = frozenset(
    {
        "augment",
        "budget",
        "compile",
        "corpus",
        "embed_dim",
        "image",
        "micro_batch",
        "objective",
        "optimizer",
        "precision",
        "text",
    }
)
# Fields that are params even where no factor varies them; the rest is in the run's recipe.json. At
# 10,000 trials every param is 10,000 rows of a database.
_ASKED_FOR = re.compile(
    r"budget\.|optimizer\.|text\.|image\.|embed_dim$|precision$|micro_batch$|compile$"
    r"|corpus\.(uri|caption|fraction|take|filters|test_uri|test_caption)$"
    r"|objective\.[^.]+\.weight$"
)
_SHORT = 250  # letters of a param that a person types into a search
SECRET = re.compile(r"secret|token$|password|passwd|credential|api_?key|access_?key", re.IGNORECASE)


def send_metrics(mlflow: Any, run_id: str, metrics: Sequence[tuple[str, float, int, int]]) -> None:
    """Log (name, value, unix_ms, samples) in batches. Idempotent: MLflow keeps one row for the same
    name, value, time and step."""
    for chunk in _chunks(metrics, MAX_METRICS):
        mlflow.log_batch(run_id, metrics=[Metric(*metric) for metric in chunk])


def send_params(mlflow: Any, run_id: str, params: Mapping[str, str]) -> None:
    """Log params in batches."""
    for chunk in _chunks(list(params.items()), MAX_PARAMS):
        mlflow.log_batch(run_id, params=[Param(name, value) for name, value in chunk])


def send_tags(mlflow: Any, run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags in batches, each cut to the length that MLflow keeps."""
    for chunk in _chunks(list(tags.items()), MAX_TAGS):
        mlflow.log_batch(
            run_id, tags=[RunTag(name, value[:MAX_TAG_LENGTH]) for name, value in chunk]
        )


def trackable(name: str) -> str:
    """`name` as a path that MLflow takes for a metric or param: what it refuses becomes `_`."""
    parts = re.sub(r"[^/\w.\- :]", "_", name)[:MAX_NAME_LENGTH].split("/")
    path = "/".join("_" if part in (".", "..") else part for part in parts if part)
    return re.sub(r"^\.\.", "__", path) or "_"


def constants(params: Mapping[str, Value]) -> dict[str, str]:
    """The constants of a recipe that may be shown: its own fields, free of secrets."""
    return {
        trackable(name): redacted(str(value))[:MAX_PARAM_LENGTH]
        for name, value in params.items()
        if name.partition(".")[0] in RECIPE_ROOTS and not SECRET.search(name)
    }


def recipe_params(recipe: Mapping[str, Value], varying: Collection[str]) -> dict[str, str]:
    """The params of a trial's run: the recipe's fields in `varying`, and those always kept.

    By path, the seed left out (it has a param of its own); without what is empty, None or too long
    to be typed, and never more than one request takes beside the factors: the varying come first.
    """
    wanted = [path for path in recipe if path in varying and path != "seed"]
    wanted += [path for path in recipe if path not in varying and _ASKED_FOR.match(path)]
    fields = {path: recipe[path] for path in wanted if recipe[path] is not None}
    shown = constants(fields)
    short = [(name, value) for name, value in shown.items() if 0 < len(value) <= _SHORT]
    return dict(short[:_MOST_FIELDS])


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
