"""Closes of the exchanges, and what of each market is known at a decision time."""

from datetime import UTC, date
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine import session
from engine.session import clock_of, close_times, decision_times, in_time, known_at, known_rows, next_opens, of_rows
from engine.settings import ConfigError
from store import days as hours
from store.contracts import Master

MASTER = Master.load()
NAN = np.nan


def specs(*roots):
    return [MASTER.spec(root) for root in roots]


def weekdays(first, last):
    days = np.arange(first, last, dtype="datetime64[D]")
    return days[np.is_busday(days)]


def day(*texts):
    return np.array(texts, "datetime64[D]")


def minutes(*texts):
    return np.array(texts, "datetime64[m]")


# ---- closes


@pytest.mark.parametrize(
    ("root", "when", "close"),
    [
        ("ES", "2025-01-06", "2025-01-06T22:00"),  # 16:00 in Chicago, in winter
        ("ES", "2025-07-07", "2025-07-07T21:00"),  # and in summer
        ("ES", "2025-11-28", "2025-11-28T18:15"),  # the day after Thanksgiving ends at 12:15 (T41)
        ("ZC", "2025-11-28", "2025-11-28T18:05"),
        ("ES", "2025-11-27", "2025-11-27T18:15"),  # a holiday ends as the next session does
        ("NK225", "2025-01-06", "2025-01-06T06:45"),  # 15:45 in Osaka since November 2024
        ("NK225", "2020-01-06", "2020-01-06T06:15"),  # 15:15 before
        ("FGBL", "2025-01-06", "2025-01-06T21:00"),  # 22:00 in Frankfurt
        ("FGBL", "2025-07-07", "2025-07-07T20:00"),
    ],
)
def test_a_close_is_the_end_of_the_exchanges_session(root, when, close):
    assert close_times(specs(root), day(when), hours)[0, 0] == np.datetime64(close)


@pytest.mark.parametrize("root", ["ES", "ZC", "NK225", "FDAX", "HSI", "CT", "VX", "6E"])
def test_closes_and_opens_are_those_of_each_session_looked_up_alone(root):
    days, [spec] = weekdays("2013-01-01", "2026-01-01"), specs(root)
    close, opens = (of([spec], days, hours)[:, 0] for of in (close_times, next_opens))
    rows = np.random.default_rng(1).choice(len(days) - 1, 300, replace=False).tolist()
    for t in rows:
        found = hours.session(spec, days[t].item())
        if found:
            assert close[t] == np.datetime64(found[1].replace(tzinfo=None), "m"), days[t]
        after = hours.shift(spec.calendar, days[t].item(), 1, spec.extra)
        first = hours.session(spec, after)[0]
        assert opens[t] == np.datetime64(first.replace(tzinfo=None), "m"), days[t]
    assert (np.diff(close) > np.timedelta64(0, "m")).all() and not np.isnat(close).any()


def test_half_days_and_changed_hours_between_are_not_missed():
    days = weekdays("2020-06-01", "2026-01-01")
    close = close_times(specs("ZN"), days, hours)[:, 0]
    for t, when in enumerate(days.tolist()):
        found = hours.session(specs("ZN")[0], when)
        assert found is None or close[t] == np.datetime64(found[1].replace(tzinfo=None), "m")


def test_bars_within_the_day_and_columns_of_one_root_have_their_days_close():
    days = day("2025-01-06", "2025-01-06", "2025-01-07")
    close = close_times(specs("ES", "ES"), days, hours)
    assert close.shape == (3, 2) and (close[:, 0] == close[:, 1]).all()
    assert close[:, 0].tolist() == minutes("2025-01-06T22:00", "2025-01-06T22:00", "2025-01-07T22:00").tolist()
    assert close_times([], days, hours).shape == (3, 0)


def test_hours_of_ones_own_beside_the_store_are_read_and_read_again(tmp_path):
    days, file = day("2025-01-06"), tmp_path / "sessions.csv"
    closes = []
    for end in ("15:00", "14:30:00"):
        file.write_text(f"market,open,close,valid_from,source\nES,08:30,{end},,my broker\n")
        spec = Master.load(tmp_path).spec("ES")
        closes.append(close_times([spec], days, hours)[0, 0])
    assert closes == list(minutes("2025-01-06T21:00", "2025-01-06T20:30"))


def test_a_second_look_costs_nothing():
    days, some = weekdays("2015-01-01", "2026-01-01"), specs("ES", "NK225")
    first = close_times(some, days, hours)
    before = session._moments.cache_info()
    assert np.array_equal(close_times(some, days, hours), first)
    after = session._moments.cache_info()
    assert (after.hits, after.misses) == (before.hits + 2, before.misses)


def test_markets_of_the_same_hours_are_made_once():
    days, before = weekdays("2014-01-01", "2015-01-01"), session._moments.cache_info()
    close = close_times(specs("ES", "NQ", "MES"), days, hours)
    assert (close == close[:, :1]).all() and session._moments.cache_info().misses == before.misses + 1


