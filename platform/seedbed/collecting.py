"""How often Python looks for garbage: seldom while modules are imported.

Those of torch, timm and Ray are a million objects that stay. Python would go through them again and
again while it imports: 4.7 s for what a rank needs, and 3.5 s without (measured).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# New objects to a look at these, and looks to one at older ones.
USUAL = gc.get_threshold()
SELDOM = (100_000, 10, 10)


def seldom() -> None:
    """From here on, until `as_usual`."""
    gc.set_threshold(*SELDOM)


def as_usual() -> None:
    """From here on, and never again at what there is now; said again it does nothing.

    For a process that trains, renders or runs for days: a cycle may hold much memory, on a device
    too, in few objects.
    """
    if gc.get_threshold() != USUAL:
        gc.freeze()
        gc.set_threshold(*USUAL)


@contextmanager
def restored() -> Iterator[None]:
    """Whatever is said within, it is afterwards as it was before: who calls us may go on."""
    enabled, threshold = gc.isenabled(), gc.get_threshold()
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        if enabled:
            gc.enable()
