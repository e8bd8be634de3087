"""How many seeds a question needs: power, detectable differences and the table behind both.

Everything is about t tests with the error that the analysis will have: residual standard deviation
`sigma` (of repeated training of one cell), its degrees of freedom, and how many trials stand
behind a comparison. Power is from the noncentral t distribution. Cohen 1988, chapter 2.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from scipy import optimize, stats

from seedbed.analyze.stats.fit import MIN_POOLED_DF, Fit
from seedbed.analyze.trials.observations import AnalysisError, observe

_MOST_SEEDS = 10_000
COLUMNS = (
    "effect", "num_seeds", "df", "se", "half_width", "difference", "power",
    "detectable_difference", "note",
)  # fmt: skip


def t_power(difference: float, se: float, df: float, *, alpha: float = 0.05) -> float:
    """P that a two-sided t test finds a true `difference`, whose estimate has error `se`."""
    _positive(se=se, df=df)
    _fraction(alpha=alpha)
    critical = float(stats.t.isf(alpha / 2, df))
    shift = abs(difference) / se
    found = stats.nct.sf(critical, df, shift) + stats.nct.cdf(-critical, df, shift)
    if not math.isfinite(found):  # scipy's series gives out far from 0: mix normals over chi
        found = stats.chi.expect(
            lambda chi: stats.norm.cdf(shift - critical * chi / math.sqrt(df)), (df,)
        )
    return float(min(1.0, found))


def f_power(effect: float, num_groups: int, num_per_group: float, *, alpha: float = 0.05) -> float:
    """Power of the one-way F test; `effect` is Cohen's f, SD of the means over sigma."""
    df = num_groups * (num_per_group - 1)
    _positive(num_groups=num_groups - 1, df=df)
    _fraction(alpha=alpha)
    critical = stats.f.isf(alpha, num_groups - 1, df)
    shift = effect**2 * num_groups * num_per_group
    return float(stats.ncf.sf(critical, num_groups - 1, df, shift))


def sample_size(power_at: Callable[[float], float], power: float, *, least: float = 2.0) -> float:
    """The (fractional) number at which `power_at` reaches `power`; NaN beyond 10,000."""
    _fraction(power=power)
    if power_at(least) >= power:
        return least
    high = 2 * least
    while power_at(high) < power:
        high *= 2
        if high > _MOST_SEEDS:
            return float("nan")
    return float(optimize.brentq(lambda n: power_at(n) - power, high / 2, high, xtol=1e-9))


def detectable_difference(
    se: float, df: float, *, power: float = 0.8, alpha: float = 0.05
) -> float:
    """The smallest true difference that the test finds with probability `power`."""
    _fraction(power=power, alpha=alpha)
    if power <= alpha:
        return 0.0
    high = se
    while t_power(high, se, df, alpha=alpha) < power:
        high *= 2
    return float(
        optimize.brentq(lambda d: t_power(d, se, df, alpha=alpha) - power, 0, high, xtol=1e-12 * se)
    )


@dataclass(frozen=True)
class Plan:
    """A full grid of `levels` per factor, every cell run on the same seeds.

    `order` is the largest interaction in the model; `blocked` takes the seeds' shifts out of the
    error, as the analysis does.
    """

    levels: Mapping[str, int]
    order: int = 2
    blocked: bool = True

    def __post_init__(self) -> None:
        wrong = {name: num for name, num in self.levels.items() if int(num) != num or num < 2}
        if wrong or not self.levels:
            raise AnalysisError(
                f"A plan needs factors with two levels or more; got {dict(self.levels)}.",
                mend="Leave factors with one level out.",
            )

    @property
    def num_cells(self) -> int:
        return math.prod(self.levels.values())

    def error_df(self, num_seeds: float) -> float:
        """Degrees of freedom of the residual, when no trial is lost."""
        sizes = range(1, min(self.order, len(self.levels)) + 1)
        terms = [term for size in sizes for term in itertools.combinations(self.levels, size)]
        model = 1 + sum(math.prod(self.levels[name] - 1 for name in term) for term in terms)
        return num_seeds * self.num_cells - model - (num_seeds - 1 if self.blocked else 0)

    def se(self, effect: str, sigma: float, num_seeds: float) -> float:
        """Of one level against another (`A`), or of a difference of differences (`A:B`)."""
        names = effect.split(":")
        unknown = [name for name in names if name not in self.levels]
        if unknown:
            raise AnalysisError(f"'{unknown[0]}' is no factor of the plan.")
        per_cell = num_seeds * self.num_cells / math.prod(self.levels[name] for name in names)
        return sigma * math.sqrt(2 ** len(names) / per_cell)

    def refusal(self, num_seeds: int) -> str:
        """Why so many seeds give no interval; empty when they do."""
        df = self.error_df(num_seeds)
        if num_seeds < 2:
            return "one seed: no interval and no p"
        if num_seeds == 2 and df < MIN_POOLED_DF:
            return (
                f"two seeds: the pooled error has {df:g} degrees of freedom, {MIN_POOLED_DF} needed"
            )
        return "" if df >= 1 else "no degrees of freedom are left for the error"


