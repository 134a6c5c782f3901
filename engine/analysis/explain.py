"""A trade explained, number by number: what was known, what was asked, what was filled, earned and paid.

The column `amount` sums to the trade's net, to the cent: every row with one is made of prices of contracts, by the
formula that stands beside it (`engine.analysis.steps`); no amount is read from the ledger. Rows without an amount say
what led to it.
"""

import numpy as np
import polars as pl

from engine.analysis.steps import FILL, FORMULAS, Steps
from engine.ratios import YEAR

CENT = 0.005  # half of one [account currency]
EXPLAINED = {
    "step": pl.Int64,
    "day": pl.Date,
    "what": pl.String,
    "cause": pl.String,  # of the ledger; null of a row without an amount
    "contract": pl.Int32,  # YYYYMM
    "contracts": pl.Float64,  # signed; of costs those that paid
    "from_price": pl.Float64,  # of the contract, of roll_gap a spread [points]
    "to_price": pl.Float64,
    "adjusted": pl.Float64,  # to_price in the frame that strategies read [adjusted points]
    "multiplier": pl.Float64,  # [local currency / point]
    "fx": pl.Float64,  # [account currency / local currency]
    "rate": pl.Float64,  # of costs, of one contract [account currency]
    "value": pl.Float64,  # of a row without an amount
    "amount": pl.Float64,  # [account currency]
    "formula": pl.String,  # in words
}


class TradeUnknown(ValueError):
    """A number that is no trade of the run."""


def explain(run, given, trade):
    """One trade as a table that an auditor can follow.

    Parameters
    ----------
    run : RunResult
    given : Given
        Of `engine.analysis.source.given_of_run`.
    trade : int
        Its number in `run.trades()`.

    Returns
    -------
    polars.DataFrame
        `EXPLAINED`: what was decided, ordered and filled, each day's variation margin, each leg of a roll, all costs,
        why it ended. `amount` sums to the net of the trade. Of bars within the day, what was earned in a foreign
        currency before the day's last bar was exchanged at the rate of the day before; how much that was is not kept,
        and the difference is a row of its own, `rest`.

    Raises
    ------
    TradeUnknown
    """
    trades = run.trades()
    found = trades.filter(pl.col("trade") == trade)
    if not len(found):
        raise TradeUnknown(
            f"run {run.id} has no trade {trade}; allowed: 1 to {len(trades)} (column `trade` of its trades)"
        )
    if "line" not in trades.columns:
        raise TradeUnknown(f"run {run.id} is of a version that did not number lines; run it again with --force")
    told = _Told(run, given, found.row(0, named=True))
    rows = [*told.decision(), *told.caps(), *told.order(), *told.money(), *told.end()]
    frame = pl.DataFrame(rows, schema={name: kind for name, kind in EXPLAINED.items() if name != "step"})
    return frame.with_row_index("step", offset=1).cast(EXPLAINED).with_columns(pl.col(pl.Float64).fill_nan(None))


