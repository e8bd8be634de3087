"""Progress while a corpus is built, on stderr: bars on a terminal, lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

Advance = Callable[[], None]


def say(line: str) -> None:
    """One line on stderr: stdout belongs to what the command answers."""
    print(f"corpus  {line}", file=sys.stderr, flush=True)


@contextmanager
def steps(about: str, total: int, progress: Progress | None) -> Iterator[Advance]:
    """A function to call after each of `total` steps.

    They are drawn on `progress`; without one, on a bar of their own if stderr is a terminal,
    else `about` is said once.
    """
    # Imported here: code that only asks where a corpus lies draws nothing.
    from rich.console import Console
    from rich.progress import Progress as Bars

    if progress is None and not (console := Console(stderr=True)).is_terminal:
        say(f"{about} ({total:,})")
        yield lambda: None
    elif progress is None:
        with Bars(console=console, transient=True) as bars:
            task = bars.add_task(f"corpus  {about}", total=total)
            yield lambda: bars.advance(task)
    else:
        task = progress.add_task(about, total=total)
        yield lambda: progress.advance(task)
