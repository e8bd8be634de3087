"""What a study leaves behind. Oracle: the temporary folder that it ran with, looked at after it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.ray]
STUDY = """
from seedbed import Factor, Recipe, Study, main
from seedbed.variants import CLIP

study = Study(
    name="tidy",
    question="?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
)
if __name__ == "__main__":
    main(study)
"""


def test_a_study_and_its_report_leave_nothing_in_the_temporary_folder(
    shapes: Path, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "tidy.py").write_text(STUDY)
    command = [sys.executable, "tidy.py", "--scale", "smoke", "--seeds", "1"]
    for name, value in (
        ("corpus.uri", shapes),
        ("corpus.caption", "txt"),
        ("image.name", "test_vit"),
        ("budget.samples", 128),
        ("budget.warmup_samples", 0),
    ):
        command += ["--set", f"{name}={value}"]
    with tempfile.TemporaryDirectory(prefix="t") as short:  # of Ray's sockets, under 107 bytes
        for more in ([], ["--report"]):
            done = subprocess.run(
                [*command, *more],
                cwd=tmp_path,
                env=os.environ | {"TMPDIR": short},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        # What torch compiles is a cache that it keeps there by name.
        left = {path.name for path in Path(short).iterdir()}
        assert {name for name in left if not name.startswith("torchinductor_")} == set()
