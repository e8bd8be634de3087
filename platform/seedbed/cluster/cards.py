"""The memory of GPUs, by the names that Ray gives to their kinds (ray.util.accelerators)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # which imports Ray: a plan does not wait for it
    from seedbed.cluster.capacity import Capacity

GB, GIB = 1e9, 2**30
LABEL = "accelerator_type:"  # of Ray's resources that name a node's GPUs
USABLE = 0.9  # of a card, beside CUDA's own context and what lies free between tensors


@dataclass(frozen=True)
class Card:
    """A kind of GPU: the memory of the smallest and of the largest that is sold, as the maker
    says it (GB), and in which of the maker's data sheets; its dense peak there in TFLOP/s of bf16
    (fp16 where there is none) and of fp32 as it is multiplied here (TF32), 0 where it is not noted.
    """

    least: int
    most: int
    source: str
    half: float = 0.0
    single: float = 0.0

    @property
    def least_bytes(self) -> float:
        """Every card of the kind has so many, whichever GB its maker means."""
        return self.least * GB

    @property
    def most_bytes(self) -> float:
        """No card of the kind has more."""
        return self.most * GIB


CARDS: Mapping[str, Card] = {
    "K80": Card(12, 12, "NVIDIA Tesla K80 (24 GB a board of two GPUs)"),
    "P4": Card(8, 8, "NVIDIA Tesla P4"),
    "P100": Card(12, 16, "NVIDIA Tesla P100 for PCIe", 18.7, 9.3),
    "V100": Card(16, 32, "NVIDIA V100 Tensor Core GPU", 125, 15.7),
    "T4": Card(16, 16, "NVIDIA T4 Tensor Core GPU", 65, 8.1),
    "A10G": Card(
        24, 24, "NVIDIA A10 Tensor Core GPU (as much as the A10G, sold by AWS alone)", 70, 35
    ),
    "L4": Card(24, 24, "NVIDIA L4 Tensor Core GPU", 121, 60),
    "L40S": Card(48, 48, "NVIDIA L40S GPU", 362.05, 183),
    "A100": Card(40, 80, "NVIDIA A100 Tensor Core GPU", 312, 156),
    "A100-40G": Card(40, 40, "NVIDIA A100 Tensor Core GPU", 312, 156),
    "A100-80G": Card(80, 80, "NVIDIA A100 Tensor Core GPU", 312, 156),
    "H100": Card(80, 94, "NVIDIA H100 Tensor Core GPU (80 GB SXM, 94 GB NVL)", 989.4, 494.7),
    "H20": Card(96, 141, "NVIDIA H20 (96 GB; a later one 141 GB)"),
    "H200": Card(141, 141, "NVIDIA H200 Tensor Core GPU", 989.4, 494.7),
    "B200": Card(180, 192, "NVIDIA DGX B200 (1,440 GB of 8 GPUs; 192 GB in the architecture's)"),
    "GB200": Card(186, 192, "NVIDIA GB200 NVL72 (13.4 TB of 72 GPUs)"),
    "B300": Card(262, 288, "NVIDIA HGX B300 (2.1 TB of 8 GPUs; 288 GB in the architecture's)"),
    "GB300": Card(277, 288, "NVIDIA GB300 NVL72 (20 TB of 72 GPUs)"),
    "RTX-PRO-6000": Card(96, 96, "NVIDIA RTX PRO 6000 Blackwell"),
}


@dataclass(frozen=True)
class Room:
    """Bytes of one GPU that variants may have: on the smallest that a study may come to
    (`sure`), and on the largest (`most`); `words` say of which."""

    sure: float
    most: float
    words: str


def kinds(resources: Mapping[str, float]) -> frozenset[str]:
    """The kinds of a node's GPUs, as its resources name them."""
    return frozenset(name.removeprefix(LABEL) for name in resources if name.startswith(LABEL))


def room(capacity: Capacity, stated: float = 0.0) -> Room | None:
    """Of the GPUs that a cluster can have; None where it has none, or some are of no known kind.

    `stated` bytes are believed.
    """
    nodes = [node for node in _nodes(capacity) if node.get("GPU")]
    if not nodes:
        return None
    if stated:
        return Room(stated, stated, "as --device-memory says")
    found = [_card(kinds(node)) for node in nodes]
    known = [(name, card) for name, card in found if card is not None]
    if len(known) < len(found):
        return None
    smallest, card = min(known, key=lambda pair: pair[1].least)
    most = max(card.most_bytes for _, card in known)
    words = f"{smallest} of {card.least} GB x {USABLE:g}, which its own needs leave"
    return Room(USABLE * card.least_bytes, most, words)


def _card(names: frozenset[str]) -> tuple[str, Card | None]:
    """The most particular of a node's kinds: those of 40 GB are A100 and A100-40G."""
    if not names <= CARDS.keys():
        return "", None
    name = min(names, key=lambda name: CARDS[name].most - CARDS[name].least, default="")
    return name, CARDS.get(name)


def _nodes(capacity: Capacity) -> Iterator[Mapping[str, float]]:
    yield from (one.resources for one in capacity.node_types)
    yield from (resources for _, resources in capacity.present)
