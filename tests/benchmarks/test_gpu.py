"""The benchmark of a GPU, on a CPU. Oracles: its lines, in a process that lacks what it must not
need; FLOPs as torch counts them; the names that cards give themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.benchmarks.test_benchmarks import check_figures

FOLDER = Path(__file__).parent
# What a machine that only has a GPU may lack. None in `sys.modules` is an ImportError.
WITHOUT = """
import runpy, sys
sys.modules |= dict.fromkeys(("ray", "mlflow", "open_clip", "boto3", "optuna", "ftfy"))
sys.argv = sys.argv[1:]
sys.path.insert(0, {folder!r})
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def lines(*arguments: str) -> list[dict[str, Any]]:
    code = WITHOUT.format(folder=str(FOLDER))
    command = [sys.executable, "-c", code, str(FOLDER / "bench_gpu.py"), "--toy"]
    command += arguments
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.slow
def test_it_runs_without_ray_and_says_that_open_clip_is_not_there(home: Path) -> None:
    found = lines("--variants", "defilip", "--peak-tflops", "1", "--precisions", "fp32")
    ours = [line for line in found if line["library"] == "seedbed"]
    theirs = [line for line in found if line["library"] == "open_clip"]
    assert {line["skipped"] for line in theirs} == {"open_clip is not installed"}
    kinds = {(x["tower"], x["precision"], x["compiled"], x["input"]) for x in ours}
    assert len(kinds) == len(ours) == 8
    for line in ours:
        assert line["samples_per_second"] > 0 and line["batch"] == 8
        assert line["mfu"] > 0


@pytest.mark.slow
def test_beside_open_clip_it_gives_figures_that_have_goals(home: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    command = [sys.executable, str(FOLDER / "bench_gpu.py"), "--toy", "--rows-to", str(rows)]
    subprocess.run([*command, "--variants", "clip", "--precisions", "bf16"], check=True)
    check_figures(rows)


@pytest.mark.slow
def test_what_does_not_fit_into_the_budget_is_a_line_that_says_so(home: Path) -> None:
    found = lines("--variants", "clip,slip", "--budget", "0", "--precisions", "bf16,fp32")
    # Of two variants and open_clip's one, and on ViT-B/16 of CLIP's two, eager and compiled.
    assert len(found) == 2 * 2 * 2 * 3 + 2 * 2
    assert all("0 s of the budget are left" in line["skipped"] for line in found)


def test_cards_are_known_by_the_names_that_they_give_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    from gpu_cases import peak_tflops

    peaks = {
        "NVIDIA A100-SXM4-80GB": 312.0,
        "NVIDIA H100 80GB HBM3": 989.4,
        "NVIDIA H100 PCIe": 756.0,
        "NVIDIA H200": 989.4,
        "NVIDIA L4": 121.0,
        "NVIDIA L40S": 362.05,
        "NVIDIA L40": None,
        "NVIDIA A1000": None,
    }
    assert {card: peak_tflops(card, "bf16") for card in peaks} == peaks
    assert peak_tflops("NVIDIA H200", "fp32") == 494.7


@pytest.mark.parametrize("tower", ["vit", "vit16", "resnet"])
def test_open_clips_model_beside_ours_is_as_large_at_the_papers_sizes(
    tower: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("open_clip")
    monkeypatch.syspath_prepend(FOLDER)
    from gpu_cases import Case
    from open_clip_step import open_clip_model

    from seedbed.model.pretrainer import Pretrainer

    of = Case("open_clip", "clip", tower, "bf16", compiled=False).recipe("paper", 8)
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        theirs = open_clip_model(of)
        ours = Pretrainer(of.image, of.text, of.objective, embed_dim=of.embed_dim, seed=0)
    counts = [sum(p.numel() for p in model.parameters()) for model in (theirs, ours)]
    # The projection of texts has a bias here, as in the paper's code, and none there.
    assert counts[0] == counts[1] - of.embed_dim
