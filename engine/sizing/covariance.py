"""How markets move together: correlations from changes of whole weeks.

Markets close at different hours, so that daily changes of Tokyo and Chicago seem to move apart; over a week they do not
(DOMAIN T43). A week is known on the first bar of a later week, for on its own last bar nobody knows that none follows.
Changes are told in daily volatilities, as known on the bar before each of them: a wild year does not drown the others.
"""

import numpy as np

from engine.indicators import change, seen, volatility
from engine.kernel import bare, kernel
from engine.sizing.sizer import YEAR, point_risk

LEAST = 26  # weeks that two markets must have in common before their correlation counts as known
SPAN = 32.0  # of the volatility that changes are told in [bars]
FAR = 1e6  # a change of so many volatilities is that of a market that stood still, and tells nothing [√day]


def week_numbers(days) -> np.ndarray:
    """Number of the calendar week (from Monday) of each day, array of int64.

    >>> week_numbers(np.array(["1970-01-04", "1970-01-05"], dtype="datetime64[D]"))
    array([0, 1])
    """
    return (np.asarray(days).astype("datetime64[D]").astype(np.int64) + 3) // 7


def steps(market, columns) -> np.ndarray:
    """Changes of the adjusted price in daily volatilities known before, array (time, column); nan on holidays and until
    the volatility is known. [√day]"""
    moves = change(np.ascontiguousarray(market.adjusted[:, columns]))
    known = np.where(seen(moves) >= SPAN, volatility(moves, SPAN), np.nan)
    before = np.full(moves.shape, np.nan)
    before[1:] = known[:-1]
    out = np.divide(moves, before, out=np.full(moves.shape, np.nan), where=before > 1e-300)
    return np.where(np.abs(out) <= FAR, out, np.nan)


def correlations(market, columns, memory):
    """Correlations of columns of a market as they are known on each bar.

    Parameters
    ----------
    market : Market
        Its `adjusted` and `days` are read.
    columns : array (column,) of int
    memory : float
        Span of the average over weeks. [weeks]

    Returns
    -------
    row : array (time,) of int64
        Which matrix is known at the end of each bar.
    matrices : array (matrix, column, column)
        1 on the diagonal; nan while two columns have less than 26 weeks in common.
    """
    number = week_numbers(market.days)
    row, moves = weekly(steps(market, columns), number)
    return row, week_correlations(moves, float(memory))


def covariances(market, instrument, memory=52.0, span=SPAN):
    """Covariances of a day's profit of one contract (or unit of a spread) of each line, week by week.

    Parameters
    ----------
    market : Market
    instrument : array (line,) of int
    memory : float
        Span of the correlations. [weeks]
    span : float
        Of the volatilities, those of the first bar of each week. [bars]

    Returns
    -------
    matrices : array (week, line, line)
        [account currency²/day]; 0 where not known.
    row : array (time,) of int64
        Which of them is known at the end of each bar.

    Source: R. Carver, Advanced Futures Trading Strategies, 2023, strategy 25.
    """
    columns, place = np.unique(instrument, return_inverse=True)
    row, matrices = correlations(market, columns, memory)
    return week_covariances(row, matrices, place, point_risk(market, instrument, span)), row


@kernel
def weekly(daily, number):
    """Sums of whole weeks, array (week, column), and how many of them are known at the end of each bar, array (time,).

    A week of which a column has no number is nan.

    >>> weekly(np.array([[1.0], [2.0], [np.nan], [5.0]]), np.array([7, 7, 8, 9]))
    (array([0, 0, 1, 2]), array([[ 3.], [nan]]))
    """
    n = daily.shape[1]
    row = np.zeros(len(number), dtype=np.int64)
    done = 0
    for t in range(1, len(number)):
        if number[t] != number[t - 1]:
            done += 1
        row[t] = done
    out = np.full((done, n), np.nan)
    for t in range(len(number)):
        if row[t] < done:
            for i in range(n):
                if not np.isnan(daily[t, i]):
                    out[row[t], i] = daily[t, i] if np.isnan(out[row[t], i]) else out[row[t], i] + daily[t, i]
    return row, out


