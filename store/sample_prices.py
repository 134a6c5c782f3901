"""The world behind the sample store: what its markets are, and the paths that drive their curves. Nothing here is real.

The price on day t of a contract whose last trade is tau years away is

    log F = X + exp(-k tau) Y + b tau + g(delivery month)

X wanders for good, Y comes back (in a shortage the near months are dear: backwardation; in a glut cheap: contango), b
is the cost of carry, g the season. As Y fades with tau, near contracts move more than far ones (Samuelson's effect).
X passes scripted levels at the ends of ten regimes, so that any seed gives a plausible history with two crashes and one
inflation; between them it moves with the factor of its sector and a factor common to all, with fat tails and with
volatility that clusters.

Source: Schwartz and Smith, Short-term variations and long-term dynamics in commodity prices, Management Science 46
(2000); Samuelson, Proof that properly anticipated prices fluctuate randomly, Industrial Management Review 6 (1965).
"""

from dataclasses import dataclass, field

import numpy as np

from store.days import DAY

START, END = np.datetime64("2013-01-02"), np.datetime64("2024-12-31")
YEAR = 252.0  # business days
TAIL, WORST = 5.0, 6.0  # degrees of freedom of the shocks; the largest one, in usual ones
TREND, PATIENCE = 0.06, 0.985  # drifts: their size in usual daily moves, and what is left of one after a day

REGIMES = ("calm", "glut", "crash", "bull", "choppy", "crisis", "recovery", "inflation", "tightening", "second bull")
BEGINS = ("2013-01-02", "2014-07-01", "2015-08-10", "2015-11-02", "2018-02-01", "2020-02-20", "2020-04-20",
          "2021-04-01", "2022-10-03", "2023-10-16")  # fmt: skip

# What X gains over each regime, by sector [log]; the ones of equity are markets' falls of a fifth and of a third
DRIFT = {
    "equity": (0.24, 0.06, -0.23, 0.36, 0.07, -0.41, 0.50, 0.02, 0.11, 0.25),
    "bonds": (0.01, 0.05, 0.02, -0.01, 0.05, 0.04, -0.04, -0.17, -0.04, 0.02),
    "currency": (0.00, -0.18, 0.01, 0.06, -0.07, -0.03, 0.10, -0.18, 0.07, -0.03),
    "energy": (0.06, -0.62, -0.06, 0.40, -0.15, -0.55, 0.65, 0.55, -0.30, -0.08),
    "metals": (-0.22, -0.12, -0.06, 0.20, 0.03, -0.15, 0.36, 0.02, 0.05, 0.25),
    "grains": (-0.30, -0.16, -0.03, -0.04, 0.02, -0.07, 0.45, 0.28, -0.25, -0.22),
    "softs": (-0.12, -0.08, -0.05, 0.04, -0.18, -0.08, 0.30, 0.25, 0.04, 0.20),
    "livestock": (0.20, -0.12, -0.08, -0.04, 0.03, -0.15, 0.25, 0.16, 0.12, 0.05),
    "volatility": (0.0,) * 10,
}
# Where Y is drawn to in each regime, by sector [log]
SHORTAGE = {
    "energy": (0.05, -0.10, -0.14, -0.05, 0.03, -0.28, -0.05, 0.16, 0.05, 0.02),
    "metals": (0.0, 0.0, 0.0, 0.0, 0.01, -0.01, 0.01, 0.02, -0.01, -0.01),
    "grains": (0.10, -0.05, -0.06, -0.06, -0.03, -0.05, 0.06, 0.12, 0.02, -0.06),
    "softs": (-0.06, -0.05, -0.04, 0.03, -0.07, -0.05, 0.02, 0.08, 0.09, 0.07),
    "livestock": (0.03, 0.02, -0.03, -0.02, 0.0, -0.08, 0.0, 0.02, 0.03, 0.03),
    "volatility": (-0.22, -0.15, 0.60, -0.32, -0.10, 0.95, 0.02, -0.05, -0.18, -0.28),
}
# Volatility of each regime, as a multiple; sectors far from the storm feel its square root
STORM = (0.75, 0.95, 2.1, 0.75, 0.95, 3.0, 1.15, 1.2, 1.0, 0.8)
CENTRE = ("equity", "energy", "volatility")

# How much of a sector's factor is the common one
COMMON = {"equity": 0.55, "bonds": -0.30, "currency": 0.25, "energy": 0.40, "metals": 0.35, "grains": 0.20,
          "softs": 0.15, "livestock": 0.10, "volatility": -0.45}  # fmt: skip

