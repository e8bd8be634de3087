"""All figures of a study by name."""

from __future__ import annotations

from seedbed.analyze.figures.budget import budget_figure
from seedbed.analyze.figures.contrasts import contrast_figure
from seedbed.analyze.figures.cost import cost_figure
from seedbed.analyze.figures.effects_by_size import effects_figure
from seedbed.analyze.figures.half_normal import half_normal_figure
from seedbed.analyze.figures.marks import Figure
from seedbed.analyze.figures.means import means_figure
from seedbed.analyze.figures.residuals import residuals_figure
from seedbed.analyze.figures.seeds import seeds_figure
from seedbed.analyze.findings.study import Findings


def figures_of(findings: Findings) -> dict[str, Figure]:
    """The figures that have something to show, by name: `contrasts_<factor>`,
    `means_<factor>` or `means_<a>_by_<b>`, `effects_by_budget_<factor>`, `cost`,
    `effect_pareto`, `half_normal`, `residuals`, `seeds_needed`; no figure at all where the primary
    response could not be analysed."""
    if findings.primary.fault:
        return {}
    drawn: dict[str, Figure | None] = {
        f"contrasts_{name}": contrast_figure(findings, name) for name in findings.factors
    }
    names = list(findings.factors)
    drawn.update({f"effects_by_budget_{name}": budget_figure(findings, name) for name in names})
    if len(names) == 1:
        drawn[f"means_{names[0]}"] = means_figure(findings, names[0])
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    drawn.update({f"means_{a}_by_{b}": means_figure(findings, a, b) for a, b in pairs})
    if findings.cost and not findings.cells.empty:
        drawn["cost"] = cost_figure(findings)
    drawn["effect_pareto"] = effects_figure(findings)
    drawn["half_normal"] = half_normal_figure(findings)
    drawn["residuals"] = residuals_figure(findings)
    drawn["seeds_needed"] = seeds_figure(findings)
    return {name: figure for name, figure in drawn.items() if figure is not None}
