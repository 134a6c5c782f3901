"""What the trades of a run are worth, and what trading cost.

A trade's result is in account currency, or in any one unit (the ratios do not care): what it earned after all costs.
A trade that broke even is neither won nor lost. Undefined is nan, and nan in gives nan out.
"""

import numpy as np

from engine.risk import deviation, ratio


def trades(net):
    """Number of strategy trades (one flat-to-flat episode of a line each; resizes and rolls are inside it).

    >>> trades(np.array([2.0, -1.0]))
    2
    """
    return len(net)


def win_rate(net):
    r"""Share of the trades that earned money.

    .. math:: W = \#\{x > 0\} / n

    Parameters
    ----------
    net : array (trade,)
        Net result of each trade. [account currency]

    Returns
    -------
    float
        [fraction]; nan without a trade.

    Source: R. Pardo, The Evaluation and Optimization of Trading Strategies, 2nd ed., 2008.

    >>> win_rate(np.array([2.0, -1.0, -1.0, 0.0]))
    0.25
    """
    return float(np.mean(net > 0.0)) if known(net) else np.nan


def profit_factor(net):
    r"""What the winners earned for each unit that the losers lost.

    .. math:: \sum_{x > 0} x / \left| \sum_{x < 0} x \right|

    Net as for `win_rate`. [ratio]; 0 if nothing was won, nan without a losing trade.

    Source: as `win_rate`.

    >>> profit_factor(np.array([2.0, -1.0, -1.0, 1.0]))
    1.5
    """
    return ratio(np.sum(net[net > 0.0]), -np.sum(net[net < 0.0])) if known(net) else np.nan


def expectancy(net):
    r"""What a trade earned in the mean.

    .. math:: \bar{x} = \frac{1}{n} \sum x

    Net as for `win_rate`. [account currency a strategy trade, or R if net is in R]; nan without a trade.

    Source: V. Tharp, Trade Your Way to Financial Freedom, 1998.

    >>> expectancy(np.array([2.0, -1.0, -1.0, 1.0]))
    0.25
    """
    return float(np.mean(net)) if len(net) else np.nan


def payoff(net):
    r"""Mean winner over mean loser.

    .. math:: R = \overline{x \mid x > 0} / \left| \overline{x \mid x < 0} \right|

    Net as for `win_rate`. [ratio]; nan without a winning or without a losing trade.

    Source: as `win_rate`.

    >>> payoff(np.array([3.0, -1.0, -2.0]))
    2.0
    """
    won, lost = net[net > 0.0], net[net < 0.0]
    return ratio(np.mean(won), -np.mean(lost)) if known(net) and len(won) and len(lost) else np.nan


def sqn(net, cap=None):
    r"""System quality number: how far the mean trade stands from zero, in standard errors.

    .. math:: \sqrt{n} \, \bar{x} / s_1

    Parameters
    ----------
    net : array (trade,)
        [any one unit]
    cap : int, optional
        Count no more than this many trades in the root (Tharp takes 100), so that many small trades do not win.

    Returns
    -------
    float
        [number]; nan for fewer than two trades or if all are alike.

    Source: V. Tharp, The Definitive Guide to Position Sizing, 2008 (sample standard deviation, ddof 1).

    >>> round(sqn(np.array([3.0, 1.0, -1.0])), 12)
    0.866025403784
    """
    spread = deviation(net)
    count = len(net) if cap is None else min(len(net), cap)
    return float(np.sqrt(count) * np.mean(net) / spread) if spread > 0.0 else np.nan


