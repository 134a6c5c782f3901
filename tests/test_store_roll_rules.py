"""store/roll_rules.py, store/roll_search.py: the grammar, what each part does, and the slow twin of the search."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import naive
import numpy as np
import polars as pl
import pytest
import roll_markets
from test_store_rolls import flat, make_bars, weekdays

from store import chain as chains
from store import days as sessions
from store.contracts import Master
from store.roll_rules import UnknownRule, parse_rule
from store.rolls import CLOSED, Position, RollCalendar, calendar, held_months, last_position

ES = Master.load().spec("ES")
FAR = date(2026, 6, 1)


def spec(ends, notices=None, held="FGHJKMNQUVXZ"):
    """A market on the sessions of the ES whose contracts end on these days; others end in the year 2026."""
    everyone = {202400 + month: FAR for month in range(1, 13)} | ends
    dates = tuple((contract, end, (notices or {}).get(contract)) for contract, end in sorted(everyone.items()))
    return replace(ES, held_months=held, dates=dates, first_notice_rules=())


def told(found):
    """(day, from, to, reason) of each roll."""
    return found.frame.select("day", "from_contract", "to_contract", "reason").rows()


def first(bars, facts, rule):
    """(day, reason) of the first roll."""
    day, _, _, reason = told(calendar(bars, facts, rule))[0]
    return day, reason


def crossing(n, at, **more):
    """Two contracts of which the later one is the busier one from day number `at` on, in volume and open interest."""
    old, new = [9.0] * at + [1.0] * (n - at), [5.0] * n
    columns = {202403: flat(n, volume=old, open_interest=old), 202404: flat(n, volume=new, open_interest=new)}
    return make_bars(weekdays(n), columns | {int(contract): fields for contract, fields in more.items()})


def test_rules_are_read_and_written():
    written = ("volume", "OI:2", "volume+oi", "volume/oi:3", "first-notice-2", "Volume@3/oi@1:2", "month-begin+3")
    assert [str(parse_rule(x)) for x in written] == [
        "volume:1", "oi:2", "volume+oi:1", "volume/oi:3", "first-notice-2", "volume@3/oi@1:2", "month-begin+3",
    ]  # fmt: skip
    assert str(parse_rule("volume@1:2 , exit=3, months=ZGH")) == "volume:2,months=GHZ,exit=3"
    assert str(parse_rule("oi+delivery-20/last-trade-5,exit=expiry")) == "oi:1+delivery-20/last-trade-5,exit=expiry"
    assert str(parse_rule("pysystemtrade", names=("pysystemtrade",))) == "pysystemtrade"


def test_a_rule_that_was_written_is_read_as_the_same_rule():
    rules = [parse_rule(roll_markets.rule(seed)) for seed in range(200)]
    assert [parse_rule(str(rule)) for rule in rules] == rules


@pytest.mark.parametrize(
    "text", ["", "volume:0", "volume:", "vol", "first-notice", "volume-2", "barchart", "volume:1.5",
             "volume+volume", "volume@0", "first-notice+2", "volume,exit=0", "volume,months=", "volume,exit=2,exit=3",
             "volume,hold=3"],
)  # fmt: skip
def test_a_wrong_rule_says_what_came_what_is_allowed_and_the_nearest(text):
    with pytest.raises(UnknownRule) as error:
        parse_rule(text)
    assert repr(text) in str(error.value)
    if "," not in text and "@0" not in text:
        assert "volume[@D][:N] | oi[@D][:N]" in str(error.value)
    if text == "vol":
        assert "did you mean 'volume'?" in str(error.value)


def test_a_calendar_that_came_from_elsewhere_says_itself_which_months_are_held():
    with pytest.raises(UnknownRule, match="mine says itself which months are held"):
        parse_rule("mine,months=HM", names=("mine",))
    assert parse_rule("mine,exit=4", names=("mine",)).exit == 4


def test_a_number_is_read_as_many_days_later_as_it_is_told_to_be_known():
    days, bars = weekdays(12), crossing(12, 3)  # crossed at the close of day 3
    for rule, day in {"volume": 4, "volume@2": 5, "volume@4:2": 8, "oi": 5, "oi@1": 4, "volume@3+oi@1": 6,
                      "volume@3/oi@1": 4}.items():  # fmt: skip
        assert first(bars, spec({}), rule)[0] == days[day], rule


def test_delivery_and_month_begin_are_counted_from_their_first_session():
    bars = make_bars(weekdays(70), {202403: flat(70), 202404: flat(70)})
    facts = spec({202403: date(2024, 3, 15)})
    assert first(bars, facts, "delivery-1") == (date(2024, 2, 29), "delivery-1")  # March begins on Friday, 1 March
    assert first(bars, facts, "delivery-0") == (date(2024, 3, 1), "delivery-0")
    assert first(bars, facts, "month-begin-2") == (date(2024, 2, 28), "month-begin-2")
    assert first(bars, facts, "month-begin+2") == (date(2024, 3, 5), "month-begin+2")
    assert first(bars, facts, "month-begin+20") == (date(2024, 3, 14), "forced: month-begin+20")
    assert first(bars, facts, "month-end-1") == (date(2024, 2, 28), "month-end-1")
    noticed = spec({202403: date(2024, 3, 15)}, {202403: date(2024, 2, 28)})  # last allowed Tuesday, 27 February
    assert first(bars, noticed, "month-begin+2") == (date(2024, 2, 5), "month-begin+2")
    assert first(bars, noticed, "delivery-1") == (date(2024, 2, 27), "forced: delivery-1")
    assert first(bars, noticed, "month-end-0") == (date(2024, 1, 31), "month-end-0")


def test_a_month_that_begins_on_a_holiday_begins_on_its_first_session():
    bars = make_bars(weekdays(30, date(2023, 12, 18)), {202401: flat(30), 202402: flat(30)})
    facts = spec({202401: date(2024, 1, 19)})
    assert first(bars, facts, "delivery-1")[0] == date(2023, 12, 29)  # 1 January is closed, the 2nd a Tuesday
    assert first(bars, facts, "month-begin+1")[0] == date(2024, 1, 3)


def test_activity_counts_only_from_a_day_on():
    bars, facts = crossing(40, 3), spec({202403: date(2024, 2, 15)})  # session before: Wednesday the 14th
    assert first(bars, facts, "volume+last-trade-10") == (date(2024, 2, 1), "volume")
    assert first(bars, facts, "volume:3+last-trade-10") == (date(2024, 2, 1), "volume")  # the 3 days may lie before
    late = crossing(40, 29)  # Friday, 9 February
    assert first(late, facts, "volume:2+last-trade-10") == (date(2024, 2, 13), "volume")


def test_a_crossing_that_is_gone_on_the_first_day_that_counts_is_none():
    busy = [9.0] * 3 + [1.0] * 18 + [9.0] * 19  # crossed from day 3 to day 20, Monday, 29 January
    bars = make_bars(weekdays(40), {202403: flat(40, volume=busy), 202404: flat(40, volume=[5.0] * 40)})
    facts = spec({202403: date(2024, 2, 15)})
    assert first(bars, facts, "volume+last-trade-12") == (date(2024, 1, 30), "volume")
    assert first(bars, facts, "volume+last-trade-11") == (date(2024, 2, 14), "fallback: no crossing")


def test_activity_that_has_not_crossed_by_a_day_rolls_then():
    facts = spec({202403: date(2024, 2, 15)})
    rule = "volume/last-trade-8"  # Monday, 5 February
    assert first(crossing(40, 30), facts, rule) == (date(2024, 2, 5), "last-trade-8: no crossing")
    assert first(crossing(40, 24), facts, rule) == (date(2024, 2, 5), "volume")  # of Friday, 2 February
    quiet = make_bars(weekdays(40), {202403: flat(40), 202404: flat(40)})
    assert first(quiet, facts, rule) == (date(2024, 2, 5), "last-trade-8: unknown volume")
    assert first(quiet, facts, "volume/last-trade-1") == (date(2024, 2, 12), "fallback: unknown volume")
    assert first(crossing(40, 39), facts, "volume/last-trade-0") == (date(2024, 2, 14), "fallback: no crossing")
    assert first(crossing(40, 39), facts, "oi+delivery-2/last-trade-4")[1] == "last-trade-4: no crossing"


def test_months_are_held_as_the_rule_says():
    letters = {202400 + m: flat(5, volume=[m] * 5) for m in range(1, 8)}
    bars = make_bars(weekdays(5), letters)
    chain = lambda rule: [row[1:3] for row in told(calendar(bars, spec({}, held="FGHJKM"), rule))]  # noqa: E731
    assert chain("volume,months=HK") == [(202403, 202405)]
    assert chain("volume,months=-GHJ") == [(202401, 202405), (202405, 202406)]
    assert chain("volume,months=MN") == [(202406, 202407)]  # what the facts leave out may be asked for
    assert held_months(spec({}, held="HMUZ"), "oi,months=-Z") == (3, 6, 9)
    with pytest.raises(ValueError, match=r"ES|XX: no bars in a held month \(Z\)"):
        calendar(bars, spec({}), "volume,months=Z")


def test_exit_leaves_so_many_days_before_notice_or_last_trade():
    bars = make_bars(weekdays(40), {202403: flat(40, volume=[9] * 40), 202404: flat(40, volume=[1] * 40)})
    facts = spec({202403: date(2024, 2, 15)}, {202403: date(2024, 2, 9)})
    assert first(bars, facts, "volume") == (date(2024, 2, 8), "fallback: no crossing")
    assert first(bars, facts, "volume,exit=4") == (date(2024, 2, 5), "fallback: no crossing")
    assert first(bars, facts, "last-trade-2,exit=3") == (date(2024, 2, 6), "forced: last-trade-2")


def test_a_series_through_expiry_ends_on_the_last_trade_whatever_the_notice_and_is_for_research():
    bars = make_bars(weekdays(40), {202403: flat(40, volume=[9] * 40), 202404: flat(40, volume=[1] * 40)})
    facts = spec({202403: date(2024, 2, 15)}, {202403: date(2024, 2, 9)})
    found = calendar(bars, facts, "last-trade-0,exit=expiry")
    assert told(found)[0] == (date(2024, 2, 15), 202403, 202404, "last-trade-0")
    assert first(bars, facts, "volume,exit=expiry") == (date(2024, 2, 15), "fallback: no crossing")
    assert first(bars, facts, "first-notice-1,exit=expiry") == (date(2024, 2, 8), "first-notice-1")


def test_a_position_that_ends_before_expiry_keeps_the_spread_of_the_last_day_on_which_both_had_a_price():
    """The old contract has its last bar on 31 January, the other one no price that day, and the last trade is on 6
    February: of 30 January both prices are known. In a tradable series the break is not bridged."""
    days = weekdays(40)
    first_ends, gap = days.index(date(2024, 1, 31)), [date(2024, 1, 31)]
    rising = lambda start: [start + t for t in range(40)]  # noqa: E731
    bars = make_bars(days, {
        202402: {"settle": rising(100)[: first_ends + 1] + [None] * (39 - first_ends)},
        202403: {"settle": [None if day in gap else x for day, x in zip(days, rising(130), strict=True)],
                 "volume": [1] * 40},
    })  # fmt: skip
    facts = spec({202402: date(2024, 2, 6)})
    [row] = calendar(bars, facts, "last-trade-0,exit=expiry").frame.rows(named=True)
    assert (row["day"], row["decided"], row["reason"]) == (date(2024, 2, 7), date(2024, 2, 6), CLOSED)
    assert (row["from_price"], row["to_price"]) == (100.0 + 21, 130.0 + 21)  # 30 January is the 22nd weekday
    [row] = calendar(bars, facts, "last-trade-0,exit=1").frame.rows(named=True)
    assert (row["day"], row["from_price"], row["to_price"]) == (date(2024, 2, 6), 100.0 + 22, 130.0 + 26)
    never = bars.filter(
        (pl.col("contract") == 202402) | (pl.col("day") > date(2024, 1, 31)) | pl.col("settle").is_null()
    )
    [row] = calendar(never, facts, "last-trade-0,exit=expiry").frame.rows(named=True)
    assert (row["day"], row["from_price"], row["to_price"]) == (date(2024, 2, 7), 100.0 + 22, 130.0 + 27)


def test_a_rule_that_leaves_no_month_says_so():
    bars = make_bars(weekdays(4), {202403: flat(4), 202406: flat(4)})
    with pytest.raises(ValueError, match="XX: roll rule 'volume,months=-HMUZ' leaves none of its delivery months HMUZ"):
        calendar(bars, replace(Master.load().spec("ES"), held_months="HMUZ"), "volume,months=-HMUZ")


def test_what_is_allowed_follows_a_semicolon_or_a_question():
    with pytest.raises(UnknownRule, match=r"^roll rule '!' is not known; allowed: volume\[@D\]\[:N\] \| oi"):
        parse_rule("!")
    with pytest.raises(UnknownRule, match=r"is not known; did you mean 'volume'\? Allowed: volume\[@D\]\[:N\]"):
        parse_rule("volum")


def test_series_through_expiry_equal_their_slow_twin():
    bridged = 0
    for seed in range(60):
        bars, facts = roll_markets.market(seed)
        for rule in map(parse_rule, ("last-trade-0,exit=expiry", "volume:2,exit=expiry")):
            contracts, market = plain(bars, facts, rule)
            expected = [(day, contracts[a], contracts[b], *rest) for day, a, b, *rest in naive.rolls(market, rule)]
            made = calendar(bars, facts, str(rule)).frame.drop("time") if expected else pl.DataFrame()
            assert made.rows() == expected, (seed, str(rule))
            # where a price of the new contract is of a day before the row's, the break is bridged
            for row in made.iter_rows(named=True) if expected else ():
                same = (pl.col("contract") == row["to_contract"]) & (pl.col("day") == row["day"])
                [price] = bars.filter(same).select(pl.coalesce("settle", "close")).to_series().to_list()
                bridged += row["reason"] == CLOSED and row["to_price"] != price
    assert bridged > 20


def test_t12_a_vendors_date_goes_before_the_rule_in_planned_rolls_as_well():
    wrong = replace(Master.load().spec("6E"), calendar="RF", held_months="FGHJKMNQUVXZ")  # knows no Presidents' Day
    told_ = replace(wrong, dates=((202502, date(2025, 2, 14), None),))
    n = 60
    bars = make_bars(weekdays(n, date(2024, 12, 2)), {202502: flat(n, volume=[9] * n), 202503: flat(n, volume=[1] * n)})
    assert first(bars, wrong, "last-trade-0") == (date(2025, 2, 14), "forced: last-trade-0")  # its own 17th less one
    assert first(bars, told_, "last-trade-1") == (date(2025, 2, 13), "last-trade-1")
    assert first(bars, told_, "last-trade-0") == (date(2025, 2, 13), "forced: last-trade-0")
    assert first(bars, told_, "first-notice-3") == (date(2025, 2, 11), "first-notice-3")  # without notice: last trade
    for rule in ("volume", "oi", "volume+last-trade-5/last-trade-2", "month-end-1", "month-begin+9", "delivery-2"):
        assert first(bars, told_, rule)[0] < date(2025, 2, 14), rule


def test_a_contract_that_may_not_be_held_on_is_not_rolled_into():
    bars = make_bars(weekdays(40), {contract: flat(40, volume=[9] * 40) for contract in (202403, 202404, 202405)})
    facts = spec({202403: date(2024, 2, 15), 202404: date(2024, 2, 12)})  # a vendor's slip
    assert told(calendar(bars, facts))[0] == (date(2024, 2, 14), 202403, 202405, "fallback: no crossing")
    busy = crossing(40, 31)  # crossed on Tuesday, 13 February
    assert not told(calendar(busy, facts))
    later = {"202405": flat(40, volume=[1.0] * 40, open_interest=[1.0] * 40)}
    assert told(calendar(crossing(40, 28, **later), facts))[0][2:] == (
        202405,
        "fallback: no crossing",
    )  # known on 9 Feb
    assert told(calendar(crossing(40, 27, **later), facts))[0][2:] == (202404, "volume")  # known on 8 Feb
    assert first(busy, spec({202403: date(2024, 2, 15)}), "volume") == (date(2024, 2, 14), "volume")


def plain(bars, facts, rule):
    """Bars and facts as lists, for the slow twin."""
    held = bars.filter((pl.col("contract") % 100).is_in(held_months(facts, str(rule))))
    names = ("settle", "close", "volume", "open_interest")
    held = held.filter(pl.any_horizontal(pl.col(names).is_not_null()))
    days, contracts = (held[name].unique().sort().to_list() for name in ("day", "contract"))
    tables = {name: [[None] * len(contracts) for _ in days] for name in names}
    for day, contract, *values in held.select("day", "contract", *names).rows():
        for name, value in zip(names, values, strict=True):
            tables[name][days.index(day)][contracts.index(contract)] = value
    given = {row[0]: row for row in facts.dates}
    return contracts, SimpleNamespace(
        days=days,
        settle=tables["settle"],
        close=tables["close"],
        activity={"volume": tables["volume"], "oi": tables["open_interest"]},
        months=[date(contract // 100, contract % 100, 1) for contract in contracts],
        trade=[given[contract][1] for contract in contracts],
        notice=[given[contract][2] for contract in contracts],
        is_session=lambda day: sessions.is_session(facts.calendar, day),
    )


def test_the_rolls_of_any_rule_equal_their_slow_twin():
    compared, reasons = 0, set()
    for seed in range(180):
        (bars, facts), rule = roll_markets.market(seed), parse_rule(roll_markets.rule(seed))
        contracts, market = plain(bars, facts, rule)
        expected = [
            (day, contracts[a], contracts[b], *rest) for day, a, b, *rest in naive.rolls(market, rule)
        ]  # fmt: skip
        try:
            made = calendar(bars, facts, str(rule)).frame.drop("time").rows()
        except ValueError as error:
            assert (not expected and "no contract has a price" in str(error)) or "no bars in a held month" in str(error)
            continue
        assert made == expected, (seed, str(rule))
        compared += len(made)
        reasons |= {row[-1].split(",")[0] for row in made}
    assert compared > 200
    assert {"volume", "oi", "volume+oi", "volume/oi", "closed: no matched price", "fallback: no crossing"} <= reasons
    assert {"fallback: unknown volume", "fallback: unknown open interest"} <= reasons
    for ending in ("no crossing", "unknown volume"):
        assert any(reason.endswith(ending) and not reason.startswith("fallback") for reason in reasons), ending
    assert any(reason.startswith("forced: ") for reason in reasons)


def test_rolls_go_on_from_a_position_as_if_all_bars_had_been_read():
    compared, anew = 0, 0
    for seed in range(200, 320):
        (bars, facts), rule = roll_markets.market(seed), roll_markets.rule(seed)
        try:
            whole = calendar(bars, facts, rule)
        except ValueError:
            continue
        rolls, position, read, dates = whole.frame[:0], None, bars, bars["day"].unique().sort()
        for t in [*sorted(np.random.default_rng(seed).choice(dates, 5, replace=False)), dates[-1]]:
            past = read.filter(pl.col("day") <= t)
            try:
                made = calendar(past, facts, rule, position=position)
            except ValueError:  # not begun yet
                continue
            assert made.rule == whole.rule and (position is None or made.first == position.contract)
            rolls = pl.concat([rolls, made.frame])
            assert rolls.equals(whole.frame.filter(pl.col("day") <= t)), (seed, rule, t)
            compared += len(made.frame) * (position is not None)
            position = last_position(past, replace(made, frame=rolls), position)  # on from there, again and again
            anew += position is None and len(rolls) > 0
            rolls, read = (rolls, bars.filter(pl.col("day") >= position.since)) if position else (rolls[:0], bars)
    assert compared > 60 and anew < 30


def test_a_position_says_what_was_listed_and_since_when_activity_is_known():
    days, bars = weekdays(12), crossing(12, 3)
    bars = pl.concat([bars, make_bars(days, {202405: {"settle": [None] * 8 + [7] * 4}})])
    made = calendar(bars, spec({}), "volume")
    known = (("volume", days[0]), ("oi", days[0]))
    listed = ((202403, days[0]), (202404, days[0]), (202405, days[8]))
    assert last_position(bars, made) == Position(202404, days[4], listed, known)
    unknown = last_position(bars.with_columns(volume=None), calendar(bars, spec({}), "volume"))
    assert unknown.known[0] == ("volume", None)


def test_a_contract_that_was_listed_before_the_position_is_still_the_next_one():
    gone = {
        "202405": {"settle": [7.0] * 3 + [None] * 37}
    }  # 202404 is held from day 4 on, and 202405 never priced again
    bars = crossing(40, 3, **gone)
    bars = pl.concat([bars, make_bars(weekdays(40), {202406: flat(40, volume=[2.0] * 20 + [8.0] * 20)})])
    facts = spec({202404: date(2024, 2, 15)})
    whole = calendar(bars, facts)
    assert told(whole)[1] == (date(2024, 2, 15), 202404, 202406, "closed: no matched price")
    past = bars.filter(pl.col("day") < date(2024, 1, 20))
    position = last_position(past, calendar(past, facts))
    later = calendar(bars.filter(pl.col("day") >= position.since), facts, position=position)
    assert later.frame.equals(whole.frame[1:])


def test_activity_that_was_known_before_the_position_is_known_after_it():
    n = 40
    columns = {202403: [9.0] * 3 + [1.0] + [0.0] * 36, 202404: [5.0] * 4 + [0.0] * 36, 202405: [0.0] * n}
    bars = make_bars(weekdays(n), {contract: flat(n, volume=volume) for contract, volume in columns.items()})
    facts = spec({202404: date(2024, 2, 15)})
    whole = calendar(bars, facts)
    assert [row[3] for row in told(whole)] == ["volume", "fallback: no crossing"]
    past = bars.filter(pl.col("day") < date(2024, 1, 20))
    position = last_position(past, calendar(past, facts))
    later = calendar(bars.filter(pl.col("day") >= position.since), facts, position=position)
    assert later.frame.equals(whole.frame[1:])
    unknown = replace(position, known=(("volume", None), ("oi", None)))
    bars = bars.filter(pl.col("day") >= position.since).with_columns(volume=pl.lit(0.0))
    assert told(calendar(bars, facts, position=unknown))[0][3] == "fallback: unknown volume"


def test_a_rule_that_reads_activity_late_goes_on_only_where_none_is_news_any_more():
    days = weekdays(20)
    old, new = [None] * 2 + [1.0] * 18, [None] * 2 + [5.0] * 18  # known from day 2 on
    bars = make_bars(days, {202403: flat(20, volume=old), 202404: flat(20, volume=new), 202405: flat(20)})
    facts = spec({202403: days[6], 202404: days[19]})
    bars = bars.filter(pl.col("day") <= days[8])
    for rule, goes_on in {"volume": True, "volume@2": True, "volume@3": False}.items():
        made = calendar(bars, facts, rule)
        assert made.frame["day"].to_list() == [days[3]], rule
        assert (last_position(bars, made) is not None) == goes_on, rule


def test_a_position_that_does_not_fit_the_bars_is_refused():
    bars = crossing(12, 3)
    position = last_position(bars, calendar(bars, spec({}), "volume"))
    with pytest.raises(ValueError, match="goes on from 2024-01-05, bars begin on 2024-01-01"):
        calendar(bars, spec({}), "volume", position=position)
    with pytest.raises(ValueError, match="known afterwards only"):
        calendar(bars.filter(pl.col("day") >= position.since), None, "volume", position=position)


def test_a_market_without_facts_is_made_anew():
    n = 12
    bars = make_bars(weekdays(n), {202401: {"settle": [100.0] * 8 + [None] * 4}, 202402: flat(n, 200.0)})
    assert last_position(bars, calendar(bars, None)) is None


def test_a_chain_may_stand_for_its_bars_if_its_months_are_those_held():
    bars, facts = crossing(20, 3), spec({})
    made = calendar(bars, facts)
    assert calendar(chains.load(bars, held_months(facts)), facts).frame.equals(made.frame)
    sunday = bars.filter(pl.col("day") == date(2024, 1, 8)).with_columns(source_time=pl.lit("2024-01-07"), volume=2.0)
    twice = pl.concat([bars, sunday])
    assert calendar(chains.load(twice), facts).frame.equals(calendar(twice, facts).frame)
    with pytest.raises(ValueError, match="the chain holds the months"):
        calendar(chains.load(bars, (3, 4)), facts)


def test_bars_in_any_order_make_the_same_chain():
    for seed in range(20):
        bars, _ = roll_markets.market(seed)
        ordered, appended = bars.sort("contract", "time"), bars.sort("time", "contract")
        first, second, third = (chains.load(x) for x in (ordered, appended, bars))
        assert first.rows is None or len(first.rows) < bars.height
        for other in (second, third):
            assert other.frame.equals(first.frame) and other.known == first.known
            assert all(np.array_equal(getattr(other, x), getattr(first, x)) for x in ("day", "time", "cuts", "first"))


def test_a_rank_is_part_of_the_version_only_behind_the_contract_of_the_rule():
    made = calendar(crossing(12, 3), spec({}))
    assert replace(made, rank=0).version == made.version != replace(made, rank=1).version
    assert RollCalendar("XX", "volume:1", 202403, made.frame).rank == 0


def test_blanks_case_and_order_do_not_matter():
    assert [str(parse_rule(x)) for x in (" Volume : 2 ", "oi+volume", "VOLUME, Exit = 2", "oi, months = hmuz")] == [
        "volume:2", "volume+oi:1", "volume:1,exit=2", "oi:1,months=HMUZ",
    ]  # fmt: skip


def test_bounds_that_leave_no_day_are_refused():
    with pytest.raises(UnknownRule, match="count from last-trade-8 on, but the roll is on last-trade-15"):
        parse_rule("volume+last-trade-8/last-trade-15")
