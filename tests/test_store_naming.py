"""Whose rows they are: aliases, unknown markets, --root, units that change on a day."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from store import open_archive, raw
from store.contracts import Master
from store.days import is_session
from store.ingest import import_paths
from store.naming import translated, vendor_of
from store.reading import Reading
from store.vendors import barchart
from tests.sample_files import LINES, MARCH, NAME, SAMPLES, one, put, refused, zipped


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


def test_an_unknown_market_is_stored_under_its_vendor_s_name_and_told(archive, tmp_path):
    report = one(archive, put(tmp_path / "in", "Day_PLUTONIUM_20240300.csv", LINES))
    assert (report.error, report.roots) == ("", ["PLUTONIUM"])
    assert report.notes == ["PLUTONIUM is no market of the master: stored under that name, in the vendor's units"]


def test_many_unknown_markets_are_one_note_and_a_near_name_keeps_its_own(archive, tmp_path):
    for name in ("PLUTONIUM", "WHALEOIL", "SP500_mirco", "SP500_micro"):
        put(tmp_path / "in", f"Day_{name}_20240300.csv", LINES)
    notes = {r.roots[0]: r.notes for r in import_paths(archive, [tmp_path / "in"])}
    many = "2 markets are unknown to the master, stored under their own names and in the vendor's units: "
    assert notes["PLUTONIUM"] == notes["WHALEOIL"] == [f"{many}PLUTONIUM, WHALEOIL"]
    assert notes["MES"] == [] and "near it is SP500_micro (MES)" in notes["SP500_mirco"][0]


def test_a_name_near_a_known_one_is_told_and_not_guessed(archive, tmp_path):
    report = one(archive, put(tmp_path / "in", "Day_SP500_mirco_20240300.csv", LINES))
    assert report.roots == ["SP500_mirco"]
    assert "near it is SP500_micro (MES)" in report.notes[0]


def test_a_name_that_cannot_be_stored_needs_a_root(archive, tmp_path):
    path = put(tmp_path / "in", "Day_S&P 500_20240300.csv", LINES)
    assert "market 'S&P 500' is no name for the store" in refused(archive, path)
    assert one(archive, path, root="MES").roots == ["MES"]


def test_root_goes_before_the_vendor_s_name_and_may_be_an_alias(archive, tmp_path):
    path = put(tmp_path / "in", "Day_PLUTONIUM_20240300.csv", LINES)
    assert one(archive, path, root="barchart:SP500_micro").roots == ["MES"]
    assert one(archive, path, root="PLUT").roots == ["PLUT"]


def test_a_root_that_is_no_name_is_refused(archive):
    with pytest.raises(LookupError, match="no market 'a b/c'"):
        import_paths(archive, [MARCH], root="a b/c")


def test_root_is_for_one_market(archive, tmp_path):
    path = zipped(tmp_path / "in", "all.zip", {NAME: MARCH.read_text(), "Day_SILVER_20240300.csv": MARCH.read_text()})
    assert "--root MES: this file holds 2 markets, SILVER, SP500_micro" in refused(archive, path, root="MES")
    assert "--root MES: this file holds no market but EUR" in refused(
        archive, SAMPLES / "pysystemtrade" / "EURUSD.csv", root="MES"
    )


def test_a_user_s_alias_brings_prices_into_our_unit_from_its_day_on(archive, tmp_path):  # DOMAIN T37
    rows = ["PLUT,PLUT,1,,,", "PLUT,PLUT,0.1,,2024-03-01,"]
    header = "vendor,name,root,price_factor,history_from,valid_from,note"
    (archive.path / "symbols.csv").write_text("\n".join([header, *(f"barchart,{row}" for row in rows), ""]))
    one(archive, put(tmp_path / "in", "Day_PLUT_20240300.csv", LINES))
    stored = archive.read("contract_bars")["settle"].to_list()
    assert stored[:5] == [5015.75, 5028.5, 5007.0, 5040.5, pytest.approx(505.525)]


def test_a_user_s_own_layout_beside_the_store_is_read(archive, tmp_path):
    layout = """
        [mine]
        file = '(?P<root>\\w+)_(?P<contract>\\w+)[.]txt'
        columns = {time = 'D', last = 'P'}
    """
    (archive.path / "vendors.toml").write_text(layout)
    report = one(archive, put(tmp_path / "in", "ES_H24.txt", ["D,P", "2024-03-01,5055.25"]))
    assert (report.error, report.vendor, report.roots) == ("", "mine", ["ES"])


# ---- names that are asked about, names that came to mean something else


def test_a_near_name_is_asked_about_once_and_the_answer_counts(archive, tmp_path):
    asked = []

    def ask(name, near, file):
        asked.append((name, near, file))
        return near

    for month in (3, 6):
        put(tmp_path / "in", f"Day_SP500_mirco_2024{month:02d}00.csv", LINES)
    reports = import_paths(archive, [tmp_path / "in"], ask=ask)
    assert [report.roots for report in reports] == [["MES"], ["MES"]]
    assert asked == [("SP500_mirco", "MES", "Day_SP500_mirco_20240300.csv")]
    assert not [note for report in reports for note in report.notes]


def test_a_name_that_another_vendor_uses_is_near(archive, tmp_path):
    path = put(tmp_path / "in", "Day_GASOILINE_20240300.csv", LINES)
    assert "near it is pysystemtrade's GASOILINE (RB)" in one(archive, path).notes[0]
    path = put(tmp_path / "in", "Day_GASOILIN_20240300.csv", LINES)
    assert "near it is pysystemtrade's GASOILINE (RB)" in one(archive, path).notes[0]


def test_no_answer_keeps_the_name_and_a_far_or_known_name_is_not_asked_about(archive, tmp_path):
    asked = []
    path = put(tmp_path / "in", "Day_SP500_mirco_20240300.csv", LINES)
    report = one(archive, path, ask=lambda *words: asked.append(words))
    assert (report.roots, len(asked)) == (["SP500_mirco"], 1)
    assert "near it is SP500_micro (MES)" in report.notes[0]
    for name in ("Day_PLUTONIUM_20240300.csv", NAME):
        one(archive, put(tmp_path / "in", name, LINES), ask=lambda *words: asked.append(words))
    assert len(asked) == 1


def test_a_name_that_came_to_mean_another_market_parts_the_rows_by_day(archive, tmp_path):
    rows = ["PLUT,ES,1,,,", "PLUT,NQ,2,,2024-03-01,"]
    header = "vendor,name,root,price_factor,history_from,valid_from,note"
    (archive.path / "symbols.csv").write_text("\n".join([header, *(f"barchart,{row}" for row in rows), ""]))
    report = one(archive, put(tmp_path / "in", "Day_PLUT_20240300.csv", LINES))
    assert report.roots == ["ES", "NQ"] and report.accepted == 10
    assert archive.read("contract_bars", root="ES")["settle"].to_list() == [5015.75, 5028.5, 5007.0, 5040.5]
    assert archive.read("contract_bars", root="NQ")["settle"][0] == 2 * 5055.25
    other = one(archive, put(tmp_path / "again", "Day_PLUT_20240300.csv", LINES), root="PLUTO")
    assert archive.read("contract_bars", root="PLUTO").height == other.accepted == 10


def test_a_name_that_ended_is_known_up_to_its_end_and_asked_about_from_then(archive, tmp_path):
    header = "vendor,name,root,price_factor,history_from,valid_from,note"
    (archive.path / "symbols.csv").write_text(f"{header}\nbarchart,PLUT,ES,1,,,\nbarchart,PLUT,,1,,2024-03-01,\n")
    path, asked = put(tmp_path / "in", "Day_PLUT_20240300.csv", LINES), []
    report = one(archive, path, ask=lambda *words: asked.append(words))
    assert (report.roots, report.accepted) == (["ES", "PLUT"], 10)
    assert archive.read("contract_bars", root="ES").height == 4
    assert asked == [("PLUT", "ES", "Day_PLUT_20240300.csv")]
    assert "near it is PLUT of earlier days (ES)" in report.notes[0]


# ---- trade dates of bars within the day


def within_the_day(source, name, *moments):
    frame = pl.DataFrame({"time": moments, "contract": 202403, "close": 5000.0})
    return Reading("contract_bars", source, name, frame.with_columns(pl.col("contract").cast(pl.Int32)))


@pytest.mark.parametrize("end", ["", "-minute", "-hour", "-5-minute", "-4-hour"])
def test_a_vendor_is_told_from_the_name_of_a_source(end):
    assert [vendor_of(name + end) for name in ("x", "firstrate-daily")] == ["x", "firstrate-daily"]


@pytest.mark.parametrize(
    ("root", "moment", "day"),
    [
        ("ES", datetime(2024, 3, 7, 22, 59, tzinfo=UTC), date(2024, 3, 7)),  # 16:59 in Chicago
        ("ES", datetime(2024, 3, 7, 23, 0, tzinfo=UTC), date(2024, 3, 7)),  # ends with the session
        ("ES", datetime(2024, 3, 7, 23, 1, tzinfo=UTC), date(2024, 3, 8)),  # the next one
        ("ES", datetime(2024, 3, 8, 23, 30, tzinfo=UTC), date(2024, 3, 11)),  # Friday evening is Monday's
        ("ES", datetime(2024, 3, 10, 22, 30, tzinfo=UTC), date(2024, 3, 11)),  # Sunday, summer time has begun: 17:30
        ("PLUTONIUM", datetime(2024, 3, 7, 23, 1, tzinfo=UTC), date(2024, 3, 8)),  # unknown: as most are
        (
            "FDAX",
            datetime(2024, 3, 7, 22, 30, tzinfo=UTC),
            date(2024, 3, 7),
        ),  # 23:30 in Frankfurt, a session of the day
    ],
)
def test_a_bar_within_the_day_belongs_to_the_trade_date_of_its_session(root, moment, day):  # DOMAIN T39
    [(name, frame, _)] = translated(within_the_day("x-minute", root, moment), None, Master.load(), [], [])
    assert (name, frame["day"].to_list()) == (root, [day])


@pytest.mark.parametrize(
    ("root", "moment", "day"),
    [
        ("MES", datetime(2025, 9, 1, 15, tzinfo=UTC), date(2025, 9, 2)),  # the morning of Labor Day
        ("MES", datetime(2025, 8, 31, 23, tzinfo=UTC), date(2025, 9, 2)),  # the Sunday evening before it
        ("MES", datetime(2025, 8, 29, 20, tzinfo=UTC), date(2025, 8, 29)),
        ("MES", datetime(2025, 11, 27, 16, tzinfo=UTC), date(2025, 11, 28)),  # Thanksgiving
        ("PLUTONIUM", datetime(2025, 9, 1, 15, tzinfo=UTC), date(2025, 9, 1)),  # whose holidays nobody knows
    ],
)
def test_a_bar_on_a_holiday_is_the_next_session_s(root, moment, day):  # DOMAIN T40
    [(_, frame, _)] = translated(within_the_day("x-hour", root, moment), None, Master.load(), [], [])
    assert frame["day"].to_list() == [day]


@pytest.mark.parametrize(
    ("source", "ours", "day"),
    [("x-hour", False, date(2025, 9, 2)), ("x", False, date(2025, 9, 1)), ("x-hour", True, date(2025, 9, 1))],
)
def test_the_day_that_a_layout_gave_is_moved_off_a_holiday_for_bars_within_it_alone(source, ours, day):
    given = within_the_day(source, "MES", datetime(2025, 9, 1, 15, tzinfo=UTC), None)
    frame = given.frame.with_columns(pl.Series("day", [date(2025, 9, 1), None]))
    given = Reading("contract_bars", source, "MES", frame, ours=ours)
    [(_, frame, _)] = translated(given, None, Master.load(), [], [])
    assert frame["day"].to_list() == [day, None]


def test_the_real_hours_of_a_market_stand_on_its_sessions_alone(shared):
    [reading] = barchart.read(raw.open_file(shared / "barchart" / "hourly" / "Hour_SP500_micro.zip"))
    [(root, frame, _)] = translated(reading, None, Master.load(), [], [])
    held = frame["day"].unique().to_numpy()
    assert root == "MES" and is_session("CME_EQUITY", held).all()  # 44 of them were holidays once


def test_a_bar_without_a_moment_has_no_trade_date_either():
    reading = within_the_day("x-minute", "ES", None, datetime(2024, 3, 7, 20, tzinfo=UTC))
    [(_, frame, _)] = translated(reading, None, Master.load(), [], [])
    assert frame["day"].to_list() == [None, date(2024, 3, 7)]


def test_hourly_bars_have_the_names_and_units_of_their_vendor(archive, tmp_path):
    header = "vendor,name,root,price_factor,history_from,valid_from,note"
    (archive.path / "symbols.csv").write_text(f"{header}\nbarchart,PLUT,ES,0.1,,,\n")
    reading = within_the_day("barchart-hour", "PLUT", datetime(2024, 3, 7, 20, tzinfo=UTC))
    [(name, frame, _)] = translated(reading, None, Master.load(archive.path), [], [])
    assert (name, frame["close"].to_list()) == ("ES", [500.0])
