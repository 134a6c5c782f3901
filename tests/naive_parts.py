"""The slow twin of `engine.analysis.parts`: walks fills and days one at a time, with the rules as they are told."""

from collections import defaultdict

ROLLS = ("roll out", "roll in")
NO_TRADE = ("interest", "fx", "fee", "transfer")


def parts(run, curve):
    """{(cause, trade or None, line, day): amount}; trades by their number, lines by theirs."""
    out = defaultdict(float)
    ledger = defaultdict(float)
    for row in run.ledger().iter_rows(named=True):
        if row["cause"] in NO_TRADE:
            out[row["cause"], None, row["line"], row["day"]] += row["amount"]
        elif row["cause"] in ("price", "roll_gap"):
            ledger[row["line"], row["day"], row["cause"]] += row["amount"]
    days = run.equity()["day"].to_list()[1:]
    position = defaultdict(float)
    for row in run.positions().iter_rows(named=True):
        position[row["line"], row["day"]] += row["contracts"]
    lines = {row["line"]: row for frame in (run.trades(), run.fills()) for row in frame.iter_rows(named=True)}
    for line in lines:
        trades = [row for row in run.trades().sort("trade").iter_rows(named=True) if row["line"] == line]
        rolled = _costs(run, line, trades, out)
        _profit(line, trades, rolled, days, ledger, out)
        _yield(line, trades, days, position, curve, lines[line]["market"], out)
    return out


def _costs(run, line, trades, out):
    """Costs of each fill, to the trade it opens or closes; returns (trade, day) of rolls."""
    held, place, rolled = 0.0, -1, set()
    for fill in run.fills().iter_rows(named=True):
        if fill["line"] != line:
            continue
        size, day = fill["contracts"], fill["day"]
        if fill["kind"] in ROLLS:
            number = trades[place]["trade"]
            rolled.add((number, day))
            for name in ("slippage", "impact", "commission"):
                out[f"roll_{name}", number, line, day] += fill[name]
            continue
        before, held = held, held + size
        if abs(held) < 1e-9:
            held = 0.0  # fractions of contracts sum to crumbs
        closing = abs(before) if before * held < 0.0 else abs(size) if before * size < 0.0 else 0.0
        if closing:
            _book(out, trades[place]["trade"], line, fill, closing / abs(size), "exit")
        if abs(size) > closing:
            if before * held <= 0.0:
                place += 1
            _book(out, trades[place]["trade"], line, fill, 1.0 - closing / abs(size), "entry")
    return rolled


def _book(out, number, line, fill, share, side):
    for name in ("slippage", "impact", "commission"):
        cause = f"{side}_slippage" if name == "slippage" else name
        out[cause, number, line, fill["day"]] += fill[name] * share


def _profit(line, trades, rolled, days, ledger, out):
    """Price and roll gap, day by day: of a day with several trades the last gets what the others leave."""
    told = defaultdict(float)
    for day in days:
        here = [trade for trade in trades if trade["entry_day"] <= day <= trade["exit_day"]]
        price, gap = ledger[line, day, "price"], ledger[line, day, "roll_gap"]
        left = price + gap
        of_gap = next((one for one in here[-1:] if (one["trade"], day) in rolled), here[0] if here else None)
        for trade in here:
            number, last = trade["trade"], trade is here[-1]
            share = left if last else trade["gross"] - told[number]
            told[number] += share
            left -= share
            mine = gap if trade is of_gap else 0.0
            out["roll_gap", number, line, day] += mine
            out["spot", number, line, day] += share - mine


def _yield(line, trades, days, position, curve, name, out):
    m = curve.market.names.index(name)
    for t in range(1, len(days)):
        q, gap, slope = position[line, days[t - 1]], curve.gap[t, m], curve.slope[t - 1, m]
        if q == 0.0 or gap != gap or slope != slope:
            continue
        amount = -q * curve.market.multiplier[t, m] * curve.market.fx[t, m] * slope * gap
        number = next(one["trade"] for one in trades if one["entry_day"] < days[t] <= one["exit_day"])
        out["roll_yield", number, line, days[t]] += amount
        out["spot", number, line, days[t]] -= amount
