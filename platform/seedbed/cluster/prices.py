"""What machines cost an hour, by a small file that is meant to be edited."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.cluster.cards import kinds
from seedbed.errors import ResourceError

if TYPE_CHECKING:  # which imports Ray: a plan does not wait for it
    from seedbed.cluster.autoscaler import NodeType

KNOWN = Path(__file__).with_name("prices.toml")
SECTIONS = ("node_types", "instances", "accelerators")
FORM = '[instances]\n"g5.xlarge" = { on_demand = 1.006 }'


@dataclass(frozen=True)
class Prices:
    """Dollars an hour by section and name; `stated` says where the numbers are from, and when."""

    of: Mapping[str, Mapping[str, Mapping[str, Any]]]
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

    def gpu(self, kind: str) -> Rate | None:
        """What one GPU of a kind costs: as the file says of it, else in the cheapest machine that
        has such; None where neither is known."""
        own = self.of.get("accelerators", {}).get(kind)
        if own is not None:
            return Rate(own["on_demand"], own.get("spot"), "a GPU by itself")
        machines = [
            (entry["on_demand"] / entry["gpus"][kind], name, entry)
            for name, entry in self.of.get("instances", {}).items()
            if kind in entry.get("gpus", {})
        ]
        if not machines:
            return None
        each, name, entry = min(machines, key=lambda one: one[:2])
        spot = entry["spot"] / entry["gpus"][kind] if "spot" in entry else None
        return Rate(each, spot, name)


@dataclass(frozen=True)
class Rate:
    """Dollars an hour of one GPU, on demand and where it is known spot; in which machine."""

    on_demand: float
    spot: float | None
    machine: str


def _price(entry: Mapping[str, Any], *, spot: bool) -> float:
    dollars: float = entry["spot"] if spot and "spot" in entry else entry["on_demand"]
    return dollars


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
                why="a price is dollars an hour, more than 0, on_demand and where it differs spot "
                "(--max-price counts it where nodes are never launched on demand), in one of "
                f"{', '.join(SECTIONS)}; gpus, where it is there, says "
                "how many of which kind the machine has",
                mend=f"for example\n{FORM}",
            )
    return Prices(read, stated)


def _wrong(section: str, entries: Any) -> str:
    if not isinstance(entries, dict):
        return f"{section} = {entries}"
    for name, entry in entries.items():
        sound = isinstance(entry, dict) and "on_demand" in entry
        if not sound or not entry.keys() <= {"on_demand", "spot", "gpus"}:
            return f"{section}.{name} = {entry}"
        numbers = {key: value for key, value in entry.items() if key != "gpus"} | {
            f"gpus.{kind}": count for kind, count in _gpus(entry).items()
        }
        if not all(type(v) in (int, float) and 0 < v < float("inf") for v in numbers.values()):
            return f"{section}.{name} = {entry}"
    return ""


def _gpus(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """How many GPUs of which kind a machine has; what is no table is no number either."""
    given = entry.get("gpus", {})
    return given if isinstance(given, dict) else {"": None}