def test_a_trade_date_that_a_half_day_leaves_empty_ends_as_one_without_a_session(tmp_path):
    (tmp_path / "sessions.csv").write_text("market,open,close,valid_from,source\nES,08:30,15:00,,my broker\n")
    (tmp_path / "halfdays.csv").write_text("market,day,close,name,source\nES,2025-01-07,08:00,storm,my broker\n")
    spec, days = Master.load(tmp_path).spec("ES"), day("2025-01-06", "2025-01-07")
    assert close_times([spec], days, hours).ravel().tolist() == minutes("2025-01-06T21:00", "2025-01-07T21:00").tolist()
    opens = minutes("2025-01-08T14:30", "2025-01-08T14:30").tolist()
    assert next_opens([spec], days, hours).ravel().tolist() == opens


def test_no_days_have_no_closes():
    assert close_times(specs("ES", "NK225"), day(), hours).shape == (0, 2)


# ---- decision times


@pytest.mark.parametrize(
    "name", ["America/Chicago", "Europe/London", "Asia/Tokyo", "Africa/Casablanca", "Africa/Cairo"]
)
def test_offsets_that_are_looked_up_by_the_week_are_those_of_each_moment(name):
    """Of every hour of ten years; Casablanca changes its clock for a month of each year."""
    zone = ZoneInfo(name)
    local = np.arange("2016-01-01", "2026-01-01", 60, dtype="datetime64[m]")
    each = [moment.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None) for moment in local.tolist()]
    assert np.array_equal(session._utc(local, zone), np.array(each, "datetime64[m]"))


def test_a_time_of_day_follows_the_summer_time_of_its_place():
    days = day("2025-01-06", "2025-07-07")
    london = decision_times("16:00 Europe/London", days, None)
    assert list(london) == list(minutes("2025-01-06T16:00", "2025-07-07T15:00"))
    assert list(decision_times("16:00 America/New_York", days, None)) == list(london + np.timedelta64(5, "h"))


@pytest.mark.parametrize(
    "text", ["16 Europe/London", "25:00 Europe/London", "16:00", "16:00 Europe/Londres", "close", "16:00 Europe"]
)
def test_a_decision_time_that_is_none_says_what_is_allowed(text):
    with pytest.raises(ConfigError, match=r"decision = .* is not allowed; allowed: 'own' .* '16:00 Europe/London'"):
        clock_of(text)


# ---- what is known


def world(close_of, days, bars=None):
    """A market of as many columns as roots; its mark is 100 times the column plus the row."""
    shape = (len(days), len(close_of))
    mark = np.arange(shape[0])[:, None] + 100.0 * np.arange(1, shape[1] + 1)
    mark = mark if bars is None else np.where(bars, mark, NAN)
    return SimpleNamespace(
        days=days,
        mark=mark,
        open=mark - 0.5,
        offset=np.zeros(shape),
        contract=np.full(shape, 202503, np.int32),
        roll=np.zeros(shape, bool),
        fx=mark / 1000,
        tick=np.full(shape, 0.25),
        available=np.ones(shape, bool),
        rate=np.arange(shape[0]) / 100,
        roots=tuple(close_of),
    )


def test_t43_the_nikkei_of_a_day_is_known_before_the_close_of_the_sp500_and_not_vice_versa():
    days = day("2025-01-06", "2025-01-07", "2025-01-08")
    close = close_times(specs("ES", "NK225"), days, hours)
    made = world(("ES", "NK225"), days)
    at_es, at_nikkei = known_at(made, close, 0), known_at(made, close, 1)
    assert at_es.mark.tolist() == made.mark.tolist()
    assert at_nikkei.mark[:, 1].tolist() == made.mark[:, 1].tolist()
    assert at_nikkei.mark[:, 0].tolist() == pytest.approx([NAN, 100, 101], nan_ok=True)
    assert at_nikkei.contract[:, 0].tolist() == [0, 202503, 202503]


def test_t43_by_default_each_market_is_read_at_its_own_close():
    made = world(("ES",), day("2025-01-06"))
    assert known_at(made, None, "own") is made


def test_t43_at_a_time_of_day_only_closes_before_it_are_read():
    days = day("2025-01-06", "2025-01-07")
    close = close_times(specs("ES", "NK225", "FGBL"), days, hours)
    seen = known_at(world(("ES", "NK225", "FGBL"), days), close, "16:00 Europe/London")
    assert seen.mark.tolist() == pytest.approx(np.array([[NAN, 200, NAN], [100, 201, 300]]), nan_ok=True)


def test_t43_just_after_midnight_in_tokyo_even_the_day_before_has_not_closed_in_chicago():
    days = day("2025-01-06", "2025-01-07", "2025-01-08")
    seen = known_at(world(("ES",), days), close_times(specs("ES"), days, hours), "00:30 Asia/Tokyo")
    assert seen.mark[:, 0].tolist() == pytest.approx([NAN, NAN, 100], nan_ok=True)  # Monday's close on Wednesday


