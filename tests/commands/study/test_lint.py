"""The lint on the command line: what a plan shows, what stops a run, and what --force leaves.

Oracle: exit statuses, what is printed, and the files that are left, read again.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from tests.fixtures.released import released_study

from seedbed.commands.study.entry import MOST_CHARACTERS, entry_of
from seedbed.commands.study.main import main
from seedbed.commands.study.options import options_of
from seedbed.plan.design import Design
from seedbed.plan.lint.examine import WIDTH
from seedbed.study.study import Study

ROOT = Path(__file__).parents[3]
RATE = "optimizer.lr moves with supervision: {slip, filip} = 0.0005, others 0.001"


def ended(study: Study, *argv: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(study, ["--scale", "smoke", *argv])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.slow
def test_a_plan_shows_what_is_found_and_says_whether_it_would_run(
    counted_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(released_study(), "--plan") == 2
    lines = capsys.readouterr().out.splitlines()
    assert f"error   {RATE}" in lines
    assert lines[-1] == "lint    2 errors, 3 cautions: the study runs with --force only"
    found = lines[lines.index(f"error   {RATE}") :]
    assert [line for line in found if len(line) > WIDTH] == []
    assert ended(released_study(), "--plan", "--force") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "lint    2 errors, 3 cautions"
    assert ended(released_study(), "--plan", "--json") == 2
    told = json.loads(capsys.readouterr().out)["lint"]
    assert next(one["what"] for one in told if one["severity"] == "error") == RATE


@pytest.mark.slow
def test_an_error_stops_a_run_before_anything_starts(
    counted_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(released_study()) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {RATE}; and optimizer.weight_decay moves with supervision")
    assert (
        'also_moves=("embed_dim", "optimizer.lr", "optimizer.weight_decay",)' in said
        and "--force" in said
    )
    assert {path.name for path in counted_home.iterdir()} == {"counts"}


@pytest.mark.slow
def test_what_was_forced_stands_in_the_tags_and_in_the_design(counted_home: Path) -> None:
    forced = options_of(released_study(), ["--scale", "smoke", "--force"])
    assert not forced.refused and forced.forced[0] == RATE and len(forced.forced) == 2
    entry = entry_of(forced, {}, {})
    assert entry.tags["seedbed.forced"].startswith(f"{RATE}; optimizer.weight_decay")
    assert len(entry.tags["seedbed.forced"]) <= MOST_CHARACTERS
    again = Design.from_json(json.loads(json.dumps(entry.design.to_json())))
    assert again.forced == forced.forced
    # Forcing what needs no force leaves nothing, and neither does a rehearsal.
    declared = released_study(also_moves=("optimizer.lr", "optimizer.weight_decay"))
    free = options_of(declared, ["--scale", "smoke", "--force"])
    assert "seedbed.forced" not in entry_of(free, {}, {}).tags
    rehearsed = options_of(released_study(), ["--scale", "smoke", "--rehearse"])
    assert not rehearsed.refused and rehearsed.forced == ()


STUDIES = sorted(path.stem for path in (ROOT / "studies").glob("*.py"))
STUDIES.remove("finetune_or_scratch")  # starts from weights: tests/test_readme.py has some


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_the_shipped_studies_run_without_force_at_every_scale(
    name: str, counted_home: Path
) -> None:
    study = runpy.run_path(str(ROOT / "studies" / f"{name}.py"))["study"]
    for scale in ("smoke", "demo", "small", "paper"):
        given = options_of(study, ["--scale", scale, "--keep-weights", "none"])
        assert not given.refused, given.findings
