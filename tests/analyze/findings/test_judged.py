"""Claims at the scale that they are about, and at others. Oracle: the effects that are planted,
and the words of the page, the terminal and claims.json that a verdict would show in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seedbed.analyze import Report, trials_table, write_report
from seedbed.plan.about import scale_of
from seedbed.plan.design import Design, StatedClaim
from seedbed.study.record import TrialRecord

Study = tuple[Design, list[TrialRecord]]
PAGES = ("report.html", "report.md")
VERDICTS = ("supported", "refuted", "inconclusive")


def stated(name: str, level: str, *, about: list[str] | None = None, **more: Any) -> dict[str, Any]:
    contrast = {"of": "depth", "level": level, "over": "12", "at": {}, "less_at": {}}
    contrast |= {"direction": "above", "margin": 0.0} | more
    values = {"id": name, "statement": f"{name} holds.", "contrasts": [contrast], "alpha": 0.05}
    scales = {} if about is None else {"scale": about}
    return values | {"response": "", "source": "", "stated": "before the first trial"} | scales


@pytest.fixture
def report(depth_study: Study, tmp_path: Path, provenance: dict[str, Any]) -> Callable[..., Report]:
    """Depth 1 falls by 6.1 points; depth 6 by 0.3, which three seeds cannot tell from 0."""
    design, records = depth_study

    def of(*claims: dict[str, Any], scale: str = "demo", **more: Any) -> Report:
        told = tuple(map(StatedClaim.from_json, claims))
        stated = replace(design, scale=scale, claims=told, **more)
        return write_report(stated, trials_table(stated, records), tmp_path, provenance)

    return of


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).replace("−", "-").split())


def page(written: Report, name: str = "report.html") -> str:
    return words(written.paths[name].read_text())


def claims_part(text: str) -> str:
    return text.split("Claims", 1)[1].split("Comparisons", 1)[0]


@pytest.mark.slow
def test_a_claim_about_another_scale_gets_what_was_seen_and_no_verdict(
    report: Callable[..., Report],
) -> None:
    written = report(
        stated("against", "1", about=["paper"]),
        stated("favour", "1", about=["paper"], direction="below"),
        stated("open", "6", about=["paper"]),
    )
    told = words(written.summary)
    assert "against, favour and open are about the scale paper" in told
    assert (
        "against at demo the sign is against it: depth 1 minus 12 is -6.3 points [-7.3 to" in told
    )
    assert re.search(
        r"favour at demo: depth 1 minus 12 is -6\.3 points \[[^]]+\], in its favour", told
    )
    assert re.search(r"open at demo: depth 6 minus 12 is -0\.\d+ points \[[^]]+\], .* open", told)
    for text in (told, *(claims_part(page(written, name)) for name in PAGES)):
        assert not any(verdict in text.lower() for verdict in VERDICTS)
    for name in PAGES:
        assert "none: about paper" in page(written, name)
        assert "the sign is against it" in page(written, name)
    found = json.loads(written.paths["claims.json"].read_text())
    assert [claim["verdict"] for claim in found] == [None, None, None]
    assert [claim["contrasts"][0]["verdict"] for claim in found] == [None, None, None]
    seen = [claim["contrasts"][0]["seen"] for claim in found]
    assert seen == ["against it", "in its favour", "open"]
    assert found[0]["scale"] == ["paper"] and found[0]["seen_at"] == "demo"


@pytest.mark.slow
def test_at_its_own_scale_a_claim_is_judged(report: Callable[..., Report]) -> None:
    written = report(
        stated("one", "1", about=["paper"]),
        stated("two", "1", about=["small", "paper"], direction="below"),
        scale="paper",
    )
    assert "Of 2 claims 1 is supported and 1 is refuted." in words(written.summary)
    found = json.loads(written.paths["claims.json"].read_text())
    assert [claim["verdict"] for claim in found] == ["refuted", "supported"]
    assert "is about" not in written.summary


@pytest.mark.slow
def test_a_claim_that_names_no_scale_is_judged_at_every_one(
    report: Callable[..., Report],
) -> None:
    for scale in ("smoke", "demo", "paper"):
        written = report(stated("one", "1"), scale=scale)
        assert "Of 1 claim 1 is refuted." in words(written.summary)


@pytest.mark.slow
def test_verdicts_are_counted_of_the_claims_that_were_judged(
    report: Callable[..., Report],
) -> None:
    written = report(
        stated("here", "1", about=["demo"], direction="below"),
        stated("there", "1", about=["paper"]),
        stated("other", "3", about=["paper"]),
    )
    told = words(written.summary)
    assert "Of 1 claim 1 is supported." in told
    assert "there and other are about the scale paper" in told
    assert "Of 1 claim 1 is supported." in page(written)


@pytest.mark.slow
def test_several_comparisons_are_counted_by_the_side_they_lie_on(
    report: Callable[..., Report],
) -> None:
    both = stated("both", "1", about=["paper"])
    both["contrasts"] += stated("x", "1", direction="below")["contrasts"]
    both["contrasts"] += stated("x", "6")["contrasts"]
    told = words(report(both).summary)
    assert (
        "both at demo: of 3 comparisons 1 is in its favour, 1 is against it and 1 is open." in told
    )


@pytest.mark.slow
def test_a_budget_set_by_hand_is_another_scale(report: Callable[..., Report]) -> None:
    claim = stated("one", "1", about=["paper"])
    shorter = {"budget.samples": "640"}
    told = words(report(claim, scale="paper", overrides=shorter).summary)
    assert "one at paper with budget.samples = 640 the sign is against it" in told
    assert "refuted" not in told
    # How it is computed, and on what data, is no matter of scale.
    same = {"micro_batch": "64", "corpus.uri": "s3://bucket/pairs", "surface": "0a1b"}
    assert scale_of(Design(study="s", scale="paper", overrides=same)) == "paper"
    assert "1 is refuted" in words(report(claim, scale="paper", overrides=same).summary)


@pytest.mark.slow
def test_what_cannot_be_estimated_elsewhere_says_so_without_a_verdict(
    report: Callable[..., Report],
) -> None:
    written = report(stated("one", "24", about=["paper"]))
    assert "one at demo nothing can be said of it: " in words(written.summary)
    assert json.loads(written.paths["claims.json"].read_text())[0]["verdict"] is None


def test_one_seed_elsewhere_is_as_measured(
    study: Callable[..., Study], tmp_path: Path, provenance: dict[str, Any]
) -> None:
    design, records = study({"depth": ["1", "12"]}, {"depth": "12"},
                         lambda cell: -0.06 * (cell["depth"] == "1"), num_seeds=1)  # fmt: skip
    claim = StatedClaim.from_json(stated("one", "1", about=["paper"]))
    design = replace(design, scale="demo", claims=(claim,))
    written = write_report(design, trials_table(design, records), tmp_path, provenance)
    told = words(written.summary)
    assert "the sign is against it" in told and "as measured" in told


@pytest.mark.slow
def test_no_claim_of_another_scale_asks_for_seeds(report: Callable[..., Report]) -> None:
    text = page(report(stated("open", "6", about=["paper"], margin=-0.004)))
    after = text.split("What to run next", 1)[1]
    assert "would decide" not in after and "margin 0.4" not in after
    assert "open is judged at --scale paper" in after
