"""Recipe fields that move with a factor which is not about them: a hidden alias."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.plan.confounded import Moved
from seedbed.plan.lint.rule import Draft, Finding, Rule
from seedbed.study.factor import TRAINING

BUDGET = "budget.samples"  # has a rule of its own


def judge(draft: Draft) -> Iterator[Finding]:
    by_factor: dict[str, list[Moved]] = {}
    for moved in draft.moved:
        if moved.field != BUDGET:
            by_factor.setdefault(moved.factor.name, []).append(moved)
    for name, fields in by_factor.items():
        whole = " + ".join([name, *(moved.field for moved in fields)])
        open_ones = [moved.field for moved in fields if not moved.declared]
        for moved in fields:
            error = _trains(moved.field) and not _trains(moved.factor.main) and not moved.declared
            yield Finding(
                "error" if error else "caution",
                f"{moved}{' (declared)' if moved.declared else ''}",
                f"what is found of {name} is found of {whole}",
                _mend(name, open_ones) if not moved.declared else f"nothing, as {name} means them",
            )


def _mend(name: str, fields: list[str]) -> str:
    """For all fields of a factor that are not declared, so that it is told once."""
    it = fields[0] if len(fields) == 1 else "each of them"
    stated = ", ".join(f'"{field}"' for field in fields)
    return (
        f"give all levels one value of {it}, or cross a Factor of it with {name}; where the "
        f"levels mean it, declare it: also_moves=({stated},) of the Factor '{name}'"
    )


def _trains(path: str) -> bool:
    return path.partition(".")[0] in TRAINING


RULE = Rule("which recipe fields move with a factor?", judge)