def kelly(chance, odds):
    r"""Share of the capital to bet for the fastest growth, if a bet wins `odds` for one or loses one.

    .. math:: f = (b p - q) / b = W - (1 - W) / R

    Parameters
    ----------
    chance : float
        Probability of winning, p or W. [fraction]
    odds : float
        Won for each unit staked, b, or mean win over mean loss, R. [ratio]

    Returns
    -------
    float
        [fraction of capital]; negative where the bet should not be taken; nan if the odds are not positive.

    Source: J. Kelly, A New Interpretation of Information Rate, 1956; E. Thorp, The Kelly Criterion, 2006.

    >>> round(kelly(0.6, 1.0), 12)
    0.2
    """
    return float(chance - (1.0 - chance) / odds) if odds > 0.0 else np.nan


def kelly_trades(net):
    r"""Kelly share from the win rate and payoff of the trades; an upper bound, never a size to trade.

    .. math:: W - (1 - W) / R

    Net as for `win_rate`. Trades that broke even are left out. [fraction of capital]; nan as `payoff`.

    Source: as `kelly`.

    >>> round(kelly_trades(np.array([2.0, 2.0, -1.0, -1.0])), 12)
    0.25
    """
    decided = net[net != 0.0]
    return kelly(win_rate(decided), payoff(decided))


def turnover(notional, equity, years):
    r"""How often the mean equity was traded, a year.

    .. math:: \sum_{sides} |q| \, P M X / (\bar{E} \; years)

    Parameters
    ----------
    notional : float
        Notional of all fills; a round trip has two sides, and so has a roll. [account currency]
    equity : array (time + 1,)
        [account currency]
    years : float

    Returns
    -------
    float
        [1 / year]; nan for a run of no length or if the mean equity is not positive.

    >>> turnover(3000.0, np.array([100.0, 200.0]), 2.0)
    10.0
    """
    mean = np.mean(equity) if len(equity) else np.nan
    return float(notional / mean / years) if mean > 0.0 and years > 0.0 else np.nan


def cost_share(costs, line_gross):
    r"""All costs for each unit of gross profit of the lines that made one.

    .. math:: C / \sum_l \max(G_l, 0)

    Costs [account currency] are positive; line_gross, array (line,), is the profit before costs. [fraction], above 1
    where costs ate all profit; nan without a winning line.

    >>> cost_share(10.0, np.array([60.0, -30.0, 40.0]))
    0.1
    """
    return ratio(costs, np.sum(np.maximum(line_gross, 0.0)))


def time_in_market(contracts):
    r"""Share of the bars at whose close any contract was held.

    Contracts, array (time,) or (time, line), signed. [fraction]; nan without a bar.

    >>> time_in_market(np.array([[0.0, 0.0], [1.0, -1.0], [0.0, 2.0], [0.0, 0.0]]))
    0.5
    """
    held = contracts != 0
    return float(np.mean(held.any(axis=1) if held.ndim == 2 else held)) if len(held) else np.nan


def excursions(entry, direction, high, low):
    r"""How far a trade was against its holder at worst and for him at best.

    .. math:: MAE = \min(0, \min_t \pm (x_t - entry)), \quad MFE = \max(0, \max_t \pm (x_t - entry))

    Parameters
    ----------
    entry : float
        Price of entry in the adjusted frame, so that a roll is no excursion. [points]
    direction : int
        1 long, -1 short.
    high, low : array (time,)
        Adjusted extremes of the bars held, the entry bar too (fills are at its open); nan on holidays. [points]

    Returns
    -------
    (float, float)
        Adverse (0 or negative) and favourable (0 or positive). [points]; nan without a bar.

    Source: J. Sweeney, Maximum Adverse Excursion, 1997.

    >>> excursions(100.0, 1, np.array([101.0, 103.0, 104.0, 102.0]), np.array([98.0, 99.0, 100.0, 97.0]))
    (-3.0, 4.0)
    """
    reached = np.concatenate([direction * (high - entry), direction * (low - entry)])
    reached = reached[~np.isnan(reached)]
    if len(reached) == 0:
        return np.nan, np.nan
    return min(0.0, float(reached.min())), max(0.0, float(reached.max()))


def known(net):
    """There are trades, and the result of each is known."""
    return len(net) > 0 and not np.isnan(net).any()
