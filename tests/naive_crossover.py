"""Slow twin of the portfolio of docs/speed.md: one market after another, one bar after another, in plain Python."""


def portfolio(opens, closes, ticks, multipliers, fill, capital, fast=20, slow=100, commission=2.5):
    """Equity after each close, and fills (bar, market, contracts); prices are lists by market of lists by bar."""
    equity, fills = [capital] * len(closes[0]), []
    for market, (open_, close) in enumerate(zip(opens, closes, strict=True)):
        profit, its = one(open_, close, ticks[market], multipliers[market], fill, fast, slow, commission)
        equity = [whole + part for whole, part in zip(equity, profit, strict=True)]
        fills += [(bar, market, contracts) for bar, contracts in its]
    return equity, sorted(fills)


def one(open_, close, tick, multiplier, fill, fast, slow, commission):
    """Profit after each close and fills (bar, contracts) of one market."""
    cash, held, wanted, profit, fills = 0.0, 0, 0, [], []
    for bar in range(len(close)):
        decided = bar >= slow - 1 and bar < len(close) - 1
        if fill == "same_close" and decided:
            wanted = side(close[: bar + 1], fast, slow)
        change = wanted - held
        if change:
            seen = open_[bar] if fill == "next_open" else close[bar]
            price = seen + tick if change > 0 else seen - tick
            cash -= change * price * multiplier + abs(change) * commission
            held = wanted
            fills.append((bar, change))
        if fill != "same_close" and decided:
            wanted = side(close[: bar + 1], fast, slow)
        profit.append(cash + held * close[bar] * multiplier)
    return profit, fills


def side(closes, fast, slow):
    """1 where the average of the last `fast` closes is above that of the last `slow`, -1 below, 0 where equal."""
    gap = sum(closes[-fast:]) / fast - sum(closes[-slow:]) / slow
    return 0 if abs(gap) <= 1e-9 * abs(closes[-1]) else 1 if gap > 0.0 else -1
