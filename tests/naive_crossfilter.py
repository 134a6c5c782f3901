"""A slow twin of app/cells.py and app/crossfilter.py: rows and dictionaries, the rules in words.

And runs with all that is odd: trades that share days, that last no day, lines that pay fees without a trade, days
without a bar, trades that are open, two strategies in one market.
"""

from collections import defaultdict
from datetime import date
from functools import cached_property
from types import SimpleNamespace

import numpy as np
import polars as pl

from app.selection import CHOICES, Selection
from tests.analysed import walk

COSTS = ("commission", "slippage", "impact", "roll_commission", "roll_slippage", "roll_impact")
MARKETS = {"ZC": "Grains", "ZS": "Grains", "CL": "Energy", "MES": "Equities"}
STRATEGIES = ("trend", "carry")
REASONS = ("signal", "stop", "target", None)


class OddRun:
    """A run drawn from a seed: what `Columns.of` reads of a RunResult."""

    def __init__(self, seed, time=420, trades=120, market=True):
        self.rng = np.random.default_rng([seed, 9])
        self.id, self.name, self.seed, self.count = f"{seed:016x}", "odd", seed, trades
        self.market = walk(seed, time) if market else None
        self.days = self.market.days if market else walk(seed, time).days
        self.portfolio = SimpleNamespace(currency="USD", compounding=bool(seed % 2))
        self.note, self.simulated, self.summary = "", False, {}

    def metrics(self):
        return {"turnover": None}

    @cached_property
    def parts(self):
        """Rows of trades, positions, ledger."""
        rng, time = self.rng, len(self.days)
        trades, held, ledger = [], [], []
        for strategy in STRATEGIES:
            for market, sector in MARKETS.items():
                t = int(rng.integers(0, 30))
                while t < time - 2 and len(trades) < self.count:
                    last = min(t + int(rng.integers(0, 25)), time - 1)
                    self._trade(rng, strategy, market, sector, t, last, trades, held, ledger)
                    t = last + int(rng.choice([0, 0, 1, 7]))  # 0: the next one begins on the day on which this one ends
                fees = rng.integers(0, time, 3)  # of a line, on days with a trade or without
                ledger += [(k, strategy, market, "commission", -round(float(rng.uniform(1, 9)), 2)) for k in fees]
        own = (("interest", 12.34), ("commission", -0.5))
        ledger += [(k, "", "", cause, amount) for k in range(0, time, 7) for cause, amount in own]
        return trades, held, ledger

    def _trade(self, rng, strategy, market, sector, t, last, trades, held, ledger):
        side = int(rng.choice([1, -1]))
        open_ = last == len(self.days) - 1
        sums = defaultdict(float)
        for k in range(t, last + 1):
            gross, cost = round(float(rng.normal(0, 500)), 2), -round(float(rng.uniform(0, 5)), 2)
            ledger.append((k, strategy, market, "price", gross))
            sums["gross"] += gross
            if k in (t, last):
                ledger.append((k, strategy, market, str(rng.choice(COSTS[:3])), cost))
                sums["costs"] += cost
            if k < last or open_:
                held.append((k, strategy, market, side * 2.0, side * 1e5, float(rng.uniform(1e3, 2e3))))
        reasons = str(rng.choice(["market", "stop"])), "open" if open_ else rng.choice(REASONS)
        trades.append((len(trades) + 1, strategy, market, sector, "long" if side > 0 else "short", t,
                       None if open_ else last, last - t, sums["gross"], sums["costs"], *reasons))  # fmt: skip

    def _days(self, rows, place):
        return [None if row[place] is None else self.days[row[place]].astype("datetime64[D]").item() for row in rows]

    def trades(self):
        rows = self.parts[0]
        names = ("trade", "strategy", "market", "sector", "direction")
        told = {name: [row[k] for row in rows] for k, name in enumerate(names)}
        told |= {"entry_day": self._days(rows, 5), "exit_day": self._days(rows, 6), "bars": [row[7] for row in rows]}
        told |= {"gross": [row[8] for row in rows], "costs": [row[9] for row in rows]}
        told |= {"net": [row[8] + row[9] for row in rows], "entry_reason": [row[10] for row in rows]}
        return pl.DataFrame(told | {"exit_reason": [row[11] for row in rows]})

    def positions(self):
        rows = sorted(self.parts[1])
        told = {"day": self._days(rows, 0), "strategy": [row[1] for row in rows], "market": [row[2] for row in rows]}
        told |= {"contract": [202403] * len(rows), "contracts": [row[3] for row in rows], "mark": [1.0] * len(rows)}
        return pl.DataFrame(told | {"notional": [row[4] for row in rows], "margin": [row[5] for row in rows]})

    def ledger(self):
        rows = self.parts[2]
        told = {"day": self._days(rows, 0), "strategy": [row[1] for row in rows], "market": [row[2] for row in rows]}
        return pl.DataFrame(told | {"cause": [row[3] for row in rows], "amount": [row[4] for row in rows]})

    def equity(self):
        earned = np.zeros(len(self.days))
        for k, *_, amount in self.parts[2]:
            earned[k] += amount
        first = self.days[:1] - np.timedelta64(1, "D")
        return pl.DataFrame(
            {"day": np.concatenate([first, self.days]), "equity": 1e6 + np.concatenate([[0.0], np.cumsum(earned)])}
        )


