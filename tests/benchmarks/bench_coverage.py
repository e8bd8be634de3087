"""How often the 95 % intervals hold the truth, by simulated studies with fixed seeds.

Two factors (2 x 3 levels) on 3 or 5 seeds with a shift each, a tenth of the trials lost at random,
with equal variances or with one cell four times as wide as the others. Main effects, interactions
and simple effects, with the pooled error (the default), with error="unequal", and as the report
chooses between them: unequal where Levene's test says so. The share should
be 95 % within three standard errors of the simulation; rows that miss it are marked. What gives no
interval (too few trials left) is counted apart.

    python tests/benchmarks/bench_coverage.py [--studies 1000]
"""

from __future__ import annotations

import argparse
import itertools
import json
import math

import numpy as np
import pandas as pd

from ablate.analyze.columns import observe
from ablate.analyze.diagnostics import diagnose
from ablate.analyze.linear import ERRORS, Fit

LEVELS = (2, 3)
A_EFFECT, B_EFFECT, CROSSED = 0.5, 0.3, 0.2
TRUTH = {
    "A": A_EFFECT + CROSSED / 3,
    "B": B_EFFECT + CROSSED / 2,
    "A:B": CROSSED,
    "A at one B": A_EFFECT + CROSSED,
}


def study(random: np.random.Generator, num_seeds: int, wide: float) -> pd.DataFrame:
    shifts = random.normal(0, 1, num_seeds)
    rows = []
    for a, b, seed in itertools.product(range(LEVELS[0]), range(LEVELS[1]), range(num_seeds)):
        last = b == LEVELS[1] - 1
        mean = A_EFFECT * a + (B_EFFECT + CROSSED * a) * last
        noise = random.normal(0, wide if a and last else 1.0)
        status = "failed" if random.random() < 0.1 else "completed"
        rows.append((a, b, seed, status, mean + shifts[seed] + noise))
    return pd.DataFrame(rows, columns=["A", "B", "seed", "status", "y"])


def weights(fit: Fit) -> dict[str, np.ndarray]:
    def cell(**fixed: int) -> np.ndarray:
        return fit.cell_weights(fixed)

    simple = cell(A=1, B=2) - cell(A=0, B=2)
    return {
        "A": cell(A=1) - cell(A=0),
        "B": cell(B=2) - cell(B=0),
        "A:B": simple - (cell(A=1, B=0) - cell(A=0, B=0)),
        "A at one B": simple,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=1000)
    args = parser.parse_args()
    print("seeds variances error     effect        covered   within 3 SE   half width   none")
    for num_seeds, wide in itertools.product((3, 5), (1.0, 4.0)):
        random = np.random.default_rng(1000 * num_seeds + int(wide))
        found: dict[tuple[str, str], list[tuple[bool, float]]] = {}
        for _ in range(args.studies):
            table = study(random, num_seeds, wide)
            seen = observe(table, "y", ["A", "B"], "seed")
            flagged = diagnose(table, "y", ["A", "B"], block="seed").violated
            chosen = "unequal" if "equal variances" in flagged else "pooled"
            for error in (*ERRORS, "report"):
                fit = Fit(seen, 2, chosen if error == "report" else error)
                for effect, own in weights(fit).items():
                    e = fit.estimate(own)
                    if math.isfinite(e.ci_low):
                        holds = e.ci_low <= TRUTH[effect] <= e.ci_high
                        found.setdefault((error, effect), []).append((holds, e.ci_high - e.value))
        for (error, effect), values in sorted(found.items()):
            share = float(np.mean([holds for holds, _ in values]))
            sure = 3 * math.sqrt(0.95 * 0.05 / len(values))
            result = {
                "num_seeds": num_seeds, "variances": "equal" if wide == 1 else "unequal",
                "error": error, "effect": effect, "covered": share,
                "within_3_se": abs(share - 0.95) <= sure,
                "median_half_width": float(np.median([half for _, half in values])),
                "num_without": args.studies - len(values),
            }  # fmt: skip
            mark = "yes" if result["within_3_se"] else "too wide" if share > 0.95 else "NO"
            print(
                f"{num_seeds:>5} {result['variances']:<9} {error:<9} {effect:<12}"
                f"{100 * share:>8.1f} %   {mark:<11}{result['median_half_width']:>11.2f}"
                f"{result['num_without']:>7}"
            )
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
