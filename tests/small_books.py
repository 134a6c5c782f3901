"""Inputs of a simulation small enough to be worked by hand: one account, a few bars, prices as short lists."""

import numpy as np

from engine import book

NONE = np.nan
FACTS = {
    "multiplier": 1.0, "fx": 1.0, "initial": 0.0, "maintenance": 0.0, "slippage": 0.0, "commission": 0.0,
    "roll_slippage": 0.0, "roll_commission": 0.0, "impact": 0.0, "liquidity": NONE, "open_interest": NONE,
    "sigma": NONE,
}  # fmt: skip
ACCOUNT = {
    "per_capital": False, "compounding": True, "sweep": True, "rounding": book.TOWARD_ZERO, "buffer": 0.0,
    "at_open": True, "through": True, "policy": book.WORST, "participation": np.inf, "power": 0.5, "roll_days": 1,
    "stale_leg_days": 5, "intraday_margin": 1.0, "spread_credit": 0.0, "call": book.PRO_RATA, "floor": -np.inf,
    "credit_spread": 0.0, "debit_spread": 0.0, "fee": 0.0, "fixed_fee": 0.0,
}  # fmt: skip
ORDERS = {
    "kind": book.MARKET, "price": NONE, "limit": NONE, "day": False, "stop": NONE, "stop_at": NONE, "target": NONE,
    "target_at": NONE, "trail": NONE, "hold": 0, "episode": 1,
}  # fmt: skip
WHOLE = {"contract": np.int32, "roll_contract": np.int32, "left_contract": np.int32, "locked": np.int8}
FLAGS = ("roll", "closed", "left_end")


def grid(values, bars, columns):
    """(bar, column) of a number, a list of bars, or a list of bars of columns."""
    values = np.asarray(values, dtype=float)
    return np.broadcast_to(values[:, None] if values.ndim == 1 else values, (bars, columns)).copy()


def prices(bars, columns, given):
    """`book.Prices`: what is not given is as the close; a day without bar is nan in all of them."""
    close = given["close"]
    usual = {name: close for name in ("open", "high", "low", "mark")} | {"tick": 0.25, "offset": 0.0}
    usual |= {"volume": NONE, "locked": 0, "contract": 202403, "roll": 0, "closed": 0, "roll_contract": 0}
    given = usual | given
    given = {"fill": given["open"], "roll_volume": NONE, "left_contract": 0, "left_end": 0} | given
    for name in ("roll_from", "roll_to"):
        given[f"{name}_fill"] = given.get(f"{name}_fill", given.get(name, NONE))
    made = {name: grid(given.get(name, NONE), bars, columns) for name in book.Prices._fields}
    made |= {name: made[name].astype(kind) for name, kind in WHOLE.items()}
    return book.Prices(**(made | {name: made[name] > 0 for name in FLAGS}))


def inputs(
    given, weight, facts=(), account=(), orders=None, clock=(), legs=(([0], [1.0]),), capital=(1e6,), sleeve=None,
    root=None, resize=True, limits=None,
):  # fmt: skip
    """All arguments of a simulation: `given` prices by name, `weight` (bar,) or (bar, member)."""
    bars, members = len(weight), len(legs)
    columns = 1 + max(m for ids, _ in legs for m in ids)
    member = np.array([j for j, (ids, _) in enumerate(legs) for _ in ids], np.int64)
    instrument = np.array([m for ids, _ in legs for m in ids], np.int64)
    zero = np.zeros(len(member), np.int64)
    of = np.asarray(root if root is not None else np.arange(columns), np.int64)[instrument]
    sleeve = zero if sleeve is None else np.asarray(sleeve, np.int64)[member]
    ratio = np.array([r for _, ratios in legs for r in ratios])
    lines = book.Lines(instrument, member, ratio, sleeve, of, zero, zero - 1)
    asked = grid(weight, bars, members)
    wishes = book.Wishes(
        asked, np.abs(asked) + 0.0, np.full(members, resize), np.full(members, orders is not None),
        np.full(members, -1, np.int64), np.zeros(members, bool),
    )  # fmt: skip
    kinds = {"kind": np.int8, "day": bool, "hold": np.int32, "episode": np.int32}
    if orders is not None:
        told = {name: grid(x, bars, members) for name, x in (ORDERS | dict(orders)).items()}
        orders = book.Orders(**{name: x.astype(kinds.get(name, float)) for name, x in told.items()})
    facts = book.Facts(**{name: grid(x, bars, columns) for name, x in (FACTS | dict(facts)).items()})
    usual = {"days": 1.0, "day_end": True, "month_begin": False, "rebalance": False, "rate": 0.0, "transfer": 0.0}
    told = {name: grid(x, bars, 1)[:, 0] for name, x in (usual | dict(clock)).items()}
    flags = ("day_end", "month_begin", "rebalance")
    infinite = np.full(len(member), np.inf)
    none = book.Limits(False, infinite, *[np.inf] * 4, np.full(1, np.inf), *[np.inf] * 3)
    share = np.array(capital) / sum(capital)
    return (
        prices(bars, columns, dict(given)), facts, lines, wishes, orders, book.Account(**(ACCOUNT | dict(account))),
        none._replace(any=True, **limits) if limits else none,
        book.Clock(**{name: x.astype(bool) if name in flags else x for name, x in told.items()}),
        book.Sleeves(np.array(capital, float), share), None, np.ones((bars, columns), bool), None, None,
    )  # fmt: skip