# Share of a market's volatility that X has where there is a Y; 0.68, and 0.55 of Y correlated by 0.3, make one
LASTS = {"volatility": 0.12}

# Overnight rates at the beginnings of the regimes and at the end [1/year]
POLICY = {
    "USD": (0.001, 0.001, 0.001, 0.003, 0.015, 0.016, 0.001, 0.001, 0.031, 0.053, 0.044),
    "EUR": (0.003, 0.001, -0.001, -0.002, -0.004, -0.005, -0.005, -0.005, 0.007, 0.039, 0.031),
    "GBP": (0.005, 0.005, 0.005, 0.005, 0.005, 0.007, 0.001, 0.001, 0.022, 0.052, 0.047),
    "JPY": (0.001, 0.001, 0.001, 0.0, -0.001, -0.001, -0.001, -0.001, -0.001, -0.001, 0.003),
    "AUD": (0.030, 0.025, 0.020, 0.020, 0.015, 0.007, 0.003, 0.001, 0.026, 0.041, 0.043),
    "CHF": (0.0, 0.0, -0.007, -0.007, -0.007, -0.007, -0.007, -0.007, 0.005, 0.017, 0.006),
}
# Yield of a long bond over the overnight rate, likewise [1/year]
SLOPE = (0.018, 0.019, 0.016, 0.014, 0.008, 0.002, 0.006, 0.014, 0.002, -0.010, 0.003)


@dataclass(frozen=True)
class SampleMarket:
    """One simulated market.

    level: X at the start [price]. volatility: of a near contract [1/year]. load: correlation with the sector's factor.
    life: how long a contract is listed before its last trade [months]. volume: a day's, whole chain [contracts].
    falls: how volume falls from one held contract to the next [log]. lead: sessions before the last allowed day when
    half of it has moved on. currency: whose rate carries it; income: what the thing itself pays [1/year].
    fade: k [1/year]; season: (amplitude [log], month of the peak). beta: how much of the sector's drift it takes.
    """

    root: str
    sector: str
    level: float
    volatility: float
    load: float
    life: int
    volume: float
    falls: float = 3.0
    lead: int = 6
    currency: str = ""
    income: float = 0.0
    fade: float = 0.0
    season: tuple = (0.0, 1)
    beta: float = 1.0


MARKETS = (
    SampleMarket("MES", "equity", 1455, 0.16, 0.92, 12, 900e3, currency="USD", income=0.019),
    SampleMarket("MNQ", "equity", 2700, 0.20, 0.86, 12, 700e3, currency="USD", income=0.008, beta=1.35),
    SampleMarket("FESX", "equity", 2650, 0.18, 0.88, 9, 1100e3, currency="EUR", income=0.030, beta=0.8),
    SampleMarket("Z", "equity", 6020, 0.15, 0.85, 9, 110e3, currency="GBP", income=0.038, beta=0.5),
    SampleMarket("NK225M", "equity", 10600, 0.20, 0.72, 9, 900e3, currency="JPY", income=0.018, beta=1.0),
    SampleMarket("ZN", "bonds", 132, 0.055, 0.90, 9, 1500e3, currency="USD"),
    SampleMarket("ZF", "bonds", 124, 0.037, 0.88, 9, 900e3, currency="USD", beta=0.7),
    SampleMarket("FGBL", "bonds", 143, 0.055, 0.82, 9, 700e3, currency="EUR", beta=1.1),
    SampleMarket("R", "bonds", 118, 0.065, 0.78, 9, 220e3, currency="GBP", beta=1.2),
    SampleMarket("JGB", "bonds", 144, 0.025, 0.50, 9, 30e3, currency="JPY", beta=0.3),
    SampleMarket("6E", "currency", 1.32, 0.078, 0.85, 9, 200e3, currency="EUR"),
    SampleMarket("6J", "currency", 0.0115, 0.09, 0.50, 9, 150e3, currency="JPY", beta=1.2),
    SampleMarket("6B", "currency", 1.61, 0.085, 0.75, 9, 100e3, currency="GBP", beta=0.8),
    SampleMarket("6A", "currency", 1.04, 0.10, 0.70, 9, 95e3, currency="AUD", beta=1.3),
    SampleMarket("CL", "energy", 93, 0.35, 0.90, 10, 900e3, 0.9, 4, fade=1.6),
    SampleMarket("RB", "energy", 2.75, 0.34, 0.85, 10, 150e3, 1.3, 6, fade=1.8, season=(0.05, 6)),
    SampleMarket("NG", "energy", 3.4, 0.46, 0.35, 12, 350e3, 1.05, 5, fade=2.2, season=(0.11, 1), beta=0.7),
    SampleMarket("GC", "metals", 1675, 0.155, 0.75, 12, 190e3, 2.2, 6, currency="USD", beta=0.9),
    SampleMarket("SI", "metals", 30.5, 0.28, 0.85, 12, 60e3, 2.0, 6, currency="USD", beta=1.1),
    SampleMarket("HG", "metals", 3.68, 0.20, 0.65, 12, 75e3, 1.8, 6, currency="USD", fade=1.2),
    SampleMarket("ZC", "grains", 560, 0.25, 0.85, 15, 300e3, 1.0, 8, fade=1.2, season=(0.04, 6)),
    SampleMarket("ZW", "grains", 640, 0.29, 0.75, 15, 120e3, 1.0, 8, fade=1.2, season=(0.03, 2)),
    SampleMarket("ZS", "grains", 1290, 0.20, 0.78, 15, 180e3, 0.9, 8, fade=1.2, season=(0.03, 7), beta=0.8),
    SampleMarket("KC", "softs", 150, 0.32, 0.50, 15, 35e3, 1.6, 5, fade=1.3),
    SampleMarket("SB", "softs", 19.2, 0.28, 0.50, 15, 110e3, 1.0, 6, fade=1.4),
    SampleMarket("CT", "softs", 77, 0.24, 0.45, 15, 28e3, 1.6, 5, fade=1.3, beta=0.7),
    SampleMarket("LE", "livestock", 132, 0.14, 0.65, 12, 55e3, 0.9, 6, fade=1.4, season=(0.035, 3)),
    SampleMarket("HE", "livestock", 86, 0.25, 0.60, 12, 42e3, 1.3, 6, fade=2.0, season=(0.11, 6)),
    SampleMarket("VX", "volatility", 18, 0.95, 0.80, 8, 180e3, 0.8, 4, fade=5.0),
)
SPOT_ONLY = (SampleMarket("CHF", "currency", 1.09, 0.085, 0.75, 0, 0, currency="CHF", beta=0.4),)
CURRENCIES = {"EUR": "6E", "JPY": "6J", "GBP": "6B", "AUD": "6A", "CHF": "CHF"}  # currency -> market whose X it is


