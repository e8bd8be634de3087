"""Preregistration: when each claim was stated, and each interim look at the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedbed.plan.design import StatedError
from seedbed.plan.plan import Plan
from seedbed.study.arguments import ERRORS
from seedbed.study.claim import ERROR_ID, digest_of
from seedbed.study.looks import LOOKS_ID

if TYPE_CHECKING:
    import pandas as pd

    from seedbed.analyze.findings.looks import LookTaken
    from seedbed.storage.folder import Folder

DECISIONS = "decisions.json"  # in the variation's folder
STOPS, GOES_ON = "stops", "goes on"


def stated_claims(store: Folder, chosen: Plan, num_ended: int) -> dict[str, str]:
    """When each claim was stated, by its id, in words; a new one is recorded as stated now.

    A claim is identified by a digest of its content: one that was changed is a new one. The error
    that intervals use is recorded likewise (as `ERROR_ID`) where the study sets it, and its looks
    (as `LOOKS_ID`).
    """
    known: dict[str, int] = store.read_json(chosen.variation, "claims.json") or {}
    study = chosen.study
    marks = {claim.id: digest_of(claim.to_json()) for claim in study.claims}
    if study.error != ERRORS[0]:
        marks[ERROR_ID] = StatedError(kind=study.error).digest
    if study.looks is not None:
        marks[LOOKS_ID] = digest_of(study.looks.to_json())
    new = [mark for mark in marks.values() if mark not in known]
    if new:
        known |= dict.fromkeys(new, num_ended)
        store.write_json(known, chosen.variation, "claims.json")
    return {
        name: f"after {known[mark]} of the trials had ended"
        if known[mark]
        else "before the first trial"
        for name, mark in marks.items()
    }


def decisions_before(store: Folder, chosen: Plan) -> dict[str, str]:
    """What the study's own looks have decided, by their seeds: a decision is made once."""
    decided: dict[str, str] = store.read_json(chosen.variation, DECISIONS) or {}
    return decided


def note_decision(store: Folder, chosen: Plan, look: LookTaken) -> None:
    decided = decisions_before(store, chosen)
    if str(look.num_seeds) not in decided:
        words = f"{STOPS if look.stops else GOES_ON}: {look.why}"
        store.write_json(decided | {str(look.num_seeds): words}, chosen.variation, DECISIONS)


def looks_before(store: Folder, chosen: Plan) -> list[dict[str, int]]:
    """What earlier reports of this study were written from: seeds and completed trials."""
    looks: list[dict[str, int]] = store.read_json(chosen.variation, "looks.json") or []
    return looks


def note_look(store: Folder, chosen: Plan, table: pd.DataFrame) -> None:
    """Record an interim look; reports of the same trials are one look."""
    done = table[table["status"] == "completed"]
    look = {"num_seeds": int(done["seed"].nunique()), "num_completed": len(done)}
    looks = looks_before(store, chosen)
    if len(done) and look not in looks:
        store.write_json([*looks, look], chosen.variation, "looks.json")
