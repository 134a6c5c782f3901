"""A worksheet of a run, or of some of its days: from contract prices to the headline numbers, each row with its formula
in words, to be checked in a spreadsheet.

Rows with an `amount` are money, made of the numbers beside it; those of a day sum to the change of its equity. Rows
with a `value` are what follows from them: equity, returns, and the headline numbers of the days in the worksheet.
"""

import numpy as np
import polars as pl

from engine.analysis.explain import step_row
from engine.analysis.steps import FILL, Steps
from engine.book import CAUSES
from engine.metrics import METRICS, Account
from engine.ratios import YEAR, period_returns

CENT = 0.005  # half of one [account currency]
WORKSHEET = {
    "row": pl.Int64,
    "day": pl.Date,
    "part": pl.String,  # a cause of the ledger, `equity`, `return`, or `headline`
    "strategy": pl.String,
    "market": pl.String,
    "what": pl.String,
    "contract": pl.Int32,  # YYYYMM
    "contracts": pl.Float64,  # signed; of costs those that paid
    "from_price": pl.Float64,  # of the contract, of roll_gap a spread, of fx a rate [points]
    "to_price": pl.Float64,
    "multiplier": pl.Float64,  # [local currency / point]
    "fx": pl.Float64,  # [account currency / local currency]
    "base": pl.Float64,  # what a rate is of, or a value begins with
    "rate": pl.Float64,
    "days": pl.Float64,  # [calendar days]
    "amount": pl.Float64,  # [account currency]
    "value": pl.Float64,
    "formula": pl.String,
}
HEADLINES = {  # metric -> formula, over the rows `equity`, `return` and the last before the first day
    "final_equity": "the last equity",
    "total_return": "product of (1 + return) - 1",
    "volatility": f"standard deviation of the returns, divided by n - 1, x square root of {YEAR}",
    "sharpe": f"mean of (return - rate) / standard deviation of (return - rate), n - 1, x square root of {YEAR}",
    "max_drawdown": "least of (product of (1 + return) so far / its largest before, at least 1) - 1",
}
FIXED = {  # of an account that does not compound
    "total_return": "sum of the returns",
    "max_drawdown": "least of ((1 + sum of returns so far) / its largest before, at least 1) - 1",
}


class NoDays(ValueError):
    """Days of which the run has none."""


def worksheet(run, given, first=None, last=None):
    """The worksheet of a run.

    Parameters
    ----------
    run : RunResult
    given : Given
        Of `engine.analysis.source.given_of_run`.
    first, last : date, optional
        The days, both included; those of the whole run, if not given.

    Returns
    -------
    polars.DataFrame
        `WORKSHEET`, in the order of days; the headline numbers of these days last.

    Raises
    ------
    NoDays
    """
    told = _Sheet(run, given, first, last)
    money = [*told.lines(), *told.kept(), *told.account()]
    rows = sorted([*money, *told.rest(money), *told.curve()], key=lambda row: row["day"])  # within a day as they stand
    names = {name: kind for name, kind in WORKSHEET.items() if name != "row"}
    frame = pl.DataFrame([*rows, *told.headlines()], schema=names).with_columns(pl.col(pl.Float64).fill_nan(None))
    return frame.with_row_index("row", offset=1).cast(WORKSHEET)