@kernel
def week_correlations(moves, memory):
    r"""Exponentially weighted correlations, mean taken as zero, of weeks that both markets have.

    .. math:: \rho_{ij} = \sum_w \lambda^{n-w} x_i x_j / \sqrt{\sum_w \lambda^{n-w} x_i^2 \sum_w \lambda^{n-w} x_j^2}

    with lambda = 1 - 2 / (memory + 1), w over the n common weeks.

    Parameters
    ----------
    moves : array (week, market)
        nan where a market has none.
    memory : float
        [weeks]

    Returns
    -------
    array (week + 1, market, market)
        Matrix w reads weeks 0..w-1; nan while there are less than 26 in common.

    Source: J.P. Morgan, RiskMetrics Technical Document, 4th ed., 1996, ch. 5; weekly for markets with different hours:
    R. Carver, Systematic Trading, 2015, ch. 4.

    >>> x = np.array([[1.0, -1.0]] * 30)
    >>> week_correlations(x, 10.0)[[25, 26], 0, 1]
    array([nan, -1.])
    """
    weeks, n = moves.shape
    keep = 1.0 - 2.0 / (memory + 1.0)
    out = np.full((weeks + 1, n, n), np.nan)
    cross, square, count = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    for w in range(weeks + 1):
        for i in range(n):
            out[w, i, i] = 1.0
            for j in range(i):
                scale = np.sqrt(square[i, j]) * np.sqrt(square[j, i])
                if count[i, j] >= LEAST and scale > 0.0:
                    out[w, i, j] = out[w, j, i] = min(max(cross[i, j] / scale, -1.0), 1.0)
        if w < weeks:
            for i in range(n):
                for j in range(i):
                    x, y = moves[w, i], moves[w, j]
                    if not (np.isnan(x) or np.isnan(y)):
                        cross[i, j] = keep * cross[i, j] + x * y
                        square[i, j] = keep * square[i, j] + x * x
                        square[j, i] = keep * square[j, i] + y * y
                        count[i, j] += 1.0
    return out


@kernel
def book_volatility(risk, row, matrices, lowest):
    r"""Volatility of a book of positions.

    .. math:: v_t = \sqrt{\sum_{ij} r_i r_j \rho_{ij}}

    Parameters
    ----------
    risk : array (time, column)
        Signed volatility of each position, in any unit.
    row, matrices
        As `correlations` gives them; where one is not known, the worse is taken: that both lose together.
    lowest : float
        A correlation below counts as this. [1]

    Returns
    -------
    array (time,)
        In the unit of `risk`; row t reads rows 0..t.

    Source: H. Markowitz, "Portfolio Selection", Journal of Finance 7 (1952).

    Two positions of 3 and 4 that have nothing to do with each other, then with an unknown correlation:

    >>> unknown = np.array([[1.0, np.nan], [np.nan, 1.0]])
    >>> book_volatility(np.array([[3.0, -4.0]] * 2), np.array([0, 1]), np.stack((np.eye(2), unknown)), -1.0)
    array([5., 7.])
    """
    out = np.zeros(risk.shape[0])
    for t in range(risk.shape[0]):
        out[t] = np.sqrt(max(variance(risk[t], matrices[row[t]], lowest), 0.0))
    return out


@bare
def variance(risk, matrix, lowest):
    """Sum of r_i r_j rho_ij, unknown correlations taken as the worse; of a symmetric matrix, whatever its diagonal."""
    total = 0.0
    for i in range(len(risk)):
        if risk[i] != 0.0:
            part = 0.0
            for j in range(i):
                rho = matrix[i, j]
                part += abs(risk[i] * risk[j]) if np.isnan(rho) else risk[i] * risk[j] * max(rho, lowest)
            total += risk[i] * risk[i] * matrix[i, i] + 2.0 * part
    return total


@kernel
def gathered(values, place, columns):
    """Sums of the lines of each column, in their order; array (time, column).

    >>> gathered(np.array([[1.0, 2.0, 4.0]]), np.array([1, 0, 1]), 2)
    array([[2., 5.]])
    """
    out = np.zeros((values.shape[0], columns))
    for t in range(values.shape[0]):
        for k in range(values.shape[1]):
            out[t, place[k]] += values[t, k]
    return out


@kernel
def week_covariances(row, matrices, place, deviation):
    """Covariances of lines, array (matrix, line, line), with the deviations (time, line) of the first bar of each row.

    What is not known counts as no covariance, and a line without a deviation has no variance.
    """
    n = len(place)
    out = np.zeros((len(matrices), n, n))
    for t in range(len(row)):
        if t == 0 or row[t] != row[t - 1]:
            for i in range(n):
                for j in range(n):
                    product = matrices[row[t], place[i], place[j]] * deviation[t, i] * deviation[t, j]
                    out[row[t], i, j] = 0.0 if np.isnan(product) else product
    return out


def annual(daily) -> np.ndarray:
    """Daily volatility as that of a year of 252 days. [1/√year]"""
    return daily * np.sqrt(YEAR)
