"""Rules on sessions and on the clock of bars within the day; hours by hand, the real hours of Barchart."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from store import checks, ingest, open_archive, session_rules
from store.contracts import Master
from store.tables import TABLES
from tests.test_store_series_rules import DAYS, SPEC, at, chain, found

CORN = Master.load().spec("ZC")


def told(rule, bars, spec=SPEC, facts=None):
    return checks.market(bars, spec, facts).filter(pl.col("rule") == rule).select("day", "value", "reason").rows()


def test_sessions_that_the_whole_market_lacks_are_told_once_a_run():
    lacking = chain().filter(~at(None, DAYS[20], DAYS[24]) & ~at(None, DAYS[50]))
    assert [(day, value) for day, value, _ in told("missing_session", lacking)] == [(DAYS[25], "5"), (DAYS[51], "1")]


def test_a_market_that_lacks_days_all_the_time_has_another_calendar():
    lacking = chain().filter(~pl.col("day").is_in(DAYS[10:100:3]))  # 30 runs of one day
    [(_, value, reason)] = told("missing_session", lacking)
    assert value == "30" and "not its calendar" in reason


def test_bars_before_the_market_s_first_day_are_another_contract_s():
    facts = {"history_from": ((DAYS[5], "ES"),)}
    [(day, value, _)] = told("before_listing", chain(), facts=facts)
    assert (day, value) == (DAYS[0], "15")  # five days of three contracts
    assert told("before_listing", chain(), facts={"history_from": ()}) == []


def test_open_interest_may_be_stamped_a_day_late_but_not_two():
    bars = chain().with_columns(open_interest=1000.0)  # 202403 ends on Friday, 2024-03-15
    last = bars.filter(at(202403, DAYS[-1]))
    after = [last.with_columns(day=pl.lit(day)) for day in (date(2024, 3, 18), date(2024, 3, 19))]
    assert told("oi_after_expiry", pl.concat([bars, after[0]])) == []
    [(day, _, _)] = told("oi_after_expiry", pl.concat([bars, *after]))
    assert day == date(2024, 3, 19)
    nought = after[1].with_columns(open_interest=0.0)
    assert told("oi_after_expiry", pl.concat([bars, nought])) == []


def hours(first, weeks, late=0, opens=17, closes=16, zone=5):
    """Hourly bars of one contract: Sunday evening to Friday, `opens` to `closes` at the exchange, `late` hours late."""
    times = []
    for k in range(7 * weeks):
        evening = datetime(first.year, first.month, first.day, opens + zone, tzinfo=UTC) + timedelta(days=k)
        if evening.date().weekday() in (6, 0, 1, 2, 3):
            times += [evening + timedelta(hours=h + 1 + late) for h in range((closes - opens) % 24)]
    frame = pl.DataFrame({"time": times}, {"time": pl.Datetime("us", "UTC")}).with_columns(
        source=pl.lit("barchart-hour"), root=pl.lit("MES"), contract=pl.lit(202409, pl.Int32),
        day=pl.col("time").dt.date(), open=4500.0, high=4501.0, low=4499.0, close=4500.0, volume=10.0,
    )  # fmt: skip
    return TABLES["contract_bars"].conform(frame)


SUNDAY = date(2024, 4, 7)  # summer time at both ends: Chicago is 5 hours behind


def test_hours_as_the_exchange_has_them_are_no_fault():
    assert session_rules.time_shift(hours(SUNDAY, 8), SPEC).is_empty()


@pytest.mark.parametrize("late", [-6, -1, 1, 5])
def test_bars_that_all_stand_whole_hours_beside_the_session_are_told(late):
    [reason] = session_rules.time_shift(hours(SUNDAY, 8, late), SPEC)["reason"]
    assert reason == f"the session seems to start {late:+d} hours beside 17:00"


def test_weeks_in_another_zone_are_told_once_a_run():
    wrong = pl.concat([hours(SUNDAY, 5), hours(date(2024, 5, 12), 2, 1), hours(date(2024, 5, 26), 5)])
    rows = session_rules.time_shift(wrong, SPEC)
    assert rows.select("day", "value").rows() == [(date(2024, 5, 13), "+1 h")]
    assert rows["reason"][0].startswith("2 weeks stand +1 hours")


def test_a_clock_that_was_not_put_forward_is_told():  # winter's offset kept after 2024-03-10
    early = hours(date(2024, 2, 4), 5, zone=6)
    assert session_rules.time_shift(pl.concat([early, hours(date(2024, 3, 10), 4)]), SPEC).is_empty()
    kept = hours(date(2024, 3, 10), 4, late=1)
    assert session_rules.time_shift(pl.concat([early, kept]), SPEC)["value"].to_list() == ["+1 h"]


def trade_dates(bars):
    """The bars with their trade date, as an import gives it: from 17:00 on the next day's."""
    shifted = pl.col("time").dt.convert_time_zone("America/Chicago") - pl.duration(seconds=1) + pl.duration(hours=7)
    return bars.with_columns(shifted.dt.date().alias("day"))


def regular(first, weeks, **where):
    """The same of Monday to Friday, 8:00 to 16:00; `first` is a Sunday."""
    bars = hours(first, weeks, opens=8, closes=16, **where)
    return trade_dates(bars.with_columns(pl.col("time") + pl.duration(days=1)))


