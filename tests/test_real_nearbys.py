"""Calendar series of every rank against the nearby series that others publish: rtl's and CHRIS' crude oil, CHRIS' S&P.

rtl's nearbys become dated contracts by its own table of expiries: nearby n of a day is the n-th contract whose last
trade is on or after it. Which contract is held is then told by our master, never by that table. Barchart's micro
contracts are dated already: there nothing comes from rtl but the expected price.
"""

from collections import Counter
from datetime import date

import polars as pl
import pytest

from store import continuous, days, ingest, open_archive, ranks, rolls
from store.contracts import Master, last_trade
from store.roll_rules import SMART
from store.tables import TABLES

START, END = date(2007, 1, 2), date(2020, 9, 4)  # the days that rtl and CHRIS have in common
HOLIDAY = date(2007, 1, 2)  # the exchange was closed: rtl repeats its last prices, CHRIS has others
WRONG = date(2009, 3, 18)  # CHRIS' first three are 1.5 dollars off; Quantiacs has rtl's second
HALF_CENT = 0.005
COUNTED = "the contract that ended the day before is still counted"
GONE = "the contract that ends today is no longer counted"
STUCK = "the second to the fourth repeat the first to the third"


@pytest.fixture(scope="module")
def archive(shared, tmp_path_factory):
    archive = open_archive(tmp_path_factory.mktemp("nearbys") / "store", create=True)
    daily = shared / "barchart" / "daily"
    files = [shared / "quandl_chris", shared / "rtl" / "nearby_settlements_CL_NG.parquet"]
    files += [shared / "quantiacs" / "F_CL.txt.gz"]
    files += [daily / f"Day_{name}.zip" for name in ("SP500_micro", "CRUDE_W_micro", "GAS_US_mini")]
    assert not [report.error for report in ingest.import_paths(archive, files) if report.error]
    return archive


@pytest.fixture(scope="module")
def expiries(shared):
    """(contract, last trade) of crude oil, as rtl's table has them."""
    table = pl.read_csv(shared / "rtl" / "expiry_table_2025.csv", infer_schema=False).filter(
        pl.col("cmdty") == "cmewti"
    )
    whole = [pl.col(name).cast(pl.Float64).cast(pl.Int32) for name in ("Year", "Month")]
    return table.select(contract=whole[0] * 100 + whole[1], last_trade=pl.col("Last.Trade").str.to_date())


@pytest.fixture(scope="module")
def crude(archive, expiries):
    """rtl's nearbys as bars of dated contracts."""
    nearbys = archive.read("vendor_chains", source="rtl", root="CL").select("day", "time", "rank", "price")
    left = nearbys.select("day").unique().join(expiries, how="cross").filter(pl.col("last_trade") >= pl.col("day"))
    left = left.sort("day", "last_trade").with_columns(rank=(pl.int_range(pl.len()).over("day") + 1).cast(pl.Int32))
    bars = nearbys.join(left, on=["day", "rank"]).rename({"price": "settle"})
    assert bars.height == nearbys.height
    return TABLES["contract_bars"].conform(bars.with_columns(source=pl.lit("rtl"), root=pl.lit("CL")))


def series(bars, spec, rank):
    """`ROOT.c.rank`: (day, contract, settle)."""
    made = rolls.calendar(bars, spec, SMART["c"])
    held = ranks.ranked(bars, made, rank, spec) if rank else made
    return continuous.stitch(bars, held, spec).select("day", "contract", ours=pl.coalesce("settle", "close"))


def published(archive, source, root, rank):
    """(day, theirs) of a nearby, of which the first has rank 0."""
    rows = archive.read("vendor_chains", source=source, root=root).filter(pl.col("rank") == rank + 1)
    return rows.select("day", theirs="price").drop_nulls()


def apart(frame, tolerance=1e-9):
    """The rows that are not equal."""
    return frame.filter((pl.col("ours") - pl.col("theirs")).abs() > tolerance)


def share(frame, tolerance=1e-9):
    return 1 - apart(frame, tolerance).height / frame.height


def test_every_last_trade_of_crude_oil_that_is_published_is_that_of_the_master(expiries):
    spec = Master.load().spec("CL")
    assert expiries.height == 385
    assert [last_trade(spec, contract) for contract in expiries["contract"]] == expiries["last_trade"].to_list()


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 11])
def test_nearbys_come_back_from_the_contracts_that_were_made_of_them(archive, crude, rank):
    theirs = published(archive, "rtl", "CL", rank)
    ours = series(crude, Master.load().spec("CL"), rank)
    both = theirs.join(ours, on="day")
    assert both.height == theirs.height == ours.height == 4711
    assert share(both) == 1.0


@pytest.fixture(scope="module")
def compared(archive, crude):
    """Our four nearest series beside CHRIS', with the ones before and after: day, rank, ours, theirs, near, far."""
    spec, out = Master.load().spec("CL"), []
    all_ours = [series(crude, spec, rank) for rank in range(5)]
    for rank in range(4):
        frame = published(archive, "nearby", "CL", rank).join(all_ours[rank], on="day")
        near = all_ours[rank - 1] if rank else all_ours[0].clear()
        for name, other in (("near", near), ("far", all_ours[rank + 1])):
            frame = frame.join(other.select("day", pl.col("ours").alias(name)), on="day", how="left")
        out.append(frame.with_columns(rank=rank))
    return pl.concat(out)


