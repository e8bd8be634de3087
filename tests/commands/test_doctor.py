"""`seedbed doctor` on one machine. Oracle: folders that are there, and one that is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seedbed.cluster.doctor.checks import all_checks
from seedbed.commands.seedbed import main

pytestmark = pytest.mark.slow


def test_a_machine_is_examined_without_ray_and_what_is_wrong_is_told_with_how_to_mend_it(
    home: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--storage", str(tmp_path / "results"))
    status = main(["doctor", *place, "--data", str(shapes)])
    out = capsys.readouterr().out
    assert status == 0, out
    told = {line.split()[1]: line.split()[0] for line in out.splitlines() if "mend:" not in line}
    assert told.keys() == all_checks().keys()
    assert told["results"] == told["corpus"] == told["versions"] == told["tracking"] == "ok"
    assert told["token"] == "skipped"

    nowhere = str(tmp_path / "nowhere")
    assert main(["doctor", *place, "--data", nowhere, "--json", "--only", "corpus", "results"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    by_name = {check["name"]: check for check in found["checks"]}
    assert by_name["results"]["ok"] and not by_name["corpus"]["ok"]
    (finding,) = by_name["corpus"]["findings"]
    assert nowhere in finding["what"] and finding["mend"]
    (facts,) = by_name["results"]["facts"].values()
    assert facts["read"] > 0


def test_a_check_that_does_not_exist_is_refused_with_the_nearest_one(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--only", "clocks"]) == 2
    assert "Did you mean 'clock'?" in capsys.readouterr().err
