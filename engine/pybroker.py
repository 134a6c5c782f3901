"""A result of PyBroker as a run: its tables and numbers by our definitions, to stand beside our own runs.

1. Taken as told: the account's market value, orders with their fees, positions bar by bar. A market's profit of a day
   is what its position is worth less what was paid for it, at the price before PyBroker's own slippage; slippage is
   the rest of the fill price, commission its fees.
2. Trades are told as ours: flat to flat, by the orders; PyBroker counts each entry by itself.
3. What is left of the change of equity is the account's, under the cause `untold`: rounding, or interest.
4. What PyBroker does not know is null: contracts, rolls, margin of a future, risk. There is no identity to look at.
"""

import hashlib
import json
from datetime import timedelta
from importlib.metadata import version

import numpy as np
import polars as pl

from engine.metrics import summary
from engine.ratios import period_returns
from engine.result import Elsewhere, RunResult
from engine.tables import ACCOUNT

UNTOLD = "untold"  # cause of what no order and no position explains
ROUNDING = 1e-9  # of the largest equity: less than this is no cent [1]
FILLED = {
    "market": "market", "limit": "limit", "stop_loss": "protective stop", "stop_trailing": "trailing stop",
    "stop_profit": "target", "stop_bar": "time exit",
}  # fmt: skip  # PyBroker's order_type, as our kinds of fill
ENDED = {"stop_loss": "stop", "stop_trailing": "trailing stop", "stop_profit": "target", "stop_bar": "time"}
NAMED = {"strategy": pl.String, "root": pl.String, "market": pl.String}
SCHEMAS = {
    "equity": {"day": pl.Date, **dict.fromkeys(("equity", "cash", "margin", "drawdown"), pl.Float64)},
    "trades": {
        "trade": pl.Int64, **NAMED, "sector": pl.String, "direction": pl.String, "contracts": pl.Float64,
        "entry_day": pl.Date, "exit_day": pl.Date, "entry_contract": pl.Int32, "exit_contract": pl.Int32,
        "entry_price": pl.Float64, "exit_price": pl.Float64, "rolls": pl.Int32, "bars": pl.Int32, "gross": pl.Float64,
        "costs": pl.Float64, "net": pl.Float64, "entry_reason": pl.String, "exit_reason": pl.String,
        "risk": pl.Float64, "ambiguous": pl.Int32, "open": pl.Boolean,
    },
    "contract_trades": {
        "trade": pl.Int64, **NAMED, "contract": pl.Int32, "direction": pl.String, "entry_day": pl.Date,
        "exit_day": pl.Date, "net": pl.Float64,
    },
    "positions": {
        "day": pl.Date, **NAMED, "contract": pl.Int32,
        **dict.fromkeys(("contracts", "mark", "notional", "margin"), pl.Float64),
    },
    "ledger": {"day": pl.Date, **NAMED, "cause": pl.String, "amount": pl.Float64},
    "fills": {
        "day": pl.Date, **NAMED, "contract": pl.Int32, "kind": pl.String,
        **dict.fromkeys(("contracts", "price", "shown", "slippage", "impact", "commission"), pl.Float64),
    },
    "sleeves": {"day": pl.Date, "sleeve": pl.String, "equity": pl.Float64},
    "events": {"day": pl.Date, **NAMED, "kind": pl.String, "wanted": pl.Float64, "allowed": pl.Float64},
}  # fmt: skip


class NotImported(ValueError):
    """A result that tells too little; the message says what to ask PyBroker for."""


