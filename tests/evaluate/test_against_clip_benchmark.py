"""Zero-shot classification and retrieval. Oracle: clip_benchmark's own program, run on the same
shards with the same models of open_clip."""

from __future__ import annotations

import importlib.resources
import inspect
import io
import json
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.evaluate.conftest import write_shard

from seedbed.commands import seedbed as command
from seedbed.evaluate.outcome import Outcome
from seedbed.evaluate.pretrained import OpenClipEncoder
from seedbed.evaluate.probes import probe
from seedbed.evaluate.prompt_sets import PROMPT_SETS
from seedbed.evaluate.retrieval import retrieve
from seedbed.evaluate.test_set import open_test_set
from seedbed.evaluate.zeroshot import classify, outcome

pytestmark = pytest.mark.slow


def their_accuracy() -> Callable[..., list[float]]:
    """Their own lines but for one word: they ask NumPy for a scalar of an array of one, which
    NumPy 2.4 refuses."""
    from clip_benchmark.metrics import zeroshot_classification

    lines = inspect.getsource(zeroshot_classification.accuracy)
    assert lines.count("keepdim=True") == 1
    names: dict[str, Any] = {}
    exec(lines.replace("keepdim=True", "keepdim=False"), names)
    found: Callable[..., list[float]] = names["accuracy"]
    return found


def theirs(
    folder: Path, model: str, task: str, out: Path, monkeypatch: pytest.MonkeyPatch, *more: str
) -> dict[str, Any]:
    from clip_benchmark import cli
    from clip_benchmark.metrics import zeroshot_classification

    monkeypatch.setattr(zeroshot_classification, "accuracy", their_accuracy())
    architecture, _, weights = model.partition("@")
    line = ["clip_benchmark", "eval", "--dataset", f"wds/{folder.name}", "--dataset_root"]
    line += [str(folder), "--model", architecture, "--pretrained", weights, "--task", task]
    line += ["--output", str(out), "--no_amp", "--num_workers", "0", "--batch_size", "16", *more]
    monkeypatch.setattr(sys, "argv", line)
    cli.main()
    metrics: dict[str, Any] = json.loads(out.read_text())["metrics"]
    return metrics


@pytest.fixture(params=["drawn", "drawn again", "trained"])
def model(request: pytest.FixtureRequest, tiny: Callable[[int], str], trained_tiny: str) -> str:
    """Random weights of two seeds, and trained ones."""
    return {"drawn": tiny(0), "drawn again": tiny(1), "trained": trained_tiny}[request.param]


