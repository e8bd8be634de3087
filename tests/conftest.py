"""What tests share: a small corpus of drawn shapes, and a home folder of its own."""

from __future__ import annotations

import io
import os
import random
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

os.environ["RAY_AUTH_MODE"] = "disabled"
# As many processes as cores share the tests: threads of their own would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Several processes of tests ignore Ctrl-C, and so would all that they start: what a stop
    # does could not be tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "black", "pink")
SHAPES = ("circle", "square", "bar")

WriteShards = Callable[..., Path]


def shape(rng: random.Random) -> tuple[bytes, str]:
    """A 48 px PNG of one shape on a ground, and what it shows."""
    colour, ground, kind = rng.choice(COLOURS), rng.choice(COLOURS), rng.choice(SHAPES)
    picture = Image.new("RGB", (48, 48), ground)
    draw, x = ImageDraw.Draw(picture), rng.randint(0, 20)
    if kind == "circle":
        draw.ellipse([x, x, x + 26, x + 26], fill=colour)
    elif kind == "square":
        draw.rectangle([x, x, x + 26, x + 26], fill=colour)
    else:
        draw.rectangle([x, 0, x + 8, 48], fill=colour)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue(), f"a {colour} {kind} on {ground} at {x}"


def write_tar(path: Path, samples: list[tuple[str, dict[str, bytes]]]) -> None:
    with tarfile.open(path, "w") as tar:
        for key, members in samples:
            for extension, content in members.items():
                member = tarfile.TarInfo(f"{key}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def shape_shards(folder: Path, num_samples: int, per_shard: int = 64) -> Path:
    """A webdataset folder of shapes, always the same."""
    rng = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for i in range(num_samples):
        picture, caption = shape(rng)
        samples.append((f"{i:09}", {"png": picture, "txt": caption.encode()}))
    for shard, first in enumerate(range(0, num_samples, per_shard)):
        write_tar(folder / f"{shard:05}.tar", samples[first : first + per_shard])
    return folder


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """512 shapes in 8 shards."""
    return shape_shards(tmp_path_factory.mktemp("shapes"), 512)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty SEEDBED_HOME."""
    monkeypatch.setenv("SEEDBED_HOME", str(tmp_path / "home"))
    for name in (
        "SEEDBED_SCALE",
        "SEEDBED_DATA",
        "SEEDBED_STORAGE",
        "MLFLOW_TRACKING_URI",
        "RAY_ADDRESS",
    ):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"