def run_of(result, name, source=None, currency="USD", strategy="pybroker", note=""):
    """A result of PyBroker as a run that can be saved, listed, shown and reported beside ours.

    Parameters
    ----------
    result : pybroker.TestResult
        Of a strategy with `StrategyConfig(record_position_bars=True, round_test_result=False)`: without the first it
        does not tell what a market earned on which day, without the second all its prices are cut to cents.
    name : str
        What the run is called, as a portfolio is.
    source : data source, optional
        The one of `store.pybroker_source` that the prices came from: what it tells of them goes into the run.
    currency : str
        Of the account; PyBroker knows none.
    strategy : str
        What its trades go by.
    note : str

    Returns
    -------
    RunResult
        Not saved yet: `run.save(archive)` does. Its id is the hash of its numbers and of these arguments.

    Raises
    ------
    NotImported
        The result has no bar, or orders and no positions.
    """
    told = _Told(result)
    series = dict(getattr(source, "told", {}))
    program = f"pybroker {version('lib-pybroker')}"
    label = _labels(told.symbols, series, strategy)
    trades = [trade for s in range(len(told.symbols)) for trade in _episodes(told, s)]
    tables = {
        "equity": _equity(told),
        "trades": _trades(told, trades, label, series),
        "contract_trades": [],
        "positions": _positions(told, label),
        "ledger": _ledger(told, label),
        "fills": _fills(told, label),
        "sleeves": [{"day": day, "sleeve": "account", "equity": told.equity[t]} for t, day in enumerate(told.dates)],
        "events": [],
    }
    frames = {table: pl.DataFrame(rows, SCHEMAS[table], orient="row") for table, rows in tables.items()}
    hashes = {"result": _hash([frame.write_csv() for frame in frames.values()])}
    ledger = dict(frames["ledger"].group_by("cause", maintain_order=True).agg(pl.col("amount").sum()).rows())
    document = {
        "run": _hash([name, currency, strategy, program, series, hashes])[:12],
        "portfolio": name,
        "program": program,
        "series": series,
        "capital": told.capital,
        "currency": currency,
        "markets": list(told.symbols),
        "start": str(told.days[0]),
        "end": str(told.days[-1]),
        "simulated": any(one["simulated"] for one in series.values()),
        "metrics": _metrics(told, trades),
        "identity_residual": None,
        "identity_holds": None,
        "ledger": ledger,
        "data": {s: {key: one[key] for key in ("source", "proxy", "proxy_days")} for s, one in series.items()},
        "notes": list(_notes(told, series, currency, program)),
        "hashes": hashes,
        "seconds": {},
    }
    if source is not None:
        document["snapshot"] = {"number": source.snapshot.number, "hash": source.snapshot.hash}
    return RunResult(document, Elsewhere(name, told.capital, currency, program), [], frames, {"note": note})


class _Told:
    """What a result tells, as arrays: days (T,), symbols (S,), fills (F,), values and prices (T, S)."""

    def __init__(self, result):
        parts = [getattr(result, name, None) for name in ("portfolio", "orders", "positions")]
        if any(part is None for part in parts):
            raise NotImported(f"{type(result).__name__} is no result of PyBroker: it has no portfolio and orders")
        bars, orders, positions = parts
        if not len(bars):
            raise NotImported("the result has no bar: a backtest that only trained leaves none")
        if len(orders) and not len(positions):
            raise NotImported(
                "the result has orders and no positions, so nobody can say what a market earned on which day: run it "
                "with StrategyConfig(record_position_bars=True, round_test_result=False)"
            )
        time = _days(bars.index)
        last = np.append(time[1:] != time[:-1], True)  # of several bars a day the last
        value = _numbers(bars["market_value"])
        self.capital = float(value[0])  # nothing can be filled on the first bar
        self.days, self.equity, self.cash = time[last], value[last], _numbers(bars["cash"])[last]
        self.dates = self.days.tolist()
        self.symbols = tuple(sorted(set(result.symbols) or set(orders["symbol"])))
        self._orders(orders)
        self._positions(positions)

    def _orders(self, orders):
        buy = np.array(orders["type"] == "buy", bool)
        self.row = np.searchsorted(self.days, _days(orders["date"]))
        self.symbol = np.searchsorted(self.symbols, np.array(orders["symbol"], str)) if len(orders) else self.row
        self.signed = _numbers(orders["shares"]) * np.where(buy, 1.0, -1.0)
        self.price, self.shown, self.fee = (_numbers(orders[name]) for name in ("market_price", "fill_price", "fees"))
        self.kind = list(orders["order_type"])
        self.signalled = [value == value and value is not None for value in orders["created"]]  # nat is not itself

    def _positions(self, positions):
        shape = len(self.days), len(self.symbols)
        after = np.zeros(shape)
        np.add.at(after, (self.row, self.symbol), self.signed)
        self.held = after.cumsum(axis=0)
        self.held[np.abs(self.held) < ROUNDING] = 0.0
        close = np.full(shape, np.nan)
        if len(positions):
            names, times = (positions.index.get_level_values(level) for level in ("symbol", "date"))
            close[np.searchsorted(self.days, _days(times)), np.searchsorted(self.symbols, np.array(names, str))] = (
                _numbers(positions["close"])
            )
        seen = np.maximum.accumulate(np.where(np.isnan(close), 0, np.arange(shape[0])[:, None]), axis=0)
        self.close = np.take_along_axis(close, seen, axis=0)  # of a day without a bar: that of the bar before
        value = np.where(self.held == 0.0, 0.0, self.held * self.close)
        paid, moved = np.zeros(shape), np.diff(value, axis=0, prepend=0.0)
        np.add.at(paid, (self.row, self.symbol), self.signed * self.price)
        self.profit = moved - paid
        self.value = value

    @property
    def slippage(self):
        """Of each fill. [account currency, negative where it cost]"""
        return -self.signed * (self.shown - self.price)


