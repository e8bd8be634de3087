"""How often Python looks for garbage: seldom where modules are imported.

Those of torch, timm and Ray are a million objects that stay. Python would go through them again and
again while it imports: 4.7 s for what a rank needs, and 3.5 s without (measured).
"""

from __future__ import annotations

import gc

# New objects to a look at these, and looks to one at older ones.
USUAL = gc.get_threshold()
SELDOM = (100_000, 50, 50)


def seldom() -> None:
    """From here on; what a process keeps of garbage is then some tens of megabytes at most."""
    gc.set_threshold(*SELDOM)


def as_usual() -> None:
    """From here on, and never again at what there is now.

    For a process that trains: a cycle may hold what lies on a device, however few objects it has.
    """
    gc.freeze()
    gc.set_threshold(*USUAL)