@dataclass(frozen=True)
class World:
    """Paths over `days` (every weekday), (day, market) in the order of `names`.

    lasting: X [log price]. fleeting: Y [log]. carry: b [1/year]. scale: a day's usual move [log].
    activity: log of the day's volume against its usual. rates: currency -> overnight rate [1/year].
    """

    days: np.ndarray
    names: tuple
    lasting: np.ndarray
    fleeting: np.ndarray
    carry: np.ndarray
    scale: np.ndarray
    activity: np.ndarray
    rates: dict = field(repr=False)

    def column(self, name):
        """Place of a market in the second axis."""
        return self.names.index(name)


def world(seed):
    """The paths of one seed; markets are correlated inside a sector (by `load`) and across (by COMMON)."""
    random = np.random.default_rng(seed)
    days = np.arange(START, END + DAY)
    days = days[np.is_busday(days)]
    markets = MARKETS + SPOT_ONLY
    sectors = list(DRIFT)
    of = np.array([sectors.index(m.sector) for m in markets])
    storm = _storm(random, days, sectors)
    trend = _trends(random, days, markets, sectors, of)
    long, short = (_shocks(random, len(days), markets, sectors, of) for _ in range(2))
    fades = np.array([m.fade > 0 for m in markets])
    lasts = np.array([LASTS.get(m.sector, 0.68) if m.fade > 0 else 1.0 for m in markets])
    sigma = np.array([m.volatility for m in markets]) / np.sqrt(YEAR)
    scale = sigma * storm[:, of]
    rates = {currency: _steps(days, levels) for currency, levels in POLICY.items()}
    return World(
        days,
        tuple(m.root for m in markets),
        _lasting(random, days, markets, scale * lasts * (long + trend)),
        _fleeting(days, markets, scale * 0.55 * (0.3 * long + 0.95 * short) * fades, long[:, 0]),
        np.column_stack([_carry(days, m, rates) for m in markets]),
        scale,
        0.5 * np.log(storm[:, of]),
        {currency: rate + 0.0002 * random.standard_normal(len(days)) for currency, rate in rates.items()},
    )


def season(market, months):
    """What a delivery month costs over the average one [log].

    >>> gas = next(m for m in MARKETS if m.root == "NG")
    >>> season(gas, np.array([1, 7])).round(2)
    array([ 0.11, -0.11])
    """
    amplitude, peak = market.season
    return amplitude * np.cos(2.0 * np.pi * (months - peak) / 12.0)


