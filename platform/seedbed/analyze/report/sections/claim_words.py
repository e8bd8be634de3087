"""Claims in words: what was compared, what was claimed of it, and what the trials say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seedbed.analyze.findings.claim_precision import Precision
from seedbed.analyze.findings.judged import AGAINST, IN_FAVOUR, OPEN, Judged, JudgedContrast
from seedbed.analyze.numbers import Unit, counted, listed
from seedbed.analyze.trials.observations import label_text
from seedbed.study.contrast import Contrast
from seedbed.study.label import Label


def claim_sentence(judged: Judged, unit: Unit) -> str:
    """The verdict with the numbers behind it; of a claim about another scale what was seen."""
    if judged.verdict is None:
        return _seen_sentence(judged.seen_at, judged.contrasts, unit, judged.why)
    return _verdict_sentence(judged.verdict, judged.contrasts, unit, judged.why, judged.precision)


def contrast_words(one: Contrast) -> str:
    """`supervision filip minus clip at model vit`."""

    def held(levels: Mapping[str, Label]) -> str:
        return ", ".join(f"{name} {label_text(level)}" for name, level in levels.items())

    words = f"{one.of} {label_text(one.level)} minus {label_text(one.over)}"
    if one.at:
        words += f" at {held(one.at)}"
    if one.less_at:
        words += f", less the same at {held(one.less_at)}"
    return words


def expectation(one: Contrast, unit: Unit) -> str:
    """`above 0`, `above −1.0 points`, `within 1.0 points of 0`."""
    if one.direction == "within":
        size = unit.difference(one.margin).lstrip("+")
        return f"within {size} {unit.difference_unit}".rstrip() + " of 0"
    if one.margin == 0:
        return f"{one.direction} 0"
    return f"{one.direction} {unit.difference(one.margin)} {unit.difference_unit}".rstrip()


def _verdict_sentence(
    verdict: str,
    judged: Sequence[JudgedContrast],
    unit: Unit,
    why: str,
    ahead: Sequence[Precision],
) -> str:
    if verdict in ("not estimable", "aliased"):
        return f"{verdict.capitalize()}: {why.rstrip('.')}."
    if verdict == "supported" and len(judged) > 1:
        return f"Supported: all {len(judged)} comparisons lie where they were claimed to."
    shown = [one for one in judged if one.verdict == verdict] or list(judged)
    words = f"{verdict.capitalize()}: {'; '.join(_measured(one, unit) for one in shown)}."
    if verdict != "inconclusive":
        return words
    if why:
        return f"{words} No interval: {why.rstrip('.')}."
    return f"{words} {_precision_words(ahead, unit)}".rstrip()


def _precision_words(ahead: Sequence[Precision], unit: Unit) -> str:
    """How close more seeds would look, whatever they find; empty where that is not known."""
    if not ahead:
        return ""
    unit_word = f" {unit.difference_unit}".rstrip()
    sizes = [_plain(unit, one.half_width) for one in ahead]
    halves = [
        f"{size}{unit_word if i == 0 else ''} with {one.num_seeds}{' seeds' if i == 0 else ''}"
        for i, (size, one) in enumerate(zip(sizes, ahead, strict=True))
    ]
    seen = listed([_plain(unit, one.detectable) for one in ahead])
    return (
        f"Its interval reaches to either side by {listed(halves)}; a true difference that lies "
        f"{seen}{unit_word} from its margin is found with a power of 80 %."
    )


def _plain(unit: Unit, size: float) -> str:
    return unit.difference(size).lstrip("+")


def _measured(one: JudgedContrast, unit: Unit) -> str:
    claimed = expectation(one.contrast, unit)
    return f"{contrast_words(one.contrast)} is {_size(one, unit)}, claimed {claimed}"


def _size(one: JudgedContrast, unit: Unit) -> str:
    size = f"{unit.difference(one.difference)} {unit.difference_unit}".rstrip()
    interval = f" [{unit.interval(one.ci_low, one.ci_high)}]" if one.ci_low == one.ci_low else ""
    return f"{size}{interval}"


def _seen_sentence(scale: str, seen: Sequence[JudgedContrast], unit: Unit, why: str) -> str:
    """What trials at `scale` show of a claim that is about another one; `why` they show nothing."""
    if why:
        return f"At {scale} nothing can be said of it: {why.rstrip('.')}."
    if len(seen) > 1:
        return f"At {scale}: {_sides([one.seen for one in seen])}."
    (one,) = seen
    measured = f"{contrast_words(one.contrast)} is {_size(one, unit)}"
    as_measured = "" if one.ci_low == one.ci_low else ", as measured"
    if one.seen == OPEN:
        return f"At {scale}: {measured}, which leaves it open."
    if one.seen == AGAINST and one.margin == 0:
        return f"At {scale} the sign is against it: {measured}{as_measured}."
    claimed = ""
    if one.seen == AGAINST:
        claimed = f" (claimed {expectation(one.contrast, unit)})"
    return f"At {scale}: {measured}, {one.seen}{as_measured}{claimed}."


def _sides(seen: Sequence[str]) -> str:
    """`of 4 comparisons 2 are in its favour, 1 is against it and 1 is open`."""
    if len(set(seen)) == 1:
        return f"all {len(seen)} comparisons are {seen[0]}"
    parts = []
    for side in (IN_FAVOUR, AGAINST, OPEN):
        count = seen.count(side)
        if count:
            parts.append(f"{count} {'is' if count == 1 else 'are'} {side}")
    return f"of {counted(len(seen), 'comparison')} {listed(parts)}"