class _Sheet:
    """The rows of a worksheet, kind by kind."""

    def __init__(self, run, given, first, last):
        self.run, self.given, self.inputs = run, given, given.inputs
        self.market = self.inputs.market
        self.days = self.market.days.astype("datetime64[D]")
        low = 0 if first is None else int(np.searchsorted(self.days, np.datetime64(first, "D")))
        high = len(self.days) if last is None else int(np.searchsorted(self.days, np.datetime64(last, "D"), "right"))
        if low >= high:
            raise NoDays(f"run {run.id} has no day from {first} to {last}; it has {self.days[0]} to {self.days[-1]}")
        self.first, self.last = low, high - 1
        equity = run.equity()
        self.equity, self.margin = (equity[name].to_numpy() for name in ("equity", "margin"))
        self.ledger = _by_day(run, self.days)

    def day(self, t, part, **more):
        """A row."""
        return {"day": self.days[t].item(), "part": part} | more

    def lines(self):
        """What lines earned and paid."""
        steps, labels = Steps(self.run, self.inputs), self.inputs.layout.labels
        for line, (strategy, market) in enumerate(labels):
            for step in steps.of(line, self.first, self.last):
                if step.cause != FILL:
                    told = step_row(step, self.days)
                    told = {name: value for name, value in told.items() if name not in ("cause", "adjusted")}
                    yield told | {"part": step.cause, "strategy": strategy, "market": market}

    def kept(self):
        """What foreign money that lines keep has gained by its rate."""
        if self.inputs.account.sweep:
            return
        fx = self.market.fx
        for line, (strategy, market) in enumerate(self.inputs.layout.labels):
            m, earned = int(self.inputs.layout.lines.instrument[line]), self.ledger["lines"][:, line]
            local = np.divide(earned, fx[:, m], out=np.zeros(len(fx)), where=fx[:, m] > 0.0)
            balance = np.concatenate([[0.0], np.cumsum(local)[:-1]])
            for t in range(max(self.first, 1), self.last + 1):
                was, now = fx[t - 1, m], fx[t, m]
                if balance[t] != 0.0 and now != was:
                    yield self.day(
                        t, "fx", strategy=strategy, market=market, what="foreign money that is kept", base=balance[t],
                        from_price=was, to_price=now, amount=balance[t] * (now - was),
                        formula="base x (to_price - from_price); base: all local money of this line before this day",
                    )  # fmt: skip

    def account(self):
        """Interest, fees, money paid in and out."""
        account, clock = self.inputs.account, self.inputs.clock
        for t in range(self.first, self.last + 1):
            days = float((self.days[t] - self.days[t - 1]).astype(int)) if t else 0.0
            free = self.equity[t] - self.margin[t]
            rate = _rate(free, clock.rate[t - 1] if t else 0.0, account)
            if amount := free * rate * days / 360.0:
                yield self.day(
                    t, "interest", what="on free cash" if free >= 0.0 else "on what is missing", base=free, rate=rate,
                    days=days, amount=amount,
                    formula="base x rate x days / 360; base: equity less margin of the evening before",
                )  # fmt: skip
            paid = self.ledger["transfer"][t]
            if paid:
                yield self.day(t, "transfer", what="paid in or out", amount=paid, formula="as the portfolio says")
            if self.ledger["fee"][t] and clock.month_begin[t]:
                base = max(self.equity[t] + paid, 0.0)
                yield self.day(
                    t, "fee", what="of equity", base=base, rate=account.fee / 12.0, amount=-base * account.fee / 12.0,
                    formula="0 - base x rate; base: equity of the evening before and what was paid in",
                )  # fmt: skip
                if account.fixed_fee:
                    yield self.day(t, "fee", what="fixed", amount=-account.fixed_fee, formula="as the portfolio says")

    def rest(self, money):
        """What the rows above do not tell, by cause: of bars within the day, exchange at the rate of the day before."""
        sums = {}
        for row in money:
            key = row["day"], row["part"]
            sums[key] = sums.get(key, 0.0) + row["amount"]
        for t in range(self.first, self.last + 1):
            for k, cause in enumerate(CAUSES):
                left = self.ledger["causes"][t, k] - sums.get((self.days[t].item(), cause), 0.0)
                if abs(left) >= CENT:
                    yield self.day(
                        t,
                        cause,
                        what="rest",
                        amount=left,
                        formula="as booked: earned before the day's last bar, exchanged at the rate of the day before",
                    )

    def curve(self):
        """Equity and return of each day."""
        for t, (base, kept) in enumerate(self._returns()):
            if not self.first <= t <= self.last:
                continue
            before, now = self.equity[t], self.equity[t + 1]
            yield self.day(t, "equity", base=before, value=now, formula="base + all amounts of the day")
            if kept is not None:
                interest = self._interest[t]
                yield self.day(
                    t, "return", what=self._way(), base=base, rate=interest / base if base > 0.0 else np.nan,
                    value=kept, formula="(change of equity - transfer) / base; rate: interest / base",
                )  # fmt: skip

    def _way(self):
        return "compounding" if self.run.portfolio.compounding else "fixed capital"

    def _returns(self):
        """(what the return is a share of, the return) of each row, (nan, None) of days on which no market traded."""
        traded = self._traded
        paid = np.cumsum(np.concatenate([[0.0], self.ledger["transfer"]]))
        held = np.concatenate([[True], traded])
        equity, flows = self.equity[held], np.diff(paid[held])
        portfolio = self.run.portfolio
        returns = period_returns(equity, portfolio.compounding, flows)
        base = equity[:-1] + flows if portfolio.compounding else np.full(len(returns), portfolio.capital)
        found = iter(zip(base.tolist(), returns.tolist(), strict=True))
        return [next(found) if there else (np.nan, None) for there in traded]

    @property
    def _traded(self):
        return ~np.isnan(self.market.mark).all(axis=1)

    @property
    def _interest(self):
        return self.ledger["causes"][:, CAUSES.index("interest")]

    def headlines(self):
        """The headline numbers of the days, by the functions that make those of the run."""
        rows = [(t, base, r) for t, (base, r) in enumerate(self._returns()) if r is not None]
        rows = [row for row in rows if self.first <= row[0] <= self.last]
        compounding, returns = self.run.portfolio.compounding, np.array([r for _, _, r in rows])
        grown = np.concatenate([[1.0], np.cumprod(1.0 + returns) if compounding else 1.0 + np.cumsum(returns)])
        start = self.equity[self.first] if compounding else self.run.portfolio.capital
        interest = np.array([self._interest[t] / base if base > 0.0 else np.nan for t, base, _ in rows])
        account = Account(returns, np.zeros(0), start * grown, np.zeros(0), interest=interest, compounding=compounding)
        day = self.days[self.last].item()
        for name, formula in HEADLINES.items():
            value = self.equity[self.last + 1] if name == "final_equity" else METRICS[name](account)
            text = formula if compounding else FIXED.get(name, formula)
            yield {"day": day, "part": "headline", "what": name, "value": float(value), "formula": text}


def _rate(free, rate, account):
    """The rate that free cash earns, or a deficit pays (docs/positions.md, 6). [1/year]"""
    if free < 0.0:
        return rate + account.debit_spread
    return max(rate - account.credit_spread, 0.0) if rate >= 0.0 else rate - account.credit_spread


def _by_day(run, days):
    """{"causes": (time, cause), "lines": (time, line) of all but fx, "fee", "transfer": (time,)} of the ledger."""
    ledger = run.ledger()
    t = np.searchsorted(days, ledger["day"].to_numpy())
    cause = ledger["cause"].cast(pl.Enum(CAUSES)).to_physical().to_numpy()
    amount, line = ledger["amount"].to_numpy(), ledger["line"].to_numpy()
    causes = np.zeros((len(days), len(CAUSES)))
    np.add.at(causes, (t, cause), amount)
    lines = np.zeros((len(days), int(line.max(initial=-1)) + 1))
    some = (line >= 0) & (cause != CAUSES.index("fx"))
    np.add.at(lines, (t[some], line[some]), amount[some])
    told = {name: causes[:, CAUSES.index(name)] for name in ("fee", "transfer")}
    return {"causes": causes, "lines": lines} | told
