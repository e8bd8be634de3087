"""The critical-difference figure: mean ranks on a line, joined where they cannot be told apart.

Demšar 2006 (JMLR 7:1), drawn with one row a level so that names never meet.
"""

from __future__ import annotations

import math

from seedbed.analyze.figures.marks import Axis, Figure, circle, line, text, x_axis
from seedbed.analyze.stats.ranks import Ranks
from seedbed.analyze.trials.observations import label_text

_ROW, _LANE = 30, 12  # pixels


def rank_figure(ranks: Ranks) -> Figure | None:
    """Levels from the best mean rank to the worst; None where they could not be ranked.

    Bars above join levels whose ranks are less than the critical difference apart.
    """
    known = ranks.ranks["mean_rank"].dropna().sort_values(kind="stable")
    if len(known) < 2 or math.isnan(ranks.critical_difference):
        return None
    places = [float(rank) for rank in known]
    groups = joined(places, ranks.critical_difference)
    top = 54 + _LANE * len(groups)
    bottom = top + _ROW * len(known)
    x = Axis(0.8, len(places) + 0.2, 0, 100)
    distance = f"critical difference {ranks.critical_difference:.2f}"
    start = x(1.0)
    end = x(min(1.0 + ranks.critical_difference, len(places) + 0.2))
    parts = [
        text(f"{start:g}%", 14, distance, "axis"),
        line(start, 24, end, 24, "interval s2"),
    ]
    for n, (first, last) in enumerate(groups):
        y = 44 + _LANE * n
        parts.append(line(x(places[first]) - 0.6, y, x(places[last]) + 0.6, y, "interval s3"))
    heights = [top + _ROW * n + 16 for n in range(len(places))]
    # Lines before names: a name's paper-coloured rim must not be crossed.
    parts += [line(x(r), 44, x(r), y, "grid") for r, y in zip(places, heights, strict=True)]
    for level, rank, y in zip(known.index, places, heights, strict=True):
        anchor, aside = ("end", -12) if x(rank) > 50 else ("", 12)
        words = f"{label_text(level)}  {rank:.2f}"
        parts.append(text(f"{x(rank):g}%", y + 4, words, f"label {anchor}".strip(), aside))
        parts.append(circle(x(rank), y, 5, "mean s1"))
    parts.append(x_axis(x, bottom + 6))
    title = f"Mean rank over {int(ranks.ranks['num_tasks'].iloc[0])} tasks (1 is the best)"
    parts.append(text("50%", bottom + 46, title, "axis middle"))
    return Figure("".join(parts), bottom + 54, title)


def joined(places: list[float], distance: float) -> list[tuple[int, int]]:
    """The largest runs of sorted ranks that lie within `distance`, as first and last index."""
    runs: list[tuple[int, int]] = []
    for first, rank in enumerate(places):
        last = max(i for i, other in enumerate(places) if other - rank < distance)
        if last > first and (not runs or runs[-1][1] < last):
            runs.append((first, last))
    return runs