def seeds_needed(
    plan: Plan, effect: str, *, sigma: float, difference: float, power: float = 0.8,
    alpha: float = 0.05, most: int = 1000,
) -> int | None:  # fmt: skip
    """The fewest seeds with which `effect` is found; None when `most` are not enough."""
    _positive(sigma=sigma, difference=abs(difference))
    _fraction(power=power, alpha=alpha)

    def enough(num: int) -> bool:
        se, df = plan.se(effect, sigma, num), plan.error_df(num)
        return not plan.refusal(num) and t_power(difference, se, df, alpha=alpha) >= power

    return _first(enough, most)


def seeds_for_half_width(sigma: float, half_width: float, *, most: int = 1000) -> int | None:
    """The fewest values whose mean has a 95 % t interval of at most `half_width` to each side."""
    _positive(sigma=sigma, half_width=half_width)
    return _first(
        lambda n: n > 1 and stats.t.ppf(0.975, n - 1) * sigma / math.sqrt(n) <= half_width, most
    )


def power_table(
    plan: Plan, *, sigma: float, differences: Sequence[float],
    num_seeds: Iterable[int] = range(1, 11), effects: Sequence[str] | None = None,
    power: float = 0.8, alpha: float = 0.05,
) -> pd.DataFrame:  # fmt: skip
    """One row per effect, number of seeds and true difference: what the study would see.

    Columns effect, num_seeds, df, se, half_width (of the 95 % interval), difference, power,
    detectable_difference (at `power`), note; `effects` are all main effects and two-factor
    interactions by default. Numbers of seeds that allow no interval have NaN and a note.
    """
    _positive(sigma=sigma)
    pairs = [":".join(pair) for pair in itertools.combinations(plan.levels, 2)]
    wanted = [*plan.levels, *(pairs if plan.order > 1 else [])] if effects is None else effects
    rows: list[tuple[object, ...]] = []
    nan = float("nan")
    for effect, num, difference in itertools.product(wanted, num_seeds, differences):
        refusal = plan.refusal(num)
        if refusal:
            rows.append((effect, num, plan.error_df(num), nan, nan, difference, nan, nan, refusal))
            continue
        se, df = plan.se(effect, sigma, num), plan.error_df(num)
        found = t_power(difference, se, df, alpha=alpha)
        half = float(stats.t.ppf(0.975, df)) * se
        least = detectable_difference(se, df, power=power, alpha=alpha)
        rows.append((effect, num, df, se, half, difference, found, least, ""))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def residual_sigma(
    trials: pd.DataFrame, response: str, factors: Sequence[str], *, block: str | None = None,
    order: int = 2, confidence: float | None = None,
) -> float:  # fmt: skip
    """The residual standard deviation of completed trials, for planning the next ones.

    With `confidence` its upper one-sided chi-square limit: an estimate from few degrees of freedom
    is too small about half of the time. Raises AnalysisError where the trials give none.
    """
    error = Fit(observe(trials, response, factors, block), order).error
    if error.refusal:
        raise AnalysisError(
            f"The trials give no error to plan with: {error.refusal}.",
            mend="Run more seeds, or state sigma.",
        )
    if confidence is None:
        return math.sqrt(error.mean_sq)
    _fraction(confidence=confidence)
    return math.sqrt(error.sum_sq / float(stats.chi2.ppf(1 - confidence, error.df)))


def _first(enough: Callable[[int], bool], most: int) -> int | None:
    return next((num for num in range(1, most + 1) if enough(num)), None)


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise AnalysisError(f"{name} is {value!r}.", mend="Give a positive number.")


def _fraction(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            raise AnalysisError(f"{name} is {value!r}.", mend="Give a number between 0 and 1.")
