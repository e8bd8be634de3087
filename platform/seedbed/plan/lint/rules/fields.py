"""Recipe fields that move with a factor which is not about them: a hidden alias."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.plan.confounded import Moved
from seedbed.plan.lint.rule import Draft, Finding, Rule

# How a trial is trained, against what is trained on what. A tower may bring its width: that is a
# level by nature. A rate of its own is a slip more often than a question.
TRAINING = ("optimizer", "augment", "budget", "precision", "micro_batch")
BUDGET = "budget.samples"  # has a rule of its own
_SETTING = "; how trials are trained is held equal in a fair comparison"


def judge(draft: Draft) -> Iterator[Finding]:
    by_factor: dict[str, list[Moved]] = {}
    for moved in draft.moved:
        if moved.field != BUDGET:
            by_factor.setdefault(moved.factor.name, []).append(moved)
    for name, fields in by_factor.items():
        whole = " + ".join([name, *(moved.field for moved in fields)])
        for moved in fields:
            error = _trains(moved.field) and not _trains(moved.factor.main) and not moved.declared
            yield Finding(
                "error" if error else "caution",
                f"{moved}{' (declared)' if moved.declared else ''}",
                f"what is found of {name} is found of {whole}{_SETTING if error else ''}",
                _mend(moved),
            )


def _mend(moved: Moved) -> str:
    name, field = moved.factor.name, moved.field
    if moved.declared:
        return f"nothing, where {name} means them together; else give all levels one {field}"
    return (
        f"give all levels one {field}, or cross a Factor of {field} with {name}; where the levels "
        f'mean it, declare it: Factor("{name}", ..., also_moves=("{field}",))'
    )


def _trains(path: str) -> bool:
    return path.partition(".")[0] in TRAINING


RULE = Rule("which recipe fields move with a factor?", judge)
