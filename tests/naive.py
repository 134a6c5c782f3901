"""Slow twins: the same numbers in plain Python, one step at a time, to hold the kernels and formulas against."""

import math
from statistics import NormalDist


def mean(values):
    """Arithmetic mean of a list."""
    return math.fsum(values) / len(values)


def deviation(values, ddof):
    """Standard deviation of a list."""
    centre = mean(values)
    return math.sqrt(math.fsum((x - centre) ** 2 for x in values) / (len(values) - ddof))


def sharpe(returns, interest, periods):
    """Annualised mean over standard deviation of the excess returns."""
    excess = [r - i for r, i in zip(returns, interest, strict=True)]
    return mean(excess) / deviation(excess, 1) * math.sqrt(periods)


def sortino(returns, target, periods):
    """Annualised mean over downside deviation, all days counted."""
    below = math.sqrt(math.fsum(min(r - target, 0.0) ** 2 for r in returns) / len(returns))
    return (mean(returns) - target) / below * math.sqrt(periods)


def drawdowns(equity):
    """Loss since the peak, row by row; the peak is looked for anew each time."""
    peaks = [max(equity[: t + 1]) for t in range(len(equity))]
    return [(now - peak) / peak for now, peak in zip(equity, peaks, strict=True)]


def drawdown_length(equity, days):
    """Days from the peak to the recovery (or the end) of the deepest drawdown; days are integers."""
    depth = drawdowns(equity)
    trough = depth.index(min(depth))
    if depth[trough] == 0.0:
        return 0
    peak = max(equity[: trough + 1])
    first = max(t for t in range(trough) if equity[t] == peak)
    last = next((t for t in range(trough, len(equity)) if equity[t] >= peak), len(equity) - 1)
    return days[last] - days[first]


def longest_drawdown(equity, days):
    """Days of the longest stay under water, each start tried."""
    longest = 0
    for first in range(len(equity)):
        if equity[first] < max(equity[: first + 1]):
            continue
        last = first
        while last + 1 < len(equity) and equity[last + 1] < equity[first]:
            last += 1
        if last > first:
            longest = max(longest, days[min(last + 1, len(equity) - 1)] - days[first])
    return longest


def quantile(values, share):
    """Quantile interpolated linearly between the ordered values."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def cvar(returns, level):
    """Mean loss of the days at or below the quantile."""
    bound = quantile(returns, round(1.0 - level, 12))
    return -mean([r for r in returns if r <= bound + 1e-14])


def expected_shortfall(returns, level):
    """Mean loss of the worst share of the days, taken from the worst upward until the share is used up."""
    left = len(returns) * (1.0 - level)
    lost = 0.0
    for r in sorted(returns):
        part = min(1.0, left)
        lost -= part * r
        left -= part
    return lost / (len(returns) * (1.0 - level))


def moment(values, power):
    """Standardised population moment."""
    centre, spread = mean(values), deviation(values, 0)
    return mean([((x - centre) / spread) ** power for x in values])


def cornish_fisher_quantile(share, s, k):
    """Normal quantile bent by skew s and excess kurtosis k."""
    z = NormalDist().inv_cdf(share)
    return z + (z * z - 1) / 6 * s + (z**3 - 3 * z) / 24 * k - (2 * z**3 - 5 * z) / 36 * s * s


def profit_factor(net):
    """What was won over what was lost."""
    won = lost = 0.0
    for x in net:
        if x > 0:
            won += x
        else:
            lost -= x
    return won / lost


def floor(opens, closes, fast, slow, multiplier, tick, capital, contracts, commission, slippage):
    """Moving-average crossover filled at the next open, marked at every close; nan is a bar that did not trade."""
    markets = len(multiplier)
    seen = [[] for _ in range(markets)]
    held, wanted, cash = [0.0] * markets, [0.0] * markets, capital
    equity = []
    for t in range(len(closes)):
        for m in range(markets):
            price, fill = closes[t][m], opens[t][m]
            if math.isnan(price) or math.isnan(fill):
                continue
            order = wanted[m] - held[m]
            if order:
                worse = fill + math.copysign(slippage * tick[m], order)
                cash -= order * worse * multiplier[m] + commission * abs(order)
                held[m] = wanted[m]
            seen[m].append(price)
            if len(seen[m]) >= slow:
                gap = mean(seen[m][-fast:]) - mean(seen[m][-slow:])
                if abs(gap) > 1e-9 * abs(price):
                    wanted[m] = contracts[m] if gap > 0 else -contracts[m]
        equity.append(cash + math.fsum(held[m] * seen[m][-1] * multiplier[m] for m in range(markets) if seen[m]))
    return equity


def change(price):
    """Change of one market's price from the last bar that exists; price is a list with nan on holidays."""
    out = []
    for t, x in enumerate(price):
        past = [p for p in price[:t] if not math.isnan(p)]
        out.append(x - past[-1] if past else math.nan)
    return out


