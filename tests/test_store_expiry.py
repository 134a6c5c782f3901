"""Last trade and first notice: the rules against the exchanges' own dates and against the ends of real contracts."""

import csv
import zipfile
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime

import polars as pl
import pytest

from store import days, expiry
from store.contracts import Master, first_notice, last_allowed, last_trade, with_dates
from store.expiry import UnknownRule
from store.rules import RULES
from store.tables import TABLES
from tests.conftest import REPO

MASTER = Master.load()
RTL = {"CL": "CL", "NG": "NG", "HO": "HO", "RB": "RB", "BZ": "BZ", "LCO": "BRN", "HG": "HG", "GC": "GC", "SI": "SI"}
RTL |= {"C": "ZC", "S": "ZS", "W": "ZW", "LGO": "G", "T": "T", "ALI": "ALI"}
CASH = ("BZ", "BRN", "T", "G")  # settled, or delivered to those who hold at the end: the table's day is that of the end

# Barchart files that end before their contract did: the last day or days are missing from the file.
CUT = {
    "FDAX": {199403, 199409, 199603, 199606, 199709, 199803, 199806, 200009},
    "ZN": {199812},
    "ZF": {199812},
    "ZT": {199103, 199803, 199812, 200006},
    "MGC": {201210},
    "QG": {200901, 201301, 201312},
    "LE": {199112, 199212, 199312, 199912, 200504, 200910},
    "SI": {199312, 199803},
    "NK225M": {199806},
    # Singapore's last session is missing in 41 files to 2015 and the last two in four later ones (the volume of
    # their last row is that of a contract still in full trade).
    "SGB": {199806, 199906, 199912, 200112, 200203, 200206, 200212, 200303, 200306, 200309, 200312, 200403, 200406}
    | {200409, 200412, 200503, 200506, 200509, 200512, 200603, 200606, 200609, 200612, 200703, 200706, 200709, 200912}
    | {201003, 201006, 201012, 201103, 201106, 201109, 201209, 201212, 201303, 201306, 201309, 201312, 201403, 201406}
    | {201409, 201412, 201503, 201506, 201603, 201606, 201612, 201712},
}


def spec(root):
    return MASTER.spec(root)


def expiry_table(shared):
    """(root, contract, last trade, first notice) of the table; its labels of grains and Brent are put right.

    Year and month are those of first delivery: for grains one month early. Brent's are one month late where two
    rows claim one month, so its contract is taken from the last trade, two months before delivery.
    """
    with open(shared / "rtl" / "expiry_table_2025.csv", newline="") as lines:
        for row in csv.DictReader(lines):
            root = RTL.get(row["tick.prefix"])
            if root is None:
                continue
            ends = date.fromisoformat(row["Last.Trade"])
            months = int(float(row["Year"])) * 12 + int(float(row["Month"])) - 1
            if root in ("ZC", "ZS", "ZW"):
                months += 1
            if root == "BZ" or (root == "BRN" and ends > date(2016, 1, 20)):
                months = ends.year * 12 + ends.month - 1 + 2
            yield root, months // 12 * 100 + months % 12 + 1, ends, date.fromisoformat(row["First.Notice"])


