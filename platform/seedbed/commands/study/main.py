"""`main(study)`: what a study file does when it is run. Run, `--plan` or `--report`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from seedbed.commands.study.faults import study_is_defined
from seedbed.commands.study.options import options_of
from seedbed.commands.study.plan import print_plan
from seedbed.commands.study.report import report_from_ledger
from seedbed.commands.study.run import run
from seedbed.commands.study.status import COMPLETE, TRIALS_MISSING, WRONG
from seedbed.errors import SeedbedError
from seedbed.home import point_at_old_state
from seedbed.study.study import Study


def main(study: Study, argv: Sequence[str] | None = None) -> NoReturn:
    """Run the study as the command line says, and exit: 0 complete, 1 trials missing, 2 wrong.

    Where another process runs it, its trials are missing as yet: 1.
    """
    study_is_defined()
    point_at_old_state()
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


def _main(study: Study, argv: Sequence[str]) -> int:
    options = options_of(study, argv)
    if options.mode == "plan":
        print_plan(options)
        return COMPLETE
    if options.mode == "report":
        return report_from_ledger(options)
    return run(options)
