"""Small accounts worked by hand: one market, a few bars, everything else zero unless said."""

import numpy as np

from engine.simulate import Account, Facts, Prices, simulate


def account(fill, mark, target, **changes):
    """Ledger of one market from `fill`, `mark` and `target` by bar; other fields of the inputs by name."""
    shape = (len(mark), 1)
    column = {"fill": fill, "mark": mark}
    zero, no = np.zeros(shape), np.zeros(shape, bool)
    prices = Prices(
        **{name: as_column(values, shape) for name, values in column.items()}, offset=zero,
        contract=np.full(shape, 202403, np.int32), roll=no, closed=no, roll_contract=np.zeros(shape, np.int32),
        roll_from=zero, roll_to=zero, roll_from_fill=zero, roll_to_fill=zero,
    )  # fmt: skip
    facts = Facts(np.ones(shape), np.ones(shape), zero, zero, zero, zero)
    money = Account(20000.0, False, True, True, 1.0, np.inf)
    if "roll" in changes and "roll_from_fill" not in changes:
        changes |= {"roll_from_fill": changes["roll_from"], "roll_to_fill": changes["roll_to"]}
    prices, facts = (
        group._replace(
            **{k: as_column(v, shape, getattr(group, k).dtype) for k, v in changes.items() if k in group._fields}
        )
        for group in (prices, facts)
    )
    money = money._replace(**{k: v for k, v in changes.items() if k in Account._fields})
    rate = np.asarray(changes.get("rate", np.zeros(len(mark))), float)
    days = np.asarray(changes.get("days", np.ones(len(mark))), float)
    weight = as_column(target, shape)
    return simulate(prices, facts, money, weight, np.zeros(1, np.int64), np.ones(shape, bool), rate, days)


def as_column(values, shape, dtype=float):
    """A number or a list, as an array (time, 1)."""
    return np.ascontiguousarray(np.broadcast_to(np.asarray(values, dtype).reshape(-1, 1), shape))
