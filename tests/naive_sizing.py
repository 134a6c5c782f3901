"""Slow twins of the sizing rules, in plain Python, one line and one week at a time."""

import math

NAN = math.nan


def weeks_of(steps, days):
    """[(week, sum of the steps)] of one market, in order; weeks without a bar have nan. Days are `date`."""
    weeks = {}
    for x, day in zip(steps, days, strict=True):
        own = weeks.setdefault(day.isocalendar()[:2], [])
        if not math.isnan(x):
            own.append(x)
    return [(week, math.fsum(own) if own else NAN) for week, own in weeks.items()]


def steps(price, volatility):
    """Changes in volatilities of the bar before, with nan on holidays; `volatility` is nan where not yet known."""
    out, last = [], NAN
    for t, x in enumerate(price):
        sigma = volatility[t - 1] if t else NAN
        out.append((x - last) / sigma if sigma > 0 else NAN)
        last = last if math.isnan(x) else x
    return out


def correlation(xs, ys, memory, least=26):
    """Correlation of two lists of weeks, mean zero, recent ones weighing most; nan if too few are common."""
    pairs = [(x, y) for x, y in zip(xs, ys, strict=True) if not (math.isnan(x) or math.isnan(y))]
    keep = 1 - 2 / (memory + 1)
    weights = [keep ** (len(pairs) - 1 - k) for k in range(len(pairs))]
    cross, own, other = (
        math.fsum(w * f(x, y) for w, (x, y) in zip(weights, pairs, strict=True))
        for f in (lambda x, y: x * y, lambda x, y: x * x, lambda x, y: y * y)
    )
    return cross / math.sqrt(own * other) if len(pairs) >= least and own * other > 0 else NAN


def book_volatility(risk, rho, lowest=-1.0):
    """Volatility of signed positions; rho(i, j) is nan where not known, and then both lose together."""
    total = 0.0
    for i, x in enumerate(risk):
        for j, y in enumerate(risk):
            r = 1.0 if i == j else rho(i, j)
            total += abs(x * y) if math.isnan(r) else x * y * (1.0 if i == j else max(r, lowest))
    return math.sqrt(max(total, 0.0))


def paper_profit(forecast, moves):
    """Profit of one line: a forecast earns the second bar of its market after it."""
    bars = [t for t, x in enumerate(moves) if not math.isnan(x)]
    out = [NAN] * len(moves)
    for k in range(2, len(bars)):
        out[bars[k]] = forecast[bars[k - 2]] * moves[bars[k]]
    return out


def kelly(profit, memory, prior, least=60):
    """Kelly fraction of one line after the last of its profits; nan and 0 are no bet."""
    bets = [x for x in profit if not math.isnan(x) and x != 0.0]
    keep = 1 - 2 / (memory + 1)
    weights = [keep ** (len(bets) - 1 - k) for k in range(len(bets))]
    if len(bets) < least:
        return 0.0
    mass = math.fsum(weights)
    mean = math.fsum(w * x for w, x in zip(weights, bets, strict=True)) / mass
    variance = math.fsum(w * (x - mean) ** 2 for w, x in zip(weights, bets, strict=True)) / mass
    bars = mass**2 / math.fsum(w * w for w in weights)
    return max(mean / variance * bars / (bars + 1 / prior), 0.0)


def moments(weeks, memory, prior, shrink):
    """(means, second moments) of lines, each a list of weekly profits that begins with its first one."""
    keep = 1 - 2 / (memory + 1)
    count = max(map(len, weeks))
    padded = [[0.0] * (count - len(own)) + list(own) for own in weeks]
    mass = [math.fsum(keep**k for k in range(len(own))) for own in weeks]
    means = []
    for own, total in zip(weeks, mass, strict=True):
        trust = total**2 / math.fsum(keep ** (2 * k) for k in range(len(own)))
        mean = math.fsum(keep ** (len(own) - 1 - k) * x for k, x in enumerate(own)) / total
        means.append(mean * trust / (trust + 1 / prior))
    second = [
        [
            math.fsum(keep ** (count - 1 - k) * x * y for k, (x, y) in enumerate(zip(a, b, strict=True)))
            / math.sqrt(mass[i] * mass[j])
            * (1.0 if i == j else 1.0 - shrink)
            for j, b in enumerate(padded)
        ]
        for i, a in enumerate(padded)
    ]
    return means, second
