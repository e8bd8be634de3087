"""Bad samples: counted and named, never fatal by themselves."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """A sample that cannot be used: its shard, its key, and why."""

    shard: str
    key: str
    reason: str

    @property
    def line(self) -> str:
        """As one text, which `parse` reads back."""
        return "\t".join(" ".join(part.split()) for part in self)

    @classmethod
    def parse(cls, line: str) -> Fault:
        return cls(*line.split("\t"))

    def __str__(self) -> str:
        return f"{self.shard}/{self.key}: {self.reason}"
