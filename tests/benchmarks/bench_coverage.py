"""How often 95 % intervals hold the truth, and how wide they are, by rule: simulated studies.

Two factors (2 x 3 levels) on 3 or 5 seeds, a tenth of the trials lost at random, all cells alike or
one four times as wide. Comparisons: both factors' effects, their interaction, one simple effect.
Means: of a level and of a cell, over other seeds, which spread as the trials do, or four times as
wide. The rules: `cells` (the report's), `by seed` (its second interval), `pooled` (where a study
stated it), and what was tried and not taken: `pooled unless Levene's test fails` as earlier
reports had it, `moderated` variances (Smyth 2004) and `HC2` with Welch's degrees of freedom; of
means `seeds fixed`, as earlier reports had it.

The report's rule must cover 95 % in every row, within three standard errors of the simulation; of
the rules that do, it must be the narrowest. A rule may cover more than 95 % and still be narrower
than one that covers it exactly: `more` marks such rows, `NO` those that cover less.

    python tests/benchmarks/bench_coverage.py [--studies 4000]
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import simulated_studies as simulated
from table import Row, run

from seedbed.analyze.stats.diagnostics import diagnose

TOY = ("--studies", "40")
NEEDS = ()
REPORT = "cells"
_FOR_LEVENE = 1000  # studies that the package's own diagnostics look at
Rule = Callable[..., tuple[np.ndarray, np.ndarray]]


def unless_levene(studies, loadings, flagged):  # type: ignore[no-untyped-def]
    """Pooled, or by seed where the package's test says that cells differ in their variance."""
    both = simulated.pooled(studies, loadings), simulated.by_seed(studies, loadings)
    found = tuple(np.where(flagged, own, other) for other, own in zip(*both, strict=True))
    return tuple(np.where(np.isnan(flagged), np.nan, part) for part in found)


def levene(studies) -> np.ndarray:  # type: ignore[no-untyped-def]
    """1 where the package's check fails, 0 where not, NaN for studies that were not looked at."""
    found = np.full(len(studies.y), np.nan)
    for i in range(min(_FOR_LEVENE, len(found))):
        seen = diagnose(studies.table(i), "y", ["A", "B"], block="seed")
        found[i] = "equal variances" in seen.violated
    return found


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=4000)
    num = parser.parse_args(arguments).studies
    found: list[dict[str, Any]] = []
    print(
        "seeds widest spread effect            rule                covered  95 %?  half width  none"
    )
    for num_seeds, wide in itertools.product((3, 5), (1.0, 4.0)):
        number = 100 * num_seeds + int(wide)
        studies = simulated.Studies(num, num_seeds, wide=wide, seed=number)
        rules: dict[str, Rule] = {
            "cells": simulated.cells,
            "by seed": simulated.by_seed,
            "pooled": simulated.pooled,
            "pooled or Levene": functools.partial(unless_levene, flagged=levene(studies)),
            "moderated": simulated.moderated,
            "HC2, Welch": simulated.welch,
        }
        for effect in simulated.EFFECTS:
            found += [row(studies, wide, 1, effect, rule, rules) for rule in rules]
        of_means: dict[str, Rule] = {
            "cells": simulated.random_seeds,
            "by seed": simulated.mean_by_seed,
            "pooled": functools.partial(simulated.random_seeds, error="pooled"),
            "seeds fixed": simulated.pooled,
        }
        for spread in (1, 4):
            own = simulated.Studies(num, num_seeds, wide=wide, spread=spread, seed=number + spread)
            for effect in simulated.MEANS:
                found += [row(own, wide, spread, effect, rule, of_means) for rule in of_means]
    own_rule = [one for one in found if one["rule"] == REPORT]
    short = sum(one["mark"] == "NO" for one in own_rule)
    return [
        Row("effects whose 95 % intervals cover less", short, "", 0),
        Row("least coverage of the report's rule", min(r["covered"] for r in own_rule), ""),
    ]


def row(  # type: ignore[no-untyped-def]
    studies, wide: float, spread: int, effect: str, name: str, rules: dict[str, Rule]
) -> dict[str, Any]:
    """One row, printed."""
    covered, half, num_without = simulated.coverage(studies, effect, rules[name])
    looked_at = len(studies.y) if name != "pooled or Levene" else min(_FOR_LEVENE, len(studies.y))
    num_without -= len(studies.y) - looked_at
    sure = 3 * math.sqrt(0.95 * 0.05 / (looked_at - num_without))
    mark = "yes" if abs(covered - 0.95) <= sure else "more" if covered > 0.95 else "NO"
    result = {
        "num_seeds": studies.num_seeds, "widest_cell": wide, "seed_spread": spread,
        "effect": effect, "rule": name, "covered": round(float(covered), 4), "mark": mark,
        "median_half_width": round(float(half), 4), "num_without": int(num_without),
        "num_studies": looked_at,
    }  # fmt: skip
    print(
        f"{studies.num_seeds:>5} {wide:>6g} {spread:>6} {effect:<17} {name:<18}"
        f"{100 * covered:>8.1f} %  {mark:<5}{half:>11.2f}{int(num_without):>6}"
    )
    print(json.dumps(result), flush=True)
    return result


if __name__ == "__main__":
    run(main, TOY)
