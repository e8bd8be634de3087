"""The estimates against published tables.

Oracles: NIST StRD certified values; R 4.2.2 (aov, car::Anova, emmeans) and textbook examples on
classic data sets, kept in oracles.json with their sources and with the wrong answers that common
tools give (`must_not_equal`).
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from seedbed.analyze import (
    AnalysisError,
    adjust,
    anova,
    contrasts,
    effects_two_level,
    interaction_contrast,
    marginal_means,
)

ORACLES = json.loads((Path(__file__).parent / "oracles.json").read_text())["oracles"]


def expected(name: str) -> dict[str, Any]:
    return ORACLES[name]["expected"]


def frame(name: str) -> pd.DataFrame:
    data = ORACLES[name]["data"]
    if "generator" in data:
        return smls(**{k: v for k, v in data["generator"].items() if k != "rule"})
    if "derive_from" in data:
        whole, drop = frame(data["derive_from"]), data["drop_where"]
        gone = np.logical_and.reduce([whole[column] == value for column, value in drop.items()])
        return whole[~gone]
    return pd.DataFrame(data["rows"], columns=data["columns"])


def smls(lead: str, first_digit_by_treatment: list[int], replicates: int) -> pd.DataFrame:
    """NIST's SmLs data: the first digit d, then d - 1 and d + 1 in turn, after a long lead."""
    rows = []
    for treatment, first in enumerate(first_digit_by_treatment, start=1):
        digits = [first] + [first - 1 if i % 2 else first + 1 for i in range(1, replicates)]
        rows += [(treatment, f"{lead}.{digit}") for digit in digits]
    return pd.DataFrame(rows, columns=["treatment", "y"])


def assert_rows_match(found: pd.DataFrame, table: dict[str, Any], rtol: float = 1e-9) -> None:
    """Every finite number of R's ANOVA table, by the names of its columns."""
    names = {"Df": "df", "Sum Sq": "sum_sq", "Mean Sq": "mean_sq", "F value": "F", "Pr(>F)": "p"}
    for row in table["rows"]:
        wanted = dict(zip(table["columns"], row, strict=True))
        term = wanted["term"].replace("Residuals", "Residual").replace(".", "_")
        if term == "(Intercept)":
            continue
        for theirs, ours in names.items():
            if wanted.get(theirs) is not None:
                got = found.loc[term, ours]
                assert got == pytest.approx(wanted[theirs], rel=rtol), (term, ours)


def assert_means_match(found: pd.DataFrame, table: dict[str, Any], names: tuple[str, ...]) -> None:
    """Estimated marginal means with their errors and limits, cell by cell."""
    rows = {_text(row.level): row for row in found.itertuples()}
    for row in table["rows"]:
        wanted = dict(zip(table["columns"], row, strict=True))
        got = rows[tuple(wanted[name] for name in names)]
        if wanted["emmean"] is None:
            assert np.isnan([got.mean, got.se, got.ci_low, got.ci_high]).all()
            assert "not estimable" in got.note
            continue
        assert [got.mean, got.se, got.df, got.ci_low, got.ci_high] == pytest.approx(
            [wanted[c] for c in ("emmean", "SE", "df", "lower.CL", "upper.CL")], rel=1e-9
        )
        assert got.note == ""


def _text(level: object) -> tuple[str, ...]:
    """A level, or a tuple of them, as R prints it: 2 and not 2.0."""
    values = level if isinstance(level, tuple) else (level,)
    return tuple(f"{value:g}" if isinstance(value, float) else str(value) for value in values)


@pytest.mark.parametrize(
    ("name", "rtol"),
    [("nist_SiRstv", 1e-10), ("nist_SmLs01", 1e-10), ("nist_SmLs04", 1e-9), ("nist_SmLs07", 1e-9)],
)
@pytest.mark.parametrize("kind", [str, Decimal])
def test_decimal_responses_reach_the_certified_digits(name: str, rtol: float, kind: type) -> None:
    trials, certified = frame(name), expected(name)["certified"]
    trials["y"] = [kind(value) for value in trials["y"]]
    assert_certified(anova(trials, "y", ["treatment"]), certified, rtol)


@pytest.mark.parametrize("replicates", [201, 2001])
def test_long_constant_leads_lose_no_digit_in_smls08_and_smls09(replicates: int) -> None:
    generator = ORACLES["nist_SmLs07"]["data"]["generator"]
    trials = smls("1000000000000", generator["first_digit_by_treatment"], replicates)
    # NIST certifies SS between 0.08 * replicates and SS within 9 * (replicates - 1) / 100.
    found = anova(trials, "y", ["treatment"])
    assert found.loc["treatment", "sum_sq"] == pytest.approx(0.08 * replicates, rel=1e-9)
    assert found.loc["Residual", "sum_sq"] == pytest.approx(0.09 * (replicates - 1), rel=1e-9)
    assert found.loc["treatment", "F"] == pytest.approx(replicates, rel=1e-9)


