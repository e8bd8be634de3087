"""How every command ends: one table of exit statuses, for people and for what starts them again.

Only PASSING says that the same command, started again, may go on by itself: what retries (a RayJob,
SkyPilot, a shell's loop) retries that, and nothing else.
"""

from __future__ import annotations

from seedbed.errors import SeedbedError, TooManyFailuresError

COMPLETE, MISSING, WRONG, FAILING, PASSING, STOPPED = (
    0,
    1,
    2,
    3,
    75,
    130,
)  # 75 is EX_TEMPFAIL of sysexits.h
MEANINGS = {
    COMPLETE: "all is done: the study is complete, the cluster is well",
    MISSING: "it ended with trials missing, by errors of their own, which are named; or "
    "`seedbed doctor` found something to mend, or `seedbed evaluate` has no result of a model",
    WRONG: "the study or the arguments are wrong: nothing was started",
    FAILING: "too many trials failed (`--max-failures`): the study stopped, and what was done is "
    "kept",
    PASSING: "the infrastructure failed (storage, MLflow or the cluster is away, machines were "
    "lost too often, another process runs the study): the same command goes on later",
    STOPPED: "it was stopped, by Ctrl-C, `seedbed stop` or `ray job stop`: the same command goes "
    "on",
}


def exit_status(error: SeedbedError) -> int:
    """Of a command that ended with `error`."""
    if isinstance(error, TooManyFailuresError):
        return FAILING
    return PASSING if error.passing else WRONG
