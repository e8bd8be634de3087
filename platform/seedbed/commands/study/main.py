"""`main(study)`: what a study file does when it is run. Run, `--plan`, `--draws` or `--report`."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Sequence
from typing import NoReturn

from seedbed.collecting import restored, seldom
from seedbed.commands.study.faults import study_is_defined
from seedbed.commands.study.options import options_of
from seedbed.commands.study.plan import print_plan
from seedbed.commands.study.report import report_from_ledger
from seedbed.commands.study.run import run
from seedbed.errors import SeedbedError
from seedbed.exits import COMPLETE, PASSING, STOPPED, exit_status
from seedbed.home import point_at_old_state
from seedbed.study.study import Study


def main(study: Study, argv: Sequence[str] | None = None) -> NoReturn:
    """Run the study as the command line says, and exit with a status of `exits.MEANINGS`."""
    study_is_defined()
    point_at_old_state()
    try:
        with restored():
            seldom()
            code = _main(study, sys.argv[1:] if argv is None else argv)
    except SeedbedError as error:
        print(f"error: {error}", file=sys.stderr)
        code = exit_status(error)
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        code = STOPPED
    except Exception as error:
        if not _is_loss(error):
            raise
        print(f"error: the cluster was lost ({error}); the same command goes on", file=sys.stderr)
        code = PASSING
    sys.stdout.flush()
    sys.exit(code)


def _is_loss(error: Exception) -> bool:
    """Whether Ray itself failed, and not what ran on it; where Ray was not imported it cannot."""
    if "ray" not in sys.modules:
        return False
    from seedbed.cluster.losses import is_loss

    return is_loss(error)


def _main(study: Study, argv: Sequence[str]) -> int:
    if "--plan" in argv:
        gc.disable()  # it makes millions of values, none of them in cycles
        # As it ends Python would look at all of them once more, for a third of a first plan's time.
        atexit.register(gc.freeze)
    options = options_of(study, argv)
    if options.mode == "plan":
        return print_plan(options)
    if options.mode == "draws":
        from seedbed.commands.study.draws import print_power

        print_power(options)
        return COMPLETE
    if options.mode == "report":
        return report_from_ledger(options)
    return run(options)
