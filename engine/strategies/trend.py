"""Trend following: strategies that hold what has risen and sell what has fallen."""

import numpy as np
import param

from engine.book import STOP
from engine.indicators import average_gap, average_gaps, change, seen, volatility
from engine.kernel import inlined, kernel
from engine.lanes import Lanes
from engine.measures import average_range, exponential_gap, extremes, highest, lowest, past_change, side_of
from engine.memo import remembered, scratch
from engine.signals import Signals
from engine.strategy import Strategy, program

CAP = 2.0  # largest forecast of Carver's strategies: twice the usual position


class MovingAverageCross(Strategy):
    """Long while the average of the last `fast` bars is above that of the last `slow`, short while it is below.

    Source: the dual moving average crossover, Donchian's 5- and 20-day method (Commodity Year Book 1960), in the form
    of Brock, Lakonishok and LeBaron, "Simple Technical Trading Rules", Journal of Finance 47 (1992), without a band.
    """

    fast = param.Integer(default=50, bounds=(1, 5000), doc="Length of the quick average. [bars]")
    slow = param.Integer(default=200, bounds=(1, 5000), doc="Length of the slow average. [bars]")

    def forecast(self, market) -> np.ndarray:
        """-1, 0 or 1: sign of fast average less slow average; 0 until `slow` bars were seen and on a tie."""
        fast, slow = average_gap(market.adjusted, self.fast), average_gap(market.adjusted, self.slow)
        return cross(fast, slow, market.mark)

    def forecasts(self, market, values) -> np.ndarray:
        """Each length is averaged once."""
        fast, slow = _told(self, values, "fast", "slow")
        price, out = market.adjusted, scratch(market, self, (len(fast), *market.mark.shape))
        lengths = sorted({*fast, *slow})
        gap = {n: remembered(market, ("average_gap", n), lambda n=n: average_gap(price, n)).ravel() for n in lengths}
        width = remembered(market, "width of a tie", lambda: ties(np.ascontiguousarray(market.mark)))
        for k in range(len(fast)):
            side(gap[fast[k]], gap[slow[k]], width.ravel(), out[k].ravel())
        return out

    def lanes(self, market, values) -> Lanes:
        """Averages of all lengths."""
        told = np.array(_told(self, values, "fast", "slow"))
        lengths, rows = np.unique(told, return_inverse=True)
        price, mark = (np.ascontiguousarray(one) for one in (market.adjusted, market.mark))
        return Lanes(True, average_gaps(price, lengths), rows.reshape(told.shape).astype(np.uint32), ties(mark))

    def warm_up(self) -> int:
        """The longer of both lengths. [bars]"""
        return max(self.fast, self.slow)


class Ewmac(Strategy):
    r"""Blend of exponential crossovers, each twice as slow as the one before, in units of the market's volatility.

    .. math:: f = D \cdot mean_k(c(s_k (E_{n_k} - E_{4 n_k}) / \sigma)), \quad s_k = 1.06 \sqrt{2 / n_k}

    with E exponential averages of spans n and 4 n, sigma the daily volatility in points, c a cap at 2, and the sum
    capped again. 1.06, 0.75, 0.53, 0.375, 0.265 and 0.187 are Carver's fixed scalars for spans of 2 to 64, over ten.

    Source: R. Carver, Systematic Trading, 2015, ch. 7 and appendix B, whose forecast of 10 is our 1.
    """

    fast = param.Integer(default=16, bounds=(2, 500), doc="Span of the quick average of the quickest crossover. [bars]")
    speeds = param.Integer(default=3, bounds=(1, 6), doc="How many crossovers, each twice as slow as the last. [1]")
    span = param.Number(default=36.0, bounds=(2, 5000), doc="Memory of the volatility, see `volatility`. [bars]")
    diversification = param.Number(
        default=1.08, bounds=(0, 5), doc="Multiplier for what the crossovers do not say as one (Carver's FDM). [1]"
    )

    def forecast(self, market) -> np.ndarray:
        """-2 to 2; 0 until the slowest span of bars was seen, and where nothing moves."""
        price = np.ascontiguousarray(market.adjusted)
        moves = change(price)
        sigma = volatility(moves, self.span)
        sigma = np.where((seen(moves) >= self.warm_up() - 1) & (sigma > 0.0), sigma, np.nan)
        total = np.zeros(price.shape)
        for span in self._spans():
            total += crossover(price, span, sigma)
        return np.nan_to_num(np.clip(self.diversification * total / self.speeds, -CAP, CAP))

    def forecasts(self, market, values) -> np.ndarray:
        """Each crossover is made once."""
        shared = self.lanes(market, values)
        found = np.zeros((shared.rows.shape[1], *market.mark.shape))
        for k in range(len(found)):
            for part in shared.rows[:, k]:
                found[k] += shared.table[:, :, part]
            made = np.clip(shared.scale[k] * found[k] / shared.divisor[k], -CAP, CAP)
            found[k] = np.where(shared.seen >= shared.least[k], np.nan_to_num(made), 0.0)
        return found

    def lanes(self, market, values) -> Lanes:
        """Crossovers of all spans, in units of volatility of all memories; the first row is of none."""
        told = _told(self, values, "fast", "speeds", "span", "diversification")
        price = np.ascontiguousarray(market.adjusted)
        moves = change(price)
        rows, table, sigmas = {None: 0}, [np.zeros(price.shape)], {}
        parts = np.zeros((int(max(told[1])), len(told[0])), np.uint32)
        for k, (fast, speeds, memory, _) in enumerate(zip(*told, strict=True)):
            if memory not in sigmas:
                sigma = volatility(moves, float(memory))
                sigmas[memory] = np.where(sigma > 0.0, sigma, np.nan)
            for j in range(speeds):
                key = (fast * 2**j, memory)
                if key not in rows:
                    rows[key] = len(table)
                    table.append(crossover(price, float(key[0]), sigmas[memory]))
                parts[j, k] = rows[key]
        fast, speeds, _, scale = (np.array(one, np.float64) for one in told)
        return Lanes(
            False, np.ascontiguousarray(np.array(table).transpose(1, 2, 0)), parts, seen=seen(moves), scale=scale,
            divisor=speeds, least=np.floor(4.0 * fast * 2.0 ** (speeds - 1.0)) - 1.0, cap=CAP,
        )  # fmt: skip

    def warm_up(self) -> int:
        """The slowest span. [bars]"""
        return int(4 * self._spans()[-1])

    def _spans(self):
        return [float(self.fast * 2**k) for k in range(self.speeds)]


