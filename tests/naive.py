"""Slow twins: the same numbers in plain Python, one step at a time, to hold the kernels and formulas against."""

import math
from datetime import timedelta
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


def rolls(market, rule):
    """Rolls by a rule, one day at a time: (day, from, to, from price, to price, decided, reason), contracts by number.

    `market` has `days`; by day and contract number, None where missing, `settle`, `close` and the dict `activity` of
    volume and oi; by contract `months` (first day of the delivery month), `trade` and `notice` (None: none); and
    `is_session(day)`. `rule` is a parsed rule.
    """
    days, dates = market.days, RollDates(market, rule)
    out, held, since, pending = [], None, 0, None
    for t, today in enumerate(days):
        if held is None:
            live = [k for k in range(len(market.months)) if _mark(market, t, k) is not None and today < dates.last[k]]
            held, since = (live[0], t) if live else (None, 0)
        elif today <= dates.last[held]:
            pending = pending or _roll_trigger(market, rule, dates, held, since, t)
            if pending is None:
                continue
            start, target, reason = pending
            if target is None or today >= dates.last[target]:
                target = _next_listed(market, held, t, dates.last)
            prices = None if target is None else _matched(market, t, held, target)
            if prices:
                waited = f", waited {t - start}" if t > start else ""
                out.append((today, held, target, *prices, days[start - 1], reason + waited))
                held, since, pending = target, t, None
        else:
            own = [_mark(market, s, held) for s in range(t) if days[s] <= dates.last[held]]
            fresh = [k for k in range(held + 1, len(market.months)) if today < dates.last[k]]
            fresh = [k for k in fresh if _mark(market, t, k) is not None]
            if fresh:
                prices = [price for price in own if price is not None][-1], _mark(market, t, fresh[0])
                if rule.exit is None:  # through expiry: of the last day on which both had one, if there is any
                    kept = [s for s in range(since, t) if days[s] <= dates.last[held]]
                    pairs = [_matched(market, s, held, fresh[0]) for s in kept]
                    prices = [prices, *(pair for pair in pairs if pair)][-1]
                out.append((today, held, fresh[0], *prices, dates.last[held], "closed: no matched price"))
                held, since, pending = fresh[0], t, None
    return out


class RollDates:
    """The days that a rule needs of each contract, found by stepping from day to day."""

    def __init__(self, market, rule):
        self.market, everyone = market, range(len(market.months))
        self.last = [self._last(k, rule.exit) for k in everyone]
        self.fallback = [self.step(day, -2) for day in self.last]
        self.since, self.until = (
            [None if d is None else self.day(k, d) for k in everyone] for d in (rule.since, rule.until)
        )
        self.planned = [self.day(k, rule) if rule.kind == "date" else None for k in everyone]

    def step(self, day, n):
        """`n` sessions on from `day` (back, if negative); one that is no session counts as the one it is stepped to."""
        one = timedelta(days=1)
        while not self.market.is_session(day):
            day += -one if n > 0 else one
        for _ in range(abs(n)):
            day += one if n > 0 else -one
            while not self.market.is_session(day):
                day += one if n > 0 else -one
        return day

    def day(self, k, told):
        """`told.count` sessions before the date `told.name` of contract `k`."""
        return self.step(getattr(self, "_" + told.name.replace("-", "_"))(k), -told.count)

    def _last(self, k, exit):
        if exit is None:
            return self.market.trade[k]
        return self.step(min(self._first_notice(k), self.market.trade[k]), -exit)

    def _first_notice(self, k):
        return self.market.notice[k] or self.market.trade[k]

    def _last_trade(self, k):
        return self.market.trade[k]

    def _delivery(self, k):
        return self.step(self.market.months[k], 0)

    def _month_begin(self, k):
        return self.step(self.last[k].replace(day=1), 0)

    def _month_end(self, k):
        day = self.last[k]
        while not self.market.is_session(day) or self.step(day, 1).month == day.month:
            day -= timedelta(days=1)
        return day


def _roll_trigger(market, rule, dates, held, since, t):
    """(number of the day, contract or None, reason) if the roll is to be made from day `t` on."""
    today = market.days[t]
    if rule.kind == "date":
        forced = "forced: " if dates.planned[held] > dates.last[held] else ""
        due = min(dates.planned[held], dates.last[held])
        return (
            (t, None, f"{forced}{rule.name}{'+' if rule.count < 0 else '-'}{abs(rule.count)}") if today >= due else None
        )
    target = _next_listed(market, held, t - 1)
    late = target is not None and today >= dates.last[target]
    if not late and (dates.since[held] is None or today >= dates.since[held]):
        decisions = [s for s in range(t - rule.count + 1, t + 1) if s > since]
        seen = [s for s in decisions if _rule_crossed(market, rule, dates, held, since, target, s)]
        if len(seen) == rule.count:
            return t, target, rule.name
    unknown = _unknown(market, rule, t)
    if dates.until[held] is not None and today >= dates.until[held]:
        return t, None, f"{rule.until}: {unknown or 'no crossing'}"
    if today >= dates.fallback[held] and unknown:
        return t, None, f"fallback: {unknown}"
    return (t, None, "fallback: no crossing") if today >= dates.last[held] else None


def _rule_crossed(market, rule, dates, held, since, target, s):
    """Whether the decision for day `s` knew of a crossing."""
    found = []
    for name, lag in rule.known:
        found.append(s - lag >= since and _column_crossed(market, name, dates, held, target, s - lag))
    return any(found) if "/" in rule.name else all(found)


def _column_crossed(market, name, dates, held, target, s):
    row = market.activity[name][s]
    if target is None or row[held] is None or row[target] is None or not _shown(market, name, s):
        return False
    nearer = [row[j] for j in range(held) if market.days[s] <= dates.last[j] and row[j] is not None]
    return all(row[target] > x for x in [row[held], *nearer])


def _shown(market, name, s):
    """Whether any contract had shown some volume or open interest by the close of day `s`."""
    return any(x is not None and x > 0 for row in market.activity[name][: max(s + 1, 0)] for x in row)


def _unknown(market, rule, t):
    titles = {"volume": "volume", "oi": "open interest"}
    unknown = [titles[name] for name, lag in rule.known if not _shown(market, name, t - lag)]
    enough = len(unknown) == len(rule.known) if "/" in rule.name else bool(unknown)
    return "unknown " + " and ".join(unknown) if enough else ""


def _mark(market, t, k):
    return market.close[t][k] if market.settle[t][k] is None else market.settle[t][k]


def _matched(market, t, held, target):
    for table in (market.settle, market.close):
        if table[t][held] is not None and table[t][target] is not None:
            return table[t][held], table[t][target]
    return None


def _next_listed(market, held, t, last=None):
    """The nearest later contract with a row by day `t`; given `last` days, of those that may be held on."""
    tables = [market.settle, market.close, *market.activity.values()]
    for k in range(held + 1, len(market.months)):
        if last is not None and market.days[t] >= last[k]:
            continue
        if any(table[s][k] is not None for table in tables for s in range(t + 1)):
            return k
    return None