class _Told:
    """Rows on one trade."""

    def __init__(self, run, given, trade):
        self.run, self.given, self.trade = run, given, trade
        self.inputs, self.market = given.inputs, given.inputs.market
        self.line = trade["line"]
        self.member, self.m = (int(x[self.line]) for x in (self.lines.member, self.lines.instrument))
        days = self.market.days.astype("datetime64[D]")
        self.entry, self.exit = (int(np.searchsorted(days, np.datetime64(trade[x]))) for x in ("entry_day", "exit_day"))
        self.days = days

    @property
    def lines(self):
        """Of the run."""
        return self.inputs.layout.lines

    def row(self, t, what, value=None, formula=None, **more):
        """A row without an amount."""
        return {"day": self.days[t].item(), "what": what, "value": value, "formula": formula} | more

    def _price(self, t):
        """The row's price in both frames."""
        mark = self.market.mark[t, self.m]
        return {"to_price": mark, "adjusted": mark + self.market.offset[t, self.m], "contract": self._contract(t)}

    def _contract(self, t):
        return int(self.market.contract[t, self.m])

    def decision(self):
        """Signal, capital and size as they were known on the evening before the entry."""
        t, wishes, sizing = max(self.entry - 1, 0), self.inputs.wishes, self.run.portfolio.sizing
        label, name = self.inputs.layout.labels[self.line][0], self.inputs.layout.names[self.member]
        yield self.row(
            t, "signal", self.given.forecast[t, self.member],
            f"forecast of {label} for {name}, of adjusted prices up to this day; 1 is the usual long", **self._price(t),
        )  # fmt: skip
        base, how = self._capital(t)
        yield self.row(t, "capital", base, how)
        market, m = self.market, self.m
        facts = {"multiplier": market.multiplier[t, m], "fx": market.fx[t, m]}
        risk = self.given.risk[t, self.line]
        if not np.isnan(risk):
            text = f"daily volatility of the adjusted price over {sizing.span:g} bars x multiplier x fx"
            yield self.row(t, "risk of a contract a day", risk, text, **facts)
        usual, weight = wishes.usual[t, self.member] * base, wishes.weight[t, self.member] * base
        rule = ", ".join(f"{key} {value}" for key, value in sorted(sizing.param.values().items()) if key != "name")
        yield self.row(t, "size at a forecast of 1", usual, f"{type(sizing).__name__}: {rule}; contracts or units")
        if not np.isnan(risk) and base > 0.0:
            swing = abs(usual) * risk * np.sqrt(YEAR) / base
            text = f"size x risk of a contract x root of {YEAR} / capital: what of the target this market has"
            yield self.row(t, "volatility a year of that size", swing, text)
        yield self.row(t, "size wanted", weight, "by the signal, before the buffer, whole contracts and limits")
        if sizing.buffer > 0.0:
            yield self.row(t, "buffer", sizing.buffer * abs(usual), "within it nothing is traded; contracts or units")

    def _capital(self, t):
        account, portfolio = self.inputs.account, self.run.portfolio
        if not account.per_capital or self.inputs.wishes.contracts[self.member]:
            return 1.0, "1: sizes do not follow the capital"
        number = int(self.lines.sleeve[self.line])
        if not account.compounding:
            return float(self.inputs.sleeves.capital[number]), "starting capital: sizes do not compound"
        sleeves = self.run.sleeves()
        count = sleeves["sleeve"].n_unique()
        name = "account" if count == 1 else portfolio.labels()[number]
        return max(float(sleeves["equity"][t * count + number]), 0.0), f"equity of {name} at the close of this day"

    def caps(self):
        """What cut it, from the evening before the entry to the exit."""
        events = self.run.events()
        if "line" not in events.columns:
            return
        first, last = (self.days[t].item() for t in (max(self.entry - 1, 0), self.exit))
        mine = pl.col("line").is_in([self.line, -1]) & pl.col("day").is_between(first, last)
        for event in events.filter(mine).iter_rows(named=True):
            t = int(np.searchsorted(self.days, np.datetime64(event["day"])))
            of = "of the account [account currency]" if event["line"] < 0 else "contracts"
            text = f"wanted {_number(event['wanted'])}, allowed {_number(event['allowed'])}, {of}"
            yield self.row(t, f"event: {event['kind']}", event["allowed"], text)

    def order(self):
        """The order that began it, in both frames, and the fill."""
        trade, orders, t = self.trade, self.inputs.orders, max(self.entry - 1, 0)
        kind = trade["entry_reason"]
        if kind in ("limit", "stop", "stop limit") and orders is not None:
            asked = orders.price[t, self.member]
            offset = self.market.offset[self.entry, self.m]
            yield self.row(
                t, f"order: {kind}", asked, "price asked: adjusted, and less the day's offset in the contract",
                to_price=asked - offset, adjusted=asked, contract=self._contract(self.entry),
            )  # fmt: skip
        else:
            yield self.row(t, f"order: {kind}", None, "target less what is held, at the next bar")
        if trade["risk"] is not None:
            yield self.row(
                self.entry, "risk at the entry", trade["risk"], "from the fill to the stop [account currency]"
            )

    def money(self):
        """Every amount of it, from contract prices."""
        steps = Steps(self.run, self.inputs)
        number = int((self.run.trades().filter(pl.col("line") == self.line)["trade"] < self.trade["trade"]).sum())
        total = 0.0
        for step in steps.of(self.line, self.entry, self.exit):
            if step.trade == number:
                total += step.amount
                yield step_row(step, self.days)
        rest = self.trade["net"] - total
        if abs(rest) >= CENT:
            text = "bars within the day: earned before the day's last bar, exchanged at the rate of the day before"
            yield self.row(self.exit, "rest", None, text) | {"cause": "price", "amount": rest}

    def end(self):
        """Why it ended, and its net."""
        trade = self.trade
        if trade["exit_reason"] == "signal":
            t = max(self.exit - 1, 0)
            yield self.row(t, "signal", self.given.forecast[t, self.member], "that ended it", **self._price(t))
        offset = self.market.offset[self.exit, self.m]
        yield self.row(
            self.exit, f"end: {trade['exit_reason']}", None, f"after {trade['bars']} bars and {trade['rolls']} rolls",
            to_price=trade["exit_price"], adjusted=trade["exit_price"] + offset, contract=trade["exit_contract"],
        )  # fmt: skip
        yield self.row(self.exit, "net", trade["net"], "the sum of all amounts above")


def step_row(step, days):
    """A step as a row of `EXPLAINED`, without its number."""
    made = step.cause != FILL
    words = FORMULAS[step.cause.removeprefix("roll_") if step.cause not in FORMULAS else step.cause]
    prices = {"from_price": step.from_price, "to_price": step.to_price, "adjusted": step.to_price + step.offset}
    return prices | {
        "day": days[step.day].item(), "what": step.what if made else f"fill: {step.what}",
        "cause": step.cause if made else None, "contract": step.contract, "contracts": step.contracts,
        "multiplier": step.multiplier, "fx": step.fx, "rate": step.rate, "amount": step.amount if made else None,
        "formula": words,
    }  # fmt: skip


def _number(value):
    return "?" if value is None or value != value else f"{value:,.10g}"
