"""Runs of a study under names of their own: each name stands for one study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedbed.errors import SeedbedError, StudyError

if TYPE_CHECKING:
    from seedbed.storage.folder import Folder
    from seedbed.study.study import Study


def check_name(store: Folder, study: Study) -> None:
    """Raise StudyError where the name of this run, whose folder is `store`, is another study's."""
    from seedbed.track.state import PLANNED_NAME, Planned

    try:
        values = store.read_json(PLANNED_NAME)
        known = Planned.from_json(values) if values else None
    except (SeedbedError, ValueError, KeyError, TypeError):
        return  # of no start that can be told apart; it is written anew
    if known is not None and known.own_name != study.own_name:
        raise StudyError(
            f"'{study.name}' is the name of a run of the study '{known.own_name}' in {store.uri}, "
            f"and this is '{study.own_name}'",
            why="the report, status and MLflow's experiment of that name would be of both",
            mend=f"--name {study.own_name}_{study.name}, or any other name that `seedbed studies` "
            "does not list",
        )
