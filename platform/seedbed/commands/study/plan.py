"""`--plan`: what would run, and what it would cost. Starts nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from seedbed.commands.study.lines import (
    base_line,
    claim_lines,
    cohort_lines,
    design_lines,
    found_lines,
    level_lines,
    test_lines,
    trial_lines,
    uris,
)
from seedbed.commands.study.looked import look_lines, looks_json
from seedbed.commands.study.price import Price
from seedbed.commands.study.price_lines import price_lines
from seedbed.commands.study.probe import probe
from seedbed.commands.study.rungs import rung_lines
from seedbed.commands.study.searched import searched_so_far
from seedbed.commands.study.sight import Foreseen
from seedbed.commands.study.starts import check_starts_of
from seedbed.commands.study.tune import as_tuned_before, tuning_json, tuning_lines
from seedbed.exits import COMPLETE, WRONG
from seedbed.plan.ladder import own_flops
from seedbed.plan.plan import Plan

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options
    from seedbed.data.peek import Peeked


def print_plan(options: Options) -> int:
    """Print trials, cohorts, pairs and cost; return the exit status: a plan that the lint refuses
    is shown. Raises where the study would be refused for the others."""
    from seedbed.run.driver.preflight import check_epochs, check_workers, read_again

    known_so_far = as_tuned_before(options.plan, options.storage, options.folder)
    options = replace(options, plan=known_so_far)
    status = WRONG if options.refused else COMPLETE
    check_workers(options.plan, options.asked)
    check_starts_of(options)
    _ = options.known_tests  # which raises for one that is none
    if options.foresight.probe:
        probe(options.plan)
    peeked = options.peeked
    known = {counted.corpus: counted.num_train for counted in peeked if counted.num_train}
    warnings = check_epochs(options.plan, known, options.max_epochs)
    groups = {counted.corpus: counted.group_rows for counted in peeked}
    warnings += read_again(options.plan, groups)
    price = Price(options, peeked)
    foreseen = Foreseen(options, price)
    if options.foresight.out:
        from seedbed.commands.study.frontier import write_frontier

        write_frontier(foreseen, options.foresight.out)
    if options.as_json:
        told = options.plan.to_json() | {"pairs": [counted.to_json() for counted in peeked]}
        told |= {"price": price.to_json(), "sees": foreseen.to_json()}
        told |= tuning_json(options.plan, searched_so_far(options))
        told |= looks_json(options, peeked)
        told["lint"] = [finding.to_json() for finding in options.findings]
        print(json.dumps(told, indent=1, sort_keys=True))
        return status
    ahead = [] if options.surface is not None else [*price_lines(price), "", *foreseen.lines()]
    ahead = [*look_lines(options, peeked), *ahead]
    ahead = [*tuning_lines(options.plan, searched_so_far(options)), *ahead]
    print(_plan_text(options.plan, [*_pairs(options.plan, peeked), *warnings], ahead))
    print("\n".join(found_lines(options)))
    return status


def _pairs(chosen: Plan, peeked: Sequence[Peeked]) -> list[str]:
    """A line for each corpus: its pairs and how often they come, as far as they are counted."""
    from seedbed.run.driver.preflight import epochs

    lines = []
    for counted in peeked:
        corpus = counted.corpus
        several = corpus.selection.fingerprint and f" ({corpus.selection.fingerprint[:8]})"
        if not counted.num_train:
            how = "the first run builds it" if corpus.uri.startswith("demo:") else "seedbed index"
            lines.append(f"data    {corpus.uri}{several}: its pairs are not counted yet ({how})")
            continue
        times = epochs(chosen, {corpus: counted.num_train})[corpus]
        held = "" if counted.num_test is None else f", {counted.num_test:,} held out"
        most, least = ("at most ", "at least ") if counted.at_most else ("", "")
        lines.append(
            f"data    {corpus.uri}{several}: {most}{counted.num_train:,} pairs to train on{held}; "
            f"{least}{times:,.3g} epochs"
        )
    return list(dict.fromkeys(lines))  # two caption fields of the same pairs are one line


def _plan_text(chosen: Plan, data: Sequence[str], ahead: Sequence[str]) -> str:
    costs = chosen.costs()
    lines = [
        f"study   {chosen.study.name}: {chosen.study.question}",
        f"scale   {chosen.scale.name} ({chosen.scale.about}); {chosen.scale_reason}",
        *(data or [f"data    {uris(chosen)}"]),
    ]
    lines += [f"set     {path} = {value}" for path, value in chosen.overrides]
    lines += [*design_lines(chosen.study), *test_lines(chosen.study)]
    lines += [*level_lines(chosen), base_line(chosen), *claim_lines(chosen)]
    lines += ["", *trial_lines(chosen), "", *cohort_lines(chosen), ""]
    total = own_flops(chosen.trials, {key: cost.train_flops for key, cost in costs.items()})
    samples = sum(cost.samples for cost in costs.values())
    read = sum(cohort.samples for cohort in chosen.cohorts)
    precisions = {trial.recipe.precision for trial in chosen.trials}
    return "\n".join(
        [
            *lines,
            f"total   {len(chosen.trials):,} trials in {len(chosen.cohorts):,} cohorts; trained on "
            f"{samples:,} samples, of which {read:,} are decoded",
            f"compute {total / 1e15:,.4g} PFLOP in {' and '.join(sorted(precisions))}",
            *rung_lines(chosen),
            *ahead,
        ]
    )
