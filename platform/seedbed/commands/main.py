"""`main(study)`: what a study file does when it is run. Run, `--plan` or `--report`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from seedbed.commands.describe import print_plan
from seedbed.commands.options import options_of
from seedbed.commands.run import COMPLETE, TRIALS_MISSING, report_from_ledger, run
from seedbed.errors import SeedbedError, StudyError
from seedbed.study.study import Study

WRONG = 2


def main(study: Study, argv: Sequence[str] | None = None) -> NoReturn:
    """Run the study as the command line says, and exit: 0 complete, 1 trials missing, 2 wrong.

    Where another process runs it, its trials are missing as yet: 1.
    """
    sys.excepthook = sys.__excepthook__  # the study is defined: what comes is not its fault
    try:
        code = _main(study, sys.argv[1:] if argv is None else argv)
    except SeedbedError as error:
        print(f"error: {error}", file=sys.stderr)
        code = WRONG
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        code = TRIALS_MISSING
    sys.stdout.flush()
    sys.exit(code)


def explain_study_faults() -> None:
    """Make a study file that raises end as a wrong study: in words, with status 2.

    Installed when a file imports `main`; it speaks only for what is raised outside of it, that
    is while the study is being defined.
    """
    default = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if isinstance(error, SeedbedError):
            print(f"error: {error}", file=sys.stderr)
        elif issubclass(kind, Exception) and trace is not None:
            default(kind, error, trace)
            last = trace
            while last.tb_next is not None:
                last = last.tb_next
            place = f"{last.tb_frame.f_code.co_filename}, line {last.tb_lineno}"
            what = f"the study file {Path(sys.argv[0]).name} raised {kind.__name__}: {error}"
            why = f"it was raised at {place}, before anything started"
            print(f"error: {StudyError(what, why=why, mend='mend that line')}", file=sys.stderr)
        else:
            default(kind, error, trace)
            return
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(WRONG)  # an excepthook cannot choose the exit status in any other way

    sys.excepthook = hook


def _main(study: Study, argv: Sequence[str]) -> int:
    options = options_of(study, argv)
    if options.mode == "plan":
        print_plan(options)
        return COMPLETE
    if options.mode == "report":
        return report_from_ledger(options)
    return run(options)