def test_crude_oil_agrees_with_chris_on_99_of_100_days_outside_expiry(compared, expiries):
    outside = compared.filter(~pl.col("day").is_in(expiries["last_trade"].to_list()))
    for rank, least in enumerate((0.996, 0.993, 0.992, 0.992)):
        rows = outside.filter(pl.col("rank") == rank)
        assert rows.height >= 3283
        assert share(rows) >= least, rank
    assert apart(compared).height == 90


def test_each_day_on_which_chris_differs_is_explained(archive, compared, expiries, crude):
    sessions, ends = crude["day"].unique().sort(), expiries["last_trade"].to_list()
    after = set(sessions.filter(sessions.shift(1).is_in(ends)))
    stuck = set(sessions.filter(sessions.is_between(date(2015, 3, 23), date(2015, 4, 2))))
    found = {}
    for row in apart(compared).iter_rows(named=True):
        kind = why(row, after, set(ends), stuck)
        found.setdefault(kind, []).append((row["day"], row["rank"]))
    counts = {kind: len(rows) for kind, rows in found.items()}
    assert counts == {HOLIDAY: 4, WRONG: 3, COUNTED: 42, GONE: 8, STUCK: 24, "a cent": 2, "other": 7}
    assert Counter(day.year for day in {day for day, _ in found[COUNTED]}) == {
        2008: 6,
        2009: 1,
        2010: 2,
        2013: 1,
        2015: 1,
    }
    # the third and fourth in the late summer of 2007, by less than a dollar, where nobody else has them
    assert {(day.year, rank) for day, rank in found["other"]} == {(2007, 2), (2007, 3)}
    nearbys = archive.read("vendor_chains", source="quantiacs", root="CL").filter(pl.col("day") == WRONG)
    assert nearbys.select("price_contract", "price").row(0) == (200905, 48.9)
    assert compared.filter(pl.col("day") == WRONG)["ours"].to_list()[1] == 48.9


def why(row, after, ends, stuck):
    """What CHRIS has instead of our price."""
    one_nearer = row["near"] is not None and abs(row["theirs"] - row["near"]) < HALF_CENT
    if row["day"] in (HOLIDAY, WRONG):
        return row["day"]
    if row["day"] in after and (one_nearer or row["rank"] == 0):
        return COUNTED
    if row["day"] in ends and abs(row["theirs"] - row["far"]) < HALF_CENT:
        return GONE
    if row["day"] in stuck and one_nearer:
        return STUCK
    return "a cent" if abs(row["ours"] - row["theirs"]) < 0.0101 else "other"


def test_days_that_only_chris_has_are_holidays(archive, crude):
    theirs = published(archive, "nearby", "CL", 0).filter(pl.col("day") >= START)
    only = sorted(set(theirs["day"]) - set(crude["day"]))
    assert len(only) == 6
    assert not [day for day in only if days.is_session("NYMEX", day)]


def test_t02_the_negative_settlement_of_crude_oil_is_held_and_left(archive, crude):
    """The May contract settled at -37.63 the day before its last trade, and at 10.01 on it."""
    ours = series(crude, Master.load().spec("CL"), 0).filter(
        pl.col("day").is_between(date(2020, 4, 17), date(2020, 4, 22))
    )
    assert ours.rows() == [
        (date(2020, 4, 17), 202005, 18.27),
        (date(2020, 4, 20), 202005, -37.63),
        (date(2020, 4, 21), 202005, 10.01),
        (date(2020, 4, 22), 202006, 13.78),
    ]
    theirs = dict(published(archive, "nearby", "CL", 0).iter_rows())
    assert [theirs[day] for day in ours["day"]] == ours["ours"].to_list()


@pytest.mark.parametrize("rank", [0, 1])
def test_the_micro_s_and_p_agrees_with_chris_on_every_day_but_one(archive, rank):
    bars = archive.read("contract_bars", root="MES")
    both = published(archive, "nearby", "ES", rank).join(series(bars, Master.load().spec("MES"), rank), on="day")
    assert both.height == (342, 340)[rank]
    # its last trade day, on which CHRIS has the final settlement, made of the opening prices
    assert apart(both, 0.126)["day"].to_list() == [date(2019, 6, 21)][rank:]


@pytest.mark.parametrize(("root", "big", "half", "since", "count", "unlike"), [
    ("MCL", "CL", 0.005, date(2021, 8, 24), 819, []),  # Barchart's files begin with November 2021
    ("QG", "NG", 0.0026, date(2007, 1, 3), 4480, [date(2007, 2, 16)]),  # its tick is five of the big one's
])  # fmt: skip
def test_micro_contracts_of_another_vendor_agree_with_the_nearbys_of_the_big_ones(
    archive, root, big, half, since, count, unlike
):
    """They end a session or two before the big ones: on the days from then on the nearby is the one after."""
    master = Master.load()
    bars = archive.read("contract_bars", root=root, source="barchart")
    spec, whole = master.spec(root), master.spec(big)
    ends = [(last_trade(spec, contract), last_trade(whole, contract)) for contract in bars["contract"].unique()]
    between = {day for day in bars["day"].unique() if any(own < day <= end for own, end in ends)}
    for rank in range(3):
        both = published(archive, "rtl", big, rank).join(series(bars, spec, rank), on="day").sort("day")
        both = both.filter((pl.col("day") >= since) & ~pl.col("day").is_in(list(between)))
        assert both.height >= count
        assert apart(both, half)["day"].to_list() == unlike