def owners(run):
    """Every trade as a row, and what each line has beside its trades as one without side, reasons and numbers."""
    end = run.equity()["day"][-1]
    rows = []
    for row in run.trades().iter_rows(named=True):
        told = {"entry": row.get("entry_reason") or "unknown", "exit": row["exit_reason"] or "unknown"}
        rows.append({
            "trade": row["trade"], "line": (row["strategy"], row["market"]), "side": row["direction"],
            "from": row["entry_day"], "to": row["exit_day"] or end, "gross": row["gross"], "costs": row["costs"],
            "holding": row["bars"], "net": row["net"],
        } | told)  # fmt: skip
    sector = {row["market"]: row["sector"] for row in run.trades().iter_rows(named=True)}
    lines = {(row["strategy"], row["market"]) for row in run.ledger().iter_rows(named=True)}
    lines |= {row["line"] for row in rows} | {("", "")}
    none = {"trade": None, "side": "neither", "entry": "none", "exit": "none", "holding": None, "net": None}
    rows += [{"line": line} | none for line in sorted(lines)]
    for row in rows:
        strategy, market = row["line"]
        row |= {"root": market or "account", "strategy": strategy if market else "account"}
        row["sector"] = (sector.get(market) or "other") if market else "account"
    return rows


def cells(run):
    """{(number of a trade or line, day, part): amount} of all of the ledger but payments."""
    left = defaultdict(float)
    for row in run.ledger().iter_rows(named=True):
        part = "cost" if row["cause"] in COSTS else "interest" if row["cause"] == "interest" else "gross"
        left[(row["strategy"], row["market"]), row["day"], part] += row["amount"]
    found = defaultdict(float)
    trades = [row for row in owners(run) if row["trade"] is not None]
    trades.sort(key=lambda row: (row["line"], row["from"], row["to"], row["trade"]))
    for k, row in enumerate(trades):
        after = trades[k + 1] if k + 1 < len(trades) and trades[k + 1]["line"] == row["line"] else None
        shared = after is not None and after["from"] == row["to"]
        for part, result in (("gross", row["gross"]), ("cost", row["costs"])):
            mine = 0.0
            for line, day, what in list(left):
                inside = row["from"] <= day and (day < row["to"] or (day == row["to"] and not shared))
                if line == row["line"] and what == part and inside:
                    mine += left[line, day, part]
                    found[row["trade"], day, part] += left.pop((line, day, part))
            if shared:
                found[row["trade"], row["to"], part] += result - mine
                left[row["line"], row["to"], part] -= result - mine
    for (line, day, part), amount in left.items():
        found[line, day, part] += amount
    return {key: amount for key, amount in found.items() if abs(amount) > 1e-7}


