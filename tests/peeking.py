"""A plain roller in two honest variants, and planted ones that look ahead in ways that are known from the field.

All are functions bars -> frame (`day`, `from_contract`, `to_contract`, `from_price`, `to_price`) of a market whose
contracts have the last allowed days `limits` {contract: day}. They are slow and simple, and share nothing with the
store: held is the nearest contract, a roll needs a price of both legs, on the last allowed day less two it is due.
"""

from bisect import bisect_left
from datetime import timedelta

import numpy as np
import polars as pl

SCHEMA = {"day": pl.Date, "from_contract": pl.Int32, "to_contract": pl.Int32, "from_price": float, "to_price": float}


class Table:
    """Bars as lists by day: `price`, `volume`, `interest` are {contract: [number or nan, one a day]}."""

    def __init__(self, bars, contracts=None):
        bars = bars.filter(pl.coalesce("settle", "close").is_not_null())
        if contracts is not None:
            bars = bars.filter(pl.col("contract").is_in(list(contracts)))
        self.days = bars["day"].unique().sort().to_list()
        self.contracts = bars["contract"].unique().sort().to_list()
        at = {day: t for t, day in enumerate(self.days)}
        self.price, self.volume, self.interest = ({k: [np.nan] * len(at) for k in self.contracts} for _ in range(3))
        self.first = {}  # number of the first day with a price
        columns = bars.sort("day").select("contract", "day", pl.coalesce("settle", "close"), "volume", "open_interest")
        for k, day, price, volume, interest in columns.iter_rows():
            self.first.setdefault(k, at[day])
            self.price[k][at[day]] = price
            self.volume[k][at[day]] = np.nan if volume is None else volume
            self.interest[k][at[day]] = np.nan if interest is None else interest


def roller(limits, busier, waits=True, contracts=None, fill=None):
    """A function bars -> rolls.

    `busier(table, k, c, t)` tells for the decision of day number t whether `c` has passed `k`; without `waits` a roll
    on a day on which a leg lacks its price is made on the day before; `contracts(bars)` are those that may be held;
    `fill(table)` may change the table before.
    """

    def rolls(bars):
        table = Table(bars, contracts and contracts(bars))
        if fill:
            fill(table)
        held = _held(table, limits, busier, waits)
        return pl.DataFrame([row for _, row in held if row], SCHEMA, orient="row")

    return rolls


def _held(table, limits, busier, waits=True):
    """[(contract held at the open, the roll of the day or None)], a day each."""
    out, held = [], None
    for t, day in enumerate(table.days):
        if held is None:
            held = next((k for k in table.contracts if table.first[k] <= t and limits[k] > day), None)
        later = next((c for c in table.contracts if held and c > held and table.first[c] <= t), None)
        before, row = held, None
        if later and t and (day >= limits[held] - timedelta(days=2) or busier(table, held, later, t)):
            for at in (t,) if waits else (t, t - 1):
                legs = table.price[held][at], table.price[later][at]
                if not np.isnan(sum(legs)):
                    row, held = (table.days[at], held, later, *legs), later
                    break
        out.append((before, row))
    return out


def passed(name, lag):
    """`busier` by the numbers of `lag` days before."""

    def busier(table, k, c, t):
        numbers = getattr(table, name)
        return t >= lag and numbers[c][t - lag] > numbers[k][t - lag]

    return busier


def honest_volume(limits):
    """By the volume of the day before."""
    return roller(limits, passed("volume", 1))


def honest_interest(limits):
    """By the open interest of two days before."""
    return roller(limits, passed("interest", 2))


def same_day_volume(limits):
    """T8: by the volume of the roll day, which is known after its close."""
    return roller(limits, passed("volume", 0))


def same_day_interest(limits):
    """By the open interest of the roll day: CSI's {reported}."""
    return roller(limits, passed("interest", 0))


def interest_of_the_day_before(limits):
    """By the open interest of the day before, which is published in the morning after the roll day's eve at best."""
    return roller(limits, passed("interest", 1))


def centred_smoothing(limits):
    """By a mean of volume over the two days before and after the one before."""

    def busier(table, k, c, t):
        part = slice(max(t - 3, 0), t + 2)
        return np.nansum(table.volume[c][part]) > np.nansum(table.volume[k][part])

    return roller(limits, busier)


