"""A run made of numbers alone: what the app reads of a `RunResult`, without an engine behind it.

24 markets, 12 years of days, about 3,000 strategy trades and 150,000 ledger rows, the same at every call. The parts add
up as in a real run: the ledger sums to the equity change, and a trade's net is the sum of its ledger rows, but for
`fx`, which is of no trade.
"""

from functools import cached_property
from types import SimpleNamespace

import numpy as np
import polars as pl

from engine.portfolio import Portfolio, Sleeve
from engine.result import RunResult
from engine.strategies import STRATEGIES

SECTORS = {
    "Equities": "MES NQ FESX",
    "Rates": "ZN ZB FGBL",
    "Currencies": "6E 6J 6B",
    "Energy": "CL NG RB",
    "Metals": "GC SI HG",
    "Grains": "ZC ZS ZW",
    "Softs": "KC SB CT",
    "Livestock": "LE HE GF",
}


KINDS = {"": pl.String, "date": pl.Date, "number": pl.Float64, "whole": pl.Int32, "flag": pl.Boolean}
TRADE = (
    "root market sector direction contracts:number entry_day:date exit_day:date entry_contract:whole"
    " exit_contract:whole entry_price:number exit_price:number rolls:whole bars:whole gross:number costs:number"
    " net:number entry_reason exit_reason risk:number ambiguous:whole open:flag"
)
LEG = (
    "root market contract:whole direction contracts:number entry_day:date exit_day:date entry_price:number"
    " exit_price:number gross:number costs:number net:number exit_reason"
)
FILL = (
    "day:date strategy root market contract:whole kind contracts:number price:number shown:number slippage:number"
    " impact:number commission:number"
)
STRATEGY = "moving_average_cross"
HELD = "day:date root market contract:whole contracts:number mark:number notional:number margin:number"


def frame(rows, columns):
    """A frame of rows whose columns are told as `name:kind`."""
    parts = [column.partition(":") for column in columns.split()]
    return pl.DataFrame(rows, schema={name: KINDS[kind] for name, _, kind in parts}, orient="row")


