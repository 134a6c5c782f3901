"""store/ranks.py: cases solved by hand, and the laws: later than the rank below, blind to the future."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import test_store_rolls
from test_store_continuous import barchart
from test_store_rolls import flat, make_bars, random_market, weekdays

from store import chain as chains
from store.continuous import stitch
from store.contracts import Master
from store.ranks import ranked
from store.rolls import CLOSED, calendar

market = test_store_rolls.market
ROW = ("day", "from_contract", "to_contract", "from_price", "to_price", "reason")


def rows(found):
    return found.frame.select(ROW).rows()


def settles(n, first):
    """Settlements that rise by one a day."""
    return [first + t for t in range(n)]


def four():
    """Six days of January to April; volume crosses into February on the second day and into March on the fourth."""
    return make_bars(weekdays(6), {
        202401: {"settle": settles(6, 10), "volume": [9, 1, 1, 1, 1, 1]},
        202402: {"settle": settles(6, 20), "volume": [5, 5, 5, 1, 1, 1]},
        202403: {"settle": settles(6, 30), "volume": [1, 1, 1, 4, 4, 4]},
        202404: {"settle": settles(6, 40), "volume": [0] * 6},
    })  # fmt: skip


def test_every_rank_rolls_on_the_day_of_rank_0_to_the_next_contract_of_the_chain(market):
    bars, days = four(), weekdays(6)
    held = calendar(bars, market())
    assert [row[:3] for row in rows(held)] == [(days[2], 202401, 202402), (days[4], 202402, 202403)]
    one, two = ranked(bars, held, 1, market()), ranked(bars, held, 2, market())
    assert (one.first, one.rank, one.rule, one.months) == (202402, 1, "volume:1", held.months)
    assert rows(one) == [
        (days[2], 202402, 202403, 22.0, 32.0, "rank 0"),
        (days[4], 202403, 202404, 34.0, 44.0, "rank 0"),
    ]
    assert rows(two) == [(days[2], 202403, 202404, 32.0, 42.0, "rank 0")]
    assert one.frame["decided"].to_list() == [days[1], days[3]]
    assert stitch(bars, one)["contract"].to_list() == [202402] * 3 + [202403] * 2 + [202404]
    assert stitch(bars, two)["contract"].to_list() == [202403] * 3 + [202404] * 2  # rank 1 comes to it on day 4
    assert two.end == days[4] and one.end is None
    assert one.version != held.version


def test_rank_0_is_the_calendar_itself_and_inputs_are_not_changed(market):
    bars = four()
    held, before = calendar(bars, market()), bars.clone()
    version = held.version
    assert ranked(bars, held, 0) is held
    ranked(bars, held, 2, market())
    assert held.version == version and bars.equals(before)


def test_a_chain_that_is_at_hand_gives_the_same(market):
    bars = four()
    held = calendar(bars, market())
    assert rows(ranked(chains.load(bars, held.months), held, 1, market())) == rows(ranked(bars, held, 1, market()))


def test_more_ranks_than_contracts_are_refused_with_how_many_there_are(market):
    bars = four()
    held = calendar(bars, market())
    with pytest.raises(ValueError, match=r"XX: no rank 4: at most 4 contracts .* which are ranks 0 to 3"):
        ranked(bars, held, 4, market())
    with pytest.raises(ValueError, match=r"rank -1, counted from a calendar of rank 0; allowed are 0, 1, 2"):
        ranked(bars, held, -1, market())
    with pytest.raises(ValueError, match=r"rank 1, counted from a calendar of rank 1"):
        ranked(bars, ranked(bars, held, 1, market()), 1, market())


def test_t13_a_leg_without_a_price_lets_the_rank_wait_and_rank_0_goes_ahead(market):
    bars = four()
    missing = (pl.col("contract") == 202403) & (pl.col("day") == weekdays(6)[2])
    bars = bars.with_columns(settle=pl.when(~missing).then("settle"))
    held, days = calendar(bars, market()), weekdays(6)
    assert rows(held)[0][0] == days[2]
    assert rows(ranked(bars, held, 1, market()))[0] == (days[3], 202402, 202403, 23.0, 33.0, "rank 0, waited 1")


def test_contracts_listed_after_the_roll_are_seen_at_the_next(market):
    days = weekdays(6)
    bars = make_bars(days, {
        202401: {"settle": settles(6, 10), "volume": [9, 9, 9, 1, 1, 1]},
        202402: {"settle": [None, *settles(5, 21)], "volume": [None] + [5] * 5},
        202403: {"settle": settles(6, 30), "volume": [1] * 6}, 202404: {"settle": settles(6, 40), "volume": [1] * 6},
    })  # fmt: skip
    held = calendar(bars, market())
    assert rows(held)[0][:3] == (days[4], 202401, 202402)
    one = ranked(bars, held, 1, market())  # on the first day March is next; February comes a day later
    assert one.first == 202403 and not rows(one)  # and when rank 0 is in February, March is the next again
    assert ranked(bars, held, 2, market()).first == 202404


def test_t9_a_rank_never_goes_back_to_a_contract_listed_late(market):
    days = weekdays(6)
    bars = make_bars(days, {
        202401: {"settle": settles(6, 10), "volume": [9, 1, 1, 1, 1, 1]},
        202402: {"settle": settles(6, 20), "volume": [5] * 6},
        202403: {"settle": [None, *settles(5, 31)], "volume": [None] + [1] * 5},
        202404: {"settle": settles(6, 40), "volume": [0] * 6},
    })  # fmt: skip
    held = calendar(bars, market())
    two = ranked(bars, held, 2, market())
    assert two.first == 202404 and not rows(two)  # of January; of February the second is April again, not March
    assert rows(ranked(bars, held, 1, market())) == [(days[2], 202402, 202403, 22.0, 32.0, "rank 0")]


def test_a_rank_ends_where_no_later_contract_is_listed_and_begins_anew_in_the_next(market):
    days = weekdays(6)
    bars = make_bars(days, {
        202401: {"settle": settles(6, 10), "volume": [9, 1, 1, 1, 1, 1]},
        202402: {"settle": settles(6, 20), "volume": [5] * 6},
        202403: {"settle": [None] * 4 + settles(2, 34), "volume": [None] * 4 + [1] * 2},
    })  # fmt: skip
    one = ranked(bars, calendar(bars, market()), 1, market())
    assert rows(one) == [(days[4], 202402, 202403, 22.0, 34.0, CLOSED)]
    assert one.frame["decided"].to_list() == [days[2]] and one.end is None
    found = stitch(bars, one)
    assert found.select("day", "contract").rows() == [
        (days[0], 202402), (days[1], 202402), (days[2], 202402), (days[4], 202403), (days[5], 202403),
    ]  # fmt: skip
    assert np.diff(found["adjusted"]).tolist() == [1, 1, 0, 1]
    early = bars.filter(pl.col("day") < days[4])
    before = ranked(early, calendar(early, market()), 1, market())
    assert before.end == days[2] and stitch(early, before)["day"].to_list() == days[:3]


def test_a_rank_that_waits_is_closed_when_the_rank_below_passes_it_by(market):
    days = weekdays(8)
    bars = make_bars(days, {
        202401: {"settle": settles(8, 10), "volume": [9, 1, 1, 1, 1, 1, 1, 1]},
        202402: {"settle": settles(8, 20), "volume": [5, 5, 5, 1, 1, 1, 1, 1]},
        202403: {"settle": settles(8, 30), "volume": [1, 1, 1, 4, 4, 4, 4, 4]},
        202404: {"settle": [None] * 6 + settles(2, 46), "volume": [0] * 8},  # listed, but without a price at first
    })  # fmt: skip
    held = calendar(bars, market())
    two = ranked(bars, held, 2, market())
    assert two.first == 202403 and [row[0] for row in rows(held)] == [days[2], days[4]]
    assert rows(two) == []  # rank 1 wants April from day 4 on, and no later one is listed
    assert two.end == days[4]
    one = ranked(bars, held, 1, market())  # in March from day 2 on, while rank 0 comes to it on day 4
    assert rows(one)[1] == (days[6], 202403, 202404, 36.0, 46.0, "rank 0, waited 2")


def behind(bars, spec):
    """Calendars of a market, rank 0 first, as many as its chain has up to 2."""
    made = [calendar(bars, spec)]
    for rank in (1, 2):
        try:
            made.append(ranked(bars, made[0], rank, spec))
        except ValueError:
            break
    return made


def test_the_laws_on_random_markets(market):
    days_compared = prefixes = 0
    for seed in range(150):
        bars, last, days, *_ = random_market(seed)
        spec = market(last)
        try:
            made = behind(bars, spec)
        except ValueError:
            continue
        series = [stitch(bars, one) for one in made]
        for r in range(1, len(made)):
            days_compared += stays_behind(series[r - 1], series[r], made[r - 1], made[r])
            for contract, end in series[r].group_by("contract").agg(pl.col("day").max()).rows():
                assert end <= last[contract]
        for t in np.random.default_rng(seed).choice(len(days), 4):
            part = bars.filter(pl.col("day") <= days[t])
            try:
                again = behind(part, spec)
            except ValueError:
                continue
            for one, full, rows_of in list(zip(again, made, series, strict=False))[1:]:
                assert one.first == full.first
                assert one.frame.equals(full.frame.filter(pl.col("day") <= days[t])), (seed, days[t])
                kept = ["time", "contract", "settle", "offset"]
                assert stitch(part, one).select(kept).equals(rows_of.filter(pl.col("day") <= days[t]).select(kept))
                prefixes += 1
    assert days_compared > 1000 and prefixes > 300


def stays_behind(below, above, rolls_below, rolls_above):
    """Check that a rank holds a later contract than the one below on every day; give how many days were looked at.

    The same one may be held while a roll waits, and on the day on which the rank below takes it up after a break.
    """
    both = below.join(above, on="time").select("day", "contract", "contract_right")
    waits = rolls_above.frame.filter(pl.col("reason").str.contains("waited|closed"))
    excused = set(rolls_below.frame.filter(pl.col("reason") == CLOSED)["day"])
    for end, since in waits.select("day", "decided").rows():
        excused |= {since + timedelta(days=i) for i in range((end - since).days + 1)}
    early = both.filter(pl.col("contract_right") <= pl.col("contract"))
    assert set(early["day"]) <= excused, set(early["day"]) - excused
    return len(both)


@pytest.mark.parametrize("name, root", [("SP500_micro", "MES"), ("CORN", "ZC"), ("US10", "ZN")])
def test_ranks_of_real_chains_keep_the_laws(shared, name, root):
    spec, bars = Master.load().spec(root), barchart(shared, name)
    made = [calendar(bars, spec)]
    made += [ranked(bars, made[0], rank, spec) for rank in (1, 2)]
    series = [stitch(bars, one, spec) for one in made]
    assert len(series[1]) > 0.98 * len(series[0])
    for r in (1, 2):
        assert stays_behind(series[r - 1], series[r], made[r - 1], made[r]) > 1500
    for t in np.random.default_rng(3).choice(series[0]["day"], 3):
        part = bars.filter(pl.col("day") <= t)
        again = ranked(part, calendar(part, spec), 1, spec)
        assert again.frame.equals(made[1].frame.filter(pl.col("day") <= t))


def test_the_rank_behind_a_liquid_contract_earns_about_the_same(shared):
    spec, bars = Master.load().spec("MES"), barchart(shared, "SP500_micro")
    held = calendar(bars, spec)
    series = [
        stitch(bars, one, spec).with_columns(x=pl.col("adjusted").diff()) for one in (held, ranked(bars, held, 1, spec))
    ]
    both = series[0].join(series[1], on="day").filter(pl.col("day").dt.year() >= 2021).drop_nulls(["x", "x_right"])
    assert both.select(pl.corr("x", "x_right")).item() > 0.97


def test_flat_prices_of_all_ranks_earn_nothing(market):
    bars = make_bars(weekdays(6), {202401 + k: flat(6, 10.0 * k, volume=[9 - k, k, k, k, k, k]) for k in range(4)})
    held = calendar(bars, market())
    for rank in range(3):
        assert set(stitch(bars, ranked(bars, held, rank, market()))["adjusted"].diff().drop_nulls()) <= {0.0}