def notice_misses():
    """{(root, contract): kind} of the table's first notices that are not the rule's, each with a reason."""
    with open(REPO / "tests" / "answers" / "first_notices.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert all(row["kind"] in ("impossible", "slip") and row["reason"] for row in rows)
    return {(row["root"], int(row["contract"])): row["kind"] for row in rows}


def test_every_last_trade_of_the_exchange_table_is_the_rules(shared):
    rows = list(expiry_table(shared))
    wrong = [(r, k, str(last_trade(spec(r), k)), str(ends)) for r, k, ends, _ in rows if last_trade(spec(r), k) != ends]
    assert len(rows) > 2300 and wrong == []


def test_first_notices_of_the_exchange_table_are_the_rules_but_for_the_explained(shared):
    explained, missed, counted = notice_misses(), {}, defaultdict(int)
    for root, contract, ends, notice in expiry_table(shared):
        if root in CASH:
            assert first_notice(spec(root), contract) is None
            continue
        counted[root] += 1
        if first_notice(spec(root), contract) != notice:
            never = not days.is_session(spec(root).calendar, notice) or notice <= ends
            missed[root, contract] = "impossible" if never else "slip"
            assert notice >= ends  # a miss never moves the day by which we must be out
    assert missed == explained
    for root, count in counted.items():  # days of both kinds, without those that no rule can give
        slips = sum(kind == "slip" for (r, _), kind in missed.items() if r == root)
        defects = sum(kind == "impossible" for (r, _), kind in missed.items() if r == root)
        assert count > 10 and slips / (2 * count - defects) <= 0.01


def test_the_dates_of_the_exchanges_own_calendars_are_the_rules(shared):
    xlrd = pytest.importorskip("xlrd")
    names = [date(2000, month, 1).strftime("%B") for month in range(1, 13)]
    count = 0
    for path in sorted((shared / "rtl" / "cme_product_calendars").glob("*.xls")):
        sheet = xlrd.open_workbook(path).sheet_by_index(0)
        facts = spec(RTL[path.stem])
        for row in (sheet.row_values(i) for i in range(5, sheet.nrows)):
            month, year = row[0].split()[:2]
            contract = int(year) * 100 + names.index(month) + 1
            assert str(last_trade(facts, contract)) == row[3]
            assert row[9] in ("-", str(first_notice(facts, contract)))
            count += 1
    assert count == 578


def stale(row, before):
    """A row that the vendor filled in: flat or a copy of an earlier one, without volume or with the last day's."""
    silent = float(row[5] or 0) == 0 or row[5] == before[-1][5]
    return silent and (len(set(row[1:5])) == 1 or any(row[2:4] == other[2:4] for other in before))


def ends_of_files(path):
    """{contract: (last bar, last bar that is not stale)} of one market's zip, and the day on which it was saved."""
    found, newest = {}, ""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            rows = [line.split(",") for line in archive.read(name).decode().splitlines()[1:] if line]
            if rows:
                newest = max(newest, rows[-1][0][:10])
                real = max(i for i, row in enumerate(rows) if i == 0 or not stale(row, rows[max(0, i - 10) : i]))
                found[int(name[-12:-6])] = {row[0][:10] for row in rows[real:]}, rows[-1][0][:10], rows[real][0][:10]
    return found, newest


FILES = (
    "SP500_micro", "NASDAQ_micro", "CRUDE_W_micro", "GOLD_micro", "SILVER", "CORN", "WHEAT", "SOYBEAN_mini",
    "US2", "US5", "US10", "BUND", "DAX", "NIKKEI", "EUR_micro", "GBP_micro",
    "AUD_micro", "GAS_US_mini", "VIX_mini", "LIVECOW", "COFFEE", "JGB-SGX-mini", "EURCHF", "BITCOIN",
)  # fmt: skip
BARCHART = sorted((name, MASTER.alias("barchart", name).root) for name in FILES)


@pytest.mark.parametrize(("name", "root"), BARCHART)
def test_rules_end_where_the_files_of_expired_contracts_end(shared, name, root):
    files, newest = ends_of_files(shared / "barchart" / "daily" / f"Day_{name}.zip")
    agree = modern = modern_agree = count = 0
    for contract, (tail, last, real) in files.items():
        end = str(last_trade(spec(root), contract))
        if end >= newest:
            continue
        same = end == last or (real <= end <= last and end in tail)
        if contract in CUT.get(root, ()):
            assert last < end, f"{root} {contract} is not cut: it ends {last}, the rule says {end}"
            same = True
        count, agree = count + 1, agree + same
        if contract > 200512:
            modern, modern_agree = modern + 1, modern_agree + same
    assert agree / count >= 0.98, f"{root}: {agree} of {count}"
    assert modern_agree == modern


def test_t11_the_last_allowed_close_is_the_day_before_first_notice():
    gilt = spec("R")  # notice on the second last business day of February 2026, a Thursday
    assert first_notice(gilt, 202603) == date(2026, 2, 26)
    assert last_allowed(gilt, 202603) == date(2026, 2, 25)
    assert last_allowed(gilt, 202603, buffer=0) == date(2026, 2, 26)
    assert last_allowed(gilt, 202603, buffer=3) == date(2026, 2, 23)


def test_t11_without_notice_the_last_trade_counts():
    assert first_notice(spec("MES"), 202603) is None
    assert last_allowed(spec("MES"), 202603) == date(2026, 3, 19)


def test_t12_presidents_day_moves_the_euro():
    assert last_trade(spec("6E"), 202502) == date(2025, 2, 14)


def test_t12_a_holiday_of_the_user_moves_the_end(tmp_path):
    (tmp_path / "holidays.csv").write_text("calendar,day,name,source\nCME_EQUITY,2026-03-20,a strike,me\n")
    assert last_trade(Master.load(tmp_path).spec("MES"), 202603) == date(2026, 3, 19)
    assert last_trade(spec("MES"), 202603) == date(2026, 3, 20)


def contracts_table(*rows):
    """Rows (contract, last trade, first notice, when it became known) as the table `contracts` holds them."""
    names = ("contract", "last_trade", "first_notice", "known")
    return TABLES["contracts"].conform(pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows]))


def test_t12_a_vendors_date_goes_before_the_rule_and_the_difference_is_told():
    told = with_dates(spec("6E"), contracts_table((202502, date(2025, 2, 17), None, datetime(2025, 1, 2, tzinfo=UTC))))
    assert last_trade(told, 202502) == date(2025, 2, 17)
    assert last_trade(told, 202503) == last_trade(spec("6E"), 202503)  # of the others the rule
    assert last_allowed(told, 202502) == date(2025, 2, 14)
    assert expiry.differences(told) == [(202502, "last_trade", date(2025, 2, 17), date(2025, 2, 14))]