def best_crossing(limits):
    """On the day of the widest crossing while both trade, chosen in hindsight."""

    def busier(table, k, c, t):
        end = bisect_left(table.days, limits[k])
        ahead = np.nan_to_num(np.subtract(table.volume[c], table.volume[k])[: max(end, t + 1)], nan=-np.inf)
        return ahead[t - 1] > 0 and ahead[t - 1] >= ahead[t - 1 :].max()

    return roller(limits, busier)


def ninety_days_ahead(limits):
    """As zipline's `get_contract_center`: a crossing counts if nothing undoes it within 90 sessions to come."""

    def busier(table, k, c, t):
        end = min(bisect_left(table.days, limits[k]), t + 90)
        ahead = np.subtract(table.volume[c], table.volume[k])
        return ahead[t - 1] > 0 and not (ahead[t:end] < 0).any()

    return roller(limits, busier)


def day_before_a_hole(limits):
    """T13: on the day before, because a leg has no price on the roll day."""
    return roller(limits, passed("volume", 1), waits=False)


def prices_filled_from_behind(limits):
    """A leg without a price trades at its next one."""

    def fill(table):
        for prices in table.price.values():
            for t in range(len(prices) - 2, -1, -1):
                prices[t] = prices[t + 1] if np.isnan(prices[t]) else prices[t]

    return roller(limits, passed("volume", 1), fill=fill)


def volume_between_neighbours(limits):
    """Holes of volume are filled by a line from the last number to the next."""

    def fill(table):
        for k, numbers in table.volume.items():
            known = np.flatnonzero(~np.isnan(numbers))
            if len(known):
                table.volume[k] = np.interp(np.arange(len(numbers)), known, np.array(numbers)[known]).tolist()

    return roller(limits, passed("volume", 1), fill=fill)


def later_illiquid_ones_left_out(limits):
    """Without the contracts that turned out to trade little in all of their life."""

    def busy(bars):
        total = bars.group_by("contract").agg(pl.col("volume").sum())
        return total.filter(pl.col("volume") >= pl.col("volume").mean() / 2)["contract"].to_list()

    return roller(limits, passed("volume", 1), contracts=busy)


def months_of_the_whole_sample(limits):
    """T10 in hindsight: held are the delivery months that had the larger part of all volume ever."""

    def busy(bars):
        total = bars.group_by(pl.col("contract") % 100).agg(pl.col("volume").sum())
        months = total.filter(pl.col("volume") >= pl.col("volume").median())["contract"].to_list()
        return bars.filter((pl.col("contract") % 100).is_in(months))["contract"].unique().to_list()

    return roller(limits, passed("volume", 1), contracts=busy)


def last_bars_as_limits(limits):
    """A contract is left two days before the last bar of its file, which nobody knows that day."""

    def rolls(bars):
        ends = dict(bars.group_by("contract").agg(pl.col("day").max()).iter_rows())
        return roller(ends, passed("volume", 1))(bars)

    return rolls


def anchored_at_the_last(limits):
    """Back-adjusted prices: each row holds the sum of all spreads to come (T14)."""
    return lambda bars: _series(bars, limits, last=True)


def anchored_at_the_first(limits):
    """The same prices with the spreads of the rolls so far."""
    return lambda bars: _series(bars, limits, last=False)


def _series(bars, limits, last):
    """`day`, `contract`, `adjusted` of the contract held."""
    table = Table(bars)
    rows, offset = [], 0.0
    for t, (held, roll) in enumerate(_held(table, limits, passed("volume", 1))):
        if held:
            rows.append((table.days[t], held, table.price[held][t] + offset))
        offset += roll[3] - roll[4] if roll else 0.0
    frame = pl.DataFrame(rows, {"day": pl.Date, "contract": pl.Int32, "adjusted": float}, orient="row")
    return frame.with_columns((pl.col("adjusted") - (offset if last else 0.0)).fill_nan(None))


HONEST = (honest_volume, honest_interest, anchored_at_the_first)
PLANTED = {  # the way in which each must be caught at least
    same_day_volume: "delayed",
    same_day_interest: "delayed",
    interest_of_the_day_before: "delayed",
    centred_smoothing: "cut",
    best_crossing: "cut",
    ninety_days_ahead: "noise",
    day_before_a_hole: "cut",
    prices_filled_from_behind: "cut",
    volume_between_neighbours: "delayed",
    later_illiquid_ones_left_out: "gone",
    months_of_the_whole_sample: "listed",
    last_bars_as_limits: "gone",
    anchored_at_the_last: "cut",
}
