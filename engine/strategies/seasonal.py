"""Seasonal: strategies that decide by the date, alone or with what the same date brought before.

What is traded tomorrow is decided today, so they ask which date comes next. That is told from dates alone, by the
exchanges' own rule of holidays (`engine.holidays`), never from the rows that follow.
"""

import numpy as np
import param

from engine.holidays import CALENDARS, closed_days, following, months
from engine.indicators import change, seen, volatility
from engine.kernel import kernel
from engine.measures import ranked
from engine.strategies.carry import groups
from engine.strategies.trend import CAP
from engine.strategy import Strategy

MONTH, YEAR_OF_BARS = 21, 252  # [bars]


class SameMonth(Strategy):
    r"""Long in months of the year in which the market used to rise, short in those in which it used to fall.

    .. math:: f = c(t / full), \quad t = \frac{\bar z - \bar z_{other}}{s / \sqrt n}

    over the n past years' changes z of the coming month of the year, each in volatilities as they were when it began.

    Source: S. Heston, R. Sadka, "Seasonality in the Cross-Section of Stock Returns", Journal of Financial Economics 87
    (2008); M. Keloharju, J. Linnainmaa, P. Nyberg, "Return Seasonalities", Journal of Finance 71 (2016), who find it in
    commodities and indices too, and measure it against the other months.
    """

    years = param.Integer(default=5, bounds=(2, 100), doc="Least number of past years of a month. [years]")
    full = param.Number(default=2.0, bounds=(0.1, 20), doc="t-statistic that makes a forecast of 1. [1]")
    excess = param.Boolean(default=True, doc="Less the mean of the other months, not of zero. [true or false]")
    span = param.Number(default=36.0, bounds=(2, 5000), doc="Memory of the volatility, see `volatility`. [bars]")

    def forecast(self, market) -> np.ndarray:
        """-2 to 2; 0 until the coming month has been seen in `years` years."""
        mean, error = month_mean(market, self.span, self.years, self.excess)
        with np.errstate(divide="ignore", invalid="ignore"):  # alike in all years: as sure as can be, or no opinion
            return np.nan_to_num(np.clip(mean / error / self.full, -CAP, CAP))

    def warm_up(self) -> int:
        """As many years, and the volatility before the first month of them. [bars]"""
        return int(np.ceil(self.span)) + YEAR_OF_BARS * self.years + MONTH


class SameMonthRank(Strategy):
    """Long the markets whose coming month was best in past years, short those in which it was worst, by their place.

    Source: M. Keloharju, J. Linnainmaa, P. Nyberg, "Return Seasonalities", Journal of Finance 71 (2016): sorts on the
    mean of the same month; changes over volatility, for markets of all kinds are ranked together.
    """

    across = True

    years = param.Integer(default=5, bounds=(2, 100), doc="Least number of past years of a month. [years]")
    excess = param.Boolean(default=True, doc="Less the mean of the other months, not of zero. [true or false]")
    span = param.Number(default=36.0, bounds=(2, 5000), doc="Memory of the volatility, see `volatility`. [bars]")
    by_sector = param.Boolean(default=False, doc="Rank within each sector, not over all markets. [true or false]")

    def forecast(self, market) -> np.ndarray:
        """Sums to 0 over the markets that take part; the mean of its absolute values is 1."""
        mean, _ = month_mean(market, self.span, self.years, self.excess)
        return ranked(np.where(market.available, mean, np.nan), groups(market, self.by_sector))

    def warm_up(self) -> int:
        """As of `same_month`. [bars]"""
        return int(np.ceil(self.span)) + YEAR_OF_BARS * self.years + MONTH


class TurnOfMonth(Strategy):
    """Long on the last trading day of a month and on the first three of the next, flat on all others.

    Source: J. McConnell, W. Xu, "Equity Returns at the Turn of the Month", Financial Analysts Journal 64 (2008), after
    J. Lakonishok, S. Smidt, "Are Seasonal Anomalies Real?", Review of Financial Studies 1 (1988). For equity indices.
    """

    before = param.Integer(default=1, bounds=(0, 10), doc="Last trading days of a month on which it is long. [days]")
    after = param.Integer(default=3, bounds=(0, 10), doc="First trading days of a month on which it is long. [days]")
    calendar = param.Selector(
        default="us", objects=list(CALENDARS), doc="Trading days: all weekdays, or less the holidays of the US. [name]"
    )

    def forecast(self, market) -> np.ndarray:
        """1 or 0, the same for all markets: for the trading day that comes next."""
        closed = closed_days(market.days, self.calendar)
        coming = following(market.days, closed)
        begin = coming.astype("datetime64[M]")
        number = np.busday_count(begin.astype("datetime64[D]"), coming, holidays=closed)
        left = np.busday_count(coming, (begin + 1).astype("datetime64[D]"), holidays=closed)
        return _for_all(market, (number < self.after) | (left <= self.before))


