"""Bars within the day: which daily bars they tell, and the market on them for signals of daily bars."""

import shutil
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from engine import Portfolio, finer
from engine.backtest import replay, run
from engine.market import load
from store import open_archive
from store.ingest import import_paths
from tests.small_store import bars, build, fx, sessions

NAN = np.nan
FIRST, END = date(2021, 2, 1), date(2021, 4, 30)
SHORT, NONE = date(2021, 2, 16), date(2021, 2, 18)  # days whose lowest hour, and all of whose hours, are missing
HOURS = (15, 18, 21)


def hours(daily, ends=HOURS, first=FIRST, end=END):
    """Three bars a day that tell the daily one: it opens in the first, which is its highest, the second is its lowest.
    Volumes are 100, 200, 300; they end at these hours of the day, negative ones on the day before."""
    rows = []
    for row in daily.filter(pl.col("day").is_between(first, end) & (pl.col("day") != NONE)).to_dicts():
        low, open_, high, price = row["low"], row["open"], row["high"], row["settle"]
        told = [
            (open_, high, price, price),
            (price, price, low, low),
            (price - 0.5, price + 0.5, price - 0.5, price + 0.5),
        ]
        for hour, prices, volume in zip(ends, told, (100.0, 200.0, 300.0), strict=True):
            time = datetime(*row["day"].timetuple()[:3], tzinfo=UTC) + timedelta(hours=hour)
            rows.append((row["contract"], row["day"], time, *prices, volume))
    names = ("contract", "day", "time", "open", "high", "low", "close", "volume")
    return pl.DataFrame(rows, names, orient="row", schema_overrides={"contract": pl.Int32})


def put(archive, rows, root="MES", source="barchart-hour"):
    archive.commit([archive.write("contract_bars", rows, source=source, root=root)])


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """MES by day and, for three months, by hour; FGBL by day alone. The euro goes up by 0.01 a session."""
    rates = 1.10 + 0.01 * np.arange(len(sessions()))
    archive = build(tmp_path_factory.mktemp("within") / "store", euro=rates)
    told = hours(archive.read("contract_bars", root="MES"))
    lowest = (pl.col("day") == SHORT) & (pl.col("time").dt.hour() == HOURS[1])
    put(archive, told.filter(~lowest))
    return archive


@pytest.fixture(scope="module")
def market(archive):
    return load(archive, ["FGBL", "MES"], end=date(2021, 5, 31))


@pytest.fixture(scope="module")
def within(archive, market):
    return finer.execution(archive, market)


def row(market, day):
    return int(np.flatnonzero(market.days == np.datetime64(day))[0])


def rows(within, market, day):
    return np.flatnonzero(within.day_row == row(market, day))


# ---- the finer bars of daily bars


def test_finer_bars_are_those_of_the_contract_held_on_the_day_in_their_order(archive, market):
    found = finer.load(archive, market)
    rolls = np.flatnonzero(market.roll[:, 1] & (market.days >= np.datetime64(FIRST)))
    assert len(rolls) == 1  # March is left for June within the three months
    for t in (rolls[0], rolls[0] + 1, row(market, FIRST), row(market, END)):
        told = found.bars[found.first[t, 1] : found.last[t, 1]]
        own = archive.read("contract_bars", root="MES", source="barchart-hour").sort("time")
        own = own.filter((pl.col("contract") == market.contract[t, 1]) & (pl.col("day") == market.days[t].item()))
        assert len(told) == 3 and np.array_equal(told, own.select("open", "high", "low", "close").to_numpy())
        assert (told[0, 0], told[:, 1].max(), told[:, 2].min()) == tuple(
            getattr(market, name)[t, 1] for name in ("open", "high", "low")
        )


def test_days_that_the_hours_do_not_tell_stay_alone(archive, market):
    found = finer.load(archive, market)
    told = found.last > found.first
    assert not told[:, 0].any()  # FGBL has no hours
    lacking = [day for day in sessions(FIRST, END) if not told[row(market, day), 1]]
    assert lacking == [SHORT, NONE]
    assert not told[: row(market, FIRST)].any() and not told[row(market, END) + 1 :].any()


def test_without_any_hours_there_are_no_rows(archive, market):
    found = finer.load(archive, market, source="barchart-minute")
    assert found.first.shape == found.last.shape == (0, 2) and found.bars.shape == (0, 4)


