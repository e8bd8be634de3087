"""`--plan`: what would run, and what it would cost. Starts nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from seedbed.commands.study.lines import bundles, design_lines, level_lines, unjudged_claims, uris
from seedbed.commands.study.starts import check_starts_of
from seedbed.plan.plan import Plan
from seedbed.plan.weights import weights_line

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options
    from seedbed.data.peek import Peeked


def print_plan(options: Options) -> None:
    """Print trials, cohorts, pairs and cost. Raises where the study would be refused for them."""
    from seedbed.data.peek import peek
    from seedbed.home import home
    from seedbed.run.driver.preflight import check_epochs, check_workers

    check_workers(options.plan, options.asked)
    check_starts_of(options)
    stated = [trial.recipe.corpus for trial in options.plan.trials]
    peeked = peek(stated, home()) if options.surface is None else []
    known = {counted.corpus: counted.num_train for counted in peeked if counted.num_train}
    warnings = check_epochs(options.plan, known, options.max_epochs)
    if options.as_json:
        told = options.plan.to_json() | {"pairs": [counted.to_json() for counted in peeked]}
        print(json.dumps(told, indent=1, sort_keys=True))
        return
    kept = "" if options.surface else weights_line(options.plan, options.keep_weights)
    print(_plan_text(options.plan, [*_pairs(options.plan, peeked), *warnings], kept))


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


def _plan_text(chosen: Plan, data: Sequence[str], kept: str) -> str:
    costs = chosen.costs()
    lines = [
        f"study   {chosen.study.name}: {chosen.study.question}",
        f"scale   {chosen.scale.name} ({chosen.scale.about}); {chosen.scale_reason}",
        *(data or [f"data    {uris(chosen)}"]),
    ]
    lines += [f"set     {path} = {value}" for path, value in chosen.overrides]
    lines += design_lines(chosen.study)
    lines += bundles(chosen)
    lines += [*level_lines(chosen), *unjudged_claims(chosen)]
    width = max(len(t.name) for t in chosen.trials)
    lines += ["", f"{'trial':<{width}}  key               params  train PFLOP"]
    for trial in chosen.trials:
        cost = costs[trial.key]
        lines.append(
            f"{trial.name:<{width}}  {trial.key}  {cost.num_params / 1e6:5.1f} M"
            f"  {cost.train_flops / 1e15:11.4g}"
        )
    total = sum(cost.train_flops for cost in costs.values())
    hours = sum(cost.reference_hours for cost in costs.values())
    samples = sum(cost.samples for cost in costs.values())
    read = sum(cohort.samples for cohort in chosen.cohorts)
    lines += [
        "",
        *(
            f"cohort {c.id}  seed {c.recipe.seed}  {len(c.trials)} variants on one stream of "
            f"{c.samples:,} samples"
            for c in chosen.cohorts
        ),
        "",
        f"total   {len(chosen.trials)} trials in {len(chosen.cohorts)} cohorts; trained on "
        f"{samples:,} samples, of which {read:,} are decoded",
        f"cost    {total / 1e15:,.4g} PFLOP: {hours:,.3g} device-hours at 125 TFLOP/s "
        "(bf16 at 40 % of an A100's peak)",
        *([f"weights {kept}"] if kept else []),
    ]
    return "\n".join(lines)