def test_float_responses_keep_what_their_parse_left_of_smls07() -> None:
    trials = frame("nist_SmLs07")
    trials["y"] = trials["y"].astype(float)
    assert_certified(anova(trials, "y", ["treatment"]), expected("nist_SmLs07")["certified"], 1e-3)


def assert_certified(found: pd.DataFrame, certified: dict[str, Any], rtol: float) -> None:
    between, within = certified["between"], certified["within"]
    assert found.loc["treatment", "df"] == between["df"]
    assert found.loc["Residual", "df"] == within["df"]
    for theirs, ours in {"SS": "sum_sq", "MS": "mean_sq", "F": "F"}.items():
        assert found.loc["treatment", ours] == pytest.approx(float(between[theirs]), rel=rtol)
    assert found.loc["Residual", "sum_sq"] == pytest.approx(float(within["SS"]), rel=rtol)


def test_filtration_effects_and_lenth_margins_are_the_textbook_ones() -> None:
    found = effects_two_level(frame("montgomery_filtration_2_4"), "y", ["A", "B", "C", "D"])
    wanted = expected("montgomery_filtration_2_4")
    assert len(found) == 15
    for term, effect in wanted["effects"].items():
        assert found.loc[":".join(term), "effect"] == pytest.approx(effect, rel=1e-12)
    for margin in ("PSE", "ME", "SME"):
        assert found.attrs[margin] == pytest.approx(wanted["lenth"][margin], rel=1e-9)
    judged = set(found.index[found["significant_sme"]])
    assert judged == {"A", "D", "A:C", "A:D"}
    assert set(found.index[found["significant_me"]]) == {"A", "C", "D", "A:C", "A:D"}
    assert (found["alias"] == "").all()


def test_filtration_projected_on_three_factors_has_the_textbook_anova() -> None:
    found = anova(frame("montgomery_filtration_2_4"), "y", ["A", "C", "D"], order=3)
    assert_rows_match(found, expected("montgomery_filtration_2_4")["anova_after_dropping_B"])


def test_npk_with_blocks_matches_r_and_refuses_the_confounded_term() -> None:
    trials, factors = frame("R_npk"), ["N", "P", "K"]
    first = anova(trials, "yield", factors, block="block", order=3, typ=1)
    assert_rows_match(first, expected("R_npk")["anova_typeI_block_plus_NPK"])
    second = anova(trials, "yield", factors, block="block", order=3, typ=2)
    table = expected("R_npk")["anova_typeII_car"]
    kept = [row for row in table["rows"] if row[0] != "N:P:K"]
    assert_rows_match(second, {"columns": table["columns"], "rows": kept})
    for found in (first, second):
        assert np.isnan(found.loc["N:P:K", ["sum_sq", "F", "p"]].astype(float)).all()
        assert "not estimable" in found.loc["N:P:K", "note"]
    with pytest.raises(AnalysisError, match="full-rank"):
        anova(trials, "yield", factors, block="block", order=3, typ=3)


def test_npk_means_and_contrast_use_the_blocked_error() -> None:
    trials, wanted = frame("R_npk"), expected("R_npk")["reduced_yield_block_N_K"]
    found = anova(trials, "yield", ["N", "K"], block="block", order=1)
    assert_rows_match(found, wanted["anova"])
    means = marginal_means(trials, "yield", ["N", "K"], "N", block="block", order=1)
    assert_means_match(means, wanted["emm_N"], ("N",))
    found = contrasts(trials, "yield", ["N", "K"], of="N", baseline="0", block="block", order=1)
    row = wanted["contrast_N1_minus_N0"]["rows"][0][1:]
    got = found.loc[0, ["difference", "se", "df", "ci_low", "ci_high"]]
    assert list(got) == pytest.approx(row, rel=1e-9)


def test_tooth_growth_matches_r() -> None:
    trials, wanted = frame("R_ToothGrowth"), expected("R_ToothGrowth")
    found = anova(trials, "len", ["supp", "dose"])
    assert_rows_match(found, wanted["anova"])
    for row in wanted["partial_eta_squared"]["rows"]:
        assert found.loc[row[0], "partial_eta_sq"] == pytest.approx(row[1], rel=1e-7)
    for row in wanted["omega_squared"]["rows"]:
        assert found.loc[row[0], "omega_sq"] == pytest.approx(row[1], rel=1e-7)
    factors = ["supp", "dose"]
    for name in factors:
        means = marginal_means(trials, "len", factors, name)
        assert_means_match(means, wanted[f"emm_{name}"], (name,))
    cells = marginal_means(trials, "len", factors, factors)
    assert_means_match(cells, wanted["emm_cells"], ("supp", "dose"))