def test_t12_a_vendors_notice_moves_the_last_allowed_day_and_a_later_word_goes_before_an_earlier():
    first = (202604, date(2026, 4, 28), date(2026, 3, 30), datetime(2026, 1, 2, tzinfo=UTC))
    later = (202604, date(2026, 4, 28), date(2026, 3, 27), datetime(2026, 2, 2, tzinfo=UTC))
    told = with_dates(spec("GC"), contracts_table(later, first))
    assert first_notice(told, 202604) == date(2026, 3, 27)
    assert last_allowed(told, 202604) == date(2026, 3, 26)
    assert first_notice(spec("GC"), 202604) == date(2026, 3, 31)
    assert with_dates(spec("GC"), contracts_table(first)[:0]).dates == ()


def test_t31_delivery_month_is_not_the_month_of_the_last_trade():
    assert last_trade(spec("CL"), 202112) == date(2021, 11, 19)
    assert last_trade(spec("SB"), 202403) == date(2024, 2, 29)
    assert last_trade(spec("NG"), 202401) == date(2023, 12, 27)


def test_the_negative_day_of_may_2020_crude_is_the_day_before_its_last():
    assert last_trade(spec("CL"), 202005) == date(2020, 4, 21)


def test_a_rule_that_changed_is_kept_for_older_contracts():
    corn = spec("ZC")
    assert corn.last_trade == "eve_of_15th"
    assert last_trade(corn, 199912) == date(1999, 12, 20)
    assert last_trade(corn, 200003) == date(2000, 3, 14)


@pytest.mark.parametrize(
    ("root", "contract", "day"),
    [
        ("KC", 198112, "1981-12-21"),  # Christmas Eve
        ("KC", 198509, "1985-09-19"),  # a hurricane
        ("KC", 200109, "2001-09-20"),  # the week of the attacks
        ("KC", 200112, "2001-12-14"),  # the day after Christmas
        ("KC", 200412, "2004-12-20"),  # New Year's Eve
        ("KC", 200712, "2007-12-18"),  # Christmas Eve
        ("LE", 199404, "1994-04-22"),  # a funeral
    ],
)
def test_an_end_that_the_exchange_set_before_it_closed_for_a_day_stands_for_that_contract_only(root, contract, day):
    """The days are those of the last bars (Barchart), some of them with volume; a session was closed afterwards."""
    assert last_trade(spec(root), contract) == date.fromisoformat(day)
    rules = {name for first, name in spec(root).last_trade_rules if name == day and first == contract}
    assert rules == {day}
    others = [last_trade(spec(root), k) for k in (contract - 100, contract + 100)]
    assert day not in [str(end) for end in others]
    assert [end.year * 100 + end.month for end in others] == [contract - 100, contract + 100]


def test_the_third_friday_on_a_holiday_is_the_thursday():
    assert last_trade(spec("MES"), 200803) == date(2008, 3, 20)  # Good Friday
    assert last_trade(spec("MES"), 202606) == date(2026, 6, 18)  # Juneteenth


@pytest.mark.parametrize(
    ("root", "contract", "day"),
    [
        ("VX", 202406, "2024-06-18"),  # the Wednesday is Juneteenth
        ("VX", 202403, "2024-03-20"),
        ("KC", 202403, "2024-03-18"),
        ("LE", 202402, "2024-02-29"),
        ("FGBL", 202403, "2024-03-07"),
        ("SR3", 202403, "2024-06-18"),
        ("GF", 202411, "2024-11-21"),
        ("6C", 202403, "2024-03-19"),
        ("BRN", 202502, "2024-12-30"),
    ],
)
def test_ends_that_were_looked_up_by_hand(root, contract, day):
    assert last_trade(spec(root), contract) == date.fromisoformat(day)


def test_coffee_and_cattle_notices():
    assert first_notice(spec("KC"), 202403) == date(2024, 2, 21)
    assert first_notice(spec("LE"), 202402) == date(2024, 2, 5)


@pytest.mark.parametrize("root", MASTER.roots)
def test_every_market_has_rules_and_every_contract_an_end_after_its_last_allowed_day(root):
    facts = spec(root)
    for contract in (199003, 200012, 202406, 203512):
        end = last_trade(facts, contract)
        assert last_allowed(facts, contract) < end
        assert abs((end - date(contract // 100, contract % 100, 15)).days) < 110


def test_every_rule_cites_its_source_and_is_used():
    facts = [fact for root in MASTER.roots for f in ("last_trade", "first_notice") for fact in MASTER.facts(root, f)]
    moved = {fact.value for fact in facts if fact.value[0].isdigit()}
    assert {fact.value for fact in facts} - moved == set(RULES)
    assert all(rule.__doc__ and "." in rule.__doc__ for rule in RULES.values())


def test_an_unknown_rule_is_named():
    broken = replace(spec("MES"), last_trade_rules=((0, "third_fridy"),))
    with pytest.raises(UnknownRule, match=r"MES: no rule 'third_fridy'.*third_friday"):
        last_trade(broken, 202403)