def _episodes(told, s):
    """Trades of a symbol, flat to flat: dicts. An order through zero ends one and begins the next."""
    held, now, out = 0.0, None, []
    for k in np.flatnonzero(told.symbol == s):
        left = told.signed[k]
        while abs(left) > ROUNDING:
            if now is None:
                now = {"symbol": s, "side": np.sign(left), "entry": told.row[k], "entry_price": told.price[k],
                       "begun": FILLED.get(told.kind[k]), "size": 0.0, "gross": 0.0, "costs": 0.0}  # fmt: skip
                out.append(now)
            part = left if left * now["side"] > 0 else now["side"] * -min(abs(left), abs(held))
            share = part / told.signed[k]
            now["gross"] -= part * told.price[k]
            now["costs"] += share * (told.slippage[k] - told.fee[k])
            held, left = held + part, left - part
            now["size"] = max(now["size"], abs(held))
            if abs(held) < ROUNDING:
                why = ENDED.get(told.kind[k]) or ("signal" if told.signalled[k] else None)
                now |= {"exit": told.row[k], "exit_price": told.price[k], "why": why}
                held, now = 0.0, None
    if now is not None:
        mark = told.close[-1, s]
        now["gross"] += held * mark
        now |= {"exit": len(told.days) - 1, "exit_price": mark, "why": "open"}
    return out


def _labels(symbols, series, strategy):
    """strategy, root and market of each symbol."""
    return [{"strategy": strategy, "root": series.get(s, {}).get("root", s), "market": s} for s in symbols]


def _equity(told):
    equity = np.append(told.capital, told.equity)
    days = [told.dates[0] - timedelta(days=1), *told.dates]
    drawdown = equity / np.maximum.accumulate(equity) - 1.0
    cash = [told.capital, *told.cash.tolist()]
    rows = zip(days, equity.tolist(), cash, drawdown.tolist(), strict=True)
    return [{"day": day, "equity": e, "cash": c, "drawdown": d} for day, e, c, d in rows]


