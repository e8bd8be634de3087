"""What machines cost an hour, by a small file that is meant to be edited."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedbed.cluster.autoscaler import NodeType
from seedbed.cluster.cards import kinds
from seedbed.errors import ResourceError

KNOWN = Path(__file__).with_name("prices.toml")
SECTIONS = ("node_types", "instances", "accelerators")
FORM = '[instances]\n"g5.xlarge" = { on_demand = 1.006, spot = 0.4 }'


@dataclass(frozen=True)
class Prices:
    """Dollars an hour by section and name; `stated` says where the numbers are from, and when."""

    of: Mapping[str, Mapping[str, Mapping[str, float]]]
    stated: str

    @classmethod
    def read(cls, path: str = "") -> Prices:
        """Ours, and before them those of the file `path`; ResourceError where it is wrong."""
        known = _parsed(KNOWN)
        if not path:
            return known
        own = _parsed(Path(path).expanduser())
        merged = {name: {**known.of.get(name, {}), **own.of.get(name, {})} for name in SECTIONS}
        return cls(merged, f"{own.stated or path}; beside it {known.stated}")

    def node(self, node: NodeType) -> float | None:
        """Dollars an hour of a node, None where it is not known. Its own name counts first."""
        for section, name in (("node_types", node.name), ("instances", node.instance)):
            found = self.of.get(section, {}).get(name)
            if found is not None:
                return _price(found, spot=node.spot)
        gpus = node.resources.get("GPU", 0.0)
        prices = self.of.get("accelerators", {})
        each = [
            _price(prices[kind], spot=node.spot) for kind in kinds(node.resources) & set(prices)
        ]
        return gpus * max(each) if gpus and each else None


def _price(entry: Mapping[str, float], *, spot: bool) -> float:
    return entry["spot"] if spot and "spot" in entry else entry["on_demand"]


def _parsed(path: Path) -> Prices:
    try:
        read: dict[str, Any] = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ResourceError(
            f"the prices in '{path}' cannot be read", why=str(error), mend=f"a file such as\n{FORM}"
        ) from None
    stated = str(read.pop("stated", ""))
    for section, entries in read.items():
        wrong = section if section not in SECTIONS else _wrong(section, entries)
        if wrong:
            raise ResourceError(
                f"'{path}' says of a price: {wrong}",
                why="a price is dollars an hour, more than 0, on_demand and where it differs spot, "
                f"in one of {', '.join(SECTIONS)}",
                mend=f"for example\n{FORM}",
            )
    return Prices(read, stated)


def _wrong(section: str, entries: Any) -> str:
    if not isinstance(entries, dict):
        return f"{section} = {entries}"
    for name, entry in entries.items():
        sound = isinstance(entry, dict) and "on_demand" in entry
        if not sound or not entry.keys() <= {"on_demand", "spot"}:
            return f"{section}.{name} = {entry}"
        if not all(type(v) in (int, float) and 0 < v < float("inf") for v in entry.values()):
            return f"{section}.{name} = {entry}"
    return ""
