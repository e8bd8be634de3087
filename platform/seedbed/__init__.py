"""seedbed: fair, factorial ablations of language-image pre-training."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from seedbed.commands.study.faults import explain_study_faults

if TYPE_CHECKING:
    from seedbed.commands.study.main import main
    from seedbed.data.corpus import Corpus
    from seedbed.model.objective import Objective
    from seedbed.recall import load, results
    from seedbed.recipe.recipe import Budget, Recipe
    from seedbed.study.best import best
    from seedbed.study.claim import Claim
    from seedbed.study.constraint import forbid
    from seedbed.study.contrast import Contrast
    from seedbed.study.factor import Factor
    from seedbed.study.looks import Looks
    from seedbed.study.nuisance import Search, Tuning
    from seedbed.study.screening import Screening
    from seedbed.study.study import Study

__version__ = "0.1.0"

_HOMES = {
    "Budget": "seedbed.recipe.recipe",
    "Claim": "seedbed.study.claim",
    "Contrast": "seedbed.study.contrast",
    "Corpus": "seedbed.data.corpus",
    "Factor": "seedbed.study.factor",
    "Looks": "seedbed.study.looks",
    "Objective": "seedbed.model.objective",
    "Recipe": "seedbed.recipe.recipe",
    "Screening": "seedbed.study.screening",
    "Search": "seedbed.study.nuisance",
    "Study": "seedbed.study.study",
    "Tuning": "seedbed.study.nuisance",
    "best": "seedbed.study.best",
    "forbid": "seedbed.study.constraint",
    "load": "seedbed.recall",
    "main": "seedbed.commands.study.main",
    "results": "seedbed.recall",
}
__all__ = [
    "Budget",
    "Claim",
    "Contrast",
    "Corpus",
    "Factor",
    "Looks",
    "Objective",
    "Recipe",
    "Screening",
    "Search",
    "Study",
    "Tuning",
    "best",
    "forbid",
    "load",
    "main",
    "results",
]

explain_study_faults()


def __getattr__(name: str) -> Any:
    # On demand, so that a data task, which needs no model, does not wait for torch to import.
    if name not in _HOMES:
        raise AttributeError(f"module 'seedbed' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