def test_a_week_of_all_hours_among_weeks_of_regular_ones_is_no_shift():  # as in the real LEAN file of ES
    whole = trade_dates(hours(SUNDAY, 1))  # from Sunday evening on
    bars = pl.concat([whole, regular(date(2024, 4, 14), 6)])
    assert session_rules.time_shift(bars, SPEC).is_empty()
    assert session_rules.time_shift(whole.with_columns(pl.col("time").dt.date().alias("day")), SPEC).is_empty()
    evening = bars.with_columns(pl.col("time").dt.date().alias("day"))  # the Sunday's hours in a week of their own
    assert session_rules.time_shift(evening, SPEC).is_empty()


def test_a_week_with_a_few_bars_at_other_hours_tells_nothing():
    night = trade_dates(hours(date(2024, 5, 5), 1, opens=17, closes=20))  # three hours a day
    two_days = trade_dates(hours(date(2024, 5, 5), 1, opens=17, closes=1)).filter(pl.col("day") < date(2024, 5, 8))
    usual = [regular(SUNDAY, 4), regular(date(2024, 5, 12), 4)]
    for few in (night, two_days):
        assert session_rules.time_shift(pl.concat([usual[0], few, usual[1]]), SPEC).is_empty()


def test_a_week_with_more_hours_than_the_others_is_no_shift():
    longer = trade_dates(hours(date(2024, 5, 5), 1, opens=12, closes=24))
    few = [regular(SUNDAY, 4), regular(date(2024, 5, 12), 4)]
    assert session_rules.time_shift(pl.concat([few[0], longer, few[1]]), SPEC).is_empty()


def test_a_week_that_opens_earlier_and_whose_last_hour_is_thin_is_no_shift():  # the Bund in the weeks of Christmas
    early = regular(date(2024, 5, 5), 1)
    first = early.filter(pl.col("time").dt.hour() == 14).with_columns(pl.col("time") - pl.duration(hours=1))
    thin = (pl.col("time").dt.hour() == 21) & pl.col("day").is_in([date(2024, 5, d) for d in (6, 7, 8)])
    bars = pl.concat([regular(SUNDAY, 4), early.filter(~thin), first, regular(date(2024, 5, 12), 4)])
    assert session_rules.time_shift(bars, SPEC).is_empty()


def test_the_day_told_is_a_stored_one_and_one_week_stands():
    late = regular(date(2024, 5, 5), 1, late=2).filter(pl.col("day") > date(2024, 5, 6))  # begins on Tuesday
    bars = pl.concat([regular(SUNDAY, 4), late, regular(date(2024, 5, 12), 4)])
    [row] = session_rules.time_shift(bars, SPEC).to_dicts()
    assert row["day"] == late["day"].min() == date(2024, 5, 7)
    assert row["reason"] == "1 week stands +2 hours beside the others"
    whole = trade_dates(hours(date(2024, 4, 10), 5, late=1))  # all of them are late, from a Wednesday on
    assert session_rules.time_shift(whole, SPEC)["day"].to_list() == [whole["day"].min()]


def test_a_few_weeks_of_bars_are_not_judged():
    assert session_rules.time_shift(hours(SUNDAY, 2, 1), SPEC).is_empty()


def test_a_shifted_clock_is_refused_and_daily_bars_have_none():
    [finding] = checks.refusals(hours(SUNDAY, 8, 1), SPEC).to_dicts()
    assert (finding["rule"], finding["severity"], finding["field"]) == ("time_shift", "refuse", "time")
    daily = hours(SUNDAY, 8, 1).with_columns(source=pl.lit("barchart"))
    assert checks.refusals(daily, SPEC).is_empty()


def test_no_session_counts_only_days_of_the_market():
    assert "no_session" not in [rule for rule, *_ in found(chain())]
    assert session_rules.no_session(chain().clear(), CORN).is_empty()


def test_real_hours_stand_where_the_exchange_has_them_and_a_shift_of_them_is_found(shared, tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    [report] = ingest.import_paths(archive, [shared / "barchart" / "hourly" / "Hour_CRUDE_W_micro_2022.zip"])
    assert report.error == ""
    bars, spec = archive.read("contract_bars"), Master.load().spec("MCL")
    assert bars["source"][0] == "barchart-hour"
    assert checks.refusals(bars, spec).is_empty()
    late = bars.with_columns(pl.col("time") + pl.duration(hours=1))
    assert checks.refusals(late, spec)["value"].to_list() == ["+1 h"]
    spring = pl.col("day").is_between(date(2022, 4, 4), date(2022, 7, 1))
    part = bars.with_columns(
        pl.when(spring).then(pl.col("time") + pl.duration(hours=1)).otherwise("time").alias("time")
    )
    [finding] = checks.refusals(part, spec).to_dicts()
    assert (finding["rule"], finding["value"], finding["day"]) == ("time_shift", "+1 h", date(2022, 4, 4))


def test_real_hours_of_lean_are_no_fault(shared, tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    folder = shared / "lean" / "future" / "cme"
    reports = ingest.import_paths(archive, [folder / "daily", folder / "hour"])
    assert sum(report.accepted for report in reports) > 600
    bars = archive.read("contract_bars", root="ES", source="lean-hour")
    assert bars.height == 357 and checks.refusals(bars, SPEC).is_empty()
    assert archive.read("findings").is_empty()
