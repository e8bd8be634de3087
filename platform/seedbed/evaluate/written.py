"""Results as files: of each one in clip_benchmark's form, and its examples one by one."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from seedbed.evaluate.outcome import Outcome

MOST_LETTERS = 120  # of a name: file systems take 255 bytes with its ending
RESULT, EXAMPLES, CAPTIONS = "result.json", "examples.parquet", "captions.parquet"


def write(outcome: Outcome, folder: Path) -> dict[str, Path]:
    """Write them into `folder`, under names of their own; return the files by what they hold.

    `clip_benchmark build FOLDER` makes a table of all results in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = outcome.to_json()
    said = re.sub(r"[^\w.@-]+", "_", f"{outcome.test_set}_{outcome.model}"[-MOST_LETTERS:])
    measured = json.dumps([outcome.test_set, outcome.model, told["protocol"]], sort_keys=True)
    # What else was measured, or how, has other files.
    name = f"{said}_{outcome.task}_{hashlib.sha256(measured.encode()).hexdigest()[:8]}"
    contents = {RESULT: json.dumps(told, indent=1).encode()}
    contents[EXAMPLES] = outcome.scores.table()
    if outcome.scores.by_name:
        contents[CAPTIONS] = outcome.scores.captions_table()
    files = {}
    for what, content in contents.items():
        ending = ".json" if what == RESULT else f".{what}"
        files[what] = folder / f"{name}{ending}"
        files[what].write_bytes(content)
    return files
