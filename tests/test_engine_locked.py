"""Locked markets: by published limits, or by bars of one price; against a slow twin and real cattle."""

from types import SimpleNamespace

import numpy as np
import pytest

from engine.locked import locked, price_limits
from store.contracts import Master

NAN = np.nan


def market(bars, mark=None, offset=0.0, days=None, tick=0.25):
    """One market of bars (open, high, low, close); marks are the closes unless given."""
    bars = np.array(bars, float)
    columns = {name: bars[:, [k]] for k, name in enumerate(("open", "high", "low", "close"))}
    shape = (len(bars), 1)
    return SimpleNamespace(
        **columns,
        mark=columns["close"] if mark is None else np.array(mark, float).reshape(shape),
        offset=np.broadcast_to(np.array(offset, float).reshape(-1, 1), shape).copy(),
        tick=np.full(shape, tick),
        days=np.arange(len(bars)).astype("datetime64[D]") if days is None else np.array(days, "datetime64[D]"),
    )


def told(made, points=NAN, share=NAN, rule="known"):
    limits = np.full(made.mark.shape, points), np.full(made.mark.shape, share)
    return locked(made, limits, rule)[:, 0].tolist()


def bar(price, high=None, low=None):
    return (price, high or price, low or price, price)


def test_t22_a_bar_of_one_price_at_the_limit_is_locked_on_its_side():
    """Settled at 100, limit 5 points: 105/105/105/105 is locked up, 95/95/95/95 locked down."""
    assert told(market([bar(100), bar(105), bar(105)]), 5.0) == [0, 1, 0]  # the third has not moved from 105
    assert told(market([bar(100), bar(95)]), 5.0) == [0, -1]


def test_t22_a_bar_that_traded_below_the_limit_or_stands_short_of_it_is_not_locked():
    assert told(market([bar(100), bar(105, low=104.75)]), 5.0) == [0, 0]
    assert told(market([bar(100), bar(104.75)]), 5.0) == [0, 0]
    assert told(market([bar(100), bar(105)]), NAN) == [0, 0]  # nobody knows a limit


def test_t22_an_expanded_limit_is_one_too():
    """Corn's 25 cents become 150 % rounded up to the next 5, 40 cents (CBOT rule 10102.D as of 2014)."""
    assert told(market([bar(400), bar(437.5), bar(477.5)]), 25.0) == [0, 1, 1]


def test_t22_a_share_of_the_settlement_is_rounded_down_to_the_tick():
    """7 % of 2851.25 is 199.5875; on ticks of 0.25 the price stops at 2851.25 - 199.50 = 2651.75."""
    assert told(market([bar(2851.25), bar(2651.75)]), share=0.07) == [0, -1]
    assert told(market([bar(2851.25), bar(2652.00)]), share=0.07) == [0, 0]


def test_t22_after_a_roll_the_limit_counts_from_the_new_contracts_settlement():
    """Held at 100, rolled to 110: the offset steps by -10, and 115 is five points up while 105 is five down."""
    for price, side in ((115, 1), (105, -1), (110, 0)):
        assert told(market([bar(100), bar(price)], offset=[0.0, -10.0]), 5.0) == [0, side]


def test_t22_a_holiday_does_not_move_the_settlement():
    assert told(market([bar(100), (NAN,) * 4, bar(105)]), 5.0) == [0, 0, 1]


def test_t22_the_last_settlement_counts_and_not_the_last_trade():
    assert told(market([bar(100), bar(105)], mark=[101, 105]), 5.0) == [0, 0]


def test_a_vendor_without_last_trades_can_show_a_locked_day():
    bars = [(100, 101, 99, NAN), (105, 105, 105, NAN)]
    assert told(market(bars, mark=[100, 105]), 5.0) == [0, 1]


def test_bars_within_the_day_are_held_against_the_settlement_of_the_day_before():
    made = market([bar(100), bar(103, 104, 102), bar(105), bar(105)], days=[0, 1, 1, 1])
    assert told(made, 5.0) == [0, 0, 1, 1]


def test_t22_flat_takes_any_bar_of_one_price_that_moved():
    made = market([bar(100), bar(100.25), bar(100.25), bar(99), bar(99.5, high=100)])
    assert told(made, rule="flat") == [0, 1, 0, -1, 0]


def test_flat_within_the_day_needs_the_whole_day_at_one_price():
    made = market([bar(100), bar(103), bar(103), bar(104), bar(104)], days=[0, 1, 1, 1, 2])
    assert told(made, rule="flat") == [0, 1, 1, 0, 0]


