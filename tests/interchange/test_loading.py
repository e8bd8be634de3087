"""Models in use. Oracle: the model of the very weights, called by hand; MLflow's own loader."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from tests.fixtures.models import VIT, described, finished

import seedbed
from seedbed.commands.seedbed import main
from seedbed.data.render import tokenizer
from seedbed.errors import DataError, StudyError, TrackingError
from seedbed.interchange.described import Described
from seedbed.interchange.found import WEIGHTS, find_trial, trials_of
from seedbed.recipe.recipe import AdamW, Recipe
from seedbed.run.evaluation import weight_bytes
from seedbed.storage.folder import Folder

NAMES, TEMPLATES = ["cat", "red bar"], ["{}", "a photo of a {}."]


def recipe(variant: str = "clip", seed: int = 0, **fields: Any) -> Recipe:
    what = described(variant)
    own = {"image": VIT, "text": what.text, "embed_dim": what.embed_dim, "seed": seed}
    return Recipe(objective=what.objective, **{**own, **fields})


@pytest.fixture
def results(home: Path) -> Path:
    return home / "results"


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8))


def test_three_lines_encode_and_classify(results: Path, tmp_path: Path) -> None:
    key, by_hand = finished(results, recipe())
    picture().save(tmp_path / "p.png")
    model = seedbed.load(key)
    images = model.encode_images([picture(), tmp_path / "p.png", (tmp_path / "p.png").read_bytes()])
    texts = model.encode_texts(["cat", "a photo of a cat."])
    with torch.inference_mode():
        pixels = torch.tensor(np.asarray(picture()))[None]
        expected = F.normalize(by_hand.embed_image(pixels), dim=-1)
        ids, lengths = tokenizer.encode(["cat", "a photo of a cat."], 12)
        read = by_hand.embed_text(torch.from_numpy(ids), torch.from_numpy(lengths))
    np.testing.assert_allclose(images, expected.numpy().repeat(3, 0), atol=1e-6)
    np.testing.assert_allclose(texts, F.normalize(read, dim=-1).numpy(), atol=1e-6)
    # A name's prompts: each normalised, their mean normalised.
    ensembles = []
    for name in NAMES:
        mean = model.encode_texts([t.format(name) for t in TEMPLATES]).mean(0)
        ensembles.append(mean / np.linalg.norm(mean))
    scaled = by_hand.thetas["logit"].exp().item() * images[:1] @ np.stack(ensembles).T
    chances = np.exp(scaled) / np.exp(scaled).sum()
    np.testing.assert_allclose(model.classify(picture(), NAMES, TEMPLATES), chances, atol=1e-5)


def test_tokens_are_compared_prompt_by_prompt(results: Path) -> None:
    key, by_hand = finished(results, recipe("filip"))
    found = seedbed.load(key).classify([picture()], NAMES, TEMPLATES)
    prompts = [t.format(n) for n in NAMES for t in TEMPLATES]
    similarity = by_hand.similarity()
    assert similarity is not None
    with torch.inference_mode():
        columns = [torch.from_numpy(c) for c in tokenizer.encode(prompts, 12)]
        similarity.hold([similarity.read_text(columns[0], columns[1])])
        scores = similarity.scores(torch.tensor(np.asarray(picture()))[None])
        scores = by_hand.thetas["dense"].exp() * scores.view(1, 2, 2).mean(-1)
    np.testing.assert_allclose(found, scores.softmax(-1).numpy(), atol=1e-5)


@pytest.mark.slow
def test_a_trial_is_found_by_key_beginning_name_and_folder(results: Path) -> None:
    key, _ = finished(results, recipe())
    deep, _ = finished(results, recipe(text=replace(described().text, layers=3)))
    for said in (key, key[:6], "depth=2 s=0", str(results / "s" / "trials" / key)):
        assert seedbed.load(said).recipe["text.layers"] == 2
    assert seedbed.load(deep, storage=str(results), study="s").recipe["text.layers"] == 3
    with pytest.raises(StudyError, match="there is no trial ''"):
        seedbed.load("")
    finished(results, recipe(optimizer=AdamW(lr=0.5)))
    with pytest.raises(StudyError, match="names 2 trials") as error:
        seedbed.load("depth=2 s=0")
    assert key in error.value.what
    with pytest.raises(StudyError, match="there is no trial 'depth=9 s=0'") as error:
        seedbed.load("depth=9 s=0")
    assert error.value.mend == "there are 3 of s"
    with pytest.raises(StudyError, match="there is no study 'z'"):
        seedbed.load(key, study="z")


def test_one_that_diverged_or_whose_weights_are_gone_is_no_model(results: Path) -> None:
    key, _ = finished(results, recipe(), status="diverged")
    with pytest.raises(StudyError, match="is diverged"):
        seedbed.load(key)
    gone, _ = finished(results, recipe(seed=1))
    (results / "s" / "trials" / gone / "model.safetensors").unlink()
    with pytest.raises(StudyError, match="are not kept") as error:
        seedbed.load(gone)
    assert "--keep-weights" in error.value.why


def test_weights_that_were_cut_off_or_changed_are_refused(results: Path) -> None:
    key, model = finished(results, recipe())
    file = results / "s" / "trials" / key / "model.safetensors"
    whole = file.read_bytes()
    changed = bytearray(whole)
    changed[-1] ^= 1
    for content in (whole[:-10], bytes(changed)):
        file.write_bytes(content)
        with pytest.raises(DataError, match="has the digest") as error:
            seedbed.load(key)
        assert "restore it" in error.value.mend
    file.write_bytes(whole)
    assert torch.equal(seedbed.load(key).pretrainer.thetas["logit"], model.thetas["logit"])


def test_weights_of_before_safetensors_are_read(results: Path) -> None:
    key, model = finished(results, recipe("declip"))
    folder = results / "s" / "trials" / key
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "model.pt")
    loaded = seedbed.load(key).pretrainer.state_dict()
    queue = "terms.nearest_text.queue.rows"
    assert torch.equal(loaded[queue], model.state_dict()[queue])


@pytest.mark.slow
def test_results_that_are_no_numbers_are_not_given(results: Path) -> None:
    key, _ = finished(results, recipe())
    model = seedbed.load(key)
    with torch.no_grad():
        model.pretrainer.projections["image"].weight.fill_(torch.nan)
    with pytest.raises(DataError, match="picture number 0 has a result that is not finite"):
        model.encode_images([picture()])


@pytest.mark.parametrize(
    ("names", "templates", "said"),
    [
        (NAMES, ["a photo"], "has no {}"),
        ([], TEMPLATES, "chooses among"),
        (NAMES, "a {}", "chooses among"),
    ],
)
def test_prompts_without_a_name_are_refused(
    names: list[str], templates: Any, said: str, results: Path
) -> None:
    key, _ = finished(results, recipe())
    with pytest.raises(StudyError) as error:
        seedbed.load(key).classify(picture(), names, templates)
    assert said in str(error.value)


def test_what_is_no_picture_is_named(results: Path, tmp_path: Path) -> None:
    key, _ = finished(results, recipe())
    (tmp_path / "p.png").write_bytes(b"no picture")
    for what in (tmp_path / "p.png", tmp_path / "none.png"):
        with pytest.raises(DataError, match=f"{what.name} cannot be read"):
            seedbed.load(key).encode_images([what])


@pytest.mark.slow
def test_the_command_writes_a_folder_that_open_clip_and_we_load(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, by_hand = finished(results, recipe("slip"))
    folder = tmp_path / "out"
    assert main(["export", key[:8], "--to", str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder)
    assert {path.name for path in tmp_path.iterdir()} == {"home", "out"}
    peer, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    with torch.inference_mode():
        seen = peer.eval().encode_image(prepare(picture())[None], normalize=True)
    np.testing.assert_allclose(
        seedbed.load(folder).encode_images([picture()]), seen.numpy(), atol=1e-5
    )
    state = seedbed.load(folder).pretrainer.state_dict()
    assert all(torch.equal(v, state[n]) for n, v in by_hand.state_dict().items() if "terms" in n)
    card = (folder / "README.md").read_text()
    # 100 of 400: Wilson's interval, by hand to two digits.
    assert "| 25.00% | 21.01% to 29.47% | 400 |" in card
    assert key in card and "f" * 64 in card and '"text.layers": 2' in card
    assert main(["export", key, "--to", str(folder)]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_a_tower_that_open_clip_has_not_leaves_nothing(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = replace(VIT, name="vit_base_patch32_clip_224")
    key, _ = finished(results, recipe(image=odd))
    assert main(["export", key, "--to", str(tmp_path / "out")]) == 2
    assert "'vit_base_patch32_clip_224' at 32 px" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


@pytest.mark.slow
def test_a_registered_model_takes_pictures_and_texts(
    results: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow

    key, _ = finished(results, recipe())
    uri = f"sqlite:///{home / 'mlflow.db'}"
    folder = tmp_path / "out"
    asked = ["--register", "emoji", "--tracking-uri", uri]
    assert main(["export", key, "--to", str(folder), *asked]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "models:/emoji/1"
    version = mlflow.MlflowClient(uri, uri).get_model_version("emoji", "1")
    assert version.tags["seedbed.trial_key"] == key
    model = mlflow.pyfunc.load_model(version.source)
    held = io.BytesIO()
    picture().save(held, "PNG")
    rows = pd.DataFrame({"image": [held.getvalue()], "text": ["cat"]})
    ours = seedbed.load(folder)
    given = model.predict(rows)
    np.testing.assert_allclose(given["image_embedding"][0], ours.encode_images([picture()])[0])
    np.testing.assert_allclose(given["text_embedding"][0], ours.encode_texts(["cat"])[0])
    chosen = model.predict(rows[["image"]], params={"names": NAMES, "templates": TEMPLATES})
    assert list(chosen.columns) == NAMES
    np.testing.assert_allclose(chosen.to_numpy(), ours.classify(picture(), NAMES, TEMPLATES))


@pytest.mark.slow
def test_a_run_s_id_leads_to_its_trial(results: Path, home: Path) -> None:
    from mlflow import MlflowClient

    key, _ = finished(results, recipe())
    uri = f"sqlite:///{home / 'mlflow.db'}"
    client = MlflowClient(uri)
    experiment = client.create_experiment("s", (home / "mlartifacts").as_uri())
    place = {"seedbed.results": str(results / "s")}
    trial = client.create_run(experiment, tags={"seedbed.trial_key": key, **place}).info.run_id
    other = client.create_run(experiment, tags=place).info.run_id
    assert seedbed.load(trial, tracking_uri=uri).recipe["text.layers"] == 2
    with pytest.raises(TrackingError, match="is of no trial"):
        seedbed.load(other, tracking_uri=uri)
    with pytest.raises(TrackingError, match="there is no run"):
        seedbed.load("0" * 32, tracking_uri=uri)


def test_a_record_says_the_same_after_json() -> None:
    for variant in ("clip", "slip", "filip", "declip", "defilip"):
        one = recipe(variant)
        flat = json.loads(json.dumps(one.flatten()))
        assert Described.read(flat, "here") == Described.of(one)
    flat["objective.filip.term"] = "LateInteractoin"
    with pytest.raises(DataError, match="is a LateInteractoin") as error:
        Described.read(flat, "here")
    assert "LateInteraction" in error.value.mend


def test_a_studys_trials_are_found_by_their_keys_and_those_that_are_gone_left_out(
    results: Path,
) -> None:
    keys = [finished(results, recipe(seed=seed))[0] for seed in (0, 1)]
    found = trials_of([keys[1], "0" * 16, keys[0]], str(results), "s")
    assert [one.record.key for one in found] == [keys[1], keys[0]]
    assert found[0].state().keys() == find_trial(keys[1], str(results), "s").state().keys()


def test_of_many_trials_several_are_asked_for_at_a_time(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [finished(results, recipe(seed=seed))[0] for seed in (0, 1)]
    together = threading.Barrier(2, timeout=10)  # one after the other would never meet
    read, sized = Folder.read_json, Folder.num_bytes

    def met(ask: Any) -> Any:
        def asked(store: Folder, *parts: str) -> Any:
            together.wait()
            return ask(store, *parts)

        return asked

    monkeypatch.setattr(Folder, "read_json", met(read))
    monkeypatch.setattr(Folder, "num_bytes", met(sized))
    found = trials_of(keys, str(results), "s")
    assert [one.record.key for one in found] == keys
    sizes = weight_bytes(found)
    assert sizes == {k: (results / "s" / "trials" / k / WEIGHTS).stat().st_size for k in keys}
