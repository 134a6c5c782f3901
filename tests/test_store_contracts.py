"""The contract master: its facts against independent references, its names, and a user's own rows."""

import csv
import gzip
import os
import subprocess
import sys
import zipfile
from datetime import date
from math import isnan

import pytest

from store.codes import MONTHS
from store.contracts import FIELDS, ContractSpec, Master, UnknownRoot
from tests.conftest import REPO

MASTER = Master.load()

# Where a reference's multiplier is not ours, and why: (root, source) -> reason.
OTHER_CONTRACT = {
    **dict.fromkeys([("RTY", s) for s in ("pysystemtrade", "ib_config", "csi")], "the micro, M2K"),
    **dict.fromkeys([("YM", s) for s in ("pysystemtrade", "ib_config", "csi")], "the micro, MYM"),
    **dict.fromkeys([("FDAX", s) for s in ("pysystemtrade", "ib_config")], "the micro of 1 EUR, FDXS"),
    ("SI", "ib_config"): "the 1000-ounce contract",
}
WRONG = {
    ("M2K", "pysystemtrade"): "a tenth of the micro: the row is called RUSSELL_mini",
    ("MYM", "pysystemtrade"): "a tenth of the micro: the row is called DOW_mini",
    ("FOAT", "pysystemtrade"): "5000; Eurex has 1000 EUR a point, as do Norgate and CSI",
    ("Z", "ib_config"): "1000; ICE has 10 GBP a point, as do the other three",
    ("6M", "norgate_2017"): "50000; CME has 500000 pesos, as do the other four",
}
UNIT = {  # the same money, quoted in hundredths or in hundreds of our unit
    "SI": 0.01, "HG": 0.01, "6J": 0.01, "ZC": 100, "ZS": 100, "ZW": 100, "KE": 100, "ZL": 100, "ZO": 100, "ZR": 100,
    "LE": 100, "HE": 100, "GF": 100, "SB": 100, "KC": 100, "CT": 100, "OJ": 100,
}  # fmt: skip
OTHER_TICK = {
    ("PA", "norgate_2022"): "0.1, of spreads; outright palladium moves by 0.5",
    ("6S", "norgate_2022"): "0.0001 until the half-pip tick",
    ("DX", "norgate_2022"): "0.001 of the feed; ICE has 0.005",
    ("FESX", "norgate_2022"): "0.5, of calendar spreads",
    ("FDAX", "norgate_2022"): "0.5 until December 2020, see test_t37",
}


def references(shared):
    with open(shared / "contract_specs_reference.csv", newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_market_of_the_reference_is_known(shared):
    assert {row["root"] for row in references(shared)} <= set(MASTER.roots)


def test_multipliers_are_those_of_the_references_but_for_the_explained(shared):
    seen = set()
    for row in references(shared):
        if not row["multiplier"]:
            continue
        key, ratio = (row["root"], row["source"]), float(row["multiplier"]) / MASTER.spec(row["root"]).multiplier
        if ratio == pytest.approx(1.0) or ratio == pytest.approx(UNIT.get(row["root"], 1)):
            continue
        assert key in OTHER_CONTRACT or key in WRONG, f"{key}: {row['multiplier']}"
        seen.add(key)
    assert seen == set(OTHER_CONTRACT) | set(WRONG)


def test_ticks_are_worth_what_the_references_say_but_for_the_explained(shared):
    seen, compared = set(), 0
    for row in references(shared):
        if not (row["multiplier"] and row["tick_size"]) or row["source"] not in ("lean", "norgate_2022"):
            continue  # the other two write words and terminal points
        spec = MASTER.spec(row["root"])
        worth = float(row["tick_size"]) * float(row["multiplier"])
        compared += 1
        if worth != pytest.approx(spec.tick * spec.multiplier):
            seen.add((row["root"], row["source"]))
    assert seen == set(OTHER_TICK) and compared > 110


def test_currencies_are_those_of_the_references(shared):
    rows = [row for row in references(shared) if row["currency"]]
    assert [row for row in rows if row["currency"] != MASTER.spec(row["root"]).currency] == []


def test_the_master_is_wide():
    specs = [MASTER.spec(root) for root in MASTER.roots]
    assert len(specs) >= 48
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


def test_margins_are_those_of_lean(shared):
    for folder, root in (("cme", "MES"), ("comex", "GC"), ("cbot", "ZC"), ("nymex", "CL")):
        rows = (shared / "lean" / "future" / folder / "margins" / f"{root}.csv").read_text().split()[1:]
        for day, initial, maintenance in (row.split(",") for row in rows):
            spec = MASTER.spec(root, date(int(day[:4]), int(day[4:6]), int(day[6:])))
            assert (spec.initial_margin, spec.maintenance_margin) == (float(initial), float(maintenance))


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


HEADER = "root,field,value,valid_from,source\n"


def own_market(root, **changed):
    """Rows of a user's own contracts.csv: a market like MES."""
    like = MASTER.spec("MES")
    values = {field: str(getattr(like, field)) for field in FIELDS if not field.endswith("_margin")} | changed
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
