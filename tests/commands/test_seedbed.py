"""What a study's command says when it cannot run. Oracle: status 2, in words, nothing started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.fixtures.commanding import run_here

import seedbed.commands
from seedbed.commands.seedbed import commands

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent
STUDY = "studies/text_encoder_depth.py"
DEFINITION = """
from seedbed import Factor, Recipe, Study, main
from seedbed.variants import CLIP

study = Study(
    name="one",
    question="?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("depth", at="text.layer", levels=(1, 2)),),
)
main(study)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "/nowhere/shards"), ("/nowhere/shards does not exist", "--data")),
        (("--data", "{empty}"), ("holds no .tar shards", "it is empty")),
        (("--scale", "dem"), ("no scale 'dem'", "Did you mean 'demo'?")),
        (("--seeds", "0"), ("there are none",)),
        (("--seeds", "three"), ("--seeds is 'three'",)),
        (("--set", "text.layer=3"), ("Recipe.text has no 'layer'", "Did you mean 'layers'?")),
        (("--set", "text.width"), ("there is no '='",)),
        (("--set", "text.width=wide"), ("'wide' is not a value",)),
        (("--workers", "3"), ("do not divide by 3 workers", "--workers 2")),
        (("--cohort-size", "0"), ("--cohort-size is 0",)),
        (("--json",), ("--json is given without --plan",)),
    ],
)
def test_wrong_arguments_end_with_status_2_and_say_why(
    home: Path, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    (tmp_path / "empty").mkdir()
    filled = (a.replace("{empty}", str(tmp_path / "empty")) for a in arguments)
    done = run_here(ROOT / STUDY, *filled)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr


@pytest.mark.parametrize(
    ("uri", "words", "status"),
    [
        ("http://127.0.0.1:9", "127.0.0.1:9", 75),  # it may be up again later
        ("mlruns", "folder of files", 2),
        ("htp://host", "'htp'", 2),
    ],
)
def test_a_tracking_uri_that_cannot_be_used_is_refused_before_anything_starts(
    home: Path, shapes: Path, uri: str, words: str, status: int
) -> None:
    done = run_here(ROOT / STUDY, "--data", str(shapes), "--tracking-uri", uri)
    assert done.returncode == status
    assert words in done.stderr
    assert "ray " not in done.stderr
    assert not (home / "results").exists()


@pytest.mark.parametrize("there", ["nothing", "another study"])
def test_a_report_of_a_study_that_never_ran_says_so_and_creates_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    database = tmp_path / "deep" / "mlflow.db"
    uri = f"sqlite:///{database}"
    words = f"there is no database {database}"
    if there != "nothing":
        from seedbed.track.mlflow.connection import client, prepare_store

        prepare_store(uri, "text_depth")
        words = "Known: Default, text_depth"
    before = files(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = run_here(ROOT / STUDY, "--report", "--tracking-uri", uri)
    assert done.returncode == 2
    assert f"no runs of study 'text_encoder_depth' at {uri}" in done.stderr
    assert words in done.stderr
    assert "run the study first" in done.stderr
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == before
    if there != "nothing":
        assert {found.name for found in client(uri).search_experiments()} == {
            "Default",
            "text_depth",
        }


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_a_wrong_study_file_ends_with_status_2_and_names_the_nearest_field(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(DEFINITION)
    done = run(str(tmp_path / "one.py"), "--plan")
    assert done.returncode == 2
    assert "Factor 'depth': Recipe.text has no 'layer'" in done.stderr
    assert "Did you mean 'layers'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_study_file_that_raises_says_where(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text("from seedbed import main\n\n1 / 0\n")
    done = run(str(tmp_path / "two.py"))
    assert done.returncode == 2
    assert "two.py raised ZeroDivisionError" in done.stderr
    assert "line 3" in done.stderr


def test_reading_a_name_or_importing_leaves_other_programs_faults_as_they_are(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.py").write_text("import seedbed\n\nseedbed.main, seedbed.Study\n\n1 / 0\n")
    done = run(str(tmp_path / "mine.py"))
    assert done.returncode == 1
    assert "error:" not in done.stderr
    assert done.stderr.rstrip().endswith("ZeroDivisionError: division by zero")


def test_a_fault_after_the_study_is_defined_is_not_the_study_file_s(tmp_path: Path) -> None:
    lines = (
        "from seedbed import main",
        "try:",
        "    main(None, ['--help'])",
        "except BaseException:",
        "    1 / 0",
    )
    (tmp_path / "late.py").write_text("\n".join(lines) + "\n")
    done = run(str(tmp_path / "late.py"))
    assert done.returncode == 1
    assert "error:" not in done.stderr and "ZeroDivisionError" in done.stderr


def test_what_is_registered_to_be_done_at_the_end_is_done_after_a_wrong_study(
    tmp_path: Path,
) -> None:
    lines = (
        "import atexit",
        "from seedbed import Budget, main",
        "atexit.register(print, 'the end')",
        "Budget(samples=-1)",
    )
    (tmp_path / "wrong.py").write_text("\n".join(lines) + "\n")
    done = run(str(tmp_path / "wrong.py"))
    assert (done.returncode, done.stdout) == (2, "the end\n")
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr


@pytest.mark.parametrize("line", [("-m", "seedbed.commands.seedbed", "prepare", "emoij")])
def test_state_of_the_old_name_is_pointed_at_once_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SEEDBED_HOME", raising=False)
    old = tmp_path / ".ablate"
    assert str(old) not in run(*line).stderr
    old.mkdir()
    said = [text for text in run(*line).stderr.splitlines() if str(old) in text]
    assert len(said) == 1 and str(tmp_path / ".seedbed") in said[0]
    (tmp_path / ".seedbed" / "results").mkdir(parents=True)
    assert str(old) not in run(*line).stderr


def test_a_command_is_a_file_and_help_waits_for_no_heavy_library() -> None:
    folder = Path(seedbed.commands.__file__).parent
    assert {command.NAME for command in commands()} == {
        path.stem for path in folder.glob("*.py") if path.stem not in ("__init__", "seedbed")
    }
    code = (
        "import atexit, sys\n"
        "from seedbed.commands.seedbed import main\n"
        "atexit.register(lambda: print(sorted(set(sys.modules) & {'torch', 'numpy', 'pyarrow',"
        " 'pandas', 'mlflow', 'ray', 'rich'}), file=sys.stderr))\n"
        "main(['--help'])"
    )
    done = run("-c", code)
    assert done.stderr == "[]\n"
    assert all(command.HELP.split()[0] in done.stdout for command in commands())


def test_prepare_names_the_nearest_corpus(home: Path) -> None:
    done = run("-m", "seedbed.commands.seedbed", "prepare", "emoij")
    assert done.returncode == 2
    assert "Did you mean 'emoji'?" in done.stderr
