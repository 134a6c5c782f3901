"""Coverage: sessions expected counted by hand from the calendar, missing contracts by the files that are not there."""

import re
import zipfile
from datetime import date

import pytest

from store import open_archive
from store.contracts import Master
from store.coverage import coverage
from tests.stored_bars import bars, chain, days, store

GOOD_FRIDAY = "2024-03-29"
UNTRADED = ("M6B 200912", "MGC 201502", "QG 200510", "QG 200602", "QG 200605")  # not among the files of the zips


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


def told(archive, root="MES"):
    return coverage(archive, [root]).to_dicts()


def test_sessions_are_those_of_the_calendar_from_the_first_stored_day_to_the_last(archive):
    store(archive, bars(202406, days("2024-03-25", "2024-04-02", [GOOD_FRIDAY, "2024-03-27"])))
    assert told(archive) == [
        {"root": "MES", "source": "barchart", "table": "contract_bars", "year": 2024, "sessions_expected": 6,
         "sessions_held": 5, "share": 5 / 6, "contracts_missing": [], "first_day": date(2024, 3, 25),
         "last_day": date(2024, 4, 2)},
    ]  # fmt: skip


def test_a_row_without_a_price_holds_no_session_and_one_on_a_holiday_none_either(archive):
    without = bars(202406, days("2024-03-26", "2024-03-26"), settle=None, open_interest=5.0)
    store(archive, bars(202406, days("2024-03-25", "2024-04-01", ["2024-03-26"])), without)
    [row] = told(archive)
    assert (row["sessions_expected"], row["sessions_held"]) == (5, 4)  # 25, 26, 27, 28 March and 1 April


def test_years_are_told_apart_also_one_of_which_nothing_is_stored(archive):
    store(archive, bars(202206, days("2021-12-30", "2021-12-31")), bars(202403, days("2023-01-03", "2023-01-03")))
    rows = {row["year"]: row for row in told(archive)}
    assert (rows[2021]["sessions_expected"], rows[2021]["sessions_held"]) == (2, 2)
    assert (rows[2022]["sessions_held"], rows[2022]["share"], rows[2022]["first_day"]) == (0, 0.0, None)
    assert rows[2022]["sessions_expected"] == 251  # of the S&P 500's futures in 2022, closed on nine holidays
    assert (rows[2023]["sessions_expected"], rows[2023]["sessions_held"]) == (1, 1)


def test_a_contract_of_the_cycle_without_rows_is_missing_in_the_year_of_its_last_trade(archive):
    store(archive, bars(202312, days("2023-09-18", "2023-12-15")), bars(202406, days("2024-01-02", "2024-06-21")))
    assert {row["year"]: row["contracts_missing"] for row in told(archive)} == {2023: [], 2024: ["202403"]}


def test_a_contract_that_ends_before_its_turn_is_missing(archive):
    whole = bars(202312, days("2023-09-18", "2023-12-15")), bars(202406, days("2023-12-18", "2024-06-21"))
    store(archive, *whole, bars(202403, days("2023-09-18", "2023-12-15")))  # nothing after 202312's last trade
    assert told(archive)[-1]["contracts_missing"] == ["202403"]
    store(archive, *whole, bars(202403, days("2023-12-18", "2023-12-18")))
    assert told(archive)[-1]["contracts_missing"] == []


def test_the_contract_of_now_is_looked_for_and_those_before_the_first_and_after_the_end_are_not(archive):
    store(archive, bars(202403, days("2024-01-02", "2024-03-15")))  # to its last trade
    assert told(archive)[0]["contracts_missing"] == []
    store(archive, bars(202403, days("2024-01-02", "2024-03-15")), bars(202412, days("2024-03-18", "2024-03-18")))
    assert told(archive)[0]["contracts_missing"] == ["202406"]


def test_a_market_that_the_master_does_not_know_has_its_weekdays(archive):
    store(archive, bars(202406, days("2024-03-25", "2024-04-01", ["2024-03-26"])), root="PLUTONIUM")
    [row] = told(archive, "PLUTONIUM")
    assert (row["sessions_expected"], row["sessions_held"], row["contracts_missing"]) == (6, 5, [])


def test_every_source_has_rows_of_its_own_and_of_a_chain_the_first_nearby_counts(archive):
    store(archive, bars(202406, days("2024-03-25", "2024-03-26")))
    second = chain(days("2024-03-26", "2024-03-26"), [101.0], rank=2)
    store(archive, chain(days("2024-03-25", "2024-03-27", ["2024-03-26"]), [1.0, 2.0]), second, source="pysystemtrade")
    rows = {row["source"]: (row["table"], row["sessions_expected"], row["sessions_held"]) for row in told(archive)}
    assert rows == {"barchart": ("contract_bars", 2, 2), "pysystemtrade": ("vendor_chains", 3, 2)}


def test_of_a_market_that_is_not_stored_there_is_nothing_to_tell(archive):
    assert told(archive) == []


def test_the_real_markets_lack_the_contracts_of_which_there_is_no_file(real, shared):
    roots = sorted({segment.labels["root"] for segment in real.files("contract_bars")})
    found = coverage(real, roots)
    lacking = found.explode("contracts_missing").drop_nulls("contracts_missing")
    assert tuple(f"{r} {c}" for r, c in lacking.select("root", "contracts_missing").iter_rows()) == UNTRADED
    names = {root: name for vendor, name, root in _aliases() if vendor == "barchart"}
    for root, contract in (one.split() for one in UNTRADED):
        with zipfile.ZipFile(shared / "barchart" / "daily" / f"Day_{names[root]}.zip") as packed:
            assert not re.search(contract, " ".join(packed.namelist()))


def test_the_real_markets_have_nearly_all_sessions_of_their_calendars(real):
    found = coverage(real, ["MES", "ZC", "NK225M"])
    held = {row["root"]: 0 for row in found.to_dicts()}
    for row in found.to_dicts():
        held[row["root"]] += row["sessions_expected"] - row["sessions_held"]
    assert held["MES"] == 0 and held["ZC"] <= 5
    assert held["NK225M"] > 200  # Barchart's is CME's Nikkei, which has other holidays than Osaka's


def _aliases():
    master = Master.load()
    return [(vendor, name, root) for root in master.roots for vendor, name in master.aliases(root)]
