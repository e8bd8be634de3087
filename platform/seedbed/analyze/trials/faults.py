"""The error that an analysis raises, in words."""

from seedbed.errors import AnalysisError

__all__ = ["AnalysisError"]