def test_classification_is_theirs_to_the_last_digit(
    model: str,
    classification: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = theirs(
        classification, model, "zeroshot_classification", tmp_path / "out.json", monkeypatch
    )
    encoder, test_set = OpenClipEncoder.named(model), open_test_set(str(classification))
    (scores,) = classify([encoder], test_set, batch=50)
    ours = outcome(encoder, test_set, scores).values
    assert {name: ours[name] for name in ("acc1", "acc5")} == {
        name: expected[name] for name in ("acc1", "acc5")
    }
    assert ours["mean_per_class_recall"] == pytest.approx(
        expected["mean_per_class_recall"], abs=1e-12
    )
    assert 0 < ours["acc1"] < 1  # something was told apart, and not all


def rewritten(folder: Path, change: Callable[[int, Image.Image], bytes]) -> None:
    """The pictures of the first test shard, each changed by its place."""
    path = folder / "test" / "0.tar"
    with tarfile.open(path) as tar:
        members = []
        for number, member in enumerate(tar.getmembers()):
            file = tar.extractfile(member)
            assert file is not None
            content = file.read()
            if member.name.endswith("png"):
                content = change(number // 2, Image.open(io.BytesIO(content)))
            members.append((member.name, content))
    write_shard(path, members)


def unusual(number: int, picture: Image.Image) -> bytes:
    """Half transparent, of few colours, grey, or turned by what its file says."""
    out = io.BytesIO()
    if number % 4 == 0:
        alpha = Image.linear_gradient("L").resize(picture.size)
        picture.putalpha(alpha)
        picture.save(out, "PNG")
    elif number % 4 == 1:
        picture.quantize(8).save(out, "PNG")
    elif number % 4 == 2:
        picture.convert("L").save(out, "PNG")
    else:
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.save(out, "PNG", exif=exif)
    return out.getvalue()


def test_pictures_of_every_kind_are_seen_as_theirs_are(
    classification: Path, tiny: Callable[[int], str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = Path(shutil.copytree(classification, tmp_path / "unusual"))
    rewritten(folder, unusual)
    out = tmp_path / "out.json"
    expected = theirs(folder, tiny(0), "zeroshot_classification", out, monkeypatch)
    encoder, test_set = OpenClipEncoder.named(tiny(0)), open_test_set(str(folder))
    (scores,) = classify([encoder], test_set, batch=50)
    assert outcome(encoder, test_set, scores).values == pytest.approx(expected, abs=1e-12)
    (usual,) = classify([encoder], open_test_set(str(classification)), batch=50)
    assert (usual.columns["above"] != scores.columns["above"]).any()


@pytest.mark.parametrize(("name", "number"), [("prompt1", 1), ("prompt6", 6), ("prompt8", 8)])
def test_prompt_sets_score_as_theirs_with_the_same_lines(
    name: str, number: int, classification: Path, tiny: Callable[[int], str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    templates = PROMPT_SETS[name]()
    assert len(set(templates)) == number
    folder = Path(shutil.copytree(classification, tmp_path / "prompted"))
    (folder / "zeroshot_classification_templates.txt").write_text("\n".join(templates))
    out = tmp_path / "out.json"
    expected = theirs(folder, tiny(1), "zeroshot_classification", out, monkeypatch)
    encoder, test_set = OpenClipEncoder.named(tiny(1)), open_test_set(str(classification))
    (scores,) = classify([encoder], test_set, templates, batch=50)
    assert outcome(encoder, test_set, scores, templates).values == pytest.approx(
        expected, abs=1e-12
    )


def test_eighty_prompts_are_those_that_theirs_has_of_imagenet() -> None:
    place = importlib.resources.files("clip_benchmark.datasets")
    said = json.loads((place / "en_zeroshot_classification_templates.json").read_text())
    assert list(PROMPT_SETS["prompt80"]()) == said["imagenet1k"]


def test_of_two_classes_with_one_name_the_first_is_predicted_as_theirs_is(
    classification: Path,
    tiny: Callable[[int], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path(shutil.copytree(classification, tmp_path / "named"))
    names = (folder / "classnames.txt").read_text().splitlines()
    names[5] = names[2]
    (folder / "classnames.txt").write_text("\n".join(names) + "\n")
    task, out = "zeroshot_classification", tmp_path / "out.json"
    expected = theirs(folder, tiny(0), task, out, monkeypatch)
    encoder, test_set = OpenClipEncoder.named(tiny(0)), open_test_set(str(folder))
    (scores,) = classify([encoder], test_set, batch=50)
    ours = outcome(encoder, test_set, scores)
    assert ours.values == pytest.approx(expected, abs=1e-12)
    label, above = scores.columns["label"], scores.columns["above"]
    assert ((scores.columns["predicted"] == label) == (above == 0)).all()
    assert (above[label == 2] == 0).any() and not (above[label == 5] == 0).any()
    assert ours.protocol["namesakes"] == "the first is predicted"
    plain = outcome(encoder, open_test_set(str(classification)), scores)
    assert "namesakes" not in plain.protocol


def test_retrieval_is_theirs_to_the_last_digit(
    captions: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = theirs(
        captions, model, "zeroshot_retrieval", tmp_path / "out.json", monkeypatch,
        "--recall_k", "1", "5", "10",
    )  # fmt: skip
    encoder = OpenClipEncoder.named(model)
    (ours,) = retrieve([encoder], open_test_set(str(captions)), batch=7)
    assert set(ours.values) == set(expected)
    # They average in single precision.
    assert ours.values == pytest.approx(expected, abs=1e-6)


def test_the_command_writes_their_form_with_what_decides_the_numbers(
    classification: Path, tiny: Callable[[int], str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["evaluate", f"open_clip:{tiny(0)}", f"open_clip:{tiny(1)}", "--json", "--untracked"]
    line += ["--tests"]
    assert command.main([*line, str(classification)]) == 0
    first, second = (json.loads(one) for one in capsys.readouterr().out.splitlines())
    assert {"dataset", "model", "task", "metrics", "language"} <= set(first)
    assert first["n"] == 168 and first["chance"]["acc1"] == pytest.approx(1 / 7)
    assert first["protocol"]["templates"] == second["protocol"]["templates"]
    assert first["metrics"] != second["metrics"]
    low, high = first["interval"]["acc1"]
    assert low < first["metrics"]["acc1"] < high


def their_probe() -> Callable[..., dict[str, Any]]:
    """Their own lines but for the device: they ask for a GPU, and refuse to be slow without one."""
    from clip_benchmark.metrics import linear_probe

    lines = inspect.getsource(linear_probe)
    for old, new in (
        ("from .zeroshot_classification import accuracy\n", ""),
        ("    assert device == 'cuda' # need to use cuda for this else too slow\n", ""),
        (".cuda()", ""),
        ("pin_memory=True", "pin_memory=False"),
    ):
        assert old in lines
        lines = lines.replace(old, new)
    names: dict[str, Any] = {"accuracy": their_accuracy()}
    exec(lines, names)
    found: Callable[..., dict[str, Any]] = names["evaluate"]
    return found


def hues(folder: Path, per_class: int) -> Path:
    """Pictures whose colour says the class of most of them: the rest no probe can know."""
    for split, seed in (("test", 0), ("train", 1)):
        rng, members = np.random.default_rng(seed), []
        for n, label in enumerate(rng.permutation(np.repeat(np.arange(7), per_class)).tolist()):
            colour = np.random.default_rng(label).integers(90, 165, 3) + rng.normal(0, 8, 3)
            pixels = (colour + rng.normal(0, 60, (32, 32, 3))).clip(0, 255).astype(np.uint8)
            out = io.BytesIO()
            Image.fromarray(pixels).save(out, "PNG")
            members += [(f"s{n:05d}.png", out.getvalue()), (f"s{n:05d}.cls", str(label).encode())]
        write_shard(folder / split / "0.tar", members)
        (folder / split / "nshards.txt").write_text("1")
    (folder / "classnames.txt").write_text("\n".join("abcdefg"))
    (folder / "zeroshot_classification_templates.txt").write_text("{c}")
    return folder


@pytest.mark.long
def test_a_linear_probe_is_theirs_to_a_fifth_of_a_point(trained_tiny: str, tmp_path: Path) -> None:
    import open_clip
    from clip_benchmark.datasets.builder import build_dataset
    from torch.utils.data import DataLoader

    folder = hues(tmp_path / "hues", 200)
    (ours,) = probe([OpenClipEncoder.named(trained_tiny)], open_test_set(str(folder)))
    assert isinstance(ours, Outcome)
    architecture, _, weights = trained_tiny.partition("@")
    model, _, transform = open_clip.create_model_and_transforms(architecture, pretrained=weights)

    def read(split: str) -> DataLoader[Any]:
        given = {"root": str(folder), "transform": transform, "split": split, "download": False}
        pictures = build_dataset("wds/hues", task="linear_probe", **given)
        return DataLoader(pictures.batched(64), batch_size=None)

    # All training pictures, their defaults: 20 epochs of AdamW at 0.1, features normalised.
    theirs = their_probe()(
        *(model.eval(), read("train"), read("test"), -1, 64, 0, 0.1, 20, "tiny", 0),
        *(str(tmp_path / "features"), "cpu"),
        normalize=True,
        amp=False,
    )
    assert 0.7 < theirs["lp_acc1"] < 0.99
    assert ours.values["lp_acc1"] == pytest.approx(theirs["lp_acc1"], abs=0.002)
