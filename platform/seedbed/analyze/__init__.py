"""Statistics of a table of trials, and the report: estimates with intervals, tests, figures.

Every function takes a tidy table, one row per planned trial, those that never finished included.
"""

from seedbed.analyze.report.write import Report, write_report
from seedbed.analyze.stats.anova import anova
from seedbed.analyze.stats.components import variance_components
from seedbed.analyze.stats.diagnostics import diagnose
from seedbed.analyze.stats.examples import two_errors
from seedbed.analyze.stats.means import contrasts, interaction_contrast, marginal_means
from seedbed.analyze.stats.multiplicity import adjust
from seedbed.analyze.stats.pareto import pareto, pareto_membership, per_device_hour
from seedbed.analyze.stats.ranks import rank_levels
from seedbed.analyze.stats.test_sets import effects_by_test
from seedbed.analyze.stats.two_level import effects_two_level
from seedbed.analyze.trials.foreign import Stated, study_of
from seedbed.analyze.trials.observations import AnalysisError
from seedbed.analyze.trials.table import trials_table

__all__ = [
    "AnalysisError",
    "Report",
    "Stated",
    "adjust",
    "anova",
    "contrasts",
    "diagnose",
    "effects_by_test",
    "effects_two_level",
    "interaction_contrast",
    "marginal_means",
    "pareto",
    "pareto_membership",
    "per_device_hour",
    "rank_levels",
    "study_of",
    "trials_table",
    "two_errors",
    "variance_components",
    "write_report",
]