def _trades(told, trades, label, series):
    rows = [
        {
            **label[one["symbol"]],
            "sector": series.get(told.symbols[one["symbol"]], {}).get("sector"),
            "direction": "long" if one["side"] > 0 else "short",
            "contracts": one["size"], "entry_day": told.dates[one["entry"]], "exit_day": told.dates[one["exit"]],
            "entry_price": one["entry_price"], "exit_price": one["exit_price"], "bars": one["exit"] - one["entry"],
            "gross": one["gross"], "costs": one["costs"], "net": one["gross"] + one["costs"],
            "entry_reason": one["begun"], "exit_reason": one["why"], "open": one["why"] == "open",
        }
        for one in trades
    ]  # fmt: skip
    rows.sort(key=lambda row: (row["entry_day"], row["market"]))
    return [{"trade": n} | row for n, row in enumerate(rows, 1)]


def _positions(told, label):
    return [
        {"day": told.dates[t], **label[s], "contracts": told.held[t, s], "mark": told.close[t, s],
         "notional": told.value[t, s]}
        for t, s in np.argwhere(told.held != 0.0)
    ]  # fmt: skip


def _ledger(told, label):
    """Price by day and symbol, slippage and fees by fill, and what is left."""
    shape = told.profit.shape
    causes = {"price": told.profit, "slippage": np.zeros(shape), "commission": np.zeros(shape)}
    np.add.at(causes["slippage"], (told.row, told.symbol), told.slippage)
    np.add.at(causes["commission"], (told.row, told.symbol), -told.fee)
    rows = [
        {"day": told.dates[t], **label[s], "cause": cause, "amount": amount[t, s]}
        for cause, amount in causes.items()
        for t, s in np.argwhere(amount != 0.0)
    ]
    account = dict.fromkeys(NAMED, ACCOUNT)
    left = _untold(told)
    rows += [{"day": told.dates[t], **account, "cause": UNTOLD, "amount": left[t]} for t in np.flatnonzero(left)]
    return sorted(rows, key=lambda row: row["day"])


def _untold(told):
    """What no order and no position explains, by day; rounding of floats is nothing."""
    explained = told.profit.sum(axis=1)
    np.add.at(explained, told.row, told.slippage - told.fee)
    left = np.diff(told.equity, prepend=told.capital) - explained
    return np.where(np.abs(left) > ROUNDING * np.abs(told.equity).max(), left, 0.0)


def _fills(told, label):
    return [
        {"day": told.dates[told.row[k]], **label[told.symbol[k]], "kind": FILLED.get(told.kind[k]),
         "contracts": told.signed[k], "price": told.price[k], "shown": told.shown[k], "slippage": told.slippage[k],
         "commission": -told.fee[k]}
        for k in range(len(told.row))
    ]  # fmt: skip


def _metrics(told, trades):
    equity = np.append(told.capital, told.equity)
    return summary(
        period_returns(equity),
        np.append(told.days[:1] - 1, told.days),
        equity,
        np.array([one["gross"] + one["costs"] for one in trades]),
        notional=float(np.abs(told.signed * told.price).sum()),
        costs=float((told.fee - told.slippage).sum()),
        line_gross=told.profit.sum(axis=0),
        contracts=told.held,
    )


def _notes(told, series, currency, program):
    """What a reader must know of such a run."""
    yield f"imported from {program}: contracts, rolls, margin and interest are not known"
    left = _untold(told)
    if left.any():
        yield (
            f"{left.sum():,.2f} {currency} of the change of equity stands in no order and no position ({UNTOLD}): "
            "PyBroker's rounding (round_test_result), or its interest"
        )
    if not series:
        yield "where the prices came from, and whether they are simulated, is not told"
    for symbol, one in series.items():
        if one["prices"] == "points":
            yield f"{symbol}: traded in points, without the contract's multiplier"
        if one["currency"] not in (None, currency):
            yield f"{symbol}: priced in {one['currency']}, which PyBroker added up as {currency}"
        if one["left_out"]:
            yield f"{symbol}: {one['left_out']} days without an open, high or low were left out"


def _days(values):
    """Dates of pandas, of any resolution, as datetime64[D]."""
    return np.asarray(values, "datetime64[ns]").astype("datetime64[D]")


def _numbers(column):
    """A column of numbers or decimals as floats."""
    return np.asarray(column, float)


def _hash(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
