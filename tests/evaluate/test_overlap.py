"""Finished models on a test set with pictures that they were trained on. Oracle: the pictures that
were put there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.evaluate.conftest import NAMES, TEMPLATES, picture, write_shard
from tests.fixtures.models import VIT, described, finished

from seedbed.commands import seedbed as command
from seedbed.commands.study.apart import Apart
from seedbed.commands.study.scored import score_finished
from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.select.filters.filter import Filter
from seedbed.data.select.filters.image_side import MinImageSide
from seedbed.data.select.filters.length import Length
from seedbed.data.shards.samples import read_shard
from seedbed.errors import DataError
from seedbed.evaluate.test_set import open_test_set
from seedbed.interchange.described import corpus_of
from seedbed.interchange.found import find_trial
from seedbed.plan.design import Design
from seedbed.recall import Recalled
from seedbed.recipe.recipe import Recipe
from seedbed.variants import CLIP


@pytest.fixture
def corpus(shapes: Path, home: Path) -> OpenCorpus:
    return open_corpus(Corpus(uri=str(shapes), caption="txt"), home)


def trial(corpus: OpenCorpus, home: Path, **changed: object) -> str:
    """The key of a trial that was trained on the corpus."""
    what = described("clip")
    one = Recipe(
        corpus=replace(corpus.corpus, **changed),  # type: ignore[arg-type]
        objective=what.objective,
        image=VIT,
        text=what.text,
        embed_dim=what.embed_dim,
    )
    return finished(home / "results", one, data_fingerprint=corpus.fingerprint)[0]


def colours_and(folder: Path, pictures: list[bytes]) -> Path:
    """`pictures`, and one of each class beside them."""
    rng = np.random.default_rng(0)
    every = [*pictures, *(picture(rng, label) for label in range(len(NAMES)))]
    members = []
    for n, content in enumerate(every):
        label = str(n % len(NAMES)).encode()
        members += [(f"s{n:04d}.png", content), (f"s{n:04d}.cls", label)]
    write_shard(folder / "test" / "0.tar", members)
    (folder / "test" / "nshards.txt").write_text("1")
    (folder / "classnames.txt").write_text("\n".join(NAMES) + "\n")
    (folder / "zeroshot_classification_templates.txt").write_text("\n".join(TEMPLATES) + "\n")
    return folder


def pictures_of(corpus: OpenCorpus, rows: slice, *, held_out: bool = False) -> list[bytes]:
    """Some of a shard's pictures that are trained on, or that are held out."""
    samples = read_shard(str(Path(corpus.corpus.uri) / "00003.tar"))
    split = corpus.test if held_out else corpus.train
    shard = [Path(path).name for path in split.paths].index("00003.tar")
    return [samples[row].image() for row in split.of_shard(shard)[rows].tolist()]


@pytest.mark.slow
def test_a_trial_gets_no_number_on_pictures_that_it_was_trained_on(
    corpus: OpenCorpus, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = colours_and(tmp_path / "hues", pictures_of(corpus, slice(2)))
    key = trial(corpus, home)
    assert command.main(["evaluate", key, "--json", "--tests", str(folder)]) != 0
    told = capsys.readouterr()
    assert not told.out
    assert "2 of the 9 pictures to be tested on are among those that" in told.err
    assert "00003.tar" in told.err and f"{folder}/test/0.tar/s0000" in told.err


@pytest.mark.slow
def test_a_study_gets_no_number_on_pictures_that_a_trial_was_trained_on(
    corpus: OpenCorpus, home: Path, tmp_path: Path
) -> None:
    folder = colours_and(tmp_path / "hues", pictures_of(corpus, slice(1)))
    keys = [trial(corpus, home)]
    recalled = Recalled(
        Design(study="s"), pd.DataFrame({"key": keys, "status": "completed"}), "", "", ""
    )
    with pytest.raises(DataError, match="1 of the 8 pictures to be tested on are among those"):
        next(score_finished(recalled, str(home / "results"), [open_test_set(str(folder))]))
    record = find_trial(keys[0], str(home / "results"), "s").record
    assert "hues" not in record.tests


def overlap(home: Path, key: str, folder: Path) -> str:
    record = find_trial(key, str(home / "results"), "s").record
    return Apart([open_test_set(str(folder))]).of_record(record)


@pytest.mark.slow
def test_a_result_says_whether_its_pictures_were_compared(
    corpus: OpenCorpus,
    home: Path,
    tmp_path: Path,
    tiny: Callable[[int], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    # What is held out for testing is trained on by nobody.
    folder = colours_and(tmp_path / "hues", pictures_of(corpus, slice(2), held_out=True))
    line = ["evaluate", trial(corpus, home), f"open_clip:{tiny(0)}", "--json", "--untracked"]
    line += ["--tests"]
    assert command.main([*line, str(folder)]) == 0
    ours, theirs = (json.loads(one) for one in capsys.readouterr().out.splitlines())
    assert ours["protocol"]["overlap"] == "none"
    assert theirs["protocol"]["overlap"] == (
        "not checked: what it was trained on is not known here"
    )


@pytest.mark.slow
def test_what_cannot_be_compared_is_said_to_be_unchecked(
    corpus: OpenCorpus, shapes: Path, home: Path, tmp_path: Path
) -> None:
    folder = colours_and(tmp_path / "hues", pictures_of(corpus, slice(1)))
    gone = trial(corpus, home, uri=str(tmp_path / "gone"))
    assert overlap(home, gone, folder).startswith("not checked: corpus folder")
    other = trial(replace(corpus, fingerprint="f" * 64), home)
    assert overlap(home, other, folder) == (
        f"not checked: '{shapes}' has changed since it was trained on"
    )


@pytest.mark.parametrize(
    "chosen", [(), (Length(max_words=7), MinImageSide(pixels=64))], ids=["all", "filtered"]
)
def test_a_corpus_is_read_back_from_a_record(chosen: tuple[Filter, ...], tmp_path: Path) -> None:
    stated = Corpus(uri=f"{tmp_path}@2::/b", caption="txt", filters=chosen, take=7, fraction=0.5)
    assert corpus_of(Recipe.paper(objective=CLIP, corpus=stated).flatten()) == stated


def test_a_filter_of_another_package_is_named() -> None:
    with pytest.raises(DataError, match="Lengths"):
        corpus_of({"corpus.filters": '["Lengths(words=2)"]'})