def test_all_that_a_row_tells_comes_late_together_and_facts_do_not():
    days = day("2025-01-06", "2025-01-07", "2025-01-08")
    made = world(("ES", "NK225"), days)
    made.roll[1, 0] = True
    made.offset[2, 0] = -5.0
    seen = known_at(made, close_times(specs("ES", "NK225"), days, hours), 1)
    assert seen.open[:, 0].tolist() == pytest.approx([NAN, 99.5, 100.5], nan_ok=True)
    assert seen.roll[:, 0].tolist() == [False, False, True] and seen.offset[1:, 0].tolist() == [0.0, 0.0]
    assert seen.fx is made.fx and seen.tick is made.tick and seen.rate is made.rate and seen.days is made.days
    assert seen.available.tolist() == [[False, True], [True, True], [True, True]]
    assert made.available.all()  # the market that came in is as it was


def test_a_row_without_news_is_a_holiday_and_of_two_at_once_the_newer_is_shown():
    """The moment is 12:00; the close is early, late, late, early: row 2 comes with row 3, which is shown."""
    days = day("2025-01-06", "2025-01-07", "2025-01-08", "2025-01-09")
    close = minutes("2025-01-06T11", "2025-01-07T13", "2025-01-08T13", "2025-01-09T11")[:, None]
    made = world(("X",), days)
    made.offset[:, 0] = [0.0, 0.0, -5.0, -5.0]
    seen = known_at(made, close, "12:00 UTC")
    assert seen.mark[:, 0].tolist() == pytest.approx([100, NAN, 101, 103], nan_ok=True)
    assert seen.offset[:, 0].tolist() == [0.0, 0.0, 0.0, -5.0] and (seen.contract == 202503).all()


def test_a_market_holiday_comes_late_as_well():
    days = day("2025-01-06", "2025-01-07", "2025-01-08")
    made = world(("X",), days, bars=np.array([[True], [False], [True]]))
    close = days.astype("datetime64[m]")[:, None] + np.timedelta64(13, "h")
    assert known_at(made, close, "12:00 UTC").mark[:, 0].tolist() == pytest.approx([NAN, 100, NAN], nan_ok=True)


@pytest.mark.parametrize("decision", ["09:00 Asia/Tokyo", "12:00 UTC", "15:30 America/Chicago", 0, 2])
def test_t43_no_row_reads_a_close_after_its_decision_and_each_reads_the_last_before(decision):
    days = weekdays("2024-10-01", "2025-02-01")
    close = close_times(specs("ES", "NK225", "FGBL", "HSI"), days, hours)
    moment = decision_times(decision, days, close)
    rows = known_rows(close, moment)
    for t in range(len(days)):
        for m in range(4):
            past = [s for s in range(t + 1) if close[s, m] <= moment[t]]
            assert rows[t, m] == (past[-1] if past else -1)


def test_t45_what_is_known_does_not_change_with_what_comes_later():
    days = weekdays("2024-10-01", "2025-02-01")
    close, made = close_times(specs("ES", "NK225"), days, hours), world(("ES", "NK225"), days)
    whole = known_at(made, close, "16:00 Europe/London")
    for n in (1, 20, 50):
        part = SimpleNamespace(**{k: v[:n] if isinstance(v, np.ndarray) else v for k, v in vars(made).items()})
        seen = known_at(part, close_times(specs("ES", "NK225"), days[:n], hours), "16:00 Europe/London")
        for name in ("mark", "offset", "contract", "available"):
            assert np.array_equal(getattr(seen, name), getattr(whole, name)[:n], equal_nan=name in ("mark", "offset"))


def test_t43_a_wish_is_traded_only_in_a_session_that_opens_after_its_decision():
    """At 16:00 in London Osaka's next session has been running since 8:00 UTC; Chicago's opens in the evening."""
    days = day("2025-01-06", "2025-01-07", "2025-01-08")
    opens = next_opens(specs("ES", "NK225"), days, hours)
    wish = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    traded = of_rows(wish, in_time(opens, decision_times("16:00 Europe/London", days, None)), 0.0)
    assert traded.tolist() == [[1.0, 0.0], [2.0, 1.0], [3.0, 2.0]]
    early = of_rows(wish, in_time(opens, decision_times("07:30 Europe/London", days, None)), 0.0)
    assert early.tolist() == wish.tolist()


def test_a_decision_at_the_very_open_may_still_be_traded_in_it():
    opens, wish = minutes("2025-01-06T08", "2025-01-07T08")[:, None], np.array([[1.0], [2.0]])
    rows = in_time(opens, minutes("2025-01-06T08:00", "2025-01-07T08:01"))
    assert of_rows(wish, rows, 0.0).ravel().tolist() == [1.0, 1.0]


def test_friday_evening_in_osaka_is_mondays_session():
    opens = next_opens(specs("NK225"), day("2025-01-10"), hours)  # Monday the 13th is a holiday with a night before it
    after = hours.shift(specs("NK225")[0].calendar, date(2025, 1, 10), 1)
    assert opens[0, 0] == np.datetime64(hours.session(specs("NK225")[0], after)[0].replace(tzinfo=None), "m")
