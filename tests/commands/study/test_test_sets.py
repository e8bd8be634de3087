"""Test sets of a study as `--plan` opens them. Oracle: folders that we wrote, and damaged since."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.evaluate.conftest import classification  # noqa: F401  a fixture
from tests.run.driver.test_preflight import STUDY

from seedbed.commands.study.options import options_of
from seedbed.commands.study.plan import print_plan
from seedbed.commands.study.tests import with_open_tests
from seedbed.errors import DataError, SeedbedError


@pytest.fixture
def hues(tmp_path: Path, classification: Path) -> Path:  # noqa: F811
    return Path(shutil.copytree(classification, tmp_path / "hues"))


def planned(shapes: Path, test: str, *more: str) -> int:
    argv = ["--plan", "--scale", "smoke", "--data", str(shapes), "--test", test, *more]
    return print_plan(options_of(STUDY, argv))


def test_the_plan_counts_a_test_sets_pictures_once_they_are_known(
    hues: Path, shapes: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned(shapes, f"hues={hues}")
    assert "the pictures of hues, which are not counted yet" in capsys.readouterr().out
    argv = ["--scale", "smoke", "--data", str(shapes), "--test", f"hues={hues}"]
    options, shown = with_open_tests(options_of(STUDY, argv))
    assert [one.num_pictures for one in options.tests] == [168] and len(shown) == 1
    planned(shapes, f"hues={hues}")
    sizes = {trial.recipe.image.size for trial in options.plan.trials}
    kilobytes = sum(168 * 3 * size**2 for size in sizes) / 1e3
    said = capsys.readouterr().out.partition(" of pictures of hues")[0].rpartition("; ")[2]
    assert said == f"{kilobytes:.0f} kB" or float(said.split()[0]) == pytest.approx(
        kilobytes / 1e3, abs=0.05
    )
    planned(shapes, "cifar10")  # what nobody has built is built by the first run
    assert "the pictures of cifar10, which are not counted yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: shutil.rmtree(folder), "nshards.txt"),
        (lambda folder: (folder / "classnames.txt").unlink(), "classnames.txt"),
        (lambda folder: (folder / "test" / "1.tar").unlink(), "1.tar"),
        (lambda folder: (folder / "dataset_type.txt").write_text("retrieval"), "captions"),
        (
            lambda folder: (folder / "zeroshot_classification_templates.txt").write_text("a thing"),
            "has no {c}",
        ),
    ],
)
def test_a_test_set_that_is_none_is_refused_by_the_plan(
    hues: Path, shapes: Path, home: Path, spoil: object, words: str
) -> None:
    spoil(hues)  # type: ignore[operator]
    for more in ((), ("--json",)):
        with pytest.raises(SeedbedError, match=words):
            planned(shapes, f"hues={hues}", *more)


def test_a_name_that_nobody_builds_is_refused_with_the_nearest(shapes: Path, home: Path) -> None:
    with pytest.raises(DataError, match=r"no test set 'cifar11'(.|\n)*Did you mean 'cifar10'"):
        planned(shapes, "cifar11")
