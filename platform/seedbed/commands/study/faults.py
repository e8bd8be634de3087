"""A study file that raises while it defines its study: explained in words, with status 2.

Python calls `sys.excepthook` for an uncaught error. Importing `seedbed` installs a hook that
explains the error only if the file that is run is a study's, which it is if it has imported
`seedbed.main`, and has not called it yet. All other errors go to the previous hook.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

from seedbed.errors import SeedbedError, StudyError
from seedbed.exits import WRONG

MAIN = f"{__package__}.main"  # which imports this module


def explain_study_faults() -> None:
    """Install the hook before the present one; idempotent."""
    if not isinstance(sys.excepthook, _Explained):
        sys.excepthook = _Explained()


def study_is_defined() -> None:
    """Call once the study is defined: errors after that are not explained as the file's."""
    if isinstance(sys.excepthook, _Explained):
        sys.excepthook = sys.excepthook.before


class _Explained:
    def __init__(self) -> None:
        self.before = sys.excepthook

    def __call__(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        explained = issubclass(kind, Exception) and _is_study(sys.modules.get("__main__"))
        if not isinstance(error, SeedbedError) or not explained:
            self.before(kind, error, trace)
        if explained:
            told = error if isinstance(error, SeedbedError) else _of_the_file(error, trace)
            print(f"error: {told}", file=sys.stderr)
            # An exit that is raised in a hook ends the interpreter as any other does.
            sys.exit(WRONG)


def _is_study(file: object) -> bool:
    if hasattr(sys, "ps1") or sys.flags.interactive or not hasattr(file, "__file__"):
        return False  # an interactive prompt, which must not exit
    return any(getattr(value, "__module__", None) == MAIN for value in vars(file).values())


def _of_the_file(error: BaseException, trace: TracebackType | None) -> StudyError:
    place = "an unknown line"
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return StudyError(
        f"the study file {Path(sys.argv[0]).name} raised {type(error).__name__}: {error}",
        why=f"it was raised at {place}, before anything started",
        mend="mend that line",
    )
