"""What this machine computes with, found out without torch."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from seedbed.cluster.cards import CARDS

_CPUS, _GPUS = Path("/proc/cpuinfo"), Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Machine:
    """The cores that this process may use, and the GPUs, by their name ("" for none)."""

    processor: str
    num_cores: int
    gpu: str = ""
    num_gpus: int = 0

    @property
    def device(self) -> str:
        """What trains here, as probes and records name it."""
        return self.gpu or self.processor

    @property
    def words(self) -> str:
        if self.num_gpus:
            return f"this machine ({self.num_gpus} x {self.gpu})"
        return f"this machine ({self.num_cores} core{'s' * (self.num_cores != 1)})"


def this_machine() -> Machine:
    """Of Linux and NVIDIA's driver; elsewhere what Python knows."""
    told = [_value(path / "information", "Model") for path in sorted(_folders(_GPUS))]
    gpus = [name for name in told if name]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = _value(_CPUS, "model name") or platform.processor() or platform.machine()
    return Machine(name, cores or 1, gpus[0] if gpus else "", len(gpus))


def is_kind(device: str, kind: str) -> bool:
    """Whether a device of that name is of the kind of GPUs that Ray calls so."""
    words = device.replace("-", " ").split()
    base, _, size = kind.partition("-")
    return kind in CARDS and base in words and (not size or size in device.replace("GB", "G"))


def _folders(place: Path) -> list[Path]:
    try:
        return list(place.iterdir())
    except OSError:
        return []


def _value(path: Path, name: str) -> str:
    """What a file of `name : value` lines says first of `name`; "" where it does not."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
