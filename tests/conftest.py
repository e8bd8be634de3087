"""What tests share: a small corpus of drawn shapes, and a home folder of its own."""

from __future__ import annotations

import gc
import io
import multiprocessing.process
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import hypothesis
import pytest
from PIL import Image, ImageDraw

from seedbed.collecting import as_usual, seldom
from seedbed.storage.copies import let_go_of_copies
from seedbed.storage.scratch import remove_stale

PLUGINS = ("collecting", "local_cluster", "planning", "pretending", "ranks", "rays", "s3")
pytest_plugins = [f"tests.fixtures.{name}" for name in (*PLUGINS, "studies")]
# How long an example takes says how busy the machine is, and nothing of what is tested.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")
os.environ["RAY_AUTH_MODE"] = "disabled"
# Ray gives way to others by 15; beside tests that compute its studies would stand still.
os.environ.setdefault("RAY_worker_niceness", "0")
# As many processes as cores share the tests: threads of their own would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as seedbed.cluster.connect says
seldom()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Several processes of tests ignore Ctrl-C, and so would all that they start: what a stop
    # does could not be tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "black", "pink")
SHAPES = ("circle", "square", "bar")

WriteShards = Callable[..., Path]


def pytest_collection_finish() -> None:
    as_usual()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU, and torch sees no CUDA device")


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


SOCKETS = "sockets"  # of multiprocessing


def _left() -> set[str]:
    """What lies in the temporary folder, but for torch's and npm's caches, Ray's logs, the sockets
    of its dashboard's parts, which it ends by a signal, and our own."""
    kept = ("torchinductor_", "node-compile-cache", "ray", "pymp-", SOCKETS)
    names = {path.name for path in Path(tempfile.gettempdir()).iterdir()}
    return {name for name in names if not name.startswith(kept)}


@pytest.fixture(scope="session", autouse=True)
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A temporary folder for the session and all that it starts, in which nothing may be left."""
    tmp_path_factory.getbasetemp()  # where pytest keeps the last three
    with (
        pytest.MonkeyPatch.context() as patch,
        # A short name: sockets are made in it, and their paths may have 107 bytes.
        tempfile.TemporaryDirectory(prefix="sb-", ignore_cleanup_errors=True) as folder,
    ):
        patch.setenv("TMPDIR", folder)
        patch.setenv("RAY_TMPDIR", os.environ.get("RAY_TMPDIR", folder))
        patch.setattr(tempfile, "tempdir", folder)
        # Python would make one beside it, and a process of tests may end without removing it.
        (Path(folder) / SOCKETS).mkdir()
        own = multiprocessing.process.current_process()._config  # type: ignore[attr-defined]
        patch.setitem(own, "tempdir", str(Path(folder) / SOCKETS))
        yield
        gc.collect()  # of what is removed with its owner
        let_go_of_copies()
        remove_stale()  # as the next study would, after one that was killed
        left = _left()
    assert not left, f"left in the temporary folder: {sorted(left)}"


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


Holder = Callable[..., AbstractContextManager[subprocess.Popen[str]]]


@pytest.fixture
def second_process() -> Holder:
    """`with second_process(code, *arguments) as process:`, once it has printed "held"."""

    @contextmanager
    def hold(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            try:
                yield process
            finally:
                process.kill()

    return hold
