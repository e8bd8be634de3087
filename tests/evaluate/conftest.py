"""Small test sets in clip_benchmark's layout, and small models of open_clip."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

NUM_CLASSES, PER_CLASS = 7, 24
NAMES = ("red ball", "blue box", "green leaf", "tall tree", "small cat", "old car", "wide road")
TEMPLATES = ("a photo of a {c}.", "a drawing of a {c}.", "{c}")
TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 32},
    "text_cfg": {
        "context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2,
    },
}  # fmt: skip


def picture(rng: np.random.Generator, label: int) -> bytes:
    """Noise around a colour of the class, so that embeddings hold something to find."""
    colour = np.random.default_rng(label).integers(40, 215, 3)
    noise = rng.normal(0, 35, (40, 48, 3))
    out = io.BytesIO()
    Image.fromarray((colour + noise).clip(0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def write_shard(path: Path, members: list[tuple[str, bytes]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as shard:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            shard.addfile(member, io.BytesIO(content))


@pytest.fixture(scope="session")
def classification(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """168 pictures of 7 classes in two test shards, and as many to train on."""
    folder = tmp_path_factory.mktemp("tests") / "colours"
    for split, seed in (("test", 0), ("train", 1)):
        rng = np.random.default_rng(seed)
        labels = rng.permutation(np.repeat(np.arange(NUM_CLASSES), PER_CLASS)).tolist()
        members = [
            [(f"s{n:04d}.png", picture(rng, label)), (f"s{n:04d}.cls", str(label).encode())]
            for n, label in enumerate(labels)
        ]
        half = len(members) // 2
        for shard, some in enumerate((members[:half], members[half:])):
            write_shard(folder / split / f"{shard}.tar", [one for pair in some for one in pair])
        (folder / split / "nshards.txt").write_text("2")
    (folder / "classnames.txt").write_text("\n".join(NAMES) + "\n")
    (folder / "zeroshot_classification_templates.txt").write_text("\n".join(TEMPLATES) + "\n")
    return folder


@pytest.fixture(scope="session")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures with one to five captions each."""
    folder = tmp_path_factory.mktemp("tests") / "captions"
    rng = np.random.default_rng(2)
    members = []
    for n in range(60):
        texts = [f"a {NAMES[n % 7]} number {n} seen {k} times" for k in range(1 + n % 5)]
        members += [(f"s{n:04d}.png", picture(rng, n % 7))]
        members += [(f"s{n:04d}.txt", "\n".join(texts).encode())]
    write_shard(folder / "test" / "0.tar", members)
    (folder / "test" / "nshards.txt").write_text("1")
    (folder / "dataset_type.txt").write_text("retrieval")
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], str]:
    """A small architecture that open_clip knows, with random weights of a seed: MODEL@PATH."""
    import open_clip

    folder = tmp_path_factory.mktemp("models")
    (folder / "seedbed-tiny.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder / "seedbed-tiny.json")

    def made(seed: int) -> str:
        path = folder / f"{seed}.pt"
        if not path.exists():
            torch.manual_seed(seed)
            model = open_clip.create_model("seedbed-tiny")
            torch.save(model.state_dict(), path)
        return f"seedbed-tiny@{path}"

    return made


@pytest.fixture(scope="session")
def trained_tiny(tiny: Callable[[int], str], classification: Path) -> str:
    """The small architecture with weights that have learnt something of the train split."""
    import open_clip

    from seedbed.evaluate.test_set import open_test_set

    architecture, _, path = tiny(0).partition("@")
    model, _, preprocess = open_clip.create_model_and_transforms(architecture, pretrained=path)
    examples = list(open_test_set(str(classification), "train").examples())
    pictures = torch.stack([preprocess(Image.open(io.BytesIO(e.picture))) for e in examples])
    labels = torch.tensor([example.label for example in examples])
    prompts = open_clip.get_tokenizer(architecture)([f"a photo of a {name}." for name in NAMES])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(12):
        rows = slice(step % 3 * 56, step % 3 * 56 + 56)
        image, text, scale = model(pictures[rows], prompts)[:3]
        loss = torch.nn.functional.cross_entropy(scale * image @ text.T, labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trained = Path(path).with_name("trained.pt")
    torch.save(model.state_dict(), trained)
    return f"{architecture}@{trained}"