class SyntheticRun:
    """What `engine.result.RunResult` offers, drawn from a seeded generator."""

    strategy = pl.lit(STRATEGY)  # of a row of any table

    archive = None

    def __init__(self, years=12, seed=7, simulated=True, name="trend", sectors=SECTORS, paid=None):
        self.id = f"{seed:016x}"
        self.name, self.note, self.simulated = name, "made for tests", simulated
        self.years, self.seed, self.paid = years, seed, paid or {}  # number of a day -> money paid in on it
        self.market = [(root, sector) for sector, roots in sectors.items() for root in roots.split()]
        call = {"day": "2020-03-09", "root": "CL", "kind": "margin call", "wanted": 1200.5, "allowed": None}
        self.first_events = [call]
        self.portfolio = SimpleNamespace(
            name=name,
            capital=10_000_000.0,
            currency="USD",
            to_toml=lambda: '[portfolio]\nname = "trend"\ncapital = 1e7\n',
        )

    @cached_property
    def days(self):
        first = np.datetime64("2012-01-03")
        every = np.arange(first, first + np.timedelta64(int(self.years * 365.25), "D"))
        return every[np.is_busday(every)]

    @cached_property
    def parts(self):
        """Everything, market by market: (trades, contract trades, positions, ledger), as lists of columns."""
        rng = np.random.default_rng(self.seed)
        trades, legs, positions, ledger = [], [], [], []
        for root, sector in self.market:
            self._market(rng, root, sector, trades, legs, positions, ledger)
        return trades, legs, positions, ledger

    def _market(self, rng, root, sector, trades, legs, positions, ledger):
        days, count = self.days.astype(object), len(self.days)
        change = rng.standard_t(4, count) * 0.6 + 0.02 * np.sin(np.arange(count) / 90)
        price = 100.0 + np.cumsum(change)
        point = 1000.0
        t = int(rng.integers(20, 60))
        while t < count - 5:
            length = int(rng.integers(4, 40))
            side = 1 if change[t + 1 : t + length].sum() + rng.normal() * 25.0 > 0.0 else -1
            size = side * int(rng.integers(2, 40))
            last = min(t + length, count - 1)
            open_ = t + length > count - 1
            amount = size * change[t : last + 1] * point
            costs = np.zeros(last - t + 1)
            costs[0] = costs[-1] = -abs(size) * 14.0
            if open_:
                costs[-1] = 0.0
            for k in range(t, last + 1):
                ledger.append((days[k], root, root, "price", amount[k - t]))
                ledger.append((days[k], root, root, "fx", 1e-4 * amount[k - t]))
                if costs[k - t]:
                    ledger.append((days[k], root, root, "slippage", costs[k - t] * 0.8))
                    ledger.append((days[k], root, root, "commission", costs[k - t] * 0.2))
                if k < last or open_:
                    value = size * price[k] * point
                    positions.append((days[k], root, root, 202403, float(size), price[k], value, abs(value) * 0.03))
            gross, cost = float(amount.sum()), float(costs.sum())
            row = ("long" if side > 0 else "short", float(abs(size)), days[t], None if open_ else days[last])
            prices = (price[t], price[last])
            reason = "open" if open_ else str(rng.choice(["signal", "signal", "signal", "stop", "margin"]))
            ends = (gross, cost, gross + cost, "market", reason, None, 0, open_)
            trades.append((root, root, sector, *row, 202403, 202406, *prices, 1, last - t + 1, *ends))
            legs.append((root, root, 202403, *row, *prices, gross, cost, gross + cost, reason))
            t = last + int(rng.integers(0, 5))  # 0: the next trade begins on the day on which this one ends

    def trades(self):
        rows = frame(self.parts[0], TRADE).sort("entry_day", "root").with_row_index("trade", offset=1)
        return rows.with_columns(self.strategy.alias("strategy"))

    def contract_trades(self):
        rows = frame(self.parts[1], LEG).with_row_index("trade", offset=1)
        return rows.with_columns(self.strategy.alias("strategy"))

    def positions(self):
        rows = frame(self.parts[2], HELD).sort("day", "root")
        return rows.with_columns(self.strategy.alias("strategy"))

    def ledger(self):
        rows = frame(self.parts[3], "day:date root market cause amount:number")
        rows = rows.with_columns(self.strategy.alias("strategy"))
        own = pl.DataFrame({"day": self.days[::5], "cause": "interest", "amount": 350.0})
        paid = pl.DataFrame(
            {"day": self.days[list(self.paid)], "cause": "transfer", "amount": list(self.paid.values())}
        )
        account = pl.concat([own, paid] if self.paid else [own]).with_columns(
            pl.lit("").alias("root"), pl.lit("").alias("market"), pl.lit("").alias("strategy")
        )
        return pl.concat([rows, account.select(rows.columns)]).sort("day", "root")

    def fills(self):
        """One at each entry and one at each exit of the trades."""
        rows = []
        for root, market, _, side, size, begun, ended, contract, last, *prices in (row[:11] for row in self.parts[0]):
            sign = 1.0 if side == "long" else -1.0
            ends = ((begun, contract, sign * size, prices[0]), (ended, last, -sign * size, prices[1]))
            for day, number, contracts, price in ends[: 1 if ended is None else 2]:
                costs = (-size * 14.0 * 0.8, 0.0, -size * 14.0 * 0.2)
                rows.append((day, STRATEGY, root, market, number, "market", contracts, price, price, *costs))
        return frame(rows, FILL).sort("day", maintain_order=True)

    def sleeves(self):
        return self.equity()[1:].select("day", pl.lit("account").alias("sleeve"), "equity")

    def event_groups(self):
        return [{"kind": "margin call", "market": "CL", "count": 1, "first": "2020-03-09", "last": "2020-03-09"}]

    def events(self):
        told = ("root", "kind", "wanted", "allowed")
        rows = [(np.datetime64(e["day"]).item(), *(e[name] for name in told)) for e in self.first_events]
        return frame(rows, "day:date market kind wanted:number allowed:number")

    def equity(self):
        daily = self.ledger().group_by("day").agg(pl.col("amount").sum())
        margin = self.positions().group_by("day").agg(pl.col("margin").sum())
        frame = pl.DataFrame({"day": self.days}).join(daily, on="day", how="left").join(margin, on="day", how="left")
        profit, held = frame["amount"].fill_null(0.0).to_numpy(), frame["margin"].fill_null(0.0).to_numpy()
        equity = np.concatenate([[1e7], 1e7 + np.cumsum(profit)])
        held = np.concatenate([[0.0], held])
        days = np.concatenate([self.days[:1] - np.timedelta64(1, "D"), self.days])
        peak = np.maximum.accumulate(equity)
        return pl.DataFrame(
            {"day": days, "equity": equity, "cash": equity, "margin": held, "drawdown": equity / peak - 1.0}
        )

    def metrics(self):
        return {"turnover": 41.7, "cost_share": 0.083, "var_95": 0.0141, "cvar_95": 0.021, "time_in_market": 0.98,
                "max_drawdown_days": 612.0}  # fmt: skip

    @cached_property
    def summary(self):
        names = ("data", "rolls", "portfolio", "code", "result")
        return {
            "run": self.id,
            "portfolio": self.name,
            "markets": [root for root, _ in self.market],
            "simulated": self.simulated,
            "start": str(self.days[0]),
            "end": str(self.days[-1]),
            "metrics": self.metrics(),
            "identity_residual": 3.1e-9,
            "stamps": [],
            "margin_days": {"exchange": 1200, "broker": 0, "estimate": 34},
            "ambiguous": {"bars": 0, "trades": 0, "share": 0.0, "policies": {}},
            "break_even_ticks": {"moving_average_cross": 1.5},
            "smallest_account": {"MES": 20_000.0},
            "smallest_account_day": {"MES": "2024-12-31"},
            "events": {"margin call": 1},
            "hashes": {name: letter * 64 for name, letter in zip(names, "abcde", strict=True)},
            "seconds": {"load": 0.41, "simulate": 0.02, "analyse": 0.1, "total": 0.53},
        }


class EmptyRun(SyntheticRun):
    """A run in which nothing was ever traded."""

    def _market(self, rng, root, sector, trades, legs, positions, ledger):
        return


def stored(archive, run):
    """Save a synthetic run as the engine would; returns its id."""
    doors = ("equity", "trades", "contract_trades", "positions", "ledger", "fills", "sleeves")
    tables = {name: getattr(run, name)() for name in doors} | {"events": run.events()}
    portfolio = Portfolio(
        name=run.name,
        capital=1e7,
        strategies=[Sleeve(strategy=STRATEGIES["moving_average_cross"](fast=20, slow=100))],
    )
    summary = run.summary | {"identity_holds": True, "notes": ["prices are simulated"] if run.simulated else []}
    RunResult(summary, portfolio, run.first_events, tables, {"note": run.note}).save(archive)
    return run.id
