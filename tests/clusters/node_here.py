"""A machine of a cloud that is this one: `ssh` and `rsync` reach a folder, as its user's home.

What Ray's launcher sends runs in a real bash, as it quotes it. But no command of it may do here
what it does there: `ray stop` would end every Ray of this machine, and `sudo shutdown` the machine.
So each program that the commands name is a script that writes down how it was called, and nothing
else is on the path but the system's own.
"""

from __future__ import annotations

import json
import shlex
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# As sshd: what follows the host is one line for the user's shell.
SSH = """
while [[ "$1" != *@* ]]; do shift; done
shift
cd {home} && exec env -i HOME={home} PATH={programs}:/usr/bin:/bin bash -c "$*"
"""
RSYNC = """
source=${{@: -2:1}} target=${{@: -1}}
target={home}/${{target#*:"~/"}}
mkdir -p "$(dirname "$target")"
if [ -d "$source" ]; then
    mkdir -p "$target" && cp -a "$source/." "$target"
else
    cp -a "$source" "$target"
fi
"""
RECORD = """
{python} - "$0" "$@" << 'END'
import json, os, sys
call = [os.path.basename(sys.argv[1]), sys.argv[2:], os.getcwd(), dict(os.environ)]
with open({calls!r}, "a") as file:
    print(json.dumps(call), file=file)
END
"""
NAMED = ("ray", "pip", "python", "python3", "sudo", "apt-get", "shutdown")


@dataclass(frozen=True)
class Call:
    """Of a program: its arguments, where, and in what environment."""

    program: str
    arguments: list[str]
    folder: str
    environment: dict[str, str]


class NodeHere:
    """A home in `folder`; what the programs there were called with."""

    def __init__(self, folder: Path) -> None:
        self.home, self.programs, self._calls = folder / "home", folder / "bin", folder / "calls"
        self.home.mkdir(parents=True)
        record = RECORD.format(python=shlex.quote(sys.executable), calls=str(self._calls))
        for place in (self.programs, self.home / "venv" / "bin"):
            place.mkdir(parents=True)
            for name in NAMED:
                script(place / name, record)
        places = {
            "home": shlex.quote(str(self.home)),
            "programs": shlex.quote(str(self.programs)),
        }
        script(self.programs / "ssh", SSH.format(**places))
        script(self.programs / "rsync", RSYNC.format(**places))
        # A login shell has another path: Ray reads this before every command.
        (self.home / ".bashrc").write_text(f"export PATH={places['programs']}:/usr/bin:/bin\n")

    def calls(self, program: str, *first: str) -> list[Call]:
        """Those of a program whose arguments begin so, in order."""
        lines: list[Any] = [json.loads(line) for line in self._calls.read_text().splitlines()]
        found = [Call(*line) for line in lines]
        start = list(first)
        return [c for c in found if c.program == program and c.arguments[: len(start)] == start]

    def soon(self, program: str, *first: str) -> list[Call]:
        """The same, of a program that may not have begun yet."""
        for _ in range(100):
            if found := self.calls(program, *first):
                return found
            time.sleep(0.1)
        return []


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text.lstrip()}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
