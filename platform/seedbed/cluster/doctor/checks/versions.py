"""Whether all nodes have the same Python, libraries and code."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from seedbed.cluster.doctor.check import Answer, Check, Facts, Finding, Scope, Visit, each

LIBRARIES = ("seedbed", "ray", "torch", "torchvision", "pyarrow", "mlflow", "timm", "numpy")


def probe(visit: Visit) -> Facts:
    return versions()


def versions() -> dict[str, str]:
    """Of this machine's Python: what is installed, and a digest of the package's own files."""
    import seedbed

    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found | {"code": code_digest(Path(seedbed.__file__).parent)}


def code_digest(folder: Path) -> str:
    """12 hex digits of all Python files below `folder`."""
    mark = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        mark.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return mark.hexdigest()[:12]


def judge(asked: Scope, answers: Sequence[Answer]) -> Sequence[Finding]:
    names = list(answers[0].facts)
    # Ours count too: what this process packs, the nodes unpack.
    ours = versions()
    differ = [n for n in names if {ours[n], *(answer.facts[n] for answer in answers)} != {ours[n]}]
    findings = [
        Finding(
            "bad",
            f"{name} differs: {ours[name]} here, {each(answers, lambda facts: facts[name])}",  # noqa: B023
            "send the same working copy to every node, or mount it"
            if name == "code"
            else "give every node one image, or install it with constraints.txt",
        )
        for name in differ
    ]
    said = ", ".join(f"{name} {ours[name]}" for name in names if name not in differ)
    return findings or [Finding("ok", said)]


CHECK = Check("have all nodes the same code and libraries?", judge, probe)