def moving_average(price, length):
    """Mean of the last `length` bars that exist, one market; each window is added up anew and exactly."""
    out = []
    for t in range(len(price)):
        bars = [p for p in price[: t + 1] if not math.isnan(p)]
        out.append(math.fsum(bars[-length:]) / length if len(bars) >= length else math.nan)
    return out


def volatility(moves, span):
    """Exponentially weighted volatility of one market from its whole past, as an explicit sum of weights."""
    out, a = [], 2.0 / (span + 1.0)
    for t in range(len(moves)):
        squares = [x * x for x in moves[: t + 1] if not math.isnan(x)]
        n = len(squares)
        weights = [(a if i else 1.0) * (1.0 - a) ** (n - 1 - i) for i in range(n)]
        out.append(math.sqrt(math.fsum(w * x for w, x in zip(weights, squares, strict=True))) if n else math.nan)
    return out


def cross(price, fast, slow):
    """Side of the fast average from the slow one, one market; 0 before its time and on a tie."""
    out = []
    for quick, long in zip(moving_average(price, fast), moving_average(price, slow), strict=True):
        tie = math.isnan(long) or math.isnan(quick) or abs(quick - long) <= 1e-9 * abs(long)
        out.append(0.0 if tie else math.copysign(1.0, quick - long))
    return out


def contracts_per_capital(forecast, risk, sigma, multiplier, fx):
    """Contracts per unit of capital of one market on one bar."""
    swing = multiplier * fx * sigma * math.sqrt(252)
    known = not math.isnan(swing) and swing > 0.0 and not math.isnan(forecast)
    return risk * forecast / swing if known else 0.0


def volume_rolls(days, price, volume, last, planned, confirm=1):
    """Rolls by volume, one day at a time: (day, from, to, from price, to price, reason), contracts by number.

    `price[t][k]` and `volume[t][k]` are None where missing; `last` and `planned` are the last allowed and the planned
    day of each contract.
    """
    rolls, held, since, pending = [], None, 0, None
    for t, today in enumerate(days):
        if held is None:
            live = [k for k, x in enumerate(price[t]) if x is not None and today < last[k]]
            held, since = (live[0], t) if live else (None, 0)
            continue
        if today <= last[held]:
            if pending is None:
                pending = _volume_trigger(t, days, price, volume, last, planned, confirm, held, since)
            if pending:
                start, target, reason = pending
                target = _next_listed(price, volume, held, t) if target is None else target
                if target is not None and price[t][held] is not None and price[t][target] is not None:
                    waited = f", waited {t - start}" if t > start else ""
                    rolls.append((today, held, target, price[t][held], price[t][target], reason + waited))
                    held, since, pending = target, t, None
                    continue
        else:
            final = max(s for s in range(t + 1) if days[s] <= last[held] and price[s][held] is not None)
            fresh = [k for k in range(held + 1, len(last)) if price[t][k] is not None and today < last[k]]
            if fresh:
                rolls.append(
                    (today, held, fresh[0], price[final][held], price[t][fresh[0]], "closed: no matched price")
                )
                held, since, pending = fresh[0], t, None
    return rolls


def _volume_trigger(t, days, price, volume, last, planned, confirm, held, since):
    target = _next_listed(price, volume, held, t - 1)
    seen = [s for s in range(t - confirm, t) if s >= since and _crossed(days, volume, last, s, held, target)]
    if len(seen) == confirm:
        return t, target, "volume"
    if days[t] >= planned[held] and not _volume_known(volume, t - 1):
        return t, None, "fallback: unknown volume"
    return (t, None, "fallback: no crossing") if days[t] >= last[held] else None


def _crossed(days, volume, last, s, held, target):
    if target is None or volume[s][held] is None or volume[s][target] is None or not _volume_known(volume, s):
        return False
    left = [volume[s][j] for j in range(held) if days[s] <= last[j] and volume[s][j] is not None]
    return all(volume[s][target] > x for x in [volume[s][held], *left])


def _volume_known(volume, s):
    return any(x is not None and x > 0 for row in volume[: s + 1] for x in row)


def _next_listed(price, volume, held, t):
    for k in range(held + 1, len(price[0])):
        if any(price[s][k] is not None or volume[s][k] is not None for s in range(t + 1)):
            return k
    return None
