"""What is refused before anything starts. Oracles: folders that were written so, and counting."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from seedbed.commands.seedbed import main as seedbed
from seedbed.commands.study.corpora import opened_corpora
from seedbed.commands.study.main import main
from seedbed.commands.study.options import options_of
from seedbed.commands.study.parser import MOST_EPOCHS
from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpora, open_corpus
from seedbed.data.peek import peek
from seedbed.data.shards.manifest import Manifest, ShardEntry, fingerprint, write_manifest
from seedbed.errors import DataError, StudyError
from seedbed.evaluate.prompted import OpenTest
from seedbed.evaluate.test_set import TestSet
from seedbed.plan.plan import plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.run.driver.preflight import NAMES_ROWS, check_names, count_names, kept_bytes
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP
from seedbed_corpora import resolve

STUDY = Study(
    name="one",
    question="?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
)


def picture(number: int) -> bytes:
    noise = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    return out.getvalue()


def folder(path: Path, samples: Sequence[Mapping[str, bytes]]) -> Path:
    path.mkdir()
    with tarfile.open(path / "0.tar", "w") as tar:
        for number, members in enumerate(samples):
            for extension, content in members.items():
                member = tarfile.TarInfo(f"{number:05}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def named(num_pairs: int, num_names: int, first: int = 0) -> list[dict[str, bytes]]:
    return [
        {"png": picture(first + n), "txt": f"name {n % num_names}".encode()}
        for n in range(num_pairs)
    ]


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What the study's command says; it ends with status 2 and leaves nothing."""
    with pytest.raises(SystemExit) as ended:
        main(STUDY, argv)
    said = capsys.readouterr()
    assert ended.value.code == 2, said.err
    assert "ray " not in said.err
    assert said.out == ""
    home = Path(os.environ["SEEDBED_HOME"])
    assert not (home / "results").exists() and not (home / "mlflow.db").exists()
    return said.err


def index(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert seedbed(["index", str(path)]) == 0
    return capsys.readouterr().out


def test_classes_are_no_captions(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = folder(tmp_path / "x", [{"png": picture(n), "cls": b"%d" % n} for n in range(600)])
    words = "none of the 600 pairs of"
    assert f"{words} '{classes}' has a caption" in index(classes, capsys)
    said = refused(capsys, "--data", str(classes))
    assert words in said and "KEY.txt" in said and "KEY.cls" in said
    assert "600 x no caption: neither txt nor json" in said


@pytest.mark.parametrize(
    ("png", "reason"),
    [(b"", "600 x the picture has zero bytes"), (b"no", "600 x picture does not decode: cannot")],
)
def test_pairs_that_are_all_bad_are_refused_with_the_reason(
    tmp_path: Path,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    png: bytes,
    reason: str,
) -> None:
    bad = folder(tmp_path / "x", [{"png": png, "txt": b"n %d" % n} for n in range(600)])
    assert "none of the 600 pairs" in index(bad, capsys)
    said = refused(capsys, "--data", str(bad))
    assert f"none of the 600 pairs of '{bad}' can be used" in said and reason in said


def test_one_sound_pair_is_not_all_bad(tmp_path: Path, home: Path) -> None:
    pairs = [{"png": b"no", "txt": b"n %d" % n} for n in range(600)]
    pairs[300]["png"] = picture(1)
    assert open_corpus(Corpus(uri=str(folder(tmp_path / "x", pairs)), caption="txt"), home)


@pytest.mark.slow
def test_names_that_are_fewer_than_a_response_needs_are_said_and_refused(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = folder(tmp_path / "few", named(800, 17))
    told = index(few, capsys)
    assert "held out     200 pairs with 17 names (txt)" in told
    assert "and zeroshot/top1_of_100 needs 100" in told
    said = refused(capsys, "--data", str(few))
    assert f"the 200 held-out pairs of '{few}' have 17 different names" in said
    assert "Corpus.test_uri" in said and "zeroshot/top1 or zeroshot/top5" in said
    opened = list(open_corpora([Corpus(uri=str(few), caption="txt")], home).values())
    check_names(opened, ["zeroshot/top1", "zeroshot/top5", "cost/device_hours"])
    many = folder(tmp_path / "many", named(800, 800))
    assert "warning" not in index(many, capsys)
    opened = list(open_corpora([Corpus(uri=str(many), caption="txt")], home).values())
    check_names(opened, ["zeroshot/top1_of_100"])
    # A few held-out pairs cannot have many names.
    small = folder(tmp_path / "small", named(200, 200))
    opened = list(open_corpora([Corpus(uri=str(small), caption="txt")], home).values())
    with pytest.raises(StudyError, match=r"50 held-out pairs of .* have 50 different names"):
        check_names(opened, ["zeroshot/top1_of_100"])


def bytes_read() -> int:
    """By this process so far, as the kernel counts them."""
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts bytes so")
@pytest.mark.slow
def test_names_are_counted_by_reading_no_more_pairs_than_it_takes(
    tmp_path: Path, home: Path
) -> None:
    size = 40_000
    pairs = [pair | {"png": pair["png"] + bytes(size)} for pair in named(800, 800)]
    corpus = open_corpus(Corpus(uri=str(folder(tmp_path / "x", pairs)), caption="txt"), home)
    before = bytes_read()
    assert count_names(corpus.test, "txt", enough=100) == NAMES_ROWS
    assert NAMES_ROWS * size < bytes_read() - before < 1.6 * NAMES_ROWS * size
    assert count_names(corpus.test, "txt") == corpus.test.num_samples == 200
    before = bytes_read()
    check_names([corpus], ["cost/device_hours"])
    assert bytes_read() - before < size


@pytest.mark.parametrize("mode", [(), ("--plan",), ("--plan", "--json")])
@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            ("--workers", "64", "--set", "corpus.lanes=64"),
            "a cohort needs 65 CPUs and the cluster has",
        ),
        (("--data", "/nonexistent/x"), "/nonexistent/x does not exist"),
        (("--data", "{pairs}", "--scale", "paper"), "epochs of the 600 pairs"),
    ],
)
def test_what_cannot_run_is_refused_with_a_plan_and_without(
    tmp_path: Path,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    mode: tuple[str, ...],
    argv: tuple[str, ...],
    words: str,
) -> None:
    pairs = folder(tmp_path / "pairs", named(800, 800))
    index(pairs, capsys)
    argv = tuple(a.replace("{pairs}", str(pairs)) for a in argv)
    extra = ("--set", "budget.batch=1024") if "--workers" in argv else ()
    assert words in refused(capsys, *argv, *extra, *mode)


