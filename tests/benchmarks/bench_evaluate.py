"""Zero-shot evaluation: pictures a second, alone and for several models at once.

Baselines, in the same run: a plain loop over a DataLoader of webdataset and open_clip's model, with
as many processes that decode as ours has threads; and each of the models by itself. To reach: 1.0
of the loop, and for 8 models on one stream 3 times what 8 evaluations one after the other do.

    python tests/benchmarks/bench_evaluate.py [--pictures 10000] [--names 1911] [--models 8]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
import webdataset
from PIL import Image
from table import Row, run

from seedbed.evaluate.pretrained import OpenClipEncoder
from seedbed.evaluate.stream import BATCH, THREADS
from seedbed.evaluate.test_set import TestSet, open_test_set
from seedbed.evaluate.zeroshot import classify

TOY = ("--pictures", "64", "--names", "16", "--models", "2", "--side", "64")
NEEDS = ()
ARCHITECTURE = "seedbed-bench"
# The demo's sizes: where the models are small, what is shared counts most.
SMALL = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 32, "layers": 4, "width": 96, "patch_size": 8, "head_width": 32},
    "text_cfg": {
        "context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 3,
    },
}  # fmt: skip


def write(folder: Path, pictures: int, names: int, side: int) -> None:
    rng = np.random.default_rng(0)
    (folder / "test").mkdir()
    base = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
    with contextlib.ExitStack() as open_shards:
        # One for each process of the loop: it has no more of them than shards.
        shards = [
            open_shards.enter_context(tarfile.open(folder / "test" / f"{n}.tar", "w"))
            for n in range(THREADS)
        ]
        for n in range(pictures):
            shard = shards[n % THREADS]
            out, turned = io.BytesIO(), np.roll(base, n, axis=n % 3)
            Image.fromarray(turned).resize((side, side)).save(out, "JPEG", quality=90)
            for suffix, content in (("jpg", out.getvalue()), ("cls", str(n % names).encode())):
                member = tarfile.TarInfo(f"s{n:06d}.{suffix}")
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
    (folder / "test" / "nshards.txt").write_text(str(THREADS))
    (folder / "classnames.txt").write_text("\n".join(f"thing {n}" for n in range(names)) + "\n")
    (folder / "zeroshot_classification_templates.txt").write_text("a photo of a {c}.\n")


@torch.inference_mode()
def plain_loop(test_set: TestSet) -> float:
    """The seconds of a loop as clip_benchmark writes it."""
    began = time.perf_counter()
    model, _, preprocess = open_clip.create_model_and_transforms(ARCHITECTURE)
    tokenize, model = open_clip.get_tokenizer(ARCHITECTURE), model.eval()
    classes = [
        F.normalize(
            F.normalize(model.encode_text(tokenize([f"a photo of a {name}."])), dim=-1).mean(0),
            dim=-1,
        )
        for name in test_set.classes
    ]
    weights = torch.stack(classes, dim=1)
    data = (
        webdataset.WebDataset(list(test_set.shards), shardshuffle=False)
        .decode("pil")
        .to_tuple("jpg", "cls")
        .map_tuple(preprocess, lambda label: label)
    )
    right = 0
    loader = torch.utils.data.DataLoader(data, batch_size=BATCH, num_workers=THREADS)
    for pictures, labels in loader:
        scores = F.normalize(model.encode_image(pictures), dim=-1) @ weights
        right += int((scores.argmax(1) == labels).sum())
    return time.perf_counter() - began


def ours(test_set: TestSet, number: int) -> float:
    began = time.perf_counter()
    encoders = [OpenClipEncoder.named(ARCHITECTURE) for _ in range(number)]
    classify(encoders, test_set)
    return time.perf_counter() - began


def main(arguments: Sequence[str]) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--names", type=int, default=1_911)
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--side", type=int, default=256, help="of the pictures, in pixels")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        config = Path(place) / f"{ARCHITECTURE}.json"
        config.write_text(json.dumps(SMALL))
        open_clip.add_model_config(config)
        folder = Path(place) / "pictures"
        folder.mkdir()
        write(folder, options.pictures, options.names, options.side)
        test_set = open_test_set(str(folder))
        loop, alone = plain_loop(test_set), ours(test_set, 1)
        together = ours(test_set, options.models)
    print(
        f"{options.pictures:,} pictures of {options.side} px, {options.names:,} names: a plain "
        f"loop {loop:.1f} s, ours {alone:.1f} s, {options.models} models {together:.1f} s"
    )
    several = f"{options.models} models on one stream, rate"
    return [
        Row("an evaluation, rate", loop / alone, "a plain loop over open_clip", 1.0, True),
        Row(several, options.models * alone / together, "each by itself", 3.0, True),
    ]


if __name__ == "__main__":
    sys.exit(run(main, TOY))
