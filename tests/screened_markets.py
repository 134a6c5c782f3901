"""Random markets and portfolios that screening can serve, made from a seed: all that a bar can be, often at once.

Holidays of one market and of all, bars without an open, locked ones, rolls whose legs trade beside the series,
contracts that end without a price, stretches in which a market is not available, prices below zero, currencies, unknown
margins, rates of both signs.
"""

from dataclasses import replace

import numpy as np

from engine.portfolio import Portfolio
from tests import small_runs

STRATEGIES = {
    "moving_average_cross": {"fast": (1, 30), "slow": (2, 90)},
    "ewmac": {"fast": (2, 12), "speeds": (1, 4), "span": (10, 60)},
    "time_series_momentum": {"lookback": (1, 80), "hold": (1, 30)},
    "turn_of_month": {"before": (0, 4), "after": (0, 5)},
}
SIZES = (
    "rule = 'fixed'\ncontracts = 3.5", "rule = 'volatility'\ntarget = 0.15\ndiversification = 1.5",
    "rule = 'notional'\namount = 400_000", "rule = 'notional'\nshare = 0.0003", "rule = 'risk'\nrisk = 0.02",
)  # fmt: skip
CASH = (
    "", "credit_spread = 0.01\ndebit_spread = 0.02", "fee = 0.02\nfixed_fee = 75",
    "payments = [{day = 2024-03-02, amount = 200_000}, {day = 2024-09-05, amount = -150_000}]",
)  # fmt: skip


def market(seed, time=330):
    """A market of three or four columns over so many weekdays."""
    rng = np.random.default_rng(seed)
    columns = [column(rng, time) for _ in range(int(rng.integers(3, 5)))]
    shut = rng.random(time) < 0.02  # no market has a bar
    told = {name: np.stack([one[name] for one in columns], axis=1) for name in columns[0]}
    open_ = ~(shut[:, None] & ~told["roll"])
    for name in ("mark", "open", "high", "low", "close", "settle"):
        told[name] = np.where(open_, told[name], np.nan)
    rate = np.where(np.arange(time) < time // 2, 0.04, -0.01)
    return small_runs.market(told.pop("mark"), rate=rate, **told)


def column(rng, time):
    """Arrays (time,) of one market, in ticks so that most sums are exact."""
    tick = float(rng.choice([0.25, 0.01, 1.0]))
    path = np.cumsum(rng.integers(-9, 10, time) + np.repeat(rng.integers(-2, 3, time // 30 + 1), 30)[:time])
    series = tick * (path + float(rng.choice([20, 400, 3000])))
    roll, closed, step = np.zeros(time, bool), np.zeros(time, bool), np.zeros(time)
    t = int(rng.integers(5, 40))
    while t < time - 1:
        ends = rng.random() < 0.2
        closed[t], roll[t] = ends, not ends
        step[t] = 0.0 if ends else tick * rng.integers(-30, 31)
        t += int(rng.integers(8, 45))
    offset = np.concatenate([[0.0], np.cumsum(step)[:-1]])
    mark = series - offset
    to = np.where(roll, mark - step, np.nan)
    out = {"mark": mark, "offset": offset, "roll": roll, "closed": closed, "roll_to": to}
    out |= {"roll_from": np.where(roll, mark, np.nan), "tick": np.full(time, tick)}
    beside = tick * rng.integers(-3, 4, (2, time)) * (rng.random() < 0.6)
    out |= {"roll_from_fill": out["roll_from"] + beside[0], "roll_to_fill": to + beside[1]}
    out |= bars(rng, mark, tick)
    holiday = (rng.random(time) < 0.06) & ~roll
    for name in ("mark", "open", "high", "low", "close", "settle"):
        out[name] = np.where(holiday, np.nan, out[name])
    out["open"] = np.where(rng.random(time) < 0.04, np.nan, out["open"])
    available = np.ones(time, bool)
    begin = int(rng.integers(0, time // 2))
    available[begin : begin + int(rng.integers(5, 40))] = False
    contract = 202401 + np.cumsum(np.concatenate([[0], roll[:-1] | closed[:-1]]))
    worth = float(rng.choice([5.0, 50.0])) / tick
    fx = np.exp(np.cumsum(rng.normal(0.0, 0.01, time))) if rng.random() < 0.6 else np.ones(time)
    initial = worth * tick * rng.uniform(15.0, 40.0) * np.where(np.arange(time) < time // 3, 1.0, 1.4)
    if rng.random() < 0.4:
        initial[: time // 4] = np.nan  # it is estimated
    return out | {
        "available": available, "contract": contract, "roll_contract": np.where(roll, contract + 1, 0),
        "multiplier": np.full(time, worth), "fx": fx, "initial_margin": initial, "maintenance_margin": 0.9 * initial,
    }  # fmt: skip


def bars(rng, mark, tick):
    """Open, high, low, close and settlement; some bars stand at one price, as at a limit."""
    first, last = (mark + tick * rng.integers(-4, 5, len(mark)) for _ in range(2))
    one = rng.random(len(mark)) < 0.05
    first, last = np.where(one, mark, first), np.where(one, mark, last)
    reach = tick * rng.integers(1, 5, len(mark)) * ~one
    high, low = np.maximum(np.maximum(first, last), mark) + reach, np.minimum(np.minimum(first, last), mark) - reach
    return {"open": first, "high": high, "low": low, "close": last, "settle": mark}


def portfolio(seed, capital=1e9):
    """A portfolio for such a market, and values of the params of its strategy: (portfolio, values)."""
    rng = np.random.default_rng([seed, 1])
    name = list(STRATEGIES)[seed % 3] if seed % 11 else "turn_of_month"
    sizing = SIZES[seed % len(SIZES)]
    follows = "volatility" in sizing or "share" in sizing or "risk" in sizing
    compounding = "false" if follows or rng.random() < 0.5 else "true"
    start = "start = 2024-02-20" if rng.random() < 0.4 else ""
    own = "start = 2024-04-01\nstop = 2025-01-15" if rng.random() < 0.3 else ""
    rounding = "fractional" if rng.random() < 0.3 else "toward_zero"
    made = Portfolio.from_toml(
        f"[portfolio]\ncapital = {capital}\ncompounding = {compounding}\n{start}\n"
        f"[[strategies]]\nname = '{name}'\nweight = {rng.choice([1.0, 0.7])}\n{own}\n"
        f"[sizing]\n{sizing}\nrounding = '{rounding}'\n"
        f"[execution]\nfill = '{rng.choice(['open', 'open', 'close', 'settle', 'same_close'])}'\nlocked = 'flat'\n"
        f"[cash]\n{CASH[int(rng.integers(0, len(CASH)))]}\n[margin]\nhouse = 1.2\n"
        f"[costs]\ncommission_per_side = 2.3\nslippage_ticks = {rng.choice([0.0, 0.5, 1.0])}\n"
    )
    values = {key: rng.integers(low, high + 1, 10) for key, (low, high) in STRATEGIES[name].items()}
    return made, values


def other_future(whole, t):
    """The same market with other prices on all bars after t; its calendar, facts and holidays are as they were."""
    noise = np.random.default_rng(t).normal(0.0, 40.0, whole.mark.shape)
    noise[: t + 1] = 0.0
    moved = ("open", "high", "low", "close", "settle", "mark", "roll_from", "roll_to", "roll_from_fill", "roll_to_fill")
    return replace(whole, **{name: getattr(whole, name) + noise * whole.tick for name in moved})