def test_groups_that_are_read_again_and_again_are_said_with_what_mends_them(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    names = [f"name {n}" for n in range(800)]
    table = pa.table({"image": [picture(n) for n in range(800)], "txt": names})

    def said(*argv: str) -> list[str]:
        """By the plan, and by the start."""
        found = []
        with pytest.raises(SystemExit, match="0"):
            main(STUDY, line := ["--data", str(pairs), "--plan", *argv])
        found.append(capsys.readouterr().out)
        opened_corpora(options_of(STUDY, line))
        found.append(capsys.readouterr().err)
        lines = [
            [each for each in text.splitlines() if each.startswith("groups ")] for text in found
        ]
        assert lines[0] == lines[1]
        return lines[0]

    pq.write_table(table, pairs / "0.parquet", row_group_size=400)
    index(pairs, capsys)
    (line,) = said("--set", "corpus.window_rows=128")
    # 600 of 800 are trained on, so 300 of each group; the window that reads it has 128.
    assert f"{pairs} is read 3.3 times an epoch" in line and "which has 300 on average" in line
    assert "row_group_size=64, or --set corpus.window_rows=600" in line
    assert said("--set", "corpus.window_rows=600") == []
    pq.write_table(table, pairs / "0.parquet", row_group_size=64)
    index(pairs, capsys)
    assert said("--set", "corpus.window_rows=128") == []


def test_more_epochs_are_allowed_in_the_words_of_the_refusal(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = folder(tmp_path / "pairs", named(800, 800))
    index(pairs, capsys)
    samples = 600 * (MOST_EPOCHS + 1) // 64 * 64
    argv = ["--data", str(pairs), "--plan", "--set", f"budget.samples={samples}"]
    said = refused(capsys, *argv)
    option = said[said.index("--max-epochs") :].split()[:2]
    assert int(option[1]) == MOST_EPOCHS + 1
    with pytest.raises(SystemExit) as ended:
        main(STUDY, [*argv, *option])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert "1e+03 epochs" in told and "epochs  1,001 of the 600 pairs" in told
    with pytest.raises(SystemExit):
        main(STUDY, ["--data", str(pairs), "--plan"])
    assert "epochs  " not in capsys.readouterr().out  # 17 are no news


def test_a_plan_prints_counts_and_epochs_and_reads_no_shard(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = folder(tmp_path / "pairs", named(800, 800))

    def planned(*argv: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(STUDY, ["--plan", "--data", str(pairs), *argv])
        assert ended.value.code == 0
        return capsys.readouterr().out

    assert f"{pairs}: its pairs are not counted yet (seedbed index)" in planned()
    assert not (home / "indexes").exists() and not (pairs / "_seedbed").exists()
    index(pairs, capsys)
    shard = pairs / "0.tar"
    looks = shard.stat()
    shard.write_bytes(b"x" * looks.st_size)  # whoever reads it finds nothing
    os.utime(shard, ns=(looks.st_atime_ns, looks.st_mtime_ns))
    assert f"{pairs}: 600 pairs to train on, 200 held out; 17.1 epochs" in planned()
    (found,) = json.loads(planned("--json"))["pairs"]
    assert (found["num_train"], found["num_test"], found["at_most"]) == (600, 200, False)


def test_a_plan_counts_what_a_study_opens(tmp_path: Path, home: Path) -> None:
    a, b = folder(tmp_path / "a", named(800, 800)), folder(tmp_path / "b", named(100, 100, 5000))
    uris = [f"{a}::{b}", f"{a}@2::{b}@0.5", f"{a}"]
    stated = [Corpus(uri=uri, caption="txt", test_uri=str(a)) for uri in uris]
    # What is taken then comes as often as its weight says.
    for uri, taken in ((f"{a}", 50), (f"{a}@3", 50), (f"{a}@0.5", 40), (f"{a}@50", 20)):
        stated.append(Corpus(uri=uri, caption="txt", test_uri=str(a), take=taken))
    opened = open_corpora(stated, home)  # indexes them
    for found in peek(stated, home):
        train = opened[found.corpus].train.num_samples
        assert found.num_train == train
        assert found.num_test == opened[found.corpus].test.num_samples
    many = Corpus(uri=str(a), caption="txt", test_uri=str(a), take=1_000_000)
    for ask in (lambda: peek([many], home), lambda: open_corpora([many], home)):
        with pytest.raises(DataError, match=r"Selection\.take is 1,000,000, and"):
            ask()
    alone = Corpus(uri=f"{a}::{b}", caption="txt")
    (found,) = peek([alone], home)
    one = open_corpus(alone, home)
    assert (found.num_train, found.num_test) == (one.train.num_samples, one.test.num_samples)


def test_a_demo_corpus_is_counted_by_its_manifest(home: Path) -> None:
    (none,) = peek([Corpus()], home)
    assert none.num_train is None
    place = resolve("demo:emoji", home)
    place.mkdir(parents=True)
    shards = (
        ShardEntry("a.tar", "train", 7, 1, "x"),
        ShardEntry("b.tar", "train", 5, 1, "x"),
        ShardEntry("c.tar", "test", 3, 1, "x"),
    )
    write_manifest(Manifest("x", "1", ("clean",), shards, (), fingerprint(shards)), place)
    (found,) = peek([Corpus()], home)
    assert (found.num_train, found.num_test) == (12, 3)
    with pytest.raises(DataError, match="has no split 'trian'"):  # as a run would say
        peek([Corpus(split="trian")], home)


def test_a_folder_that_cannot_be_listed_is_no_traceback(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        peek([Corpus(uri=str(tmp_path / "no"), caption="txt")], home)


def test_a_relative_folder_is_the_same_variation(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = folder(tmp_path / "pairs", named(8, 8))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    spellings = [["--data", "../pairs"], ["--data", str(pairs)]]
    spellings += [["--set", "corpus.uri=../pairs", "--set", "corpus.caption=txt"]]
    assert len({options_of(STUDY, argv).plan.variation for argv in spellings}) == 1
    both = options_of(STUDY, ["--data", "../pairs::../pairs@2"]).plan.trials[0].recipe.corpus
    assert both.uri == f"{pairs.resolve()}::{pairs.resolve()}@2"


def test_the_held_out_pictures_of_each_size_are_counted_once(tmp_path: Path, home: Path) -> None:
    corpus = Corpus(uri=str(folder(tmp_path / "pairs", named(400, 400))), caption="txt")
    study = Study(
        name="sizes",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("size", at="image.size", levels=(32, 64)),),
    )
    overrides = {"corpus.uri": corpus.uri, "corpus.caption": "txt"}
    chosen = plan(study, SCALES["smoke"], overrides=overrides, seeds=(0, 1))
    opened = open_corpora([trial.recipe.corpus for trial in chosen.trials], home)
    (pairs,) = {one.test.num_samples for one in opened.values()}
    assert kept_bytes(chosen, opened) == pairs * 3 * (32**2 + 64**2)
    assert kept_bytes(chosen, {}) == 0
    hues = TestSet("hues", "test", "classification", ("a", "b"), ("{c}",), ())
    own = OpenTest(hues, "mark", 50_000)
    more = kept_bytes(chosen, opened, [own]) - kept_bytes(chosen, opened)
    assert more == 50_000 * 3 * (32**2 + 64**2)