class PreHoliday(Strategy):
    """Long on the last trading day before each holiday of the exchanges, flat on all others.

    Source: R. Ariel, "High Stock Returns before Holidays: Existence and Evidence on Possible Causes", Journal of
    Finance 45 (1990). For equity indices.
    """

    before = param.Integer(default=1, bounds=(1, 10), doc="Trading days before a holiday on which it is long. [days]")

    def forecast(self, market) -> np.ndarray:
        """1 or 0, the same for all markets: for the trading day that comes next."""
        closed = closed_days(market.days, "us")
        coming = following(market.days, closed)
        until = np.busday_offset(coming, self.before, holidays=closed)  # as many trading days later
        return _for_all(market, np.busday_count(coming, until) > self.before)


def month_mean(market, span, years, excess):
    r"""Mean past change of the month of the year that comes next, and its standard error.

    .. math:: z = \frac{a_{end} - a_{begin}}{\sigma_{begin} \sqrt{bars}}

    Parameters
    ----------
    market : Market
    span : float
        Memory of the volatility. [bars]
    years : int
        Least number of changes of the same month.
    excess : bool
        The mean is less that of all other months.

    Returns
    -------
    array (time, market), array (time, market)
        Of z, which is 1 for a usual month [1]; nan before their time. Over all past years: where history begins later
        they are others.

    Source: see `SameMonth`; the volatility is that of the month's begin, for points of 20 years ago do not compare.
    """
    price = np.ascontiguousarray(market.adjusted)
    moves = change(price)
    sigma = volatility(moves, span)
    sigma = np.where((seen(moves) >= span) & (sigma > 0.0), sigma, np.nan)
    coming = months(following(market.days, closed_days(market.days, "us"))) % 12
    count, mean, square, others = same_months(price, sigma, months(market.days), coming)
    known = np.where(count >= years, mean, np.nan)
    error = np.sqrt(square / np.maximum(count - 1.0, 1.0) / np.maximum(count, 1.0))
    return known - (others if excess else 0.0), error


def _for_all(market, wanted):
    """Dates on which something is wanted, as forecasts of every market."""
    return np.ascontiguousarray(np.broadcast_to(wanted[:, None].astype(np.float64), market.mark.shape))


@kernel
def same_months(price, sigma, month, coming):
    """What a market's finished months of the coming month's name brought.

    Parameters
    ----------
    price : array (time, market)
        Adjusted; nan on a market's holiday. [points]
    sigma : array (time, market)
        Daily volatility; nan before its time. [points]
    month : array (time,) of int
        Number of the month, counted through the years.
    coming : array (time,) of int
        Month of the year of the next trading day, 0 to 11.

    Returns
    -------
    tuple of four arrays (time, market)
        How many [1]; their mean z [1]; the sum of their squared distances from it [1]; the mean z of the finished
        months of all other names, 0 while there is none [1].

    A month counts when it is over, if the market had a bar in the month before it, and a volatility at the end of that.

    Source: see `month_mean`; B. P. Welford, Technometrics 4 (1962), for the running mean and squares.

    Three Januaries, with a December before each, that rose by 2, 4 and 6 points in 4 bars of volatility 1:

    >>> month = np.array([11, 12, 12, 12, 12, 23, 24, 24, 24, 24, 35, 36, 36, 36, 36, 47])
    >>> moves = np.array([0, 0, 0, 0, 2, 0, 0, 0, 0, 4, 0, 0, 0, 0, 6, 0.0])
    >>> price, sigma = np.cumsum(moves)[:, None], np.ones((16, 1))
    >>> count, mean, square, others = same_months(price, sigma, month, np.zeros(16, dtype=np.int64))
    >>> float(count[-1, 0]), float(mean[-1, 0]), float(square[-1, 0]), float(others[-1, 0])
    (3.0, 2.0, 2.0, 0.0)
    """
    count, mean = np.zeros(price.shape), np.zeros(price.shape)
    square, others = np.zeros(price.shape), np.zeros(price.shape)
    for m in range(price.shape[1]):
        tally = np.zeros((13, 3))  # by month of the year, and of all: how many, mean, squares
        now, bars, begin, scale = -2, 0, np.nan, np.nan  # of the month that runs
        last, last_sigma = np.nan, np.nan
        for t in range(price.shape[0]):
            if month[t] != now and not np.isnan(price[t, m]):
                if bars > 0 and not np.isnan(scale):
                    z = (last - begin) / (scale * np.sqrt(float(bars)))
                    _count_in(tally[now % 12], z)
                    _count_in(tally[12], z)
                follows = month[t] == now + 1
                begin, scale = (last, last_sigma) if follows else (np.nan, np.nan)
                now, bars = month[t], 0
            if not np.isnan(price[t, m]):
                last, last_sigma = price[t, m], sigma[t, m]
                bars += 1
            own, total = tally[coming[t]], tally[12]
            count[t, m], mean[t, m], square[t, m] = own[0], own[1], own[2]
            if total[0] > own[0]:
                others[t, m] = (total[0] * total[1] - own[0] * own[1]) / (total[0] - own[0])
    return count, mean, square, others


@kernel
def _count_in(tally, value):
    """Put one value into count, mean and sum of squares."""
    tally[0] += 1.0
    away = value - tally[1]
    tally[1] += away / tally[0]
    tally[2] += away * (value - tally[1])
