"""ablate: fair, factorial ablations of language-image pre-training."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablate.command import main
    from ablate.data.corpus import Corpus
    from ablate.model.objective import Objective
    from ablate.study.claim import Claim, Contrast
    from ablate.study.factor import Factor
    from ablate.study.recipe import Budget, Recipe
    from ablate.study.study import Study

__version__ = "0.1.0"

_HOMES = {
    "Budget": "ablate.study.recipe",
    "Claim": "ablate.study.claim",
    "Contrast": "ablate.study.claim",
    "Corpus": "ablate.data.corpus",
    "Factor": "ablate.study.factor",
    "Objective": "ablate.model.objective",
    "Recipe": "ablate.study.recipe",
    "Study": "ablate.study.study",
    "main": "ablate.command",
}
__all__ = [
    "Budget",
    "Claim",
    "Contrast",
    "Corpus",
    "Factor",
    "Objective",
    "Recipe",
    "Study",
    "main",
]


def __getattr__(name: str) -> Any:
    # On demand, so that a data task, which needs no model, does not wait for torch to import.
    if name not in _HOMES:
        raise AttributeError(f"module 'ablate' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    if name == "main" and sys.argv[0].endswith(".py"):
        # A file that imports `main` is a study being run.
        importlib.import_module("ablate.command").explain_study_faults()
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
