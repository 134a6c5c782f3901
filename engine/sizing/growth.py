"""The Kelly criterion: what share of the capital to bet, and the estimates that it is made of."""

import numpy as np

from engine.kernel import bare, kernel

BARS, WEEKS = 60, 26  # with a position, that must have been seen before a mean is believed at all
SWEEPS = 10_000  # of coordinate ascent
CLOSE = 1e-13  # of the largest fraction: it moves by less when it stops
FAR = 1e6  # times the fractions of each alone: it runs away


def bet(win, ratio):
    r"""Share of the capital to bet on a game that is won or lost.

    .. math:: f = p - (1 - p) / b

    Parameters
    ----------
    win : float
        Probability of winning. [1]
    ratio : float
        What is won over what is lost: the odds of a bet, or average win over average loss of trades. [1]

    Source: J. Kelly, "A New Interpretation of Information Rate", Bell System Technical Journal 35 (1956).

    Even odds, won six times in ten:

    >>> round(bet(0.6, 1.0), 12)
    0.2
    """
    return win - (1.0 - win) / ratio


def fraction(mean, variance):
    r"""Capitals to hold of something whose excess return has a mean and a variance.

    .. math:: f = \mu / \sigma^2

    Source: E. Thorp, 2006, sec. 7.

    >>> round(fraction(0.11 - 0.06, 0.15**2), 4)
    2.2222
    """
    return mean / variance


def growth_kept(part):
    r"""Share of the fastest growth that a part of the Kelly bet keeps: c (2 - c).

    Source: E. Thorp, 2006, sec. 7.

    >>> growth_kept(0.5)
    0.75
    """
    return part * (2.0 - part)


@bare
def fractions(covariance, mean, against, out):
    r"""Capitals to hold of several things at once, by coordinate ascent.

    .. math:: F = \arg\max_F F'M - F'CF / 2 \; (= C^{-1} M \text{ where } F \text{ may be negative})

    Parameters
    ----------
    covariance : array (line, line)
        Positive on the diagonal.
    mean : array (line,)
    against : bool
        Whether F may be negative; else it is the best that is not.
    out : array (line,)
        Gets F; all zero if it does not settle.

    Source: E. Thorp, 2006, sec. 8; E. Chan, Quantitative Trading, 2009, ch. 6.

    Two things that have nothing to do with each other, of which one loses:

    >>> f = np.zeros(2)
    >>> fractions(np.diag(np.array([0.04, 0.01])), np.array([0.08, -0.01]), False, f)
    >>> f
    array([2., 0.])
    """
    out[:] = 0.0
    alone = 0.0
    for i in range(len(mean)):
        alone += abs(mean[i]) / covariance[i, i]
    for _ in range(SWEEPS):
        moved, size, total = 0.0, 0.0, 0.0
        for i in range(len(mean)):
            rest = mean[i]
            for j in range(len(mean)):
                if j != i:
                    rest -= covariance[i, j] * out[j]
            new = rest / covariance[i, i]
            if new < 0.0 and not against:
                new = 0.0
            moved = max(moved, abs(new - out[i]))
            size = max(size, abs(new))
            total += abs(new)
            out[i] = new
        if not total <= FAR * alone:
            break
        if moved <= CLOSE * size:
            return
    out[:] = 0.0


@kernel
def paper_profit(forecast, moves):
    """Profit of each line's forecasts, array (time, line), in daily volatilities; nan on a market's holiday.

    A forecast earns the change of the market's second bar after it.

    Parameters
    ----------
    forecast : array (time, line)
        Finite.
    moves : array (time, line)
        Change of each bar in daily volatilities known before, see `covariance.steps`; nan on a holiday. [√day]

    >>> paper_profit(np.ones((4, 1)), np.array([[3.0], [np.nan], [5.0], [7.0]])).ravel()
    array([nan, nan, nan, 7.])
    """
    out = np.full(forecast.shape, np.nan)
    last, older = np.full(forecast.shape[1], np.nan), np.full(forecast.shape[1], np.nan)
    for t in range(forecast.shape[0]):
        for k in range(forecast.shape[1]):
            if not np.isnan(moves[t, k]):
                out[t, k] = older[k] * moves[t, k]
                older[k] = last[k]
                last[k] = forecast[t, k]
    return out