def _regime(days):
    return np.searchsorted(np.array(BEGINS, "datetime64[D]"), days, side="right") - 1


def _student(random, shape):
    return np.clip(random.standard_t(TAIL, shape) * np.sqrt((TAIL - 2.0) / TAIL), -WORST, WORST)  # variance 1


def _storm(random, days, sectors):
    """(day, sector): volatility as a multiple of its own mean square root: regimes, and clusters of about a month."""
    regimes = np.array(STORM)[_regime(days), None]
    regimes = regimes ** np.array([1.0 if s in CENTRE else 0.5 for s in sectors])
    shocks = 0.38 * np.sqrt(1.0 - 0.97**2) * random.standard_normal((len(days), len(sectors)))
    storm = regimes * np.exp(_memory(shocks, np.full(len(sectors), 0.97)))
    return storm / np.sqrt((storm**2).mean(axis=0))


def _trends(random, days, markets, sectors, of):
    """(day, market): slow drifts, half the sector's and half the market's own, as a share of a day's usual move."""
    shocks = TREND * np.sqrt(1.0 - PATIENCE**2) * random.standard_normal((len(days), len(sectors) + len(markets)))
    drifts = _memory(shocks, np.full(shocks.shape[1], PATIENCE))
    return np.sqrt(0.5) * (drifts[:, of] + drifts[:, len(sectors) :])


def _memory(shocks, keep):
    """x[t] = keep x[t-1] + shocks[t], down the columns."""
    out, level = np.empty_like(shocks), np.zeros(shocks.shape[1])
    for t in range(len(shocks)):
        level = keep * level + shocks[t]
        out[t] = level
    return out


def _shocks(random, days, markets, sectors, of):
    """(day, market) of variance 1: what is common, the sector's, the market's own."""
    share = np.array([COMMON[s] for s in sectors])
    common = _student(random, (days, 1))
    factor = share * common + np.sqrt(1.0 - share**2) * _student(random, (days, len(sectors)))
    load = np.array([m.load for m in markets])
    return load * factor[:, of] + np.sqrt(1.0 - load**2) * _student(random, (days, len(markets)))


def _lasting(random, days, markets, moves):
    """X: shocks tied to scripted levels at the ends of the regimes (bridges in the time of their variance)."""
    regime = _regime(days)
    years = np.bincount(regime) / YEAR
    level = np.log([m.level for m in markets])
    spread = np.sqrt((moves**2).mean(axis=0) * YEAR)
    parts = []
    for r in range(len(REGIMES)):
        inside = moves[regime == r]
        drift = np.array([m.beta * DRIFT[m.sector][r] for m in markets])
        drift += 0.25 * spread * np.sqrt(years[r]) * random.standard_normal(len(markets))
        clock = np.cumsum(inside**2, axis=0)
        clock /= clock[-1]
        steps = np.arange(1, len(inside) + 1)[:, None] / len(inside)
        walk = np.cumsum(inside, axis=0)
        parts.append(level + walk + steps * drift - clock * walk[-1])
        level = parts[-1][-1]
    return np.concatenate(parts)


def _fleeting(days, markets, moves, equity):
    """Y: drawn to the regime's level; that of the volatility index also jumps when shares fall."""
    home = np.column_stack([np.array(SHORTAGE.get(m.sector, (0.0,) * 10))[_regime(days)] for m in markets])
    pull = np.array([14.0 if m.sector == "volatility" else 3.0 for m in markets]) / YEAR
    fear = np.array([m.sector == "volatility" for m in markets])
    size = np.sqrt((moves**2).mean(axis=0))
    moves = np.where(fear, 1.6 * (0.45 * moves - 0.75 * size * equity[:, None]), moves)
    own = home * np.array([m.fade > 0 for m in markets])
    return _memory(moves + pull * own, 1.0 - pull) + own[0] * (1.0 - pull) ** np.arange(1, len(days) + 1)[:, None]


def _steps(days, levels):
    """Overnight rate: on its way between the regimes' levels, moved on the first of a month by tenths of a percent."""
    return np.round(_between(days.astype("datetime64[M]").astype("datetime64[D]"), levels), 3)


def _between(days, levels):
    knots = np.append(np.array(BEGINS, "datetime64[D]"), END).astype(float)
    return np.interp(days.astype(float), knots, levels)


def _carry(days, market, rates):
    """b: what holding the thing costs, less what it pays."""
    if market.sector == "currency":
        return rates["USD"] - rates[market.currency]
    if market.sector == "bonds":
        return -_between(days, SLOPE) * min(1.0, market.volatility / 0.055)
    return rates[market.currency] - market.income if market.currency else np.zeros(len(days))
