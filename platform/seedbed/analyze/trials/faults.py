"""The error that an analysis raises, in words."""

from __future__ import annotations

from seedbed.errors import StudyError


class AnalysisError(StudyError):
    """The trials table, or what was asked of it, allows no answer."""