@kernel
def line_fractions(profit, memory, prior):
    r"""Kelly fraction of each line on its own, array (time, line); never negative.

    .. math:: k = \frac{m}{v} \cdot \frac{n}{n + 1 / \tau}, \quad m = \sum w x / \sum w, \quad
        v = \sum w x^2 / \sum w - m^2, \quad n = (\sum w)^2 / \sum w^2

    Parameters
    ----------
    profit : array (time, line)
        Of one unit; nan where there is none, 0 without a position: both are no bet and are skipped.
    memory : float
        Span of the weights w. [bars]
    prior : float
        tau, variance of the Sharpe ratio of a bar that is believed in beforehand; the mean of n bars is trusted in
        proportion to it (the posterior mean under a normal prior around zero). [1/bar]

    Returns
    -------
    array (time, line)
        Row t reads rows 0..t; 0 until 60 bars with a position were seen.

    Source: E. Thorp, 2006, sec. 7; R. Baker and I. McHale, Decision Analysis 10 (2013).
    """
    out = np.zeros(profit.shape)
    keep = 1.0 - 2.0 / (memory + 1.0)
    for k in range(profit.shape[1]):
        weight, weights, total, square, count = 0.0, 0.0, 0.0, 0.0, 0
        for t in range(profit.shape[0]):
            x = profit[t, k]
            if not np.isnan(x) and x != 0.0:
                weight, weights = keep * weight + 1.0, keep * keep * weights + 1.0
                total, square = keep * total + x, keep * square + x * x
                count += 1
            if count >= BARS:
                mean = total / weight
                variance = square / weight - mean * mean
                trust = weight * weight / weights
                if mean > 0.0 and variance > 1e-12 * square / weight:
                    out[t, k] = mean / variance * trust / (trust + 1.0 / prior)
    return out


@kernel
def week_fractions(profit, number, memory, prior, shrink, against, refit):
    r"""Kelly fractions of all lines together, refitted at intervals, array (week + 1, line).

    .. math:: m_i = \frac{\sum w x_i}{\sum w} \cdot \frac{n_i}{n_i + 1 / \tau_i}, \quad
        V_{ij} = (1 - \delta) \sum w x_i x_j / \sqrt{\sum_i w \sum_j w} \; (i \ne j)

    Sums run over the weeks since the line's first profit, and so V stays a matrix of moments (never of a negative
    variance) although lines began at different times.

    Parameters
    ----------
    profit : array (week, line)
        Of one unit; nan where there is none.
    number : array (week + 1,) of int
        Calendar number of the week in which row w is used; a fit is made where a new block of `refit` weeks begins.
    memory : float
        [weeks]
    prior : float
        Variance of the Sharpe ratio of a week that is believed in beforehand. [1/week]
    shrink : float
        delta. [1]
    against : bool
        Whether fractions may be negative.
    refit : int
        [weeks]

    Returns
    -------
    array (week + 1, line)
        Row w reads weeks 0..w-1; 0 before the first fit and for lines of less than 26 weeks.

    Source: E. Thorp, 2006, sec. 8; O. Ledoit and M. Wolf, Journal of Portfolio Management 30 (2004).
    """
    weeks, n = profit.shape
    out = np.zeros((weeks + 1, n))
    keep = 1.0 - 2.0 / (memory + 1.0)
    weight, weights, total, count = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    moment = np.zeros((n, n))
    for w in range(weeks + 1):
        if w > 0:
            out[w] = out[w - 1]
        if w > 0 and number[w] // refit != number[w - 1] // refit:
            out[w] = _fit(weight, weights, total, count, moment, prior, shrink, against)
        if w < weeks:
            x = np.where(np.isnan(profit[w]), 0.0, profit[w])
            for i in range(n):
                if count[i] > 0.0 or x[i] != 0.0:
                    weight[i], weights[i] = keep * weight[i] + 1.0, keep * keep * weights[i] + 1.0
                    total[i] = keep * total[i] + x[i]
                    count[i] += 1.0
                for j in range(n):
                    moment[i, j] = keep * moment[i, j] + x[i] * x[j]
    return out


@kernel
def _fit(weight, weights, total, count, moment, prior, shrink, against):
    """Fractions of the lines that have 26 weeks and have ever moved; 0 for the others."""
    n = len(weight)
    out = np.zeros(n)
    mine = np.array([i for i in range(n) if count[i] >= WEEKS and moment[i, i] > 0.0], dtype=np.int64)
    mean, second, part = np.zeros(len(mine)), np.zeros((len(mine), len(mine))), np.zeros(len(mine))
    for a in range(len(mine)):
        i = mine[a]
        trust = weight[i] * weight[i] / weights[i]
        for b in range(len(mine)):
            j = mine[b]
            second[a, b] = moment[i, j] / np.sqrt(weight[i] * weight[j]) * (1.0 if a == b else 1.0 - shrink)
        mean[a] = total[i] / weight[i] * trust / (trust + 1.0 / prior)
    fractions(second, mean, against, part)
    for a in range(len(mine)):
        out[mine[a]] = part[a]
    return out