class TimeSeriesMomentum(Strategy):
    """Long what has risen over the last year, short what has fallen; renewed a part of it each day.

    The forecast is the mean of the last `hold` days' signs: as if a `hold`-th of the position were taken each day and
    kept for `hold` days, so that no day of the month is special.

    Source: T. Moskowitz, Y. H. Ooi, L. Pedersen, "Time Series Momentum", Journal of Financial Economics 104 (2012):
    12 months back, one month held, overlapping holdings averaged as there.
    """

    lookback = param.Integer(default=252, bounds=(1, 5000), doc="How far back the change is measured. [bars]")
    hold = param.Integer(default=21, bounds=(1, 500), doc="Over how many bars the sign is averaged. [bars]")

    def forecast(self, market) -> np.ndarray:
        """-1 to 1; 0 until `lookback` changes were seen."""
        price = np.ascontiguousarray(market.adjusted)
        return held_for(side_of(past_change(price, self.lookback), market), price, self.hold)

    def forecasts(self, market, values) -> np.ndarray:
        """Each lookback is looked back once, and sums of signs are whole numbers: their order changes nothing."""
        lookback, hold = _told(self, values, "lookback", "hold")
        price = np.ascontiguousarray(market.adjusted)
        sides = {length: summed(side_of(past_change(price, length), market), price) for length in sorted(set(lookback))}
        number = np.cumsum(~np.isnan(price), axis=0)
        out = np.empty((len(hold), *price.shape))
        for k in range(len(hold)):
            mean_of_last(sides[lookback[k]], number, hold[k], out[k])
        return out

    def warm_up(self) -> int:
        """Until the first mean is full. [bars]"""
        return self.lookback + self.hold