def test_sources_of_the_daily_bars_maker_go_first_then_the_shortest(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    daily = bars("MES", 4000.0, 1, until=date(2021, 1, 8))
    for source in ("x-hour", "y-5-minute", "y-minute", "z-hour", "z"):
        put(archive, daily, source=source)
    assert finer.sources(archive, "MES") == ["y-minute", "y-5-minute", "x-hour", "z-hour"]
    assert finer.sources(archive, "MES", "z") == ["z-hour", "y-minute", "y-5-minute", "x-hour"]
    assert finer.sources(archive, "MES", "y-5-minute-daily") == ["y-5-minute", "y-minute", "x-hour", "z-hour"]


def test_several_columns_of_one_market_are_told_by_the_same_hours(archive, market):
    twice = type(market)(**{
        name: tuple(value[1:] * 2) if name in ("names", "roots", "ranks", "currencies", "sectors")
        else value[:, [1, 1]] if np.ndim(value) == 2 else value
        for name, value in vars(market).items()
    })  # fmt: skip
    found, alone = finer.load(archive, twice), finer.load(archive, market)
    lengths = found.last - found.first
    assert np.array_equal(lengths[:, 0], lengths[:, 1]) and np.array_equal(found.bars, np.tile(alone.bars, (2, 1)))
    made = finer.execution(archive, twice)
    assert np.array_equal(made.market.mark[:, 0], made.market.mark[:, 1], equal_nan=True)
    assert made.market.sources["MES"]["within_days"] == made.served[:, 0].sum()


def test_of_a_source_by_root_others_have_none(archive, market):
    found = finer.load(archive, market, source={"FGBL": "barchart-hour"})
    assert not len(found.first)
    assert (finer.load(archive, market, source={"MES": "barchart-hour"}).last > 0).any()


def test_bars_within_the_day_have_no_finer_ones(archive, within):
    with pytest.raises(ValueError, match="this market's rows are shorter than a day"):
        finer.load(archive, within.market)


def test_before_a_micro_was_listed_the_hours_of_its_full_size_contract_tell_its_days(tmp_path):
    """MES is traded since 2019-05-06; ES stands in before it."""
    archive = open_archive(tmp_path / "store", create=True)
    daily = bars("MES", 3000.0, 3).with_columns(pl.col("day", "time").dt.offset_by("-2y"))
    daily = daily.with_columns(pl.col("contract") - 200).filter(pl.col("day") < date(2019, 6, 1))
    put(archive, daily.filter(pl.col("day") < date(2019, 5, 6)), root="ES", source="barchart")
    put(archive, daily.filter(pl.col("day") >= date(2019, 5, 6)), root="MES", source="barchart")
    told = hours(daily, first=date(2019, 4, 1), end=date(2019, 5, 31))
    put(archive, told.filter(pl.col("day") < date(2019, 5, 6)), root="ES", source="x-hour")
    put(archive, told.filter(pl.col("day") >= date(2019, 4, 29)), root="MES")  # some of them told twice
    market = load(archive, ["MES"])
    made = finer.execution(archive, market)
    when = market.days[made.served[:, 0]]
    assert set(np.diff(finer.load(archive, market).last[made.served[:, 0], 0])) == {3}
    assert market.proxy.any() and when[0] == np.datetime64("2019-04-01") and when[-1] == np.datetime64("2019-05-31")
    assert np.array_equal(
        made.served[:, 0], ~np.isnan(market.mark[:, 0]) & (market.days >= np.datetime64("2019-04-01"))
    )


# ---- the market on them


def test_a_day_has_a_row_for_each_end_of_a_bar_and_one_where_there_is_none(within, market):
    count = np.bincount(within.day_row)
    assert len(count) == len(market.days)
    assert {int(count[row(market, day)]) for day in sessions(FIRST, END)} == {1, 3}
    assert [day for day in sessions(FIRST, END) if count[row(market, day)] == 1] == [SHORT, NONE]
    assert np.array_equal(within.market.days, market.days[within.day_row])
    assert np.array_equal(np.flatnonzero(within.day_end), np.cumsum(count) - 1)
    at = rows(within, market, FIRST)
    assert [str(moment)[:16] for moment in within.time[at]] == [f"2021-02-01T{hour}:00" for hour in HOURS]
    alone = within.time[rows(within, market, NONE)]
    assert [str(moment)[:16] for moment in alone] == ["2021-02-19T00:00"]  # the end of the day


def test_the_bars_of_a_day_are_the_stored_ones_and_the_last_is_marked_as_the_day(within, market):
    t, at, made = row(market, FIRST), rows(within, market, FIRST), within.market
    price = market.settle[t, 1]
    assert made.open[at, 1].tolist() == [price + 0.25, price, price - 0.5]
    assert made.high[at, 1].tolist() == [price + 1.0, price, price + 0.5]
    assert made.low[at, 1].tolist() == [price, price - 1.0, price - 0.5]
    assert made.close[at, 1].tolist() == [price, price - 1.0, price + 0.5]
    assert made.mark[at, 1].tolist() == [price, price - 1.0, price]  # the settlement, not the last trade
    assert made.settle[at, 1].tolist() == pytest.approx([NAN, NAN, price], nan_ok=True)
    assert made.volume[at, 1].tolist() == [100.0, 200.0, 300.0]


def test_a_market_without_hours_has_its_daily_bar_on_the_last_row(within, market):
    t, at, made = row(market, FIRST), rows(within, market, FIRST), within.market
    for name in ("open", "high", "low", "close", "settle", "mark", "volume"):
        assert np.isnan(getattr(made, name)[at[:2], 0]).all()
        assert getattr(made, name)[at[2], 0] == pytest.approx(getattr(market, name)[t, 0], nan_ok=True)
    alone = rows(within, market, SHORT)
    assert made.high[alone, 1].tolist() == [market.high[row(market, SHORT), 1]]


def test_a_roll_stands_on_the_last_bar_of_its_day_and_the_contract_changes_with_the_next_day(within, market):
    made = within.market
    for name in ("roll", "closed"):
        assert getattr(made, name).sum(axis=0).tolist() == getattr(market, name).sum(axis=0).tolist()
    t = np.flatnonzero(market.roll[:, 1] & (market.days >= np.datetime64(FIRST)))[0]
    at, after = rows(within, market, market.days[t]), rows(within, market, market.days[t + 1])
    assert made.roll[at, 1].tolist() == [False, False, True]
    assert made.roll_to[at[2], 1] == market.roll_to[t, 1] and np.isnan(made.roll_to[at[:2], 1]).all()
    assert set(made.contract[at, 1].tolist()) == {int(market.contract[t, 1])}
    assert set(made.contract[after, 1].tolist()) == {int(market.roll_contract[t, 1])}
    assert set(made.offset[after, 1].tolist()) == {market.offset[t + 1, 1]}


def test_what_a_position_earns_in_a_day_is_what_the_daily_market_says(within, market):
    for m in range(2):
        adjusted, ends = within.market.adjusted[:, m], np.full(len(market.days), NAN)
        for t, value in zip(within.day_row, adjusted, strict=True):
            if value == value:
                ends[t] = value
        assert np.array_equal(ends, market.adjusted[:, m], equal_nan=True)


def test_within_a_day_rates_and_availability_are_those_of_the_day_before(within, market):
    t, at, made = row(market, FIRST), rows(within, market, FIRST), within.market
    assert market.fx[t, 0] != market.fx[t - 1, 0]
    assert made.fx[at, 0].tolist() == [market.fx[t - 1, 0]] * 2 + [market.fx[t, 0]]
    assert made.rate[at].tolist() == [market.rate[t - 1]] * 2 + [market.rate[t]]
    assert made.multiplier[at, 0].tolist() == [market.multiplier[t, 0]] * 3
    known = within.known(np.arange(len(market.days), dtype=float))
    assert known[at].tolist() == [t - 1, t - 1, t]


def test_on_the_first_day_nothing_is_known_before_its_end(archive):
    market = load(archive, ["MES"], end=END).rows(20)  # it begins among the days with hours
    made = finer.execution(archive, market)
    assert made.market.available[:4, 0].tolist() == [False, False, True, True]
    assert made.known(market.days.astype(float))[:4].tolist() == [0.0, 0.0, *market.days[:1].astype(float)[[0, 0]]]


def test_a_night_session_comes_after_the_end_of_the_days_before(tmp_path):
    """A trade date that begins at 20:00 UTC of the day before, while another market's day ends at 21:00."""
    archive = build(tmp_path / "store")
    put(archive, hours(archive.read("contract_bars", root="MES")))
    put(archive, hours(archive.read("contract_bars", root="FGBL"), (-4, 7, 15)), root="FGBL")
    market = load(archive, end=date(2021, 3, 1))
    made = finer.execution(archive, market)
    at = rows(made, market, date(2021, 2, 3))
    assert [str(moment)[8:13] for moment in made.time[at]] == ["02T20", "03T07", "03T15", "03T18", "03T21"]
    assert [str(moment)[8:13] for moment in made.time[at[0] - 1 : at[0]]] == ["02T21"]
    assert np.isnan(made.market.mark[at, 0]).tolist() == [False, False, False, True, True]
    assert np.isnan(made.market.high[at, 0]).tolist() == [False, False, False, True, True]
    t = row(market, date(2021, 2, 3))
    assert made.market.mark[at[2], 0] == market.mark[t, 0] and made.market.mark[at[4], 1] == market.mark[t, 1]
    assert made.day_end[at].tolist() == [False, False, False, False, True]


def test_t45_later_days_do_not_change_earlier_rows(archive, market, within):
    for n in (row(market, FIRST) + 1, row(market, END) - 5):
        part = finer.execution(archive, market.rows(0, n))
        length = len(part.time)
        assert length == np.searchsorted(within.day_row, n) and np.array_equal(part.time, within.time[:length])
        for name, values in vars(part.market).items():
            if isinstance(values, np.ndarray):
                whole = getattr(within.market, name)[:length]
                assert np.array_equal(values, whole, equal_nan=values.dtype.kind == "f"), name


def test_the_result_says_how_many_days_bars_tell_and_hashes_them(archive, market, within):
    days = len(sessions(FIRST, END)) - 2
    told = within.market.sources
    assert (told["MES"]["within"], told["MES"]["within_days"]) == ("barchart-hour", days)
    assert (told["FGBL"]["within"], told["FGBL"]["within_days"]) == ("", 0)
    assert "within" not in market.sources["MES"]
    again = finer.execution(archive, market).market.hashes
    assert again == within.market.hashes and again["data"] != market.hashes["data"]
    none = finer.execution(archive, market, source={}).market.hashes
    assert len({none["data"], again["data"], market.hashes["data"]}) == 3


def test_bars_within_the_day_are_an_input_of_runs_whose_strategies_have_orders(tmp_path):
    archive = build(tmp_path / "store", euro=1.10)
    told = 'name = "own"\ncapital = 100_000_000\n[[strategies]]\nname = "{}"\nmarkets = ["MES"]\n'
    orders, none = (Portfolio.from_toml(f"[portfolio]\n{told.format(name)}") for name in ("breakout", "ewmac"))
    made = {name: run(archive, portfolio)[0].id for name, portfolio in (("orders", orders), ("none", none))}
    assert run(archive, orders)[1] and run(archive, none)[1]  # found again
    put(archive, hours(archive.read("contract_bars", root="MES")))
    again, stored = run(archive, orders)
    assert again.id != made["orders"] and not stored
    assert run(archive, orders)[1]  # by what is kept of the bars
    assert all(replay(archive, id_)[1].id == id_ for id_ in (again.id, *made.values()))
    shutil.rmtree(archive.cache / "finer")
    assert run(archive, orders)[0].id == again.id  # by the bars
    assert run(archive, none)[0].id == made["none"]  # which has no order, and no bar with two ways
    put(archive, hours(archive.read("contract_bars", root="FGBL")), root="FGBL")
    assert run(archive, orders)[0].id == again.id  # another market's


def test_a_run_says_on_how_many_days_bars_within_the_day_were_read(archive):
    told = '[portfolio]\nstart = 2021-02-01\nend = 2021-05-31\n[[strategies]]\nname = "breakout"\n[execution]\n{}\n'
    days = len(sessions(FIRST, END)) - 2  # but the days of which an hour, or all, are missing
    traded = [len(sessions(FIRST, date(2021, 5, 31)))] * 2
    for way in ('ties = "finer"', 'bars = "within"'):
        notes = run(archive, Portfolio.from_toml(told.format(way)))[0].summary["notes"]
        [note] = [note for note in notes if note.startswith("bars within the day")]
        assert note.startswith(f"bars within the day were read on {days} of {sum(traded)} market-days")
        assert note.endswith("; none of FGBL")


def test_real_hours_tell_nearly_every_daily_bar(shared, tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    import_paths(
        archive,
        [shared / "barchart" / "hourly" / "Hour_BUND_2022_2023.zip", shared / "barchart" / "daily" / "Day_BUND.zip"],
    )
    archive.commit(
        [archive.write("fx", fx(1.05, sessions(date(2021, 12, 1), date(2023, 12, 29))), source="ecb", currency="EUR")]
    )
    market = load(archive, ["FGBL"], end=date(2023, 12, 29))
    stored = archive.read("contract_bars", root="FGBL", source="barchart-hour")["day"].unique()
    found = finer.load(archive, market)
    told = (found.last > found.first)[:, 0]
    covered = np.isin(market.days, stored.to_numpy()) & (market.contract[:, 0] >= 202203)
    assert told[covered].mean() > 0.98 and not told[~covered].any()
    for t in np.flatnonzero(told)[::25]:
        part = found.bars[found.first[t, 0] : found.last[t, 0]]
        assert part[:, 1].max() == pytest.approx(market.high[t, 0]) and len(part) > 5
    made = finer.execution(archive, market)
    assert made.market.roll.sum() == market.roll.sum() and (np.bincount(made.day_row)[told] > 5).all()