def long_es(**given):
    """T27: one contract bought at 4005, three settlements."""
    return inputs({"open": [4000, 4005, 4010, 3990], "close": [4000, 4010, 3990, 4050]}, [1, 1, 1, 1], **given)


def rolled(**given):
    """T3, T7: long one from 4000, rolled at 4100 into 4125, and 4150 at the end; the spread is filled at 25.5."""
    told = {
        "close": [4000, 4100, 4150], "open": [4000, 4000, 4125], "roll": [0, 1, 0], "contract": [3, 3, 6],
        "roll_contract": [0, 6, 0], "roll_from": [NONE, 4100, NONE], "roll_to": [NONE, 4125, NONE],
        "roll_to_fill": [NONE, 4125.5, NONE], "offset": [0, 0, -25],
    }  # fmt: skip
    return inputs(told, [1, 1, 1], **{"facts": {"multiplier": 50.0}} | given)


def stopped(open_, high, low, close, through=True, policy=book.WORST, **orders):
    """Long one from 100, then one bar with a stop or a target."""
    told = {"open": [100, 100, open_], "high": [100, 100, high], "low": [100, 100, low], "close": [100, 100, close]}
    account = {"through": through, "policy": policy}
    return inputs(told, [1, 1, 1], account=account, orders=orders, resize=False)


def limit_buy(open_, low, through=True):
    """T20: a buy limit at 99.75."""
    told = {"open": [100, open_], "high": [100, 100], "low": [100, low], "close": [100, 100]}
    orders = {"kind": book.LIMIT, "price": 99.75}
    return inputs(told, [1, 1], account={"through": through}, orders=orders, resize=False)


def two_days(wanted=10.0, **account):
    """T23: ten contracts wanted, of a contract that trades 40 a day."""
    return inputs({"close": [100] * 4, "volume": [40] * 4}, [wanted] * 4, account={"participation": 0.1} | account)


def spread_of_two(**given):
    """A spread of two columns of one root; the second is locked at its lower limit on the second bar."""
    told = {
        "close": [[100, 90], [101, 89], [102, 91], [103, 92]], "contract": [[3, 6]] * 4,
        "locked": [[0, 0], [0, -1], [0, 0], [0, 0]],
    }  # fmt: skip
    return inputs(told, [2, 2, 2, 0], legs=(([0, 1], [1.0, -1.0]),), root=[0, 0], **given)


def slow_roll(**given):
    """Six long, rolled over three days; the old contract falls while the new one stays."""
    told = {
        "close": [100, 100, 110, 110, 110], "roll": [0, 1, 0, 0, 0], "contract": [3, 3, 6, 6, 6],
        "roll_contract": [0, 6, 0, 0, 0], "roll_from": [NONE, 100, NONE, NONE, NONE],
        "roll_to": [NONE, 110, NONE, NONE, NONE], "offset": [0, 0, -10, -10, -10], "left_contract": [0, 0, 3, 3, 0],
        "left_mark": [NONE, NONE, 99, 97, NONE], "left_open": [NONE, NONE, 100, 99, NONE],
        "left_end": [0, 0, 0, 1, 0],
    }  # fmt: skip
    return inputs(told, [6] * 5, **{"account": {"roll_days": 3}} | given)