class Breakout(Strategy):
    """Donchian channel in the direction of the trend: entered by a stop order, left at a nearer channel or a stop.

    While the quick exponential average is above the slow one, a buy stop rests a tick above the highest price of
    `entry` bars, and is moved every day; what it buys is protected by a stop `stop` ranges below the fill, and by one a
    tick below the lowest price of `exit` bars, which follows the market. Short likewise. When the averages cross, what
    is left is sold at the next market order.

    Source: C. Faith, Way of the Turtle, 2007, ch. 10, the Donchian trend system: 20 bars in, 10 out, averages of 25 and
    350 days, a stop of 2 average ranges; the Turtles' entries of 1983 are the same without the averages.
    """

    entry = param.Integer(default=20, bounds=(2, 1000), doc="Length of the channel whose edge is entered. [bars]")
    exit = param.Integer(default=10, bounds=(2, 1000), doc="Length of the channel at whose other edge is left. [bars]")
    stop = param.Number(default=2.0, bounds=(0.1, 50), doc="Protective stop, in average true ranges. [1]")
    range = param.Integer(default=20, bounds=(1, 1000), doc="Length of the average true range. [bars]")
    fast = param.Number(default=25.0, bounds=(1, 5000), doc="Span of the trend's quick average. [bars]")
    slow = param.Number(default=350.0, bounds=(1, 5000), doc="Span of the trend's slow average. [bars]")

    def signals(self, market) -> Signals:
        """Entries by stop orders, renewed each bar; none until `slow` bars were seen, and on the bar of a cross."""
        price = np.ascontiguousarray(market.adjusted)
        gap = exponential_gap(price, self.fast) - exponential_gap(price, self.slow)
        side = np.where(seen(change(price)) >= self.warm_up() - 1, side_of(gap, market), 0.0)
        before = np.vstack([np.zeros((1, side.shape[1])), side[:-1]])
        high, low = (np.ascontiguousarray(edge) for edge in extremes(market))
        goes_on = side == before  # else the protection of what is still held stays as it was
        up, down = goes_on & (side > 0.0), goes_on & (side < 0.0)
        return Signals.build(
            market,
            entry=np.where(goes_on, side, 0.0),
            exit=~goes_on,
            kind=STOP,
            price=_pick(up, highest(high, self.entry) + market.tick, down, lowest(low, self.entry) - market.tick),
            stop=self.stop * average_range(market, self.range),
            stop_at=_pick(up, lowest(low, self.exit) - market.tick, down, highest(high, self.exit) + market.tick),
            renew=True,
        )

    def warm_up(self) -> int:
        """The longest of its memories. [bars]"""
        return int(max(self.entry, self.exit, self.range + 1, self.fast, self.slow))


class TurtleUnits(Strategy):
    """Adds to a position that pays: a unit at first, one more each time the price has gone `step` volatilities further.

    The side is that of an exponential cross. A unit counts only once it is held, and while the account is below its
    best, each tenth that is lost takes `brake` off what is held. It is called bar by bar, for it has to know both.

    Source: C. Faith, The Original Turtle Trading Rules, 2003, ch. 3 and 4 (up to four units, added half a range apart;
    a fifth smaller for each tenth lost), with volatility for their range and a cross for their breakout.
    """

    fast = param.Number(default=25.0, bounds=(1, 5000), doc="Span of the quick average. [bars]")
    slow = param.Number(default=100.0, bounds=(1, 5000), doc="Span of the slow average, and the warm-up. [bars]")
    units = param.Integer(default=4, bounds=(1, 20), doc="Most units; as many make a forecast of 1. [1]")
    step = param.Number(default=0.5, bounds=(0, 50), doc="Way to the next unit, in daily volatilities. [1]")
    brake = param.Number(default=0.2, bounds=(0, 1), doc="Taken off for each tenth of equity lost from its best. [1]")

    @program
    def decide(t, columns, adjusted, mark, position, equity, params, memory, forecast):
        """Memory of a market: see `_follow`; 5 units, 6 way since the last was added, 7 best equity."""
        slow, most, step, brake = params[1], params[2], params[3], params[4]
        for j in range(len(columns)):
            own, price = memory[j], adjusted[t, columns[j]]
            own[7] = max(own[7], equity)
            if np.isnan(price):
                continue
            own[6] += _follow(own, price, params[0], slow)
            gap = own[3] - own[4]
            side = np.sign(gap) if own[1] >= slow and abs(gap) > 1e-9 * abs(mark[t, columns[j]]) else 0.0
            if side == 0.0 or side * own[5] <= 0.0:
                own[5], own[6] = side, 0.0
            elif side * own[6] > step * np.sqrt(own[2]) and abs(own[5]) < most and side * position[j] > 0.0:
                own[5] += side
                own[6] = 0.0
            lost = 1.0 - equity / own[7] if own[7] > 0.0 else 0.0
            forecast[j] = own[5] / most * (1.0 - brake) ** np.floor(10.0 * lost + 1e-9)

    def warm_up(self) -> int:
        """The slow span. [bars]"""
        return int(self.slow)


def _told(strategy, values, *names):
    """Lists (combination,) of some params, of which `values` names some."""
    count = len(next(iter(values.values())))
    return [np.broadcast_to(values.get(name, getattr(strategy, name)), count).tolist() for name in names]


def crossover(price, span, sigma):
    """An exponential crossover of `span` and 4 `span` bars in units of volatility, capped; (time, market). [1]"""
    gap = exponential_gap(price, span) - exponential_gap(price, 4.0 * span)
    return np.clip(1.06 * np.sqrt(2.0 / span) * gap / sigma, -CAP, CAP)


def _pick(up, above, down, below):
    """One value where it is up, another where it is down, else nan."""
    return np.where(up, above, np.where(down, below, np.nan))