def test_simple_effects_are_r_s_within_each_dose() -> None:
    trials, wanted = frame("R_ToothGrowth"), expected("R_ToothGrowth")
    found = interaction_contrast(trials, "len", "supp", "dose")
    simple = found[found["kind"] == "simple"].reset_index(drop=True)
    for i, row in enumerate(wanted["simple_effect_supp_within_dose"]["rows"]):
        _, dose, estimate, se, df, low, high, t, p = row
        assert _text(simple.loc[i, "b_level"]) == (dose,)
        got = simple.loc[i, ["difference", "se", "df", "ci_low", "ci_high", "t", "p"]]
        # R takes OJ - VC, we take the later level minus the first.
        assert list(got) == pytest.approx([-estimate, se, df, -high, -low, -t, p], rel=1e-9)


def test_an_empty_cell_costs_degrees_of_freedom_and_no_truth() -> None:
    trials, wanted = frame("ToothGrowth_empty_cell"), expected("ToothGrowth_empty_cell")
    found = anova(trials, "len", ["supp", "dose"])
    assert_rows_match(found, wanted["typeII_car"])
    # statsmodels' anova_lm here: supp 1.4526, dose 353.60, supp:dose 1921.09 on 2 df.
    assert found.loc["supp", "sum_sq"] > 300 and found.loc["supp", "p"] < 1e-4
    assert found.loc["supp:dose", "df"] == 1
    assert "supp OJ, dose 2" in found.loc["supp:dose", "note"]
    with pytest.raises(AnalysisError, match="supp OJ, dose 2"):
        anova(trials, "len", ["supp", "dose"], typ=3)


def test_means_that_need_an_empty_cell_are_refused() -> None:
    trials, wanted = frame("ToothGrowth_empty_cell"), expected("ToothGrowth_empty_cell")
    factors = ["supp", "dose"]
    cells = marginal_means(trials, "len", factors, factors)
    assert_means_match(cells, wanted["emm_cells"], ("supp", "dose"))
    supp = marginal_means(trials, "len", factors, "supp")
    assert_means_match(supp, wanted["emm_supp"], ("supp",))
    dose = marginal_means(trials, "len", factors, "dose").set_index("level")
    assert np.isnan(dose.loc[2.0, "mean"]) and not np.isnan(dose.loc[1.0, "mean"])
    additive = marginal_means(trials, "len", factors, "supp", order=1)
    assert_means_match(additive, wanted["emm_supp_additive_model"], ("supp",))
    found = contrasts(trials, "len", factors, of="supp", baseline="OJ")
    assert np.isnan(found.loc[0, ["difference", "p", "p_adjusted"]].astype(float)).all()
    assert "supp OJ, dose 2" in found.loc[0, "note"]


def test_warpbreaks_matches_r() -> None:
    trials, wanted = frame("R_warpbreaks"), expected("R_warpbreaks")
    factors = ["wool", "tension"]
    assert_rows_match(anova(trials, "breaks", factors), wanted["anova_interaction"])
    assert_rows_match(anova(trials, "breaks", factors, order=1), wanted["anova_additive"])
    cells = marginal_means(trials, "breaks", factors, ["tension", "wool"])
    assert_means_match(cells, wanted["emm_tension_by_wool"], ("tension", "wool"))
    found = contrasts(trials, "breaks", factors, of="tension", baseline="L", order=1)
    found = found.set_index("level")
    for name, *numbers in wanted["holm_tension_vs_L"]["rows"]:
        got = found.loc[name[0], ["difference", "se", "df", "t", "p_adjusted"]]
        assert list(got) == pytest.approx(numbers, rel=1e-9)


def test_interaction_contrast_is_r_s_difference_of_differences() -> None:
    trials = frame("R_warpbreaks")
    for pair, estimate, se, df, t, p in (
        row[1:] for row in expected("R_warpbreaks")["interaction_contrasts"]["rows"]
    ):
        # The error is that of the whole experiment only if all tensions stay in the table.
        trials["tension"] = pd.Categorical(
            trials["tension"], pair.split(" - ") + [level for level in "LMH" if level not in pair]
        )
        found = interaction_contrast(trials, "breaks", "wool", "tension").iloc[0]
        assert found["kind"] == "interaction"
        # (B - A at second) - (B - A at first) = (A - B at first) - (A - B at second)
        got = found[["difference", "se", "df", "t", "p"]]
        assert list(got) == pytest.approx([estimate, se, df, t, p], rel=1e-9)


