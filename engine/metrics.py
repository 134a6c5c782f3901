"""The numbers of a run, all listed in METRICS; the functions lie in `ratios`, `periods`, `risk`, `tails`,
`trade_metrics`.

Ratios are fractions, not percent. What is undefined (no trade, no losing trade, no volatility, ruin, a run of one day)
is nan, which is null in JSON: never 0 and never infinity. Each function says when.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from engine import periods, ratios, risk, significance, tails, trade_metrics


@dataclass(frozen=True)
class Account:
    """All that a metric may read of a run."""

    returns: np.ndarray  # (time,) daily returns on days on which any market traded [fraction]
    days: np.ndarray  # (time + 1,) datetime64[D], day of each row of equity
    equity: np.ndarray  # (time + 1,) first row the starting capital [account currency]
    trade_net: np.ndarray  # (trade,) net result of each strategy trade [account currency]
    notional: float = np.nan  # of all fills; nan where it is not known [account currency]
    costs: float = np.nan  # all costs, positive; nan where they are not known [account currency]
    line_gross: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (line,) before costs [account currency]
    contracts: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (time,) or (time, line) held at the close
    interest: np.ndarray | float = 0.0  # (time,) return of the interest credited [fraction]
    compounding: bool = True

    @cached_property
    def years(self):
        """Length of the run by the calendar. [years]"""
        return ratios.years(self.days)

    @cached_property
    def total(self):
        """Total return. [fraction]"""
        return ratios.total_return(self.equity)

    @cached_property
    def annual(self):
        """Annual return. [fraction]"""
        return ratios.annual_return(self.total, self.years, self.compounding)

    @cached_property
    def deepest(self):
        """Maximum drawdown. [fraction]"""
        return risk.max_drawdown(self.equity)

    @cached_property
    def monthly(self):
        """Return of each month. [fraction]"""
        return periods.by_period(self.equity, self.days, "M", self.compounding)[1]

    @cached_property
    def yearly(self):
        """Return of each calendar year. [fraction]"""
        return periods.by_period(self.equity, self.days, "Y", self.compounding)[1]


@dataclass(frozen=True)
class Metric:
    """One number of a run: how it is called, shown and computed."""

    name: str
    label: str
    format: str  # percent (a fraction to be shown so), ratio, money, days, count
    function: Callable
    reads: tuple[str, ...]  # fields of Account, in the order of the function's arguments
    fixed: dict = field(default_factory=dict)  # further arguments by name
    caution: Callable | None = None  # (returns) -> why the number is another one than its name says, or ''

    @property
    def doc(self):
        """What the number says, in a sentence."""
        return " ".join(self.function.__doc__.split("\n\n")[0].split())

    def __call__(self, account):
        """The number of one account; nan where it is undefined."""
        return self.function(*(getattr(account, name) for name in self.reads), **self.fixed)


def both_levels(name, label, function, caution=None):
    """A tail metric at its two usual levels."""
    return [
        Metric(f"{name}_{n}", f"{label} {n} %", "percent", function, ("returns",), {"level": n / 100}, caution)
        for n in (95, 99)
    ]


def of_periods(unit, reads):
    """Best, worst and share of gains of the days, months or years."""
    numbers = (("best", "Best", periods.best), ("worst", "Worst", periods.worst))
    found = [
        Metric(f"{name}_{unit}", f"{label} {unit}", "percent", number, (reads,)) for name, label, number in numbers
    ]
    share = Metric(f"positive_{unit}s", f"Winning {unit}s", "percent", periods.positive_share, (reads,))
    return [*found, share]


_MAIN = [
    Metric("total_return", "Total return", "percent", ratios.total_return, ("equity",)),
    Metric("annual_return", "Annual return", "percent", ratios.annual_return, ("total", "years", "compounding")),
    Metric("volatility", "Volatility", "percent", ratios.volatility, ("returns",)),
    Metric("sharpe", "Sharpe ratio", "ratio", ratios.sharpe, ("returns", "interest")),
    Metric("sortino", "Sortino ratio", "ratio", ratios.sortino, ("returns", "interest")),
    Metric("calmar", "Calmar ratio", "ratio", ratios.calmar, ("annual", "deepest")),
    Metric("max_drawdown", "Maximum drawdown", "percent", risk.max_drawdown, ("equity",)),
    Metric("max_drawdown_days", "Its days", "days", risk.max_drawdown_days, ("equity", "days")),
    *both_levels("var", "VaR", tails.var),
    *both_levels("cvar", "CVaR", tails.cvar),
    Metric("win_rate", "Winning trades", "percent", trade_metrics.win_rate, ("trade_net",)),
    Metric("profit_factor", "Profit factor", "ratio", trade_metrics.profit_factor, ("trade_net",)),
    Metric("expectancy", "Expectancy a trade", "money", trade_metrics.expectancy, ("trade_net",)),
    Metric("trades", "Trades", "count", trade_metrics.trades, ("trade_net",)),
    Metric("turnover", "Turnover a year", "ratio", trade_metrics.turnover, ("notional", "equity", "years")),
    Metric("cost_share", "Costs / gross profit", "percent", trade_metrics.cost_share, ("costs", "line_gross")),
    Metric("time_in_market", "Time in market", "percent", trade_metrics.time_in_market, ("contracts",)),
    Metric("final_equity", "Final equity", "money", ratios.final_equity, ("equity",)),
]
_MORE = [
    *of_periods("day", "returns"),
    *of_periods("month", "monthly"),
    *of_periods("year", "yearly"),
    Metric("mar", "MAR ratio", "ratio", ratios.mar, ("annual", "deepest")),
    Metric(
        "recent_calmar", "Calmar, last 36 months", "ratio", periods.recent_calmar, ("equity", "days", "compounding")
    ),
    Metric("gain_to_pain", "Gain to pain, months", "ratio", periods.gain_to_pain, ("monthly",)),
    Metric("tail_ratio", "Tail ratio", "ratio", tails.tail_ratio, ("returns",)),
    Metric("autocorrelation", "Autocorrelation, a day", "ratio", ratios.autocorrelation, ("returns",)),
    Metric("underwater", "Time underwater", "percent", risk.underwater, ("equity",)),
    Metric("downside_deviation", "Downside deviation", "percent", ratios.downside_deviation, ("returns",)),
    Metric("omega", "Omega", "ratio", ratios.omega, ("returns",)),
    Metric("ulcer", "Ulcer index", "percent", risk.ulcer, ("equity",)),
    Metric("pain", "Pain index", "percent", risk.pain, ("equity",)),
    Metric("longest_drawdown_days", "Longest drawdown, days", "days", risk.longest_drawdown_days, ("equity", "days")),
    Metric("skew", "Skew", "ratio", tails.skew, ("returns",)),
    Metric("kurtosis", "Kurtosis (normal 3)", "ratio", tails.kurtosis, ("returns",)),
    *both_levels("gaussian_var", "Gaussian VaR", tails.gaussian_var),
    *both_levels("gaussian_cvar", "Gaussian CVaR", tails.gaussian_cvar),
    *both_levels("modified_var", "Cornish-Fisher VaR", tails.modified_var, tails.cornish_fisher_caution),
    *both_levels("modified_cvar", "Cornish-Fisher CVaR", tails.modified_cvar, tails.cornish_fisher_caution),
    *both_levels("filtered_var", "Filtered VaR", tails.filtered_var),
    *both_levels("filtered_cvar", "Filtered CVaR", tails.filtered_cvar),
    *both_levels("expected_shortfall", "Expected shortfall", tails.expected_shortfall),
    Metric("payoff", "Mean win / mean loss", "ratio", trade_metrics.payoff, ("trade_net",)),
    Metric("sqn", "System quality number", "ratio", trade_metrics.sqn, ("trade_net",)),
    Metric("kelly_trades", "Kelly share, trades", "percent", trade_metrics.kelly_trades, ("trade_net",)),
    Metric("kelly_growth", "Kelly multiple, returns", "ratio", ratios.kelly_growth, ("returns", "interest")),
    Metric("lo_sharpe", "Sharpe ratio, serial correlation", "ratio", significance.lo_sharpe, ("returns", "interest")),
    Metric("sharpe_error", "Its standard error", "ratio", significance.sharpe_error, ("returns", "interest")),
    Metric(
        "probabilistic_sharpe",
        "Sharpe above 0, surely",
        "percent",
        significance.probabilistic_sharpe,
        ("returns", "interest"),
    ),
    Metric(
        "track_record_years",
        "Years needed for 95 %",
        "ratio",
        significance.track_record_years,
        ("returns", "interest"),
    ),
]
METRICS = {metric.name: metric for metric in _MAIN + _MORE}
SUMMARY = tuple(metric.name for metric in _MAIN)  # what `run --json` shows


def summary(daily_returns, days, equity, trade_net, *, names=SUMMARY, **rest):
    """The numbers that `run --json` shows, in its order; nan is null there.

    Parameters
    ----------
    daily_returns, days, equity, trade_net
        As in `Account`.
    names : sequence of str
        Other entries of METRICS to compute.
    **rest
        The further fields of `Account`: notional, costs, line_gross, contracts, interest, compounding.

    Returns
    -------
    dict
        Name to float; counts and days are int where they are known.

    >>> days = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "datetime64[D]")
    >>> equity = np.array([100.0, 125.0, 100.0])
    >>> found = summary(ratios.period_returns(equity), days, equity, np.array([10.0, -10.0]))
    >>> found["max_drawdown"], found["max_drawdown_days"], found["trades"], found["profit_factor"]
    (-0.2, 1, 2, 1.0)
    """
    account = Account(daily_returns, days, equity, trade_net, **rest)
    return {name: plain(METRICS[name](account), METRICS[name].format) for name in names}


def plain(value, format):
    """A count or a length as int, all else as float."""
    return int(value) if format in ("count", "days") and not np.isnan(value) else float(value) + 0.0  # no negative zero
