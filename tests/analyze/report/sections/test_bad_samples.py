"""Bad samples in the report and on the terminal. Oracle: the files that were written by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seedbed.analyze import trials_table, write_report
from seedbed.analyze.report.sections.bad_samples import MOST_NAMED, lines, with_bad_samples
from seedbed.data.shards.kept.bad import bad_samples
from seedbed.plan.design import Design
from seedbed.study.record import TrialRecord

Study = tuple[Design, list[TrialRecord]]


@pytest.fixture
def faulty(depth_study: Study) -> tuple[Study, dict[str, bytes]]:
    """Seed 1 reads 25 bad samples, one of them twice, and two of the held-out pairs are bad."""
    design, records = depth_study
    bad = [(f"{n:05}.tar", f"k{n}", "picture does not decode: x | y") for n in range(25)]
    bad += [("9.tar", f"t{n}", "caption is empty (held out)") for n in range(2)]
    files: dict[str, bytes] = {}
    for place, record in enumerate(records):
        if record.status == "completed":
            some = record.seed == 1
            told = {"data/bad_samples": 26.0 if some else 0.0, "data/bad_test_samples": 2.0}
            records[place] = replace(record, metrics={**record.metrics, **told})
            files[record.key] = bad_samples(bad if some else bad[-2:])
    return (design, records), files


@pytest.mark.slow
def test_they_are_counted_and_named_in_the_report_and_for_the_terminal(
    faulty: tuple[Study, dict[str, bytes]], tmp_path: Path, provenance: dict[str, Any]
) -> None:
    (design, records), files = faulty
    trials = trials_table(design, records)
    done = sum(record.status == "completed" for record in records)
    told = with_bad_samples(design, trials, files.get)
    page = write_report(told, trials, tmp_path, provenance).paths["report.md"].read_text()
    words = (
        f"In {done} trials samples could not be used: up to 26 times in a trial's training, where "
        "they are left out of the loss, and 2 of the held-out pairs, the same for every trial."
    )
    assert "Bad samples" in page and words in page
    assert f"{27 - MOST_NAMED} more samples in bad_samples.parquet" in page
    shown = page[page.index("Bad samples") :]
    assert [f"{n:05}.tar" in shown for n in range(25)] == [n < MOST_NAMED for n in range(25)]
    assert lines(told)[0] == f"bad     {words}"
    assert lines(told)[1] == "        00000.tar/k0: picture does not decode: x | y"
    assert (
        lines(told)[-1] == "        and 24 more, in trials/KEY/bad_samples.parquet of the results"
    )


@pytest.mark.slow
def test_a_study_whose_samples_were_all_sound_says_nothing(
    depth_study: Study, tmp_path: Path, provenance: dict[str, Any]
) -> None:
    design, records = depth_study
    trials = trials_table(design, records)
    told = with_bad_samples(design, trials, lambda key: None)
    assert told == design and lines(told) == []
    page = write_report(told, trials, tmp_path, provenance).paths["report.md"].read_text()
    assert "Bad samples" not in page
