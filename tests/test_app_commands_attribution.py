"""The section `attribution` and the verb `explain`: what they tell adds up, what is asked wrongly is told."""

import csv
import json

import pytest

from app.commands.attribution import attribution
from engine import result
from engine.analysis.attribution import DimensionUnknown
from store import open_archive
from tests.command import copied


@pytest.fixture
def opened(ran):
    """(archive, run) of a store with one run."""
    archive = open_archive(ran[0])
    return archive, result.load(archive, ran[1])


def test_every_table_of_the_section_sums_to_the_change_of_equity(opened):
    archive, run = opened
    equity = run.equity()["equity"]
    made = attribution(run, archive)
    titles = [title for title, _, _ in made]
    assert titles[0] == "Cause"
    assert {"Market by cause", "Year by cause", "Side by holding", "Month"} <= set(titles)
    for title, frame, note in made:
        if "Sums to the change of equity" in note:
            assert frame.row(-1)[0] == "total", title
            assert frame.row(-1)[-1] == pytest.approx(equity[-1] - equity[0], abs=0.005), title
    (found,) = [frame for title, frame, _ in made if title == "Categories of trades"]
    assert found["trades"].sum() == len(run.trades())


def test_any_two_dimensions_can_be_asked_for(opened):
    archive, run = opened
    ((title, frame, _),) = attribution(run, archive, "market, cause")
    assert title == "Market by cause"
    assert {"spot", "roll_yield", "total"} <= set(frame.columns)
    with pytest.raises(DimensionUnknown, match="'mraket' is no dimension; did you mean market"):
        attribution(run, archive, "mraket")


def test_where_the_market_is_not_as_it_was_the_price_stays_whole_and_the_reason_is_told(ran, tmp_path):
    store = copied(ran[0], tmp_path)
    text = "root,field,value,valid_from,source\nZC,multiplier,49,2000-01-01,hand\n"
    (store / "contracts.csv").write_text(text)
    archive = open_archive(store)
    made = attribution(result.load(archive, ran[1]), archive)
    assert "price" in made[0][1]["cause"].to_list()
    assert "Price is whole: run" in made[0][2] and "was made of other data" in made[0][2]


def test_a_trade_is_explained_as_a_table_as_json_and_as_a_file(ran, call, tmp_path):
    store, name = ran
    run = result.load(open_archive(store), name)
    net = dict(run.trades().select("trade", "net").rows())[3]
    document = call.document("explain", name, "3", "--store", store)
    assert (document["run"], document["trade"]) == (name, 3)
    assert document["amount"] == pytest.approx(net, abs=0.005)
    assert sum(row["amount"] or 0.0 for row in document["steps"]) == pytest.approx(net, abs=0.005)
    printed = call("explain", name, "3", "--store", store).out
    assert f"trade 3, in {run.summary['currency']}" in printed
    assert f"sum of the amounts: {net:,.2f}" in printed
    file = tmp_path / "trade.csv"
    told = call.document("explain", name, "3", "--out", file, "--store", store)
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert (told["file"], told["rows"]) == (str(file), len(rows))
    assert sum(float(row["amount"] or 0.0) for row in rows) == pytest.approx(net, abs=0.005)


def test_a_worksheet_of_some_days_is_written(ran, call, tmp_path):
    store, name = ran
    run = result.load(open_archive(store), name)
    days = run.equity()["day"]
    first, last = str(days[100]), str(days[160])
    file = tmp_path / "sheet.csv"
    told = call.document("explain", name, "--days", first, last, "--out", file, "--store", store)
    assert (told["first"], told["last"]) == (first, last)
    assert told["amount"] == pytest.approx(run.equity()["equity"][160] - run.equity()["equity"][99], abs=0.005)
    assert "headline" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "name a trade, as in `frontmonth explain last 7`, or days"),
        (["1", "--days", "2020-01-01", "2020-02-01"], "name a trade"),
        (["--days", "2020-01-01", "2020-02-01"], "a worksheet is a file: --out FILE.csv"),
        (["1", "--out", "x.xlsx"], "x.xlsx: allowed is a name ending in .csv"),
        (["--days", "2020", "2021", "--out", "x.csv"], "2020: write a day as 2001-01-31"),
    ],
)
def test_what_is_asked_wrongly_is_told(ran, call, words, reason):
    assert reason in call("explain", ran[1], *words, "--store", ran[0], code=2).err


def test_a_trade_that_is_not_there_ends_the_command(ran, call):
    assert "has no trade 99999; allowed: 1 to" in call("explain", ran[1], "99999", "--store", ran[0], code=1).err


def test_json_has_nothing_that_is_not_json(ran, call):
    text = call("explain", ran[1], "1", "--json", "--store", ran[0]).out
    assert "NaN" not in text
    assert json.loads(text)["steps"][0]["step"] == 1
