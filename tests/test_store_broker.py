"""A broker's list against the master: what differs, in whose units, and what is accepted."""

from datetime import date

import pytest

from store import broker
from store.contracts import Master

MASTER = Master.load()


def listed(tmp_path, text, name="list.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def rows(frame):
    return [tuple(row[name] for name in ("root", "field", "ours", "theirs", "row")) for row in frame.to_dicts()]


def test_only_what_differs_is_told_with_its_row(tmp_path):
    path = listed(
        tmp_path, "Symbol,Multiplier,Tick Size,Currency\nES,50,0.25,USD\nFGBL,1000,0.02,EUR\n6E,12500,0.00005,EUR\n"
    )
    assert rows(broker.against(path, MASTER)) == [
        ("FGBL", "tick", "0.01", "0.02", 3),
        ("6E", "multiplier", "125000", "12500", 4),
        ("6E", "currency", "USD", "EUR", 4),
    ]


def test_a_margin_that_the_master_does_not_know_is_a_disagreement(tmp_path):
    path = listed(tmp_path, 'symbol,initial,maintenance\nFGBL,"3,000",2500\nES,,\n')
    assert rows(broker.against(path, MASTER)) == [
        ("FGBL", "initial_margin", "", "3000", 2),
        ("FGBL", "maintenance_margin", "", "2500", 2),
    ]


def test_a_list_is_read_as_of_its_days(tmp_path):
    path = listed(tmp_path, "symbol,tick,date\nFDAX,0.5,2020-12-18\nFDAX,0.5,2020-12-21\nFDAX,1,20201221\n")
    found = broker.against(path, MASTER)
    assert rows(found) == [("FDAX", "tick", "1", "0.5", 3)] and found["valid"].to_list() == [date(2020, 12, 21)]
    bare = listed(tmp_path, "symbol,tick\nFDAX,0.5\n", "bare.csv")
    assert broker.against(bare, MASTER, day=date(2020, 12, 18)).is_empty()
    assert broker.against(bare, MASTER).height == 1


def test_a_vendors_names_and_units_are_translated(tmp_path):
    path = listed(tmp_path, "symbol,multiplier,tick\nSI,50,0.5\nGC,100,0.1\n")  # silver in cents
    assert broker.against(path, MASTER, vendor="norgate").is_empty()
    assert rows(broker.against(path, MASTER)) == [
        ("SI", "multiplier", "5000", "50", 2),
        ("SI", "tick", "0.005", "0.5", 2),
    ]


def test_a_price_magnifier_divides_the_multiplier(tmp_path):
    path = listed(tmp_path, "symbol,multiplier,Price Magnifier\nZC,5000,100\nES,50,1\nCL,1000,\n")
    assert broker.against(path, MASTER, vendor="ib").is_empty()


def test_dated_names_are_read_as_of_their_day(tmp_path):
    """ED was the Eurodollar, and is the SOFR future since the conversion of April 2023: both are worth 2500 a point."""
    path = listed(tmp_path, "symbol,multiplier,date\nED,2500,2022-01-03\nED,2000,2024-01-02\n")
    assert rows(broker.against(path, MASTER, vendor="cme")) == [("SR3", "multiplier", "2500", "2000", 3)]


def test_exchanges_are_known_by_their_usual_names(tmp_path):
    path = listed(tmp_path, "symbol,exchange\nES,GLOBEX\nZC,ecbot\nFGBL,DTB\nKC,NYBOT\nGC,CBOT\n")
    assert rows(broker.against(path, MASTER)) == [("GC", "exchange", "COMEX", "CBOT", 6)]


def test_names_that_the_master_does_not_know_are_told_apart(tmp_path):
    path = listed(tmp_path, "symbol,multiplier\nES,50\nNOTHING,3\n")
    assert broker.against(path, MASTER).is_empty()
    assert broker.strangers(path, MASTER) == [(3, "NOTHING")]
    with pytest.raises(broker.NoList, match=r"none of its names is a market.*NOTHING"):
        broker.against(listed(tmp_path, "symbol,multiplier\nNOTHING,3\n", "other.csv"), MASTER)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,price\nES,4000\n", r"list.csv is no list of contracts: wanted a column symbol.*name, price"),
        ("", "list.csv is no list of contracts.*none"),
        ("symbol,tick\nES,a quarter\n", "list.csv line 2: tick is 'a quarter', no number"),
        ("symbol,tick,date\nES,0.25,soon\n", "list.csv line 2: 'soon' is no day"),
    ],
)
def test_files_that_are_no_lists_are_named(tmp_path, text, says):
    with pytest.raises(broker.NoList, match=says):
        broker.against(listed(tmp_path, text), MASTER)


def test_what_is_accepted_holds_from_its_day_and_has_a_source(tmp_path):
    path = listed(tmp_path, "symbol,initial,maintenance\nFGBL,3000,2500\n")
    broker.accept(tmp_path, broker.against(path, MASTER), "broker.csv", date(2026, 3, 2))
    own = Master.load(tmp_path)
    assert own.spec("FGBL", date(2026, 3, 2)).initial_margin == 3000
    assert own.spec("FGBL", date(2026, 3, 1)).initial_margin != 3000
    assert own.facts("FGBL", "maintenance_margin")[-1].source == "broker.csv"
    assert broker.against(path, own).is_empty()


def test_accepting_adds_to_what_stands_there_and_keeps_it(tmp_path):
    (tmp_path / "contracts.csv").write_text("root,field,value,source,valid_from\nMES,tick,0.5,me,\n")
    row = {"root": "FGBL", "field": "initial_margin", "theirs": "3000", "valid": date(2026, 1, 2)}
    broker.accept(tmp_path, [row], "a list", date(2026, 3, 2))
    assert (tmp_path / "contracts.csv").read_text() == (
        "root,field,value,source,valid_from\nMES,tick,0.5,me,\nFGBL,initial_margin,3000,a list,2026-01-02\n"
    )


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("tick", "0", "tick is '0', it must be above 0"),
        ("tik", "1", "no field 'tik'"),
        ("maintenance_margin", "999999", "ES: an initial margin of .* is below its maintenance of 999999"),
    ],
)
def test_one_bad_row_and_nothing_is_written(tmp_path, field, value, says):
    good = {"root": "FGBL", "field": "initial_margin", "theirs": "3000"}
    bad = {"root": "ES", "field": field, "theirs": value}
    with pytest.raises(ValueError, match=says):
        broker.accept(tmp_path, [good, bad], "a list", date(2026, 3, 2))
    assert list(tmp_path.iterdir()) == []
