"""docs/statistics-libraries.md. Oracles: R's values, and what the other libraries say here."""

from __future__ import annotations

import json
import math
import re
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.stats.anova import anova_lm

from seedbed.analyze import anova, marginal_means

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "statistics-libraries.md").read_text()
ORACLES = json.loads((ROOT / "tests" / "analyze" / "stats" / "oracles.json").read_text())["oracles"]
EXPECTED = ORACLES["ToothGrowth_empty_cell"]["expected"]
REASON = "needs the extra 'statistics'"
TERMS = {"supp": "supp", "dose": "dose", "supp:dose": "supp:dose"}


@pytest.fixture
def table() -> pd.DataFrame:
    data = ORACLES["R_ToothGrowth"]["data"]
    whole = pd.DataFrame(data["rows"], columns=data["columns"])
    rows = whole[(whole["supp"] != "OJ") | (whole["dose"] != 2)].reset_index(drop=True)
    # A label, not a number: pyemmeans takes a number for a covariate.
    return rows.assign(dose=rows["dose"].astype(str))


def of_r(name: str) -> pd.DataFrame:
    return pd.DataFrame(EXPECTED[name]["rows"], columns=EXPECTED[name]["columns"])


def r_means() -> dict[tuple[str, float], float | None]:
    return {
        (row.supp, float(row.dose)): None if math.isnan(row.emmean) else row.emmean
        for row in of_r("emm_cells").itertuples()
    }


def quietly(call: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def row(name: str) -> str:
    return next(line for line in PAGE.splitlines() if line.startswith(f"| {name}"))


def test_seedbed_says_what_r_says(table: pd.DataFrame) -> None:
    found, wanted = anova(table, "len", ["supp", "dose"]), of_r("typeII_car").set_index("term")
    for term in TERMS:
        assert found.loc[term, "sum_sq"] == pytest.approx(wanted.loc[term, "Sum Sq"])
        assert found.loc[term, "df"] == wanted.loc[term, "Df"]
        assert found.loc[term, "p"] == pytest.approx(wanted.loc[term, "Pr(>F)"])
        assert f"{wanted.loc[term, 'Sum Sq']:.3f}" in row("R 4.2.2, `car")
    means = marginal_means(table, "len", ["supp", "dose"], at=["supp", "dose"])
    for one in means.itertuples():
        wanted_mean = r_means()[one.level[0], float(one.level[1])]
        if wanted_mean is None:
            assert math.isnan(one.mean) and one.note
        else:
            assert one.mean == pytest.approx(wanted_mean)


def test_statsmodels_loses_an_effect_and_invents_another(table: pd.DataFrame) -> None:
    with pytest.warns(Warning) as said:
        fit = smf.ols("len ~ supp * dose", table).fit()
        second = anova_lm(fit, typ=2)
    # The one of constraints depends on the processor's rounding too.
    assert "SingularMatrixWarning" in {warning.category.__name__ for warning in said}
    right = of_r("typeII_car").set_index("term")["Sum Sq"]
    for term in TERMS:
        # How wrong depends on the processor's rounding.
        assert abs(second.loc[term, "sum_sq"] / right[term] - 1) > 0.5
    first = quietly(lambda: anova_lm(fit, typ=1))
    assert first.loc["dose", "sum_sq"] == pytest.approx(right["dose"])
    assert first.loc["supp:dose", "df"] == 2 and second.loc["supp:dose", "df"] == 2
    assert abs(first.loc["supp:dose", "sum_sq"] / right["supp:dose"] - 1) > 0.5


@pytest.mark.slow
def test_pyemmeans_has_a_mean_for_the_cell_without_data(table: pd.DataFrame) -> None:
    library = pytest.importorskip("pyemmeans", reason=REASON)
    fit = quietly(lambda: smf.ols("len ~ supp * dose", table).fit())
    cells = quietly(lambda: library.emmeans(fit, ["supp", "dose"]).summary())
    found = {(one.supp, float(one.dose)): one.emmean for one in cells.itertuples()}
    for cell, wanted in r_means().items():
        if wanted is not None:
            assert found[cell] == pytest.approx(wanted)
    assert math.isfinite(found["OJ", 2.0]) and f"**{found['OJ', 2.0]:.2f}**" in row("pyemmeans")
    over = quietly(lambda: library.emmeans(fit, "supp").summary()).set_index("supp")["emmean"]
    assert f"**{over['OJ']:.2f}**" in row("pyemmeans")


@pytest.mark.slow
def test_pingouin_refuses(table: pd.DataFrame) -> None:
    library = pytest.importorskip("pingouin", reason=REASON)
    with pytest.raises(ValueError, match="must have at least one observation"):
        library.anova(table, dv="len", between=["supp", "dose"])


@pytest.mark.slow
def test_pyfixest_has_the_right_coefficients_and_no_analysis_of_variance(
    table: pd.DataFrame,
) -> None:
    library = pytest.importorskip("pyfixest", reason=REASON)
    fit = quietly(lambda: library.feols("len ~ supp * dose", table))
    found = sorted(quietly(fit.tidy)["Estimate"])
    mean = r_means()
    start, other = mean["OJ", 0.5], mean["VC", 0.5]
    assert start is not None and other is not None
    wanted = [
        start,
        other - start,
        mean["OJ", 1.0] - start,
        mean["VC", 2.0] - other,
        (mean["VC", 1.0] - mean["OJ", 1.0]) - (other - start),
    ]
    assert found == pytest.approx(sorted(wanted))
    assert not [name for name in dir(fit) if "anova" in name.lower()]


def test_the_page_is_of_the_versions_that_are_pinned() -> None:
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines()
        if re.match(r"\w[\w-]*==", line)
    )  # fmt: skip
    said = dict(re.findall(r"\| (statsmodels|pyemmeans|pingouin|pyfixest) ([\d.]+)", PAGE))
    assert said == {name: pinned[name] for name in said} and len(said) == 4
    assert metadata.version("statsmodels") == said["statsmodels"]
