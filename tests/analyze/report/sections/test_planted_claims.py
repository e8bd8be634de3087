"""Claims of a rehearsal beside the truth. Oracle: planted effects, summed by hand."""

from __future__ import annotations

import json
import re
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from seedbed.analyze import Report, write_report
from seedbed.plan.plan import plan
from seedbed.plan.surface import Surface
from seedbed.recall import table_of
from seedbed.recipe.scale import scale_named
from seedbed.run.worker.rehearse import Rehearsal, pretended
from seedbed.study.record import TrialRecord

ROOT = Path(__file__).parents[4]
STUDY = runpy.run_path(str(ROOT / "studies" / "text_encoder_depth.py"))["study"]
CLAIMED = "zeroshot/top1"  # what the study's claims speak of; its primary is another


def records_of(surface: Surface, chosen: Any) -> list[TrialRecord]:
    """The records that the trials of a rehearsal leave, without starting Ray."""
    costs, records = chosen.costs(), []
    for cohort in chosen.cohorts:
        job = Rehearsal(
            study=STUDY.name,
            scale=chosen.scale.name,
            cohort=cohort,
            surface=surface,
            responses=tuple(chosen.metrics[name] for name in chosen.responses),
            costs=costs,
            storage="",
            code_version={},
        )
        records += [pretended(job, trial) for trial in cohort.trials]
    return records


def rehearsed(surface: Surface, folder: Path, *, scale: str = "paper", seeds: int = 3) -> Report:
    chosen = plan(STUDY, scale_named(scale), seeds=tuple(range(seeds)))
    design = replace(chosen.design(), rehearsal=surface)
    return write_report(design, table_of(design, records_of(surface, chosen)), folder, {})


def planted_claims(report: Report) -> dict[str, list[str]]:
    """By claim: planted, claimed, truth, verdict."""
    text = report.paths["report.md"].read_text().replace("−", "-")
    part = text.split("What was planted", 1)[1].split("### Claims", 1)[1].split("\n## ", 1)[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines()]
    return {row[0]: row[2:] for row in cells if row and re.fullmatch(r"C\d", row[0])}


@pytest.mark.slow
def test_verdicts_stand_beside_what_was_planted(tmp_path: Path) -> None:
    # 3 layers less 12: -3 points at clip, +2 at declip, -0.5 on average.
    effects = {"depth=3": -0.03, "depth=3:supervision=declip": 0.05}
    report = rehearsed(Surface(others={CLAIMED: effects}, noise=0.001), tmp_path)
    found = planted_claims(report)
    assert found["C2"] == ["-0.50", "above -1.00 points", "true", "supported"]
    assert found["C3"] == ["+5.00", "above 0", "true", "supported"]
    told = " ".join(report.summary.split())
    assert "On the surface that was planted, C2 is true and C3 is true." in told


@pytest.mark.slow
def test_a_claim_that_is_false_of_the_surface_says_so(tmp_path: Path) -> None:
    effects = {"depth=3": -0.05, "depth=3:supervision=declip": -0.02}
    report = rehearsed(Surface(others={CLAIMED: effects}, noise=0.001), tmp_path)
    found = planted_claims(report)
    assert [found[name][2:] for name in ("C2", "C3")] == [["false", "refuted"]] * 2
    assert found["C2"][0] == "-6.00"


@pytest.mark.slow
def test_at_another_scale_the_truth_stands_without_a_verdict(tmp_path: Path) -> None:
    report = rehearsed(Surface(noise=0.001), tmp_path, scale="demo")
    assert [row[2:] for row in planted_claims(report).values()] == [
        ["true", "none: about paper"],
        ["false", "none: about paper"],
    ]


@pytest.mark.slow
def test_a_study_that_was_trained_has_no_truth(tmp_path: Path) -> None:
    chosen = plan(STUDY, scale_named("paper"))
    design = chosen.design()
    report = write_report(design, table_of(design, records_of(Surface(), chosen)), tmp_path, {})
    assert "On the surface" not in report.paths["report.md"].read_text() + report.summary


@pytest.mark.slow
def test_other_responses_are_drawn_on_their_own(tmp_path: Path) -> None:
    effects = {"depth=3": -0.05, "supervision=declip": 0.08}
    others = {"zeroshot/top5": {"depth=1": 0.04}}
    chosen = plan(STUDY, scale_named("paper"), seeds=tuple(range(40)))
    surface = Surface(effects=effects, others=others)
    records = records_of(surface, chosen)

    def values(response: str, **at: Any) -> np.ndarray[Any, Any]:
        picked = [one for one in records if at.items() <= one.cell.items()]
        picked.sort(key=lambda one: (one.seed, str(one.cell)))
        return np.array([one.metrics[response] for one in picked])

    at = {"depth": 12, "supervision": "clip"}
    one, other = values("zeroshot/top1_of_100", **at), values("zeroshot/top5", **at)
    # Neither the seeds' shifts nor the trials' noise are shared: no correlation beyond chance.
    assert stats.pearsonr(one, other).pvalue > 0.01
    # What is planted in the primary is not in the other, and what is planted in that is.
    gaps = {
        level: (values("zeroshot/top5", depth=level) - values("zeroshot/top5", depth=12)).mean()
        for level in (1, 3)
    }
    error = 0.005 * np.sqrt(2 / 80)
    assert gaps[3] == pytest.approx(0.0, abs=4 * error)
    assert gaps[1] == pytest.approx(0.04, abs=4 * error)
    report = rehearsed(surface, tmp_path)
    assert "Other responses are drawn on their own" in report.paths["report.md"].read_text()


@pytest.mark.slow
def test_claims_json_has_no_number_of_seeds_that_would_decide(tmp_path: Path) -> None:
    report = rehearsed(Surface(others={CLAIMED: {"depth=3": -0.01}}, noise=0.01), tmp_path)
    claims = json.loads(report.paths["claims.json"].read_text())
    open_ones = [claim for claim in claims if claim["verdict"] == "inconclusive"]
    assert open_ones
    for claim in open_ones:
        assert [one["num_seeds"] for one in claim["precision"]] == [3, 6, 12]
        assert "further_seeds" not in claim
    page = report.paths["report.md"].read_text()
    assert "would decide" not in page and "as measured" not in page
    assert "Would narrow the intervals of what is open" in page
