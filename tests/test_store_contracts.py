"""The contract master: its facts against independent references, its names, and a user's own rows."""

import csv
import gzip
import os
import re
import subprocess
import sys
import zipfile
from datetime import date
from itertools import pairwise
from math import isnan
from time import perf_counter

import pytest

from store import broker
from store.codes import MONTHS
from store.contracts import FIELDS, ContractSpec, Master, UnknownRoot, _load
from tests.conftest import REPO

MASTER = Master.load()


def references(shared):
    with open(shared / "contract_specs_reference.csv", newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_master_is_read_in_a_blink():
    took = []
    for _ in range(5):  # the best of five: the machine may be busy
        _load.cache_clear()
        start = perf_counter()
        assert Master.load().roots == MASTER.roots
        took.append(perf_counter() - start)
    assert min(took) < 0.06


def test_every_market_of_the_reference_is_known(shared):
    assert {row["root"] for row in references(shared)} <= set(MASTER.roots)


def explained():
    """{(root, source, field): kind} of the reference's values that are not ours, each with a reason."""
    with open(REPO / "tests" / "answers" / "contract_specs.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert all(row["reason"] for row in rows)
    assert {row["kind"] for row in rows} == {"unit", "other contract", "wrong", "spread", "older", "choice"}
    return {(row["root"], row["source"], row["field"]): row["kind"] for row in rows}


def differing(row, spec):
    """Fields of a reference's row that are not ours; its tick is taken in money."""
    if row["multiplier"] and float(row["multiplier"]) != pytest.approx(spec.multiplier):
        yield "multiplier"
    worth = row["tick_size"] and row["source"] in ("lean", "norgate_2022")  # the others write words and terminal points
    if worth and float(row["tick_size"]) * float(row["multiplier"]) != pytest.approx(spec.tick * spec.multiplier):
        yield "tick"
    if row["currency"] and row["currency"] != spec.currency:
        yield "currency"
    if row["exchange"] and row["source"] in ("lean", "ib_config"):
        plain = row["exchange"].upper()
        if plain not in (spec.exchange.upper(), *broker.EXCHANGES[spec.exchange]):
            yield "exchange"
    for word, months in (("priced", spec.listed_months), ("hold", spec.held_months)):
        theirs = re.search(rf"{word}=(\w+)", row["months"])
        if theirs and not set(theirs[1]) <= set(months):
            yield {"priced": "listed_months", "hold": "held_months"}[word]
    if row["source"] == "csi" and row["months"]:
        seen = {month for month, mark in zip(MONTHS, row["months"], strict=True) if mark in "VvSs"}
        if not seen <= set(spec.listed_months):
            yield "listed_months"


def test_every_disagreement_with_the_references_is_explained(shared):
    rows = references(shared)
    found = {(r["root"], r["source"], field) for r in rows for field in differing(r, MASTER.spec(r["root"]))}
    assert found == set(explained()) and len(rows) == 380


def test_a_unit_that_differs_is_a_hundred_times_ours_or_a_hundredth(shared):
    kinds = explained()
    for row in references(shared):
        if kinds.get((row["root"], row["source"], "multiplier")) == "unit":
            ratio = float(row["multiplier"]) / MASTER.spec(row["root"]).multiplier
            assert ratio == pytest.approx(100) or ratio == pytest.approx(0.01)


def test_every_row_of_the_table_of_disagreements_is_explained(shared):
    """Where the references disagree among themselves, one of them disagrees with us, by a reason."""
    told = {(root, field) for root, _, field in explained()}
    units = {root for (root, _, field), kind in explained().items() if kind == "unit" and field == "multiplier"}
    with open(shared / "contract_specs_disagreements.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 46
    for row in rows:
        field = {"tick_size": "tick"}.get(row["field"], row["field"])
        assert (row["root"], field) in told or (field == "tick" and row["root"] in units), row


def test_the_master_is_wide():
    specs = [MASTER.spec(root) for root in MASTER.roots]
    assert len(specs) >= 100
    assert len({spec.currency for spec in specs}) == 10  # USD EUR JPY CHF GBP HKD AUD CAD KRW SGD
    sectors = "bonds crypto currency energy equity grains livestock metals rates softs volatility"
    assert sorted({spec.sector for spec in specs}) == sectors.split()


@pytest.mark.parametrize("root", MASTER.roots)
def test_facts_make_sense(root):
    spec = MASTER.spec(root)
    assert spec.multiplier > 0 and spec.tick > 0
    assert set(spec.held_months) <= set(spec.listed_months) <= set(MONTHS)
    assert spec.settlement in ("cash", "physical")
    assert not (spec.settlement == "cash" and spec.first_notice)
    assert len(spec.currency) == 3
    assert isnan(spec.initial_margin) == isnan(spec.maintenance_margin)
    assert isnan(spec.initial_margin) or spec.initial_margin >= spec.maintenance_margin > 0


def test_every_row_has_a_source_and_no_fact_twice_on_a_day():
    for root in MASTER.roots:
        for field in FIELDS:
            facts = MASTER.facts(root, field)
            assert all(fact.source and "/work" not in fact.source for fact in facts)
            days = [fact.valid_from for fact in facts]
            assert len(set(days)) == len(days)
            assert None not in days[1:]


@pytest.mark.parametrize(
    ("root", "multiplier", "tick"),
    [("ZC", 50, 0.25), ("SI", 5000, 0.005), ("HG", 25000, 0.0005), ("KC", 375, 0.05), ("LE", 400, 0.025),
     ("SB", 1120, 0.01), ("ZN", 1000, 1 / 64), ("6J", 12_500_000, 5e-7), ("FDAX", 25, 1),
     ("SGB", 100_000, 0.01), ("MBT", 0.1, 5)],
)  # fmt: skip
def test_units_are_those_of_traders(root, multiplier, tick):
    spec = MASTER.spec(root)
    assert (spec.multiplier, spec.tick) == (multiplier, tick)


def test_t10_gold_holds_no_october():
    assert MASTER.spec("GC").held_months == MASTER.spec("MGC").held_months == "GJMQZ"


def test_t30_margin_is_unknown_before_its_first_row_and_never_zero():
    first = MASTER.facts("MES", "initial_margin")[0]
    assert first.valid_from == date(2019, 5, 3) and first.value == "693"
    assert isnan(MASTER.spec("MES", date(2019, 5, 2)).initial_margin)
    assert MASTER.spec("MES", date(2019, 5, 3)).initial_margin == 693
    assert MASTER.spec("MES", date(2019, 12, 31)).maintenance_margin == 630
    assert isnan(MASTER.spec("FGBL").initial_margin)  # no dated source, so none


def test_margins_are_those_of_lean_for_every_market_that_has_a_file(shared):
    """Rows dated 1990-01-01, and files of a single row of 2000, are placeholders, as their comments say."""
    compared = set()
    for path in (shared / "lean" / "future").glob("*/margins/*.csv"):
        lines = [line for line in path.read_text().split() if re.fullmatch(r"\d{8},\d+,\d+", line)]
        rows = [line.split(",") for line in lines if not line.startswith("19900101")]
        if path.stem not in MASTER.roots or not rows or (len(rows) == 1 and rows[0][0] == "20000101"):
            continue
        for day, initial, maintenance in rows:
            spec = MASTER.spec(path.stem, date(int(day[:4]), int(day[4:6]), int(day[6:])))
            assert (spec.initial_margin, spec.maintenance_margin) == (float(initial), float(maintenance))
        compared.add(path.stem)
    assert len(compared) >= 50 and {"SIL", "EMD", "MET", "E7", "HSI"} <= compared


def test_prices_below_zero_are_allowed_where_the_exchange_says_so_and_from_then_on():
    allowed = {root for root in MASTER.roots if MASTER.spec(root).negative_prices == "yes"}
    assert allowed == {root for root in MASTER.roots if MASTER.spec(root).sector == "energy"}
    assert MASTER.spec("CL", date(2020, 4, 3)).negative_prices == "no"
    assert MASTER.spec("CL", date(2020, 4, 20)).negative_prices == "yes"


def test_price_limits_are_dated_and_unknown_before_and_between():
    limit = lambda root, *day: MASTER.spec(root, date(*day)).price_limit  # noqa: E731
    assert [limit("ZC", 2014, 4, 23), limit("ZC", 2014, 11, 3), limit("ZC", 2015, 5, 1)] == ["", "25", "30"]
    assert limit("ZC", 2018, 1, 2) == "" and limit("ZC", 2022, 5, 2) == limit("XC", 2022, 5, 2) == "50"
    assert limit("LE", 2014, 12, 1) == "3" and limit("LE", 2021, 6, 1) == ""
    assert [limit("ES", 2013, 4, 5), limit("ES", 2020, 3, 16)] == ["", "20%"]
    assert MASTER.spec("FGBL").price_limit == ""


@pytest.mark.parametrize(("root", "name"), [("ZC", "CORN"), ("ZW", "WHEAT"), ("LE", "LIVECOW"), ("XK", "SOYBEAN_mini")])
def test_real_settlements_stay_within_the_limits(shared, root, name):
    """Away from delivery no day moved by more than the expanded limit, half as wide again, and some reached it."""
    facts = [(fact.valid_from, fact.value) for fact in MASTER.facts(root, "price_limit")]
    reached = 0
    with zipfile.ZipFile(shared / "barchart" / "daily" / f"Day_{name}.zip") as archive:
        for part in archive.namelist():
            rows = [line.split(",") for line in archive.read(part).decode().splitlines()[1:]]
            days = [(date.fromisoformat(row[0][:10]), float(row[4])) for row in rows]
            month = int(part[-12:-8]) * 12 + int(part[-8:-6])
            for (_, before), (day, after) in pairwise(days):
                value = next((v for first, v in reversed(facts) if first <= day), "")
                if not value or day.year * 12 + day.month > month - 2:
                    continue
                move, expanded = abs(after - before), float(value) * 1.5 + 2.5  # rounded up to a whole 5 cents
                assert move <= expanded, (part, day, move, value)
                reached += abs(move - float(value)) < 1e-9
    assert reached > 0


def test_a_micros_history_is_that_of_its_full_size_before_it_was_listed():
    assert MASTER.history("MES") == ("ES", date(2019, 5, 6))
    assert MASTER.history("SIL") == ("SI", date(2013, 6, 17))
    assert MASTER.history("ES") is None
    assert MASTER.spec("MCL").history_from == "CL"
    for root in MASTER.roots:
        if MASTER.history(root):
            full, day = MASTER.history(root)
            own, other = MASTER.spec(root), MASTER.spec(full)
            assert day is not None and (own.price_unit, own.currency) == (other.price_unit, other.currency)
            assert own.multiplier < other.multiplier and set(own.held_months) <= set(other.listed_months)


MICROS = [("SP500_micro", "MES"), ("GOLD_micro", "MGC"), ("CRUDE_W_micro", "MCL"), ("SOYBEAN_mini", "XK"),
          ("EUR_micro", "M6E"), ("GBP_micro", "M6B"), ("AUD_micro", "M6A"), ("BITCOIN", "MBT")]  # fmt: skip


@pytest.mark.parametrize(("name", "root"), MICROS)
def test_the_first_day_of_a_micro_is_that_of_its_first_volume(shared, name, root):
    first = []
    with zipfile.ZipFile(shared / "barchart" / "daily" / f"Day_{name}.zip") as archive:
        for part in archive.namelist():
            rows = [line.split(",") for line in archive.read(part).decode().splitlines()[1:]]
            first += [row[0][:10] for row in rows if float(row[5] or 0) > 0][:1]
    assert min(first) == MASTER.history(root)[1].isoformat()


def test_t37_facts_change_by_dated_rows(tmp_path):
    assert MASTER.spec("FDAX", date(2020, 12, 18)).tick == 0.5
    assert MASTER.spec("FDAX", date(2020, 12, 21)).tick == 1
    (tmp_path / "contracts.csv").write_text(
        own_market("STI", multiplier="10") + "STI,multiplier,2,2026-03-01,SGX circular\n"
    )
    master = Master.load(tmp_path)
    assert 5 * master.spec("STI", date(2026, 2, 27)).multiplier == 50
    assert 5 * master.spec("STI", date(2026, 3, 2)).multiplier == 10


BARCHART = """SP500_micro MES; NASDAQ_micro MNQ; CRUDE_W_micro MCL; GOLD_micro MGC; SILVER SI; CORN ZC; WHEAT ZW;
SOYBEAN_mini XK; US2 ZT; US5 ZF; US10 ZN; BUND FGBL; DAX FDAX; NIKKEI NK225M; EUR_micro M6E;
GBP_micro M6B; AUD_micro M6A; GAS_US_mini QG; VIX_mini VXM; LIVECOW LE; COFFEE KC; JGB-SGX-mini SGB;
EURCHF RF; BITCOIN MBT"""


@pytest.mark.parametrize(("name", "root"), [pair.split() for pair in BARCHART.split(";")])
def test_barchart_prices_are_in_our_unit(shared, name, root):
    """Prices of the files lie on our grid: nine in ten highs and lows of a busy day are whole ticks."""
    alias = MASTER.alias("barchart", name)
    assert alias.root == root
    ticks = MASTER.facts(root, "tick")
    on = total = 0
    with zipfile.ZipFile(shared / "barchart" / "daily" / f"Day_{name}.zip") as archive:
        for part in archive.namelist()[:: max(1, len(archive.namelist()) // 8)]:
            for row in (line.split(",") for line in archive.read(part).decode().splitlines()[1:]):
                if row[0] > "2006" and float(row[5] or 0) >= 50:
                    known = [f.value for f in ticks if f.valid_from is None or str(f.valid_from) <= row[0][:10]]
                    steps = [float(x) * alias.factor / float(known[-1]) for x in row[2:4]]
                    on, total = on + sum(abs(x - round(x)) < 1e-4 for x in steps), total + 2
    assert total > 100 and on / total > 0.9


def test_pysystemtrade_names_are_all_known_and_in_our_unit(shared):
    folder = shared / "pysystemtrade" / "multiple_prices_csv"
    names = sorted(path.name.removesuffix(".csv.gz") for path in folder.glob("*.csv.gz"))
    assert len(names) == 38
    fair = {
        "ZC": (300, 900),
        "SI": (10, 50),
        "HG": (2, 6),
        "6J": (0.005, 0.01),
        "SB": (10, 30),
        "ZN": (105, 115),
        "KC": (130, 250),
    }
    for name in names:
        alias = MASTER.alias("pysystemtrade", name)
        assert alias is not None
        if alias.root in fair:
            with gzip.open(folder / f"{name}.csv.gz", "rt") as lines:
                price = [
                    float(r["PRICE"]) for r in csv.DictReader(lines) if r["PRICE"] and r["DATETIME"][:4] == "2023"
                ][-1]
            low, high = fair[alias.root]
            assert low < price * alias.factor < high


def test_names_of_all_kinds_resolve():
    names = (
        "MES",
        "SP500_micro",
        "barchart:DAX",
        "pysystemtrade:DAX",
        "CORN",
        "ES.c.0",
        "SP500_micro.v.1",
        "mes",
        "YK",
    )
    assert [MASTER.resolve(name) for name in names] == ["MES", "MES", "FDAX", "FDXS", "ZC", "ES", "MES", "MES", "XK"]


def test_a_name_of_two_markets_asks_for_the_vendor():
    with pytest.raises(UnknownRoot, match=r"more than one market.*barchart:DAX is FDAX.*pysystemtrade:DAX is FDXS"):
        MASTER.resolve("DAX")


def test_an_unknown_name_is_answered_by_near_ones():
    with pytest.raises(UnknownRoot, match=r"no market 'SP500_mikro'.*SP500_micro"):
        MASTER.resolve("SP500_mikro")
    with pytest.raises(UnknownRoot, match="no market 'QQQQ'"):
        MASTER.spec("QQQQ")
    with pytest.raises(LookupError, match=r"no field 'multiplyer'.*multiplier"):
        MASTER.facts("MES", "multiplyer")


def test_aliases_carry_unit_and_history():
    assert MASTER.alias("barchart", "NOTHING") is None
    assert MASTER.alias("norgate", "SI").factor == 0.01
    assert MASTER.alias("quantiacs", "F_ES").factor * 159862.5 == pytest.approx(3197.25)
    assert MASTER.alias("barchart", "NIKKEI").history_from == "NIY"
    assert ("barchart", "SP500_micro") in MASTER.aliases("MES")


def test_a_vendors_unit_that_changed_is_dated():
    assert MASTER.alias("cfe", "VX", date(2007, 3, 23)).factor == 0.1
    assert MASTER.alias("cfe", "VX", date(2007, 3, 26)).factor == 1
    assert MASTER.alias("cfe", "VX").factor == 1


def test_t52_one_name_stood_for_other_markets_in_its_time():
    assert MASTER.alias("cme", "ED", date(2023, 4, 14)).root == "GE"
    assert MASTER.alias("cme", "ED", date(2023, 4, 17)).root == MASTER.alias("cme", "ED").root == "SR3"
    assert MASTER.alias("ice", "TF", date(2017, 1, 3)).root == "RTY"
    assert MASTER.alias("ice", "TF") is None  # ended
    assert MASTER.resolve("ice:TF") == "RTY"
    assert ("cme", "ED") in MASTER.aliases("GE") and ("cme", "ED") in MASTER.aliases("SR3")
    with pytest.raises(UnknownRoot, match=r"'ED' is more than one market.*cme:ED is SR3, csi:ED is GE"):
        MASTER.resolve("ED")


def test_a_code_that_two_brokers_use_for_two_markets_needs_its_broker():
    assert MASTER.alias("bloomberg", "UB Comdty").root == "FGBX" and MASTER.alias("cqg", "ULA").root == "UB"
    assert MASTER.resolve("bloomberg:WN Comdty") == "UB"
    assert {MASTER.alias(vendor, name).root for vendor, name in (("ib", "GBL"), ("cqg", "DB"))} == {"FGBL"}


def test_every_name_stands_for_a_market_and_no_day_has_two():
    with open(REPO / "config" / "symbols.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["root"] for row in rows} - {""} <= set(MASTER.roots)
    assert all(row["valid_from"] and row["note"] for row in rows if not row["root"])
    keys = [(row["vendor"], row["name"], row["valid_from"]) for row in rows]
    assert len(set(keys)) == len(keys)


HEADER = "root,field,value,valid_from,source\n"


def own_market(root, **changed):
    """Rows of a user's own contracts.csv: a market like MES."""
    like = MASTER.spec("MES")
    plain = [field for field in FIELDS if not field.endswith(("_margin", "history_from", "price_limit"))]
    values = {field: str(getattr(like, field)) for field in plain} | changed
    return HEADER + "".join(f"{root},{field},{value},,me\n" for field, value in values.items() if value)


def test_a_users_market_is_known_beside_ours(tmp_path):
    (tmp_path / "contracts.csv").write_text(own_market("MINE", name="My own", tick="0.5"))
    (tmp_path / "symbols.csv").write_text(
        "vendor,name,root,price_factor,history_from,valid_from,note\nbarchart,MY_MARKET,MINE,0.01,,,\n"
    )
    master = Master.load(tmp_path)
    assert isinstance(master.spec("MINE"), ContractSpec) and master.spec("MINE").tick == 0.5
    assert master.resolve("MY_MARKET") == "MINE"
    assert master.hash != MASTER.hash
    assert "MINE" not in MASTER.roots


def test_a_users_row_wins_over_ours(tmp_path):
    (tmp_path / "contracts.csv").write_text(HEADER + "FGBL,initial_margin,3000,2020-01-02,broker\nMES,tick,0.5,,me\n")
    master = Master.load(tmp_path)
    assert master.spec("FGBL").initial_margin == 3000
    assert master.spec("MES").tick == 0.5


def test_a_market_with_too_few_facts_names_what_lacks(tmp_path):
    (tmp_path / "contracts.csv").write_text(HEADER + "MINE,name,Mine,,me\n")
    with pytest.raises(UnknownRoot, match="MINE lack sector, exchange, currency, multiplier, tick"):
        Master.load(tmp_path).spec("MINE")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEADER + "MES,tik,0.25,,me\n", "contracts.csv line 2: no field 'tik'.*tick"),
        (HEADER + "MES,tick,a lot,,me\n", "contracts.csv line 2: 'a lot' is no number"),
        (HEADER + "MES,initial_margin,0,2020-01-01,me\n", "line 2: initial_margin is '0', it must be above 0"),
        (HEADER + "MES,tick,0.25,01/02/2020,me\n", "line 2: '01/02/2020' is no day"),
        (HEADER + "MES,negative_prices,maybe,,me\n", "line 2: negative_prices is 'maybe', it must be yes or no"),
        (HEADER + "MES,price_limit,wide,,me\n", "line 2: 'wide' is no number"),
        (HEADER + "MES,price_limit,-7%,,me\n", "line 2: price_limit is '-7%', write 7% or 0.45"),
        (HEADER + "MES,tick\n", "line 2: 2 cells, the header has 5"),
        ("root,field,value\n", "contracts.csv lacks the column valid_from, source"),
        ("", "lacks the column root.*it has none"),
    ],
)
def test_faults_in_a_users_file_are_named(tmp_path, text, says):
    (tmp_path / "contracts.csv").write_text(text)
    with pytest.raises(ValueError, match=says):
        Master.load(tmp_path)


def test_the_hash_is_the_same_in_every_process():
    code = "from store.contracts import Master; print(Master.load().hash)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO)
    assert done.stdout.strip() == MASTER.hash


def test_an_edited_file_of_the_user_is_read_again(tmp_path):
    own = tmp_path / "contracts.csv"
    own.write_text("root,field,value,valid_from,source\nMES,tick,0.5,2031-01-01,me\n")
    assert Master.load(tmp_path).facts("MES", "tick")[-1].value == "0.5"
    own.write_text("root,field,value,valid_from,source\nMES,tick,0.125,2031-01-01,me\n")
    os.utime(own, ns=(1, 1))
    assert Master.load(tmp_path).facts("MES", "tick")[-1].value == "0.125"
