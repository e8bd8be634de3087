"""From a table of trials to what it says: estimates with intervals, tests, and the report.

Every function takes a tidy table, one row per planned trial, those that never finished included.
"""

from seedbed.analyze.report.write import Report, write_report
from seedbed.analyze.stats.anova import anova
from seedbed.analyze.stats.components import variance_components
from seedbed.analyze.stats.cost import net_benefit, pareto_membership, per_device_hour
from seedbed.analyze.stats.diagnostics import diagnose
from seedbed.analyze.stats.equivalence import equivalence, non_inferiority
from seedbed.analyze.stats.examples import two_errors
from seedbed.analyze.stats.means import contrasts, interaction_contrast, marginal_means, pairwise
from seedbed.analyze.stats.multiplicity import adjust
from seedbed.analyze.stats.pareto import pareto
from seedbed.analyze.stats.power import Plan, power_table, seeds_needed
from seedbed.analyze.stats.ranks import melt_tasks, rank_levels
from seedbed.analyze.stats.resampling import by_seed
from seedbed.analyze.stats.two_level import effects_two_level
from seedbed.analyze.trials.observations import AnalysisError
from seedbed.analyze.trials.table import trials_table

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
