"""From a table of trials to what it says: estimates with intervals, tests, and the report.

Every function takes a tidy table, one row per planned trial, those that never finished included.
"""

from ablate.analyze.columns import AnalysisError
from ablate.analyze.estimates import contrasts, interaction_contrast, marginal_means
from ablate.analyze.front import pareto
from ablate.analyze.multiplicity import adjust
from ablate.analyze.report import Report, write_report
from ablate.analyze.trials import trials_table
from ablate.analyze.two_level import effects_two_level
from ablate.analyze.variance import anova

__all__ = [
    "AnalysisError",
    "Report",
    "adjust",
    "anova",
    "contrasts",
    "effects_two_level",
    "interaction_contrast",
    "marginal_means",
    "pareto",
    "trials_table",
    "write_report",
]
