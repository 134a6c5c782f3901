"""What other libraries make of the same returns: where they agree with us, and what theirs are made of where not.

A `Difference` tells a library's number by a formula of its own, so that the page (docs/accuracy.md) can be made without
the library; tests/test_accuracy.py asks the library itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine import ratios, relative, risk, significance, tails, trade_metrics


class Case:
    """A series of daily returns, a benchmark's, and what the libraries want of them."""

    def __init__(self, returns, other=None, days=None):
        self.returns = np.asarray(returns, float)
        self.other = self.returns if other is None else np.asarray(other, float)
        if days is None:
            days = np.busday_offset("2015-01-01", np.arange(-1, len(self.returns)), roll="forward")
        self.days = np.asarray(days).astype("datetime64[D]")
        self.equity = np.concatenate([[1.0], np.cumprod(1.0 + self.returns)])
        self.count = len(self.returns)

    @property
    def series(self):
        import pandas

        return pandas.Series(self.returns, pandas.DatetimeIndex(self.days[1:]))

    @property
    def benchmark(self):
        import pandas

        return pandas.Series(self.other, pandas.DatetimeIndex(self.days[1:]))

    @property
    def prices(self):
        import pandas

        return pandas.Series(self.equity, pandas.DatetimeIndex(self.days))

    @property
    def annual(self):
        return ratios.annual_return(ratios.total_return(self.equity), ratios.years(self.days))

    @property
    def annual_by_count(self):
        """As if a year were 252 rows, whatever time passed."""
        return (1.0 + ratios.total_return(self.equity)) ** (252 / self.count) - 1.0

    @property
    def deepest(self):
        return risk.max_drawdown(self.equity)

    @property
    def sample_moments(self):
        """Skew and excess kurtosis with the corrections for small samples."""
        n, lean, tail = self.count, tails.skew(self.returns), tails.kurtosis(self.returns) - 3.0
        return lean * (n * (n - 1)) ** 0.5 / (n - 2), (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * tail + 6.0)


BACON = Case(
    np.array([3, 26, 11, -10, 15, 25, 16, 67, -14, 40, -5, 81, 40, -37, -61, 17, -49, -22, 70, 58, -65, 24, -5, -9])
    / 1000,
    np.array([2, 25, 18, -11, 14, 18, 14, 65, -15, 42, -6, 83, 39, -38, -62, 15, -48, 21, 60, 56, -67, 19, -3, 0])
    / 1000,
)  # C. Bacon's 24 months and their benchmark, taken as days


@dataclass(frozen=True)
class Difference:
    """A number that a library has otherwise."""

    library: str
    number: str
    ours: Callable  # of a Case
    theirs: Callable  # of a Case, by formula
    ask: Callable  # of (library, Case): what the library itself says
    cause: str
    right: str  # who


def geometric_capture(case, days):
    """empyrical's capture: annual growth over those days alone, of the run over that of the benchmark."""
    grown = [np.prod(1.0 + one[days]) ** (252 / days.sum()) - 1.0 for one in (case.returns, case.other)]
    return float(grown[0] / grown[1])


def penalised(case):
    """quantstats' smart Sharpe: the first serial correlation without its sign, as that of an autoregression."""
    first = abs(np.corrcoef(case.returns[:-1], case.returns[1:])[0, 1])
    lag = np.arange(1, case.count)
    return ratios.sharpe(case.returns) / np.sqrt(1.0 + 2.0 * np.sum((case.count - lag) / case.count * first**lag))


def probabilistic(case):
    """quantstats' probabilistic Sharpe ratio: with the corrected moments."""
    lean, tail = case.sample_moments
    return significance.probability(ratios.sharpe(case.returns, periods=1), case.count, lean, tail + 3.0)


