"""`--rehearse --draws N`: how often the study's seeds find what is planted, without Ray."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from seedbed.analyze.findings.power import Found, Judged, Power
from seedbed.commands.study.amounts import two_digits
from seedbed.commands.study.foresight import LOST
from seedbed.commands.study.lines import unjudged_claims
from seedbed.study.label import label_text

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options
    from seedbed.plan.plan import Plan


def print_power(options: Options) -> None:
    """Print how often each effect and claim is found."""
    plan, ahead = options.plan, options.foresight
    assert options.surface is not None
    surface = options.surface
    if ahead.noise:
        surface = replace(surface, noise=ahead.noise, noises={})
    lost = (surface.divergence_rate or LOST) if ahead.lost is None else ahead.lost
    power = Power(plan, surface, ahead.draws, lost)
    effects, claims = power.effects(), power.claims()
    if options.as_json:
        told = {
            "draws": ahead.draws,
            "lost": lost,
            "noise": surface.noise,
            "effects": [_plain(asdict(one)) for one in effects],
            "claims": [_plain(asdict(one)) for one in claims],
        }
        print(json.dumps(told, indent=1, sort_keys=True))
        return
    share = plan.metrics[plan.responses[0]].is_share
    print("\n".join(_head(power, share)))
    print("\n".join(_effect_lines(effects, share, lost)))
    print("\n".join([*_claim_lines(claims, plan, lost), *unjudged_claims(plan)]))


def _head(power: Power, share: bool) -> list[str]:
    plan, surface = power.plan, power.surface
    base = [f"{n}={label_text(f.baseline)}" for n, f in power.design.factors.items()]
    worst = 196 * math.sqrt(0.25 / power.num_draws)
    return [
        f"study   {plan.study.name}: {plan.study.question}",
        f"base    {' '.join(base)}",
        f"draws   {power.num_draws:,} studies of {len(plan.trials):,} trials "
        f"({len(power.cells.cells)} cells x {power.num_seeds} seeds)",
        f"noise   {_amount(surface.noise, share)} a trial, {_amount(surface.seed_spread, share)} a "
        "seed, which comparisons within a seed are free of",
        *_looks(plan),
        f"error   a share of the draws is within {two_digits(worst)} points of the truth",
        "",
    ]


def _looks(plan: Plan) -> list[str]:
    looks = plan.study.looks
    if looks is None:
        return []
    return [
        f"looks   drawn shares are of all {looks.most} seeds, by the intervals of the last look; "
        "the closed form is of one look alone",
    ]


def _effect_lines(effects: Sequence[Found], share: bool, lost: float) -> list[str]:
    """A table: how often the 95 % interval leaves out 0, false alarms where nothing was planted."""
    rows = [
        (
            one.term.replace(":", " x "),
            one.comparison,
            "?" if math.isnan(one.planted) else _signed(one.planted, share),
            *(_percent(value) for value in (one.closed, one.drawn, one.lost)),
        )
        for one in effects
    ]
    header = ("effect", "comparison", "planted", "closed form", "drawn", _lost(lost))
    return _table([header, *rows], left=2)


def _claim_lines(claims: Sequence[Judged], plan: Plan, lost: float) -> list[str]:
    if not claims:
        return []
    several = {claim.id for claim in plan.study.claims if len(claim.contrasts) > 1}
    rows = [
        (
            one.claim,
            "true" if one.true else "false",
            f"{'<= ' if one.claim in several else ''}{_percent(one.closed)}",
            *map(_percent, (one.supported, one.refuted, one.supported_lost, one.refuted_lost)),
        )
        for one in claims
    ]
    header = (
        "claim", "planted", "supported (closed form)", "supported", "refuted",
        f"supported, {_lost(lost)}", "refuted",
    )  # fmt: skip
    return ["", *_table([header, *rows], left=2)]


def _table(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Columns, the first of them to the left."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if n < left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _lost(lost: float) -> str:
    return f"{100 * lost:g} % lost"


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.0f} %"


def _amount(value: float, share: bool) -> str:
    return f"{two_digits(100 * value)} points" if share else two_digits(value)


def _signed(value: float, share: bool) -> str:
    scaled = 100 * value if share else value
    if abs(scaled) < 1e-9:
        return "0"
    return f"{'-' if value < 0 else '+'}{two_digits(abs(scaled))}"


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    """What is not a number is null."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in values.items()
    }