class Twin:
    """All that a selection leaves of a run; `regimes`: {day: name}, or None."""

    def __init__(self, run, regimes=None):
        self.run, self.regimes = run, regimes
        self.owners, self.cells = owners(run), cells(run)
        self.of = {row["trade"] or row["line"]: row for row in self.owners}
        self.days = run.equity()["day"].to_list()

    def passes(self, picked, row, but=()):
        """Whether a trade, or what a line has beside trades, is in all pictures but those named."""
        lists = {
            "markets": "root", "sectors": "sector", "strategies": "strategy", "directions": "side",
            "entry_reasons": "entry", "exit_reasons": "exit",
        }  # fmt: skip
        for name, what in lists.items():
            chosen = getattr(picked, name)
            if name not in but and chosen and (row[what] not in chosen or row[what] in ("account", "none", "neither")):
                return False
        for name, what in (("holding", "holding"), ("results", "net")):
            ends, value = getattr(picked, name), row[what]
            if name in but or ends is None:
                continue
            least, most = (-np.inf if ends[0] is None else ends[0]), (np.inf if ends[1] is None else ends[1])
            if value is None or not least <= value <= most:
                return False
        return True

    def day_passes(self, picked, day, but=()):
        """Whether a day is within the dates and of a regime picked."""
        if "days" not in but and picked.days and not picked.days[0] <= day <= picked.days[1]:
            return False
        return "regimes" in but or not picked.regimes or (self.regimes or {}).get(day) in picked.regimes

    def left(self, picked, but=()):
        """(owner, day, part, amount) of the cells that pass all filters but those named."""
        owners = {owner for owner, row in self.of.items() if self.passes(picked, row, but)}
        days = {day for day in self.days if self.day_passes(picked, day, but)}
        for (owner, day, part), amount in self.cells.items():
            if owner in owners and day in days:
                yield self.of[owner], day, part, amount

    def by(self, picked, kind, name):
        """{name: profit} of a picture, under all filters but the one of its own."""
        found = defaultdict(float)
        for row, day, _, amount in self.left(picked, [name]):
            found[(self.regimes or {}).get(day) if kind == "regime" else row[kind]] += amount
        return found

    def daily(self, picked):
        """{day: profit} under all filters but the days."""
        found = defaultdict(float)
        for _, day, _, amount in self.left(picked, ["days"]):
            found[day] += amount
        return found

    def ended(self, picked, but=()):
        """The trades that ended on the days picked."""
        return [
            row for row in self.owners
            if row["trade"] and self.passes(picked, row, but) and self.day_passes(picked, row["to"])
        ]  # fmt: skip

    def held(self, picked):
        """(row of the positions, day) of what trades that pass held."""
        rows = [row for row in self.owners if row["trade"]]
        rows.sort(key=lambda row: (row["from"], row["to"], row["trade"]))
        for position in self.run.positions().iter_rows(named=True):
            line = (position["strategy"], position["market"])
            mine = [row for row in rows if row["line"] == line and row["from"] <= position["day"] <= row["to"]]
            if self.passes(picked, mine[-1]) and self.day_passes(picked, position["day"], ["days"]):
                yield position


def drawn(rng, run, regimes=(), **also):
    """A random selection of what is in a run, and of a little that is not."""
    rows = [row for row in owners(run) if row["trade"]]
    some = {
        "markets": [row["root"] for row in rows], "sectors": [row["sector"] for row in rows],
        "strategies": [row["strategy"] for row in rows], "directions": ["long", "short"],
        "entry_reasons": [row["entry"] for row in rows], "exit_reasons": [row["exit"] for row in rows],
        "regimes": list(regimes),
    }  # fmt: skip
    chosen = {}
    for name, values in some.items():
        values = sorted(set(values))
        if values and rng.random() < 0.3:
            chosen[name] = rng.choice(values, int(rng.integers(1, len(values) + 1)), replace=False).tolist()
    if rng.random() < 0.5:
        days = run.equity()["day"].to_list()
        first, last = sorted(rng.integers(0, len(days), 2).tolist())
        chosen["days"] = (days[first], days[last])
    for name, what in (("holding", "holding"), ("results", "net")):
        if rows and rng.random() < 0.3:
            ends = sorted(float(rows[k][what]) for k in rng.integers(0, len(rows), 2))
            chosen[name] = tuple(None if rng.random() < 0.25 else end for end in ends)
    assert set(chosen) <= set(CHOICES) and isinstance(chosen.get("days", (date.min,))[0], date)
    return Selection(**chosen, **also)
