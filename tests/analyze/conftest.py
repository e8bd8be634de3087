"""Made-up studies with planted effects: a design and the records its trials would leave."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed.analyze import Report, trials_table, write_report
from seedbed.plan.design import Design, PlannedTrial
from seedbed.study.cell import Cell
from seedbed.study.record import Status, TrialRecord

Study = tuple[Design, list[TrialRecord]]
Effect = Callable[[dict[str, str]], float]

NUM_IMAGES = 1900


def _key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def make_study(
    factors: Mapping[str, Sequence[str]],
    baselines: Mapping[str, str],
    effect: Effect,
    *,
    num_seeds: int = 3,
    noise: float = 0.004,
    seed_spread: float = 0.006,
    missing: Mapping[tuple[str, ...], tuple[Status, str]] | None = None,
    mean: float = 0.412,
    name: str = "text_encoder_depth",
    question: str = "Is text depth worth its cost?",
) -> Study:
    """A design and its records: top-1 is `mean` + effect(cell) + a seed's shift + noise.

    `missing` maps (level, ..., seed) to (status, reason).
    """
    random = np.random.default_rng(7)
    shifts = random.normal(0.0, seed_spread, num_seeds)
    trials, records = [], []
    for labels in itertools.product(*factors.values()):
        cell = dict(zip(factors, labels, strict=True))
        for seed in range(num_seeds):
            key = _key(name, cell, seed)
            trials.append({"key": key, "cell": cell, "seed": seed, "cohort": f"cohort-{seed}"})
            top1 = mean + effect(cell) + shifts[seed] + random.normal(0.0, noise)
            status, reason = (missing or {}).get((*labels, str(seed)), ("completed", ""))
            if status != "never_started":
                records.append(_record(name, key, cell, seed, status, reason, float(top1)))
    design = {
        "study": name,
        "question": question,
        "scale": "small",
        "scale_reason": "SEEDBED_SCALE is set to small",
        "factors": {
            factor: {"levels": list(levels), "baseline": baselines[factor], "at": f"text.{factor}"}
            for factor, levels in factors.items()
        },
        "responses": ["zeroshot/top1", "zeroshot/top5", "final/loss", "cost/device_hours"],
        "trials": trials,
        "data": {"uri": "corpora/icons", "fingerprint": "9c1f22ab67d0e315", "num_samples": 48210},
    }
    return Design.from_json(design), records


def _record(
    name: str, key: str, cell: dict[str, str], seed: int, status: Status, reason: str, top1: float
) -> TrialRecord:
    random = np.random.default_rng(int(key, 16))
    depth = float(cell.get("depth", "12"))
    richer = 2.2 if cell.get("supervision", "clip") != "clip" else 1.0
    hours = (0.30 + 0.022 * depth) * richer * float(random.normal(1.0, 0.01))
    metrics = {
        "zeroshot/top1": top1,
        "zeroshot/top5": min(1.0, top1 + 0.26 + float(random.normal(0.0, 0.004))),
        "zeroshot/num_images": NUM_IMAGES,
        "final/loss": 3.1 - 2.0 * top1 + float(random.normal(0.0, 0.01)),
        "cost/device_hours": hours,
        "cost/train_seconds": hours * 3600,
        "cost/num_params": 1e7 + 3e6 * depth,
    }
    return TrialRecord(
        key=key,
        study=name,
        scale="small",
        cell=Cell(cell),
        seed=seed,
        cohort=f"cohort-{seed}",
        status=status,
        reason=reason,
        metrics=metrics if status == "completed" else {},
        order_hash=_key("order", seed),
        data_fingerprint="9c1f22ab67d0e315",
        recipe_key=_key("recipe", cell),
        code_version={"seedbed": "0.1.0", "git_commit": "4f1c2d9"},
    )


def with_recipes(design: Design, recipe: Callable[[PlannedTrial], dict[str, Any]]) -> Design:
    """`design`, each of whose trials has the fields `recipe` of it."""
    return replace(design, trials=tuple(replace(t, recipe=recipe(t)) for t in design.trials))


DEPTH_POINTS = {"1": -0.061, "3": -0.024, "6": -0.003, "12": 0.0}
PROVENANCE = {
    "versions": {"seedbed": "0.1.0", "python": "3.12.3", "torch": "2.11.0", "ray": "2.60.0"},
    "git_commit": "4f1c2d97be0a6c1f",
    "data_fingerprint": "9c1f22ab67d0e315",
    "started": "2026-01-14 09:12 UTC",
}


@pytest.fixture
def study() -> Callable[..., Study]:
    """The generator itself, for studies of a test's own."""
    return make_study


@pytest.fixture(name="with_recipes")
def fixture_with_recipes() -> Callable[..., Design]:
    return with_recipes


@pytest.fixture
def provenance() -> dict[str, Any]:
    return dict(PROVENANCE)


def make_depth_study() -> Study:
    """One factor, baseline last in the order of levels, three seeds, one trial diverged."""
    return make_study(
        {"depth": ["1", "3", "6", "12"]},
        {"depth": "12"},
        lambda cell: DEPTH_POINTS[cell["depth"]],
        missing={("3", "2"): ("diverged", "train/loss was nan at 20480 samples")},
    )


def make_depth_by_supervision() -> Study:
    """Two factors that interact: richer supervision halves what a shallow text tower costs."""

    def effect(cell: dict[str, str]) -> float:
        richer = cell["supervision"] == "declip"
        return DEPTH_POINTS[cell["depth"]] * (0.4 if richer else 1.0) + (0.08 if richer else 0.0)

    return make_study(
        {"depth": ["1", "3", "6", "12"], "supervision": ["clip", "declip"]},
        {"depth": "12", "supervision": "clip"},
        effect,
        missing={
            ("1", "declip", "1"): ("failed", "CUDA out of memory on one worker, three attempts"),
            ("6", "clip", "2"): ("never_started", ""),
        },
        question="Is text depth worth its cost, and does richer supervision change that?",
    )


@pytest.fixture
def depth_study() -> Study:
    return make_depth_study()


@pytest.fixture
def depth_by_supervision() -> Study:
    return make_depth_by_supervision()


def report_in(folder: Path, study: Study) -> Report:
    design, records = study
    return write_report(design, trials_table(design, records), folder, dict(PROVENANCE))


@pytest.fixture(scope="session")
def depth_report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of `depth_study`, to be read only."""
    return report_in(tmp_path_factory.mktemp("depth"), make_depth_study())


@pytest.fixture(scope="session")
def crossed_report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of `depth_by_supervision`, to be read only."""
    return report_in(tmp_path_factory.mktemp("crossed"), make_depth_by_supervision())