def test_unbalanced_data_match_car_in_all_three_types() -> None:
    trials, wanted = frame("carData_Moore"), expected("carData_Moore")
    factors = ["fcategory", "partner_status"]
    assert_rows_match(anova(trials, "conformity", factors, typ=1), wanted["typeI"])
    assert_rows_match(anova(trials, "conformity", factors, typ=2), wanted["typeII"])
    third = anova(trials, "conformity", factors, typ=3)
    assert_rows_match(third, wanted["typeIII_sum_coding"])
    # statsmodels' typ 3 with its default coding says 2.2012, p 0.748.
    assert third.loc["partner_status", "p"] < 0.002
    for name in factors:
        means = marginal_means(trials, "conformity", factors, name)
        table = wanted[f"emm_{name}"]
        table["columns"][0] = name  # R wrote a dot for the underscore
        assert_means_match(means, table, (name,))


def test_contrasts_within_blocks_use_the_pooled_t_error_and_holm() -> None:
    trials, wanted = frame("nlme_ergoStool"), expected("nlme_ergoStool")
    table = anova(trials, "effort", ["Type"], block="Subject")
    assert_rows_match(
        table,
        {
            "columns": wanted["aov_effort_Type_plus_Subject"]["columns"],
            "rows": wanted["aov_effort_Type_plus_Subject"]["rows"],
        },
    )
    found = contrasts(trials, "effort", ["Type"], of="Type", baseline="T1", block="Subject")
    for row, numbers in zip(
        found.itertuples(), wanted["contrast_vs_T1_pooled_holm"]["rows"], strict=True
    ):
        got = [row.difference, row.se, row.df, row.t, row.p_adjusted]
        assert got == pytest.approx(numbers[1:], rel=1e-9)
    last = found.iloc[-1]
    # A normal interval would be [-0.350, 1.683].
    assert [last["ci_low"], last["ci_high"]] == pytest.approx([-0.404, 1.737], abs=6e-4)


def test_two_levels_within_blocks_are_the_paired_t_test() -> None:
    trials, wanted = frame("R_sleep_paired"), expected("R_sleep_paired")["paired_t"]
    found = contrasts(trials, "extra", ["group"], of="group", baseline="2", block="ID").iloc[0]
    got = found[["difference", "t", "df", "p", "ci_low", "ci_high"]]
    numbers = [wanted["mean"], wanted["t"], wanted["df"], wanted["p"], *wanted["ci"]]
    assert list(got) == pytest.approx(numbers, rel=1e-9)


def test_adjusted_p_values_are_r_s() -> None:
    p = ORACLES["BH1995_15_pvalues"]["data"]["p"]
    wanted = expected("BH1995_15_pvalues")
    for method, name in (("holm", "holm"), ("bh", "BH"), ("bonferroni", "bonferroni")):
        assert adjust(p, method) == pytest.approx(wanted[name], rel=1e-9)


def test_the_published_crossover_is_an_interaction_without_a_p() -> None:
    name = "analytic_2x2_crossover_published_FILIP"
    trials, wanted = frame(name), expected(name)
    pair = trials[trials["supervision"].isin(["CLIP", "FILIP"])]
    found = interaction_contrast(pair, "top1", "supervision", "image_encoder")
    assert found.loc[0, "difference"] == pytest.approx(wanted["interaction_contrast"], rel=1e-9)
    simple = found[found["kind"] == "simple"].set_index("b_level")["difference"]
    assert simple["ViT-B/32"] == pytest.approx(wanted["FILIP_minus_CLIP_ViT"], rel=1e-9)
    assert simple["ResNet50"] == pytest.approx(wanted["FILIP_minus_CLIP_ResNet50"], rel=1e-9)
    assert found["p"].isna().all() and found["ci_low"].isna().all()
    assert found["note"].str.contains("one run a cell").all()


def test_the_published_grid_without_its_empty_column_has_the_analytic_sums() -> None:
    name = "analytic_2x2_crossover_published_FILIP"
    trials, wanted = frame(name).dropna(), expected(name)["SS_complete_4x2"]
    grid = trials[trials["supervision"].isin(["CLIP", "SLIP", "FILIP", "DeCLIP"])]
    found = anova(grid, "top1", ["image_encoder", "supervision"])
    for term, theirs in {
        "image_encoder": "image_encoder",
        "supervision": "supervision",
        "image_encoder:supervision": "interaction_or_error_inseparable",
    }.items():
        assert found.loc[term, "sum_sq"] == pytest.approx(wanted[theirs], rel=1e-9)
    assert found["F"].isna().all() and found["p"].isna().all()
    assert found.loc["Residual", "df"] == 0