YEAR_IS_252 = "a year is 252 rows; ours is 365.25 days of the calendar, so that holidays and gaps are time"
CORRECTED = "corrected for small samples; ours is of the population, as PSR and Cornish-Fisher are defined on"
SIGN = "told as a negative return; ours is a positive loss"
DEFINITION = "both: another definition"
DIFFERENCES = [
    Difference(
        "empyrical", "annual_return", lambda c: c.annual, lambda c: c.annual_by_count,
        lambda e, c: e.annual_return(c.series), YEAR_IS_252, DEFINITION,
    ),
    Difference(
        "empyrical", "calmar", lambda c: ratios.calmar(c.annual, c.deepest),
        lambda c: c.annual_by_count / -c.deepest, lambda e, c: e.calmar_ratio(c.series), YEAR_IS_252, DEFINITION,
    ),
    Difference(
        "empyrical", "var_95", lambda c: tails.var(c.returns), lambda c: -tails.var(c.returns),
        lambda e, c: e.value_at_risk(c.series), SIGN, DEFINITION,
    ),
    Difference(
        "empyrical", "cvar_95", lambda c: tails.cvar(c.returns), lambda c: -tails.cvar(c.returns),
        lambda e, c: e.conditional_value_at_risk(c.series), SIGN, DEFINITION,
    ),
    Difference(
        "empyrical", "alpha", lambda c: relative.alpha(c.returns, c.other),
        lambda c: (1.0 + relative.alpha(c.returns, c.other, 1)) ** 252 - 1.0,
        lambda e, c: e.alpha(c.series, c.benchmark),
        "compounds the daily alpha over a year; ours is 252 times it, as regressions tell it", DEFINITION,
    ),
    Difference(
        "empyrical", "information_ratio", lambda c: relative.information_ratio(c.returns, c.other),
        lambda c: relative.information_ratio(c.returns, c.other, 1),
        lambda e, c: e.excess_sharpe(c.series, c.benchmark), "of one day; ours is of a year", DEFINITION,
    ),
    Difference(
        "empyrical", "up_capture", lambda c: relative.up_capture(c.returns, c.other),
        lambda c: geometric_capture(c, c.other > 0), lambda e, c: e.up_capture(c.series, c.benchmark),
        "annual growth of those days alone over that of the benchmark; ours is sum over sum, as PerformanceAnalytics",
        DEFINITION,
    ),
    Difference(
        "empyrical", "down_capture", lambda c: relative.down_capture(c.returns, c.other),
        lambda c: geometric_capture(c, c.other < 0), lambda e, c: e.down_capture(c.series, c.benchmark),
        "as up_capture", DEFINITION,
    ),
    Difference(
        "quantstats", "annual_return", lambda c: c.annual, lambda c: c.annual_by_count,
        lambda q, c: q.stats.cagr(c.series), YEAR_IS_252, DEFINITION,
    ),
    Difference(
        "quantstats", "calmar", lambda c: ratios.calmar(c.annual, c.deepest),
        lambda c: c.annual_by_count / -c.deepest, lambda q, c: q.stats.calmar(c.series), YEAR_IS_252, DEFINITION,
    ),
    Difference(
        "quantstats", "ulcer", lambda c: risk.ulcer(c.equity),
        lambda c: risk.ulcer(c.equity) * (c.count / (c.count - 1)) ** 0.5, lambda q, c: q.stats.ulcer_index(c.series),
        "divides by n - 1; Martin's index is a root mean square", "ours, by its source",
    ),
    Difference(
        "quantstats", "var_95", lambda c: tails.var(c.returns), lambda c: -tails.gaussian_var(c.returns, 0.95, 1),
        lambda q, c: q.stats.value_at_risk(c.series),
        "of a normal distribution, and told as a negative return; ours is the quantile of the days",
        "both: another definition; compare `gaussian_var_95`",
    ),
    Difference(
        "quantstats", "cvar_95", lambda c: tails.cvar(c.returns), lambda c: -tails.gaussian_cvar(c.returns, 0.95, 1),
        lambda q, c: q.stats.cvar(c.series), "as var_95", "both: another definition; compare `gaussian_cvar_95`",
    ),
    Difference(
        "quantstats", "skew", lambda c: tails.skew(c.returns), lambda c: c.sample_moments[0],
        lambda q, c: q.stats.skew(c.series), CORRECTED, DEFINITION,
    ),
    Difference(
        "quantstats", "kurtosis", lambda c: tails.kurtosis(c.returns), lambda c: c.sample_moments[1],
        lambda q, c: q.stats.kurtosis(c.series), "in excess of 3, and " + CORRECTED, DEFINITION,
    ),
    Difference(
        "quantstats", "probabilistic_sharpe", lambda c: significance.probabilistic_sharpe(c.returns), probabilistic,
        lambda q, c: q.stats.probabilistic_sharpe_ratio(c.series), "by moments " + CORRECTED, "ours, by the paper",
    ),
    Difference(
        "quantstats", "lo_sharpe", lambda c: significance.lo_sharpe(c.returns), penalised,
        lambda q, c: q.stats.smart_sharpe(c.series),
        "`smart_sharpe` takes the first serial correlation without its sign, so that returns that take turns are "
        "punished, too; ours is Lo's formula", "ours, by the paper",
    ),
    Difference(
        "quantstats", "information_ratio", lambda c: relative.information_ratio(c.returns, c.other),
        lambda c: relative.information_ratio(c.returns, c.other, 1),
        lambda q, c: q.stats.information_ratio(c.series, c.benchmark), "of one day; ours is of a year", DEFINITION,
    ),
    Difference(
        "ffn", "ulcer", lambda c: risk.ulcer(c.equity),
        lambda c: 100.0 * risk.ulcer(c.equity) * (c.count / (c.count + 1)) ** 0.5,
        lambda f, c: f.to_ulcer_index(c.prices),
        "in percent, and the starting row counts as a day at the peak", "ours, by its source",
    ),
    Difference(
        "ffn", "skew", lambda c: tails.skew(c.returns), lambda c: c.sample_moments[0],
        lambda f, c: f.calc_perf_stats(c.prices).daily_skew, CORRECTED, DEFINITION,
    ),
    Difference(
        "ffn", "kurtosis", lambda c: tails.kurtosis(c.returns), lambda c: c.sample_moments[1],
        lambda f, c: f.calc_perf_stats(c.prices).daily_kurt, "in excess of 3, and " + CORRECTED, DEFINITION,
    ),
    Difference(
        "ffn", "information_ratio", lambda c: relative.information_ratio(c.returns, c.other),
        lambda c: relative.information_ratio(c.returns, c.other, 1),
        lambda f, c: f.calc_information_ratio(c.series, c.benchmark), "of one day; ours is of a year", DEFINITION,
    ),
]  # fmt: skip
SAME = {  # library -> number -> (ours, what the library says)
    "empyrical": {
        "total_return": (lambda c: ratios.total_return(c.equity), lambda e, c: e.cum_returns_final(c.series)),
        "volatility": (lambda c: ratios.volatility(c.returns), lambda e, c: e.annual_volatility(c.series)),
        "sharpe": (lambda c: ratios.sharpe(c.returns), lambda e, c: e.sharpe_ratio(c.series)),
        "sortino": (lambda c: ratios.sortino(c.returns), lambda e, c: e.sortino_ratio(c.series)),
        "downside_deviation": (lambda c: ratios.downside_deviation(c.returns), lambda e, c: e.downside_risk(c.series)),
        "max_drawdown": (lambda c: c.deepest, lambda e, c: e.max_drawdown(c.series)),
        "omega": (lambda c: ratios.omega(c.returns), lambda e, c: e.omega_ratio(c.series)),
        "beta": (lambda c: relative.beta(c.returns, c.other), lambda e, c: e.beta(c.series, c.benchmark)),
    },
    "quantstats": {
        "total_return": (lambda c: ratios.total_return(c.equity), lambda q, c: q.stats.comp(c.series)),
        "volatility": (lambda c: ratios.volatility(c.returns), lambda q, c: q.stats.volatility(c.series, periods=252)),
        "sharpe": (lambda c: ratios.sharpe(c.returns), lambda q, c: q.stats.sharpe(c.series, periods=252)),
        "sortino": (lambda c: ratios.sortino(c.returns), lambda q, c: q.stats.sortino(c.series, periods=252)),
        "max_drawdown": (lambda c: c.deepest, lambda q, c: q.stats.max_drawdown(c.series)),
        "omega": (lambda c: ratios.omega(c.returns), lambda q, c: q.stats.omega(c.series)),
        "alpha": (
            lambda c: relative.alpha(c.returns, c.other),
            lambda q, c: q.stats.greeks(c.series, c.benchmark)["alpha"],
        ),
        "beta": (
            lambda c: relative.beta(c.returns, c.other),
            lambda q, c: q.stats.greeks(c.series, c.benchmark)["beta"],
        ),
        "profit_factor": (
            lambda c: trade_metrics.profit_factor(c.returns),
            lambda q, c: q.stats.profit_factor(c.series),
        ),
        "payoff": (lambda c: trade_metrics.payoff(c.returns), lambda q, c: q.stats.payoff_ratio(c.series)),
        "kelly_trades": (
            lambda c: trade_metrics.kelly_trades(c.returns),
            lambda q, c: q.stats.kelly_criterion(c.series),
        ),
    },
    "ffn": {
        "total_return": (lambda c: ratios.total_return(c.equity), lambda f, c: f.calc_total_return(c.prices)),
        "annual_return": (lambda c: c.annual, lambda f, c: f.calc_cagr(c.prices)),
        "volatility": (
            lambda c: ratios.volatility(c.returns),
            lambda f, c: f.calc_perf_stats(c.prices).daily_vol,
        ),
        "sharpe": (lambda c: ratios.sharpe(c.returns), lambda f, c: f.calc_sharpe(c.series, nperiods=252)),
        "sortino": (lambda c: ratios.sortino(c.returns), lambda f, c: f.calc_sortino_ratio(c.series, nperiods=252)),
        "max_drawdown": (lambda c: c.deepest, lambda f, c: f.calc_max_drawdown(c.prices)),
        "calmar": (lambda c: ratios.calmar(c.annual, c.deepest), lambda f, c: f.calc_calmar_ratio(c.prices)),
    },
}
