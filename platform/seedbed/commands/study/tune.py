"""What a study tunes, on its command line, and what a plan says of it."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from seedbed.errors import SeedbedError, StudyError
from seedbed.plan.cost import estimate
from seedbed.plan.plan import Plan
from seedbed.plan.tuned import Tuned
from seedbed.study.nuisance import SAMPLERS, Nuisance, Tuning, parse_search
from seedbed.study.study import Study

TUNING_NAME = "tuning.json"  # of what a search found, beside the report


@dataclass
class SoFar:
    """The trials of a search that have ended: in this study, in others by their names, and the
    reference device's hours that they took, as a plan counts them."""

    own: int = 0
    elsewhere: Counter[str] = field(default_factory=Counter)
    reference_hours: float = 0.0

    @property
    def words(self) -> str:
        """ "" where there are none."""
        said = [f"{self.own:,} recorded"] if self.own else []
        said += [f"{num:,} from {study}" for study, num in self.elsewhere.most_common()]
        return ", ".join(said)


def add_tuning(parser: argparse.ArgumentParser) -> None:
    """The options that `nuisance_of` reads."""
    group = parser.add_argument_group("what is tuned for every cell before cells are compared")
    group.add_argument(
        "--tune",
        metavar="PATH=LOW:HIGH",
        action="append",
        default=[],
        help="a nuisance field and its space, as optimizer.lr=1e-4:3e-3",
    )
    group.add_argument(
        "--tune-trials", type=int, metavar="N", help=f"candidates of each cell ({Tuning.trials})"
    )
    group.add_argument(
        "--tune-sampler", metavar="NAME", help=f"{' or '.join(SAMPLERS)} ({Tuning.sampler})"
    )


def nuisance_of(study: Study, args: argparse.Namespace) -> Nuisance | None:
    """What `study` states, with the fields and the budget of the command line."""
    asked = {"trials": args.tune_trials, "sampler": args.tune_sampler}
    changed = {name: value for name, value in asked.items() if value is not None}
    stated = study.nuisance
    if stated is None and not args.tune:
        if changed:
            raise StudyError(
                f"--tune-{next(iter(changed))} is given, and no field is tuned",
                why="a budget alone searches nothing",
                mend="add --tune optimizer.lr=1e-4:3e-3",
            )
        return None
    said = [parse_search(text) for text in args.tune]
    kept = [one for one in (stated.space if stated else ()) if one.at not in {s.at for s in said}]
    tuning = stated.tuning if stated else Tuning()
    if changed:
        tuning = replace(tuning, **{"rounds": 0} | changed)
    return Nuisance((*kept, *said), tuning)


def as_tuned_before(chosen: Plan, storage: str, folder: Sequence[str]) -> Plan:
    """`chosen` with the values that an earlier start has tuned, where it has for every cell."""
    from seedbed.storage.folder import Folder

    if chosen.nuisance is None:
        return chosen
    try:
        values = Folder(storage).sub(*folder).read_json(chosen.variation, TUNING_NAME)
    except SeedbedError:  # a plan is made without its results, too
        return chosen
    found = Tuned.from_json(values) if values else None
    if found is None or any(trial.cell not in found.values for trial in chosen.trials):
        return chosen
    return chosen.with_tuned(found)


def tuning_lines(chosen: Plan, so_far: SoFar | None = None) -> list[str]:
    """What a search would try, and what is left of it costs beside the comparison."""
    nuisance, so_far = chosen.nuisance, so_far or SoFar()
    if nuisance is None:
        return []
    told = tuning_json(chosen, so_far)["tuning"]
    if chosen.tuned is not None:
        return [
            f"tune    {nuisance.all_words}",
            f"search  its {told['num_trials']:,} trials have ended, and the keys are of the tuned "
            "values",
        ]
    times = told["left_hours"] / (told["compared_hours"] or 1.0)
    before = (
        f"search  {told['num_trials']:,} trials before the {len(chosen.trials):,} that are "
        "compared, with other seeds"
    )
    price = (
        f"for {times:.3g} times their compute: hours and dollars are of the comparison alone, and "
        f"{1 + times:.3g} times that with the search"
    )
    if so_far.words:
        before += f", {so_far.words} where their data are the same"
        price = f"{told['num_left']:,} are left, {price}"
        if not told["num_left"]:
            price = "none is left, and hours and dollars are of the comparison"
    return [f"tune    {nuisance.all_words}", f"{before}, {price}"]


def tuning_json(chosen: Plan, so_far: SoFar | None = None) -> dict[str, Any]:
    """The search of a plan, its trials, and device-hours as the plan counts them; maybe nothing."""
    if chosen.nuisance is None:
        return {}
    recipes = {trial.cell: trial.recipe for trial in chosen.trials}
    each = chosen.nuisance.trials_per_cell
    so_far = so_far or SoFar()
    num, ended = each * len(recipes), so_far.own + so_far.elsewhere.total()
    hours = chosen.nuisance.budget * sum(estimate(r).reference_hours for r in recipes.values())
    if chosen.tuned is not None:
        ended, so_far = num, replace(so_far, reference_hours=hours)
    numbers = {
        "num_trials": num,
        "num_left": max(0, num - ended),
        "reference_hours": hours,
        "left_hours": max(0.0, hours - so_far.reference_hours) if num > ended else 0.0,
        "compared_hours": sum(cost.reference_hours for cost in chosen.costs().values()),
    }
    return {"tuning": chosen.nuisance.to_json() | numbers}
