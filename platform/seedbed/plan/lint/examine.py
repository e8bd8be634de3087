"""Judges a plan before anything starts: every rule in turn."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace

from seedbed.errors import StudyError
from seedbed.plan.lint.rule import Draft, Finding
from seedbed.plan.lint.rules import all_rules

WIDTH = 96  # of a terminal's line
_INDENT = 8
_TIED = "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"


def examine(draft: Draft) -> tuple[Finding, ...]:
    """What the rules find, errors first."""
    found = [
        replace(finding, rule=name)
        for name, rule in all_rules().items()
        for finding in rule.judge(draft)
    ]
    return tuple(sorted(found, key=lambda finding: finding.severity != "error"))


def errors_of(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that stop a run."""
    return tuple(finding for finding in found if finding.severity == "error")


def check_lint(found: Sequence[Finding]) -> None:
    """Raise StudyError for the errors among `found`, all in one, the first in full."""
    errors = errors_of(found)
    if not errors:
        return
    first, others = errors[0], errors[1:]
    also = "".join(f"; and {other.what}" for other in others)
    raise StudyError(
        f"{first.what}{also}",
        why=first.why,
        mend=f"{first.mend}. --plan shows all that is found, and --force runs the study as it is, "
        "which its results then say",
    )


def lint_lines(found: Iterable[Finding], *, brief: bool = False) -> list[str]:
    """The findings for people, within WIDTH columns; `brief` leaves out why and how to mend.

    What is mended alike is said together.
    """
    lines: list[str] = []
    for (why, mend), alike in _mended_alike(found).items():
        for finding in alike:
            lines += _wrapped(f"{finding.severity:<{_INDENT}}{finding.what}")
        if not brief:
            lines += _wrapped(f"{'':<{_INDENT}}why:  {why}", 6)
            lines += _wrapped(f"{'':<{_INDENT}}mend: {mend}", 6)
    return lines


def _mended_alike(found: Iterable[Finding]) -> dict[tuple[str, str], list[Finding]]:
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in found:
        alike.setdefault((finding.why, finding.mend), []).append(finding)
    return alike


def _wrapped(text: str, further: int = 0) -> list[str]:
    indent = " " * (_INDENT + further)
    lines = textwrap.wrap(
        text.replace(" = ", _TIED),  # a level stays on a line with its value
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_TIED, " = ") for line in lines]
