"""What ends a cluster ends what is its own. Oracle: real processes, ours and others'."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from seedbed_local.cluster import MARK, State, members
from seedbed_local.service import kill, lives, tree

# As Ray's workers do: the child's environment no longer says whose it is.
PARENT = """
import subprocess, sys
subprocess.Popen(["env", "-i", "sleep", "600"])
print("up", flush=True)
sys.stdin.read()
"""


def test_a_cluster_whose_holder_was_killed_is_ended_and_nothing_else(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    ours = subprocess.Popen([sys.executable, "-c", PARENT], env=os.environ | {MARK: "a"}, **pipes)
    other = subprocess.Popen([sys.executable, "-c", PARENT], env=os.environ | {MARK: "b"}, **pipes)
    try:
        for process in (ours, other):
            assert process.stdout is not None and process.stdout.readline() == b"up\n"
        there = members("a")
        assert len(there) == 2 and ours.pid in [process.pid for process in there]
        state, temp = State(tmp_path), tmp_path / "temp"
        temp.mkdir()
        # Its holder is gone; a process that was given its pid since is not it.
        values = {"pid": other.pid, "created": 1.0, "mark": "a", "temp": str(temp)}
        state.path.write_text(json.dumps(values))
        assert "2 processes were left" in state.down()
        assert not any(map(lives, there))
        assert other.poll() is None and len(members("b")) == 2
        assert not temp.exists() and state.read() is None
        assert state.down() == "no cluster is up"
    finally:
        kill(tree([ours.pid, other.pid]))
        for process in (ours, other):
            process.communicate()
