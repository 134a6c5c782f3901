"""Kelly: sizes in proportion to what a strategy has earned for its risk, so that capital would grow fastest.

Profit and risk are those of the strategy's own past on paper, one unit of daily volatility held at a forecast of 1. A
forecast of bar t - 2 is filled on bar t - 1 at the latest and earns the whole change of bar t; so nothing is counted
that could not have been had. The mean of a short past is mostly luck: it is shrunk toward zero by a prior belief of how
good strategies are, and what is not above zero is not traded.
"""

import numpy as np
import param

from engine.indicators import latest
from engine.sizing.covariance import annual, book_volatility, correlations, gathered, steps, week_numbers, weekly
from engine.sizing.growth import line_fractions, paper_profit, week_fractions
from engine.sizing.shares import shares
from engine.sizing.sizer import YEAR, Sizer, carrying, point_risk, strategies, told


class Kelly(Sizer):
    r"""Each market on its own: mean over variance of the line's own profit, times `fraction`.

    .. math:: N = C s u / (M X \sigma), \quad u = c \frac{m}{v} f, \quad |u| \sqrt{252} \le \text{cap}

    with C capital, s the share of the line (`VolatilityTarget`), m the shrunken mean and v the variance of the daily
    profit of one unit of daily volatility, c `fraction`, f the forecast. Half of Kelly keeps 3/4 of the growth at half
    of the volatility. A line whose mean is not above zero is not held.

    Source: E. Thorp, "The Kelly Criterion in Blackjack, Sports Betting and the Stock Market", 2006, sec. 7; shrinkage:
    R. Baker and I. McHale, "Optimal Betting under Parameter Uncertainty", Decision Analysis 10 (2013).
    """

    per_capital = True

    fraction = param.Number(default=0.5, bounds=(0, 1), doc="Of full Kelly. [1]")
    cap = param.Number(
        default=0.25,
        bounds=(0, 5),
        doc="Most that a position may swing, as a fraction of its share of capital. [1/√year]",
    )
    prior = param.Number(
        default=0.5,
        bounds=(0, 100),
        inclusive_bounds=(False, True),
        doc="Spread of the Sharpe ratios that one believes in beforehand; small: the past counts little. [1/√year]",
    )
    memory = param.Number(
        default=1260.0, bounds=(60, 1e6), doc="Span of mean and variance, bars with a position. [bars]"
    )
    span = param.Number(default=32.0, bounds=(1, 5000), doc="Memory of each market's volatility. [bars]")

    def weights(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """[contracts per unit of account currency]; 0 until 60 bars with a position have been seen."""
        return self._sizes(market, forecast, instrument, strategy_weight, strategy, told(forecast, market, instrument))

    def usual(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """Size of each line at a forecast of 1, given the profit of the forecasts that it had."""
        return self._sizes(market, forecast, instrument, strategy_weight, strategy, np.ones(np.shape(forecast)))

    def _sizes(self, market, forecast, instrument, strategy_weight, strategy, held) -> np.ndarray:
        share = shares(market, instrument, strategy_weight, strategies(strategy, instrument), {})
        profit = paper_profit(told(forecast, market, instrument), steps(market, instrument))
        best = line_fractions(profit, float(self.memory), self.prior**2 / YEAR)
        swing = np.clip(annual(self.fraction * best * held), -self.cap, self.cap)
        return carrying(swing, share, market, instrument, point_risk(market, instrument, self.span))


class KellyPortfolio(Sizer):
    r"""All lines of a strategy together: C⁻¹M of their weekly profits, shrunk, capped in volatility and in leverage.

    .. math:: N_j = C W g u_j / (M_j X_j \sigma_j), \quad u_j = c k_j f_j, \quad k = \arg\max_k k'm - k'Vk / 2

    with W the weight of the strategy, m the means (shrunk toward zero) and V the second moments (shrunk toward their
    diagonal) of the weekly profits of one unit of daily volatility, found anew every `refit` weeks from weeks before;
    k is not negative unless `against`. g <= 1 keeps the book's volatility within `cap` and its gross notional within
    `leverage`, both of the strategy's capital.

    Source: E. Thorp, 2006, sec. 8 (F = C⁻¹M); E. Chan, Quantitative Trading, 2009, ch. 6; shrinkage toward the
    diagonal: O. Ledoit and M. Wolf, "Honey, I Shrunk the Sample Covariance Matrix", Journal of Portfolio Management 30
    (2004).
    """

    per_capital = True
    across = True

    fraction = param.Number(default=0.5, bounds=(0, 1), doc="Of full Kelly. [1]")
    cap = param.Number(default=0.25, bounds=(0, 5), doc="Most that the book may swing, of capital. [1/√year]")
    leverage = param.Number(default=20.0, bounds=(0, 1000), doc="Most gross notional of the book, in capitals. [1]")
    prior = param.Number(
        default=0.5,
        bounds=(0, 100),
        inclusive_bounds=(False, True),
        doc="Spread of the Sharpe ratios that one believes in beforehand; small: the past counts little. [1/√year]",
    )
    shrink = param.Number(
        default=0.5, bounds=(0, 1), doc="Share by which moments of two lines are taken toward zero; 1: each alone. [1]"
    )
    against = param.Boolean(
        default=False, doc="Lines may be held against their forecasts, where that hedges the others."
    )
    refit = param.Integer(default=13, bounds=(1, 5200), doc="Weeks between two fits. [weeks]")
    memory = param.Number(default=260.0, bounds=(26, 1e6), doc="Span of means and moments. [weeks]")
    weeks = param.Number(default=52.0, bounds=(2, 5000), doc="Memory of the correlations under the cap. [weeks]")
    span = param.Number(default=32.0, bounds=(1, 5000), doc="Memory of each market's volatility. [bars]")

    def weights(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """[contracts per unit of account currency]; 0 until the first fit after 26 weeks with a position."""
        held = told(forecast, market, instrument)
        return self._sizes(market, held, instrument, strategy_weight, strategy, held)

    def usual(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """Size of each line at a forecast of 1 while fractions and caps are those of the forecasts given."""
        told_before, ones = told(forecast, market, instrument), np.ones(np.shape(forecast))
        return self._sizes(market, told_before, instrument, strategy_weight, strategy, ones)

    def _sizes(self, market, forecast, instrument, strategy_weight, strategy, held) -> np.ndarray:
        strategy = strategies(strategy, instrument)
        swing = point_risk(market, instrument, self.span)
        best = np.zeros(forecast.shape)
        for s in np.unique(strategy):
            mine = np.flatnonzero(strategy == s)
            best[:, mine] = self._capped(market, forecast[:, mine], instrument[mine], swing[:, mine])
        return carrying(held, annual(strategy_weight * best), market, instrument, swing)

    def _capped(self, market, forecast, instrument, swing) -> np.ndarray:
        """Fractions of one strategy's lines at a forecast of 1, array (time, line), in daily volatilities."""
        number = week_numbers(market.days)
        row, profit = weekly(paper_profit(np.ascontiguousarray(forecast), steps(market, instrument)), number)
        fits = np.append(number[np.flatnonzero(np.diff(row, prepend=-1))], 0)[: len(profit) + 1]
        variance = self.prior**2 * 7.0 / 365.25
        shape = float(self.shrink), self.against, self.refit
        best = self.fraction * week_fractions(profit, fits, float(self.memory), variance, *shape)[row]
        book = np.where(swing > 0.0, best * forecast, 0.0)
        columns, place = np.unique(instrument, return_inverse=True)
        beside = gathered(np.ascontiguousarray(book), place, len(columns))
        risk = annual(book_volatility(beside, *correlations(market, columns, self.weeks), -1.0))
        worth = np.abs(latest(market.mark) * market.multiplier * market.fx)[:, instrument]
        gross = np.divide(worth * np.abs(book), swing, out=np.zeros(book.shape), where=swing > 0.0).sum(axis=1)
        return best * np.minimum(_within(risk, self.cap), _within(gross, self.leverage))[:, None]


def _within(value, most) -> np.ndarray:
    """What brings each value down to `most`, at most 1, array (time,); 0 where the value is not known."""
    small = np.divide(most, value, out=np.ones(len(value)), where=value > most)
    return np.where(np.isfinite(value), small, 0.0)
