"""Tables with many levels. Oracle: Welch's degrees of freedom by their n x n matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seedbed.analyze import AnalysisError, Stated, study_of
from seedbed.analyze.stats.standard_errors import UnequalVariances
from seedbed.analyze.trials.observations import Floats, Ints, Observations


def test_a_model_of_too_many_effects_is_refused_with_the_factor_that_makes_them() -> None:
    runs = range(2_100)
    table = pd.DataFrame({"lr": [n / 7 for n in runs], "opt": [n % 2 for n in runs], "acc": 0.5})
    with pytest.raises(AnalysisError, match=r"'lr' has 2,100 levels.*\n?.*4,199 effects"):
        study_of(table, Stated(responses=("acc",), factors=("opt", "lr")))
    study_of(table[:400], Stated(responses=("acc",), factors=("opt", "lr")))


def _by_matrices(basis: Floats, residuals: Floats, cells: Ints, loadings: Floats) -> float:
    """Mean squared over half the variance of residuals' D residuals, by trials."""
    hat = basis @ basis.T
    left = 1 - hat.diagonal()
    sums, room = (np.bincount(cells, weights=of)[cells] for of in (residuals**2, left))
    rest = np.eye(len(cells)) - hat
    product = np.diag(loadings**2 / left) @ rest @ np.diag(sums / room) @ rest
    return float(np.trace(product) ** 2 / np.trace(product @ product))


@pytest.mark.parametrize("counts", [(2, 3, 7, 4), (5, 2, 2, 11), (3, 9, 4, 2)])
@pytest.mark.parametrize("crossed", [True, False])
def test_degrees_of_freedom_by_cells_are_those_by_trials(
    counts: tuple[int, ...], crossed: bool
) -> None:
    rng = np.random.default_rng(sum(counts))
    cells = rng.permutation(np.repeat(np.arange(4), counts))
    codes = {"A": cells // 2, "B": cells % 2}
    a, b = codes["A"], codes["B"]
    columns = [np.ones(len(cells)), a, b, a * b][: 4 if crossed else 3]
    basis = np.linalg.qr(np.stack(columns, axis=1).astype(float))[0]
    y = rng.normal(size=len(cells)) * (1 + cells)
    residuals = y - basis @ (basis.T @ y)
    levels = {"A": (0, 1), "B": (0, 1)}
    rows = np.arange(len(cells))
    seen = Observations("y", ("A", "B"), None, levels, codes, y, 0.0, len(cells), rows)
    loadings = basis @ rng.normal(size=basis.shape[1])
    found = UnequalVariances(seen, basis, residuals).of(loadings).df
    assert found == pytest.approx(_by_matrices(basis, residuals, cells, loadings), rel=1e-9)
