"""From a table of trials to what it says: estimates with intervals, tests, and the report.

Every function takes a tidy table, one row per planned trial, those that never finished included.
"""

from ablate.analyze.columns import AnalysisError
from ablate.analyze.cost import net_benefit, pareto_membership, per_device_hour
from ablate.analyze.diagnostics import diagnose
from ablate.analyze.equivalence import equivalence, non_inferiority
from ablate.analyze.estimates import contrasts, interaction_contrast, marginal_means, pairwise
from ablate.analyze.examples import two_errors
from ablate.analyze.front import pareto
from ablate.analyze.multiplicity import adjust
from ablate.analyze.power import Plan, power_table, seeds_needed
from ablate.analyze.report import Report, write_report
from ablate.analyze.resampling import by_seed
from ablate.analyze.tasks import melt_tasks, rank_levels
from ablate.analyze.trials import trials_table
from ablate.analyze.two_level import effects_two_level
from ablate.analyze.variance import anova
from ablate.analyze.variance_components import variance_components

__all__ = [
    "AnalysisError",
    "Plan",
    "Report",
    "adjust",
    "anova",
    "by_seed",
    "contrasts",
    "diagnose",
    "effects_two_level",
    "equivalence",
    "interaction_contrast",
    "marginal_means",
    "melt_tasks",
    "net_benefit",
    "non_inferiority",
    "pairwise",
    "pareto",
    "pareto_membership",
    "per_device_hour",
    "power_table",
    "rank_levels",
    "seeds_needed",
    "trials_table",
    "two_errors",
    "variance_components",
    "write_report",
]
