"""The README. Oracle: the commands and files that it shows."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest
from tests.fixtures.commanding import run_here
from tests.fixtures.models import finished

from seedbed.commands.export import export
from seedbed.interchange.found import find_trial
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.variants import CLIP

ROOT = Path(__file__).parent.parent
NAMED = re.compile(r"s3:|text_encoder_depth$")  # what a reader names in a command
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.strip().splitlines()]


def test_every_command_is_one_that_a_test_runs() -> None:
    run_elsewhere = (ROOT / "tests" / "end_to_end" / "test_local_cluster.py").read_text()
    for command in COMMANDS:
        words = command.split()
        if words[0] == "make":
            subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
        elif words[0] == "ray":
            # Those with a cluster's file: tests/clusters/test_clusters_readme.py reads them.
            shown = (ROOT / "clusters" / "README.md").read_text()
            assert words[1] == "job" or " ".join(words) in shown.replace(" --yes", "")
            assert all(f'"{word}"' in run_elsewhere for word in words if word.startswith("--w"))
        elif words[0] == "seedbed":
            tests = (ROOT / "tests" / "commands" / f"test_{words[1]}.py").read_text()
            assert all(f'"{word}"' in tests for word in words[1:] if not NAMED.match(word))
        else:
            rehearsed = (ROOT / "tests" / "end_to_end" / "test_rehearsal.py").read_text()
            study, option = "python studies/text_encoder_depth.py", words[-1]
            assert command in (f"{study} --plan", f"{study} --rehearse")
            assert option == "--plan" or f'"{option}"' in rehearsed


def test_every_command_in_its_sentences_is_one_that_the_parser_takes() -> None:
    from seedbed.commands.seedbed import parser

    said = [one.split()[1:] for one in re.findall(r"`(seedbed [a-z]+ [^`]+)`", README)]
    assert {"analyze", "compare", "evaluate", "export", "report"} <= {words[0] for words in said}
    whole = parser()
    for words in said:
        assert whole.parse_args([word for word in words if word != "..."]).command == words[0]


@pytest.mark.slow
def test_the_plan_command_prints_the_plan(counted_home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "studies/text_encoder_depth.py", "--plan"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "24 trials in 3 cohorts" in done.stdout
    assert {path.name for path in counted_home.glob("*")} == {"counts"}


@pytest.mark.slow
def test_the_plan_it_shows_at_the_papers_scale_is_what_is_printed(counted_home: Path) -> None:
    shown = next(text for kind, text in BLOCKS if kind == "text" and "p5.4xlarge" in text)
    options = re.search(r"With `(--scale paper [^`]+)` it says", README)
    assert options
    done = subprocess.run(
        [sys.executable, "studies/text_encoder_depth.py", "--plan", *options[1].split()],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line for line in shown.splitlines() if line and "this machine" not in line]
    assert len(lines) > 12
    assert [line for line in lines if line not in done.stdout] == []


def test_the_study_it_shows_is_the_study_file() -> None:
    shown = next(text for kind, text in BLOCKS if kind == "python")
    assert shown == (ROOT / "studies" / "text_encoder_depth.py").read_text()


def test_the_data_factors_it_shows_are_factors() -> None:
    from seedbed import Factor
    from seedbed.data.select.filters.duplicates import ExactDuplicates
    from seedbed.data.select.filters.length import Length

    shown = next(text for kind, text in BLOCKS if kind == "python" and "corpus.caption" in text)
    known = {"Factor": Factor, "Length": Length, "ExactDuplicates": ExactDuplicates}
    lines = [ast.unparse(statement) for statement in ast.parse(shown).body]
    factors = [eval(line, known) for line in lines]
    assert len(factors) == 3
    base = Recipe.paper(objective=CLIP)
    for factor in factors:
        resolved = [
            reduce(lambda recipe, change: recipe.patch(*change), patch.items(), base)
            for patch in factor.levels.values()
        ]
        assert len({recipe.key() for recipe in resolved}) == 2


def trained_start(path: Path, folder: Path) -> Path:
    """An export of a trial of the study's recipe at the scale demo."""
    recipe = runpy.run_path(str(path))["study"].base_at(SCALES["demo"])
    key, _ = finished(folder / "results", recipe)
    export(find_trial(key, str(folder / "results"), "s"), folder / "start")
    return folder / "start"


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.py")), ids=lambda p: p.stem)
def test_every_study_that_comes_with_it_plans(
    path: Path, counted_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales: tuple[str, ...] = ("demo", "paper")
    if path.stem == "finetune_or_scratch":  # at the paper's scale its start is fetched
        scales = ("demo",)
        monkeypatch.setenv("SEEDBED_START", str(trained_start(path, tmp_path)))
    for scale in scales:
        done = run_here(path, "--plan", "--scale", scale)
        assert done.returncode == 0, done.stderr
        assert "total" in done.stdout


@pytest.mark.slow
def test_every_option_it_names_exists(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "studies/text_encoder_depth.py", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    named = set(re.findall(r"^\| `(--[\w-]+)", README, flags=re.MULTILINE))
    assert named
    assert all(option in done.stdout for option in named)


def test_pictures_and_files_it_links_to_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