@inlined
def _follow(own, price, fast, slow):
    """Change of a price, taken in: 0 last price, 1 bars seen, 2 variance (span 32), 3 and 4 exponential gaps."""
    move = price - own[0] if own[1] > 0.0 else 0.0
    own[0] = price
    own[1] += 1.0
    if own[1] == 2.0:
        own[2] = move * move
    elif own[1] > 2.0:
        own[2] += 2.0 / 33.0 * (move * move - own[2])
    own[3] = (1.0 - 2.0 / (fast + 1.0)) * (own[3] - move)
    own[4] = (1.0 - 2.0 / (slow + 1.0)) * (own[4] - move)
    return move


def cross(fast, slow, price):
    r"""Side of one average from another.

    .. math:: f_t = sign(F_t - S_t) \text{ where } |F_t - S_t| > 10^{-9} |p_t|, \text{ else } 0

    Parameters
    ----------
    fast, slow : array (time, market)
        Averages, or averages less the same number; nan before their time. [points]
    price : array (time, market)
        Price of the contract held, which sets the width of a tie; nan on a holiday, which keeps the last. [points]

    Returns
    -------
    array (time, market)
        -1, 0 or 1; never nan.

    Source: tie band of 1e-9 of the price: without it two ways of adding the same numbers trade differently at exact
    ties (2 of 100,800 signals in a comparison of engines). It is a share of the contract's own price, not of the
    adjusted one, for the level of an adjusted series is an accident of its history.

    >>> cross(np.array([[1.5], [2.0], [1.0]]), np.array([[1.0], [2.0], [2.0]]), np.array([[2.0], [2.0], [1.0]])).ravel()
    array([ 1.,  0., -1.])
    """
    out = np.zeros(fast.shape)
    side(fast.ravel(), slow.ravel(), ties(np.ascontiguousarray(price)).ravel(), out.ravel())
    return out


@kernel
def ties(price):
    """Width of a tie, 1e-9 of the newest price, array (time, market); 0 before the first. [points]"""
    out = np.zeros(price.shape)
    last = np.zeros(price.shape[1])
    for t in range(price.shape[0]):
        for m in range(price.shape[1]):
            if not np.isnan(price[t, m]):
                last[m] = abs(price[t, m])
            out[t, m] = 1e-9 * last[m]
    return out


@kernel
def side(fast, slow, width, out):
    """Put into `out` the sign of fast less slow, 0 where they are no further apart than the width of a tie; all 1-d."""
    for k in range(out.shape[0]):
        gap, tie = fast[k] - slow[k], width[k]
        out[k] = 1.0 if gap > tie else (-1.0 if gap < -tie else 0.0)


@kernel
def held_for(forecast, price, length):
    """Mean of a market's last `length` forecasts, bars that do not exist left out: each is held for `length` bars.

    It is added up from the window alone, oldest first. [1]

    >>> held_for(np.array([[1.0], [1.0], [9.0], [-1.0]]), np.array([[1.0], [1.0], [np.nan], [1.0]]), 2).ravel()
    array([0.5, 1. , 1. , 0. ])
    """
    out = np.zeros(forecast.shape)
    bars = np.zeros(forecast.shape[0])
    for m in range(forecast.shape[1]):
        count = 0
        mean = 0.0
        for t in range(forecast.shape[0]):
            if not np.isnan(price[t, m]):
                bars[count] = forecast[t, m]
                count += 1
                total = 0.0
                for k in range(max(0, count - length), count):
                    total += bars[k]
                mean = total / length
            out[t, m] = mean
    return out


@kernel
def summed(forecast, price):
    """Sums of a market's forecasts on its first 0, 1, 2... bars, array (bar + 1, market); of bars that exist alone.

    >>> summed(np.array([[1.0], [9.0], [-1.0]]), np.array([[1.0], [np.nan], [1.0]])).ravel()
    array([0., 1., 0., 0.])
    """
    out = np.zeros((forecast.shape[0] + 1, forecast.shape[1]))
    for m in range(forecast.shape[1]):
        count = 0
        for t in range(forecast.shape[0]):
            if not np.isnan(price[t, m]):
                count += 1
                out[count, m] = out[count - 1, m] + forecast[t, m]
    return out


@kernel
def mean_of_last(sums, number, length, out):
    """`held_for` of forecasts that are whole numbers, from their sums: put into `out` (time, market).

    >>> out = np.empty((3, 1))
    >>> mean_of_last(np.array([[0.0], [1.0], [2.0], [1.0]]), np.array([[1], [2], [3]]), 2, out)
    >>> out.ravel()
    array([0.5, 1. , 0. ])
    """
    for t in range(out.shape[0]):
        for m in range(out.shape[1]):
            n = number[t, m]
            out[t, m] = (sums[n, m] - sums[max(n - length, 0), m]) / length
