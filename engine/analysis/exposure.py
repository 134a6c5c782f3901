"""What a run held: margin, notional, leverage, how much of it in how few markets, and how alike these moved.

Positions of one contract net over strategies, as at a broker; both legs of a spread and both contracts of a roll that
takes days count. Notional of futures is no money paid; it tells size, not risk: a short-rate future has much of it for
little risk. Concentration is therefore of margin, the exchange's measure of risk.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.analysis.daily import UNKNOWN, Daily, by_market, codes, once, rows_of, sectors_of

CONTRACTS = 1_000_000  # more than any YYYYMM
WEEK = 5  # days: markets that close at different hours move together over a week, not a day (DOMAIN T43)
LEAST = 26  # weeks that two markets must both have been held for
EXPOSURE = {
    "day": pl.Date,
    "margin": pl.Float64,  # initial, of the account [account currency]
    "margin_to_equity": pl.Float64,  # [fraction]
    "long": pl.Float64,  # notional of what is long [account currency]
    "short": pl.Float64,  # notional of what is short, positive [account currency]
    "gross": pl.Float64,  # both [account currency]
    "net": pl.Float64,  # long less short [account currency]
    "leverage": pl.Float64,  # gross over equity [ratio]
    "net_leverage": pl.Float64,  # net over equity [ratio]
    "markets": pl.Int32,  # held [number]
    "largest": pl.String,  # market with the most margin; null: nothing is held
    "largest_share": pl.Float64,  # its margin over that of all markets [fraction]
    "concentration": pl.Float64,  # Herfindahl-Hirschman: sum of the squared shares of margin [1]
    "bets": pl.Float64,  # 1 / concentration: as many equal positions would be as concentrated [number]
}
SECTORS = {
    "day": pl.Date,
    "sector": pl.String,
    "gross": pl.Float64,  # [account currency]
    "net": pl.Float64,  # [account currency]
    "leverage": pl.Float64,  # gross over the account's equity [ratio]
    "margin_share": pl.Float64,  # of the margin of all markets [fraction]
}
YEARS = {
    "year": pl.Int32,
    "margin_to_equity": pl.Float64,  # mean of the days [fraction]
    "margin_to_equity_most": pl.Float64,  # [fraction]
    "leverage": pl.Float64,  # mean [ratio]
    "leverage_most": pl.Float64,  # [ratio]
    "net_leverage": pl.Float64,  # mean [ratio]
    "markets": pl.Float64,  # mean held [number]
    "largest_share": pl.Float64,  # mean of the largest market's part of the margin, where any is held [fraction]
    "bets": pl.Float64,  # mean, where any is held [number]
}
SECTOR_MEANS = {
    "sector": pl.String,
    "days": pl.Int32,  # on which any of it was held
    "leverage": pl.Float64,  # mean of all days of gross notional over equity [ratio]
    "leverage_most": pl.Float64,  # [ratio]
    "margin_share": pl.Float64,  # mean of the days on which anything was held [fraction]
    "margin_share_most": pl.Float64,  # [fraction]
}
CORRELATIONS = {
    "market": pl.String,
    "other": pl.String,
    "correlation": pl.Float64,  # of their profits over the weeks in which both earned or lost something [1]
    "weeks": pl.Int32,  # how many those are
}


@dataclass(frozen=True)
class Held:
    """What a run held at the close of each day after the first; arrays (time, market). [account currency]"""

    days: np.ndarray  # (time,) datetime64[D]
    equity: np.ndarray  # (time,) of the account
    required: np.ndarray  # (time,) initial margin of the account
    names: tuple  # one a market
    sectors: tuple  # one a market
    gross: np.ndarray  # notional, long and short added
    net: np.ndarray  # notional, short taken off
    margin: np.ndarray  # initial, of its contracts alone

    @classmethod
    def of(cls, run):
        """The positions of a run, netted over strategies contract by contract; made once."""
        return once(run, "held", lambda: cls._of(run))

    @classmethod
    def _of(cls, run):
        equity, positions, sectors = run.equity()[1:], by_market(run.positions()), sectors_of(run)
        names = tuple(sorted(positions["market"].unique().cast(pl.String)))
        days = equity["day"].to_numpy().astype("datetime64[D]")
        cell = rows_of(days, positions["day"]) * len(names) + codes(positions["market"], names)
        amounts = positions.select(pl.col("notional"), pl.col("margin") * pl.col("contracts").sign())
        notional, margin = (np.nan_to_num(amount.fill_null(0.0).to_numpy()) for amount in amounts)
        size = len(days) * len(names)
        rows, others, own, at = _by_contract(cell, positions["contract"].fill_null(0).to_numpy(), size)
        net, required = (np.bincount(cell[rows], x[rows], size) for x in (notional, margin))
        more, needed = (np.bincount(own, x[others], len(at)) for x in (notional, margin))
        arrays = np.abs(net), net, np.abs(required)
        for array, amount in zip(arrays, (np.abs(more), more, np.abs(needed)), strict=True):
            np.add.at(array, at, amount)
        arrays = (array.reshape(len(days), len(names)) for array in arrays)
        told = tuple(sectors.get(name, UNKNOWN) for name in names)
        return cls(days, equity["equity"].to_numpy(), equity["margin"].to_numpy(), names, told, *arrays)


def _by_contract(cell, contract, size):
    """Rows of one contract and cell belong together: (rows of the first contract of each cell, the other rows, of which
    there are few, number of the sum of each of them, cell of each of these sums)."""
    first = np.zeros(size, contract.dtype)
    first[cell[::-1]] = contract[::-1]
    other = np.flatnonzero(contract != first[cell])
    usual = np.delete(np.arange(len(cell)), other) if len(other) else slice(None)
    key, own = np.unique(cell[other] * CONTRACTS + contract[other], return_inverse=True)
    return usual, other, own, key // CONTRACTS


def exposure(run):
    """What a run held at the close of each day; DataFrame with columns EXPOSURE, a row a day after the first.

    Run is a RunResult, or its `Held`. Source of the concentration: O. Herfindahl, Concentration in the Steel Industry,
    1950.
    """
    held = _held(run)
    share = held.margin / _above(held.margin.sum(axis=1, keepdims=True))
    gross, net, equity = held.gross.sum(axis=1), held.net.sum(axis=1), _above(held.equity)
    concentration = (share**2).sum(axis=1)
    any_ = held.margin.any(axis=1)
    largest = np.where(any_, np.argmax(held.margin, axis=1) if held.names else 0, len(held.names))
    frame = pl.DataFrame(
        {
            "day": held.days,
            "margin": held.required,
            "margin_to_equity": held.required / equity,
            "long": (gross + net) / 2.0,
            "short": (gross - net) / 2.0,
            "gross": gross,
            "net": net,
            "leverage": gross / equity,
            "net_leverage": net / equity,
            "markets": (held.gross > 0.0).sum(axis=1),
            "largest": pl.Series([*held.names, None], dtype=pl.String).gather(largest),
            "largest_share": share.max(axis=1, initial=0.0),
            "concentration": concentration,
            "bets": 1.0 / _above(concentration),
        }
    )
    nothing = pl.when(pl.Series(any_)).then(pl.col("largest_share", "concentration"))
    return frame.with_columns(nothing).with_columns(pl.col(pl.Float64).fill_nan(None)).cast(EXPOSURE)


def by_sector(run):
    """What a run held of each sector at the close of each day; DataFrame with columns SECTORS, where any was held."""
    held = _held(run)
    sectors = sorted(set(held.sectors))
    belongs = np.array([[sector == one for one in sectors] for sector in held.sectors], float)
    belongs = belongs.reshape(len(held.names), len(sectors))
    gross, net, margin = held.gross @ belongs, held.net @ belongs, held.margin @ belongs
    t, k = np.nonzero(gross)
    share = margin / _above(margin.sum(axis=1, keepdims=True))
    frame = {
        "day": held.days[t],
        "sector": pl.Series(sectors, dtype=pl.String).gather(k),
        "gross": gross[t, k],
        "net": net[t, k],
        "leverage": gross[t, k] / _above(held.equity)[t],
        "margin_share": share[t, k],
    }
    return pl.DataFrame(frame).with_columns(pl.col(pl.Float64).fill_nan(None)).cast(SECTORS)


def yearly(found):
    """Means and highest values of each year of an `exposure`; DataFrame with columns YEARS, the newest first."""
    most = pl.col("margin_to_equity", "leverage").max().name.suffix("_most")
    means = pl.col("margin_to_equity", "leverage", "net_leverage", "markets", "largest_share", "bets").mean()
    years = found.group_by(year=pl.col("day").dt.year()).agg(means, most)
    return years.select(*YEARS).cast(YEARS).sort("year", descending=True)


def sector_means(found, exposed):
    """What was held of each sector in the mean: of a `by_sector`, with the `exposure` of the same run.

    DataFrame with columns SECTOR_MEANS, the largest part of the margin first.
    """
    held = max(exposed["largest"].count(), 1)
    leverage, share = pl.col("leverage"), pl.col("margin_share")
    sectors = found.group_by("sector").agg(
        days=pl.len(),
        leverage=leverage.sum() / max(len(exposed), 1),
        leverage_most=leverage.max(),
        margin_share=share.sum() / held,
        margin_share_most=share.max(),
    )
    return sectors.select(*SECTOR_MEANS).cast(SECTOR_MEANS).sort("margin_share", "sector", descending=[True, False])


def correlations(run, span=WEEK, least=LEAST):
    """How the profits of two markets moved together, over the spans in which both had any.

    Parameters
    ----------
    run : RunResult or Daily
    span : int
        Days of which profits are added up first. [days]
    least : int
        Spans that both must have; fewer are null.

    Returns
    -------
    DataFrame
        Columns CORRELATIONS, each pair once, the highest first. It is that of the profits of the strategies: a long and
        a short position in markets that move as one have -1.

    Source: K. Pearson's coefficient on the spans of the pair.
    """
    daily = run if isinstance(run, Daily) else Daily.of(run)
    matrix, count = correlation_matrix(daily.shares[:, :-1], span, least)
    first, second = np.triu_indices(len(daily.names), 1)
    names = pl.Series(daily.names, dtype=pl.String)
    frame = pl.DataFrame(
        {
            "market": names.gather(first),
            "other": names.gather(second),
            "correlation": matrix[first, second],
            "weeks": count[first, second],
        }
    ).with_columns(pl.col("correlation").fill_nan(None))
    return frame.sort("correlation", "market", "other", descending=[True, False, False], nulls_last=True).cast(
        CORRELATIONS
    )


def correlation_matrix(shares, span=1, least=2):
    """Correlation of columns over the spans in which both of a pair are not 0.

    Shares, array (time, market), are added up over `span` rows; what is left at the end is left out. (array
    (market, market), array (market, market)): correlation, nan where fewer than `least` spans are common or one column
    did not move on them; and how many spans those are.

    >>> shares = np.array([[1.0, 2.0, 0.0], [3.0, 1.0, 0.0], [2.0, 3.0, 1.0], [4.0, 2.0, 0.0]])
    >>> correlation_matrix(shares)[0][0, :2].round(6).tolist(), correlation_matrix(shares)[1][0].tolist()
    ([1.0, -0.316228], [4, 4, 1])
    >>> correlation_matrix(shares[:2], 5)[1].tolist()  # no whole span
    [[0, 0, 0], [0, 0, 0], [0, 0, 0]]
    """
    whole = len(shares) // span * span
    if whole == 0:
        return np.full((shares.shape[1],) * 2, np.nan), np.zeros((shares.shape[1],) * 2, dtype=np.int64)
    sums = np.nan_to_num(shares[:whole]).reshape(whole // span, span, shares.shape[1]).sum(axis=1)
    there = (sums != 0.0).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums.sum(axis=0) / there.sum(axis=0)
        values = np.where(there > 0.0, sums - mean, 0.0)  # near zero, so that no digits are lost below
        values /= np.where(values.std(axis=0) > 0.0, values.std(axis=0), 1.0)
        count = there.T @ there
        sx, sxx = values.T @ there, (values**2).T @ there  # of the row's market on the days of both
        covariance = values.T @ values / count - sx * sx.T / count**2
        variance = sxx / count - (sx / count) ** 2
        variance[variance < 1e-12] = np.nan
        found = np.clip(covariance / np.sqrt(variance * variance.T), -1.0, 1.0)
    found[count < least] = np.nan
    return found, count.astype(int)


def mean_correlation(found):
    """Mean of the pairs of `correlations` that are known; nan without one."""
    value = found["correlation"].mean()
    return float("nan") if value is None else float(value)


def independent_bets(shares):
    r"""Number of uncorrelated bets of equal risk that would be as diversified as the markets together.

    .. math:: \exp \left( -\sum_k p_k \ln p_k \right), \quad p_k = \lambda_k (e_k \cdot 1)^2 / \mathrm{var}(r)

    with lambda and e the eigenvalues and eigenvectors of the covariance of the shares.

    Parameters
    ----------
    shares : array (time, market)
        What each market earned of the capital. [fraction]

    Returns
    -------
    float
        1 to the number of markets; nan where nothing moved.

    Source: A. Meucci, Managing Diversification, Risk 2009 (effective number of bets, principal portfolios).

    >>> pair = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]) * [1.0, 2.0]
    >>> round(independent_bets(pair), 6), round(independent_bets(pair[:, [0, 0]]), 6)
    (1.649385, 1.0)
    """
    if len(shares) < 2 or np.isnan(shares).any():
        return np.nan
    covariance = np.atleast_2d(np.cov(shares, rowvar=False, ddof=0))
    size, direction = np.linalg.eigh(covariance)
    part = np.maximum(size, 0.0) * direction.sum(axis=0) ** 2
    if not part.sum() > 0.0:
        return np.nan
    p = part / part.sum()
    return float(np.exp(-np.sum(p * np.log(np.where(p > 0.0, p, 1.0)))))


def last_held(run):
    """market, contracts (signed) of what is held at the close of the last day."""
    positions = by_market(run.positions()).filter(pl.col("day") == run.equity()["day"][-1])
    sums = positions.group_by(pl.col("market").cast(pl.String)).agg(pl.col("contracts").sum())
    return sums.filter(pl.col("contracts") != 0.0).sort("market")


def _held(run):
    return run if isinstance(run, Held) else Held.of(run)


def _above(values):
    """Values; nan where they are not positive."""
    return np.where(values > 0.0, values, np.nan)