def test_off_locks_nothing_and_other_rules_are_refused():
    made = market([bar(100), bar(105)])
    assert told(made, 5.0, rule="off") == [0, 0]
    with pytest.raises(ValueError, match="'maybe' of locked markets is not known; allowed: known, flat, off"):
        locked(made, None, "maybe")
    with pytest.raises(ValueError, match="price_limits"):
        locked(made)


def test_limits_hold_from_their_day_on_and_are_never_carried_back():
    when = ["2014-04-23", "2014-04-24", "2014-04-30", "2014-05-01", "2016-11-01", "2020-11-02"]
    days = np.array(when, "datetime64[D]")
    points, share = price_limits(Master.load(), ["ZC", "ES", "CL"], days)
    assert points[:, 0].tolist() == pytest.approx([NAN, 40, 40, 35, NAN, 25], nan_ok=True)  # CBOT's notices
    assert share[:, 1].tolist() == [0.2] * 6 and np.isnan(share[:, 0]).all()
    assert np.isnan(points[:, 1:]).all() and np.isnan(share[:, 2]).all()


def twin(made, points, rule):
    """In plain Python, row by row."""
    out, tick = [], 0.25
    for t, day in enumerate(made.days):
        earlier = [s for s in range(t) if made.days[s] < day and made.mark[s, 0] == made.mark[s, 0]]
        today = [s for s in range(t + 1) if made.days[s] == day and made.open[s, 0] == made.open[s, 0]]
        prices = {float(made.open[s, 0]) for s in today}
        flat = lambda s: made.open[s, 0] == made.high[s, 0] == made.low[s, 0]  # noqa: E731
        if not earlier or not today or today[-1] != t or not flat(t):
            out.append(0)
            continue
        last = earlier[-1]
        move = made.open[t, 0] - (made.mark[last, 0] + made.offset[last, 0] - made.offset[t, 0])
        if rule == "flat":
            far = move != 0 and len(prices) == 1 and all(map(flat, today))
        else:
            far = abs(move) >= points - tick / 2
        out.append(int(np.sign(move)) if far else 0)
    return out


def random_market(seed, bars=120):
    random = np.random.default_rng(seed)
    price = 100 + 0.25 * np.cumsum(random.integers(-12, 13, bars))
    wide = random.random(bars) < 0.5
    rows = np.stack([price, price + 0.25 * wide, price - 0.5 * wide, price], axis=1)
    rows[random.random(bars) < 0.1] = NAN
    days = np.sort(random.integers(0, bars // 2, bars)) if seed % 2 else np.arange(bars)
    return market(rows, offset=-0.25 * np.cumsum(random.random(bars) < 0.05) * 8, days=days)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rule", ["known", "flat"])
def test_random_markets_agree_with_the_slow_twin(seed, rule):
    made = random_market(seed)
    found = told(made, 1.5, rule=rule)
    assert found == twin(made, 1.5, rule) and {1, -1} <= set(found)


@pytest.mark.parametrize("rule", ["known", "flat"])
def test_t14_t45_neither_the_level_of_the_offsets_nor_the_future_matters(rule):
    made = random_market(3)
    whole = told(made, 1.5, rule=rule)
    shifted = SimpleNamespace(**(vars(made) | {"offset": made.offset + 1024.0}))
    assert told(shifted, 1.5, rule=rule) == whole
    for n in (1, 17, 60):
        part = SimpleNamespace(**{name: values[:n] for name, values in vars(made).items()})
        assert told(part, 1.5, rule=rule) == whole[:n]


def test_real_cattle_were_locked_down_after_the_fire_at_a_packing_plant(shared, tmp_path):
    """On Friday 2019-08-09 a plant in Kansas burned down; on Monday live cattle stood at the limit of 3 cents."""
    from engine.market import load
    from store import open_archive
    from store.ingest import import_paths

    archive = open_archive(tmp_path / "store", create=True)
    import_paths(archive, [shared / "barchart" / "daily" / "Day_LIVECOW.zip"])
    made = load(archive, ["LE"])
    found = locked(made, price_limits(Master.load(), ["LE"], made.days))[:, 0]
    assert found[made.days == np.datetime64("2019-08-12")].tolist() == [-1]
    assert np.count_nonzero(found) < 10  # and few days else: the rule takes no ordinary day
