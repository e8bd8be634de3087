"""How a study's command ends: its exit status."""

from __future__ import annotations

COMPLETE, TRIALS_MISSING, WRONG = 0, 1, 2
