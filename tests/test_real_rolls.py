"""Rolls of real contracts against what others made of the same markets: Quantiacs' gaps, VX, palladium.

Quantiacs tells on the first day of a contract by how much it is above the one before: the difference of their opens on
that day. Our rolls are at settlements of the last day of the old one; both are at one moment (T54).
"""

from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from store import continuous, history, ingest, open_archive, ranks, rolls
from store.contracts import Master, last_allowed, last_trade
from store.roll_rules import SMART

NAMES = {
    "MES": "SP500_micro",
    "ZC": "CORN",
    "ZW": "WHEAT",
    "SI": "SILVER",
    "FGBL": "BUND",
    "FDAX": "DAX",
    "LE": "LIVECOW",
}
KNOWN = date(2000, 12, 29)  # first day of volume and open interest in palladium's file


@pytest.fixture(scope="module")
def archive(shared, tmp_path_factory):
    archive = open_archive(tmp_path_factory.mktemp("rolls") / "store", create=True)
    files = [shared / "barchart" / "daily" / f"Day_{name}.zip" for name in NAMES.values()]
    files += [shared / "quantiacs", shared / "cfe_vx", shared / "percontract_oi" / "PA_master.csv.gz"]
    assert not [report.error for report in ingest.import_paths(archive, files) if report.error]
    return archive


@pytest.fixture(scope="module")
def vix(archive):
    return archive.read("contract_bars", source="cfe", root="VX")


@pytest.fixture(scope="module")
def palladium(archive):
    """(bars of the months held, spec with the expiries of the file, calendar by open interest)."""
    spec = history.spec(archive, "PA")
    bars = archive.read("contract_bars", source="percontract", root="PA")
    return bars.filter((pl.col("contract") % 100).is_in([3, 6, 9, 12])), spec, rolls.calendar(bars, spec, "oi")


# Quantiacs


def gaps(shared, archive, root):
    """Quantiacs' rolls: day of the first row, both contracts, `gap` as its file has it, its `open`, both in quotes."""
    master = Master.load()
    name = next(name for vendor, name in master.aliases(root) if vendor == "quantiacs")
    factor = master.alias("quantiacs", name).factor
    path = next(path for path in (shared / "quantiacs").iterdir() if path.name.split(".")[0] == name)
    raw = pl.read_csv(path, infer_schema=False).rename(str.strip)
    text = pl.all().str.strip_chars()
    raw = raw.select(text).select(
        day=pl.col("DATE").str.to_date("%Y%m%d"),
        gap=pl.col("RINFO").cast(pl.Float64) * factor,
        open=pl.col("OPEN").cast(pl.Float64) * factor,
    )
    held = archive.read("vendor_chains", source="quantiacs", root=root).sort("day")
    held = held.select("day", into="price_contract", old=pl.col("price_contract").shift(), last=pl.col("day").shift())
    return held.filter(pl.col("into") != pl.col("old")).join(raw, on="day")


@pytest.mark.parametrize(("root", "count", "equal", "alike", "equal_alike"), [
    ("VX", 60, 60, 60, 60), ("FGBL", 85, 85, 85, 85), ("FDAX", 92, 88, 89, 88), ("LE", 158, 151, 154, 151),
    ("ZC", 147, 115, 115, 109), ("ZW", 147, 105, 105, 101), ("SI", 147, 89, 91, 85),
])  # fmt: skip
def test_t54_quantiacs_gap_is_the_difference_of_the_opens(shared, archive, root, count, equal, alike, equal_alike):
    """Rolls of ours made of opens, planned for Quantiacs' first days, have its gaps. `alike`: rolls on which its open
    of the new contract is that of the contract's own file, as it is not while pit and screen traded side by side."""
    told = gaps(shared, archive, root)
    bars = archive.read("contract_bars", source="cfe" if root == "VX" else "barchart", root=root)
    bars = bars.with_columns(close=pl.col("open"), settle=pl.lit(None, pl.Float64))
    plan = told.select("day", from_contract="old", to_contract="into").drop_nulls()
    made = rolls.calendar(bars, None, "quantiacs", plan).frame
    both = told.join(made, left_on=["day", "old", "into"], right_on=["day", "from_contract", "to_contract"])
    half = Master.load().spec(root).tick / 2
    agree = (both["to_price"] - both["from_price"] - both["gap"]).abs() <= half
    same = (both["to_price"] - both["open"]).abs() <= half
    assert (both.height, same.sum()) == (count, alike)
    assert agree.sum() >= equal
    assert (agree & same).sum() >= equal_alike


def distance(archive, theirs, ours):
    """Business days from Quantiacs' last day of a contract to our roll by volume, of pairs that both roll."""
    told = archive.read("vendor_chains", source="quantiacs", root=theirs).sort("day")
    told = rolls.chain_calendar(told).frame.select("from_contract", "to_contract", last="day")
    bars = archive.read("contract_bars", source="cfe" if ours == "VX" else "barchart", root=ours)
    made = rolls.calendar(bars, history.spec(archive, ours), "volume").frame.filter(pl.col("reason") == "volume")
    both = told.join(made, on=["from_contract", "to_contract"])
    return np.busday_count(both["last"].to_numpy().astype("M8[D]"), both["day"].to_numpy().astype("M8[D]"))


@pytest.mark.parametrize(("theirs", "ours", "count", "next_day", "near"), [
    ("ES", "MES", 7, 7, 7), ("VX", "VX", 47, 6, 41), ("ZW", "ZW", 94, 9, 72), ("ZC", "ZC", 79, 5, 41),
    ("LE", "LE", 100, 5, 54), ("FGBL", "FGBL", 59, 0, 8),
])  # fmt: skip
def test_rolls_by_volume_are_on_quantiacs_days_only_where_volume_moves_on_them(
    archive, theirs, ours, count, next_day, near
):
    """Its days are fixed ones before the last trade or the first notice. `near`: at most 5 business days apart."""
    apart = distance(archive, theirs, ours)
    assert len(apart) >= count
    assert (apart == 1).sum() >= next_day
    assert (np.abs(apart) <= 5).sum() >= near


# VX


def test_vx_before_26_march_2007_is_a_tenth_of_what_the_files_say(vix):
    """By hand from CFE_G08_VX.csv and CFE_K08_VX.csv: settlements of 150.00 and 155.20, then of 15.01 and 15.48."""
    rows = vix.filter(pl.col("day").is_in([date(2007, 3, 23), date(2007, 3, 26)])).sort("contract", "day")
    assert rows.select("contract", "settle").rows() == [
        (200802, 15.00), (200802, 15.01), (200805, 15.52), (200805, 15.48),
    ]  # fmt: skip
    # May's first settlement was 166.20
    assert vix.filter(pl.col("contract") == 200805).sort("day")["settle"].drop_nulls()[0] == pytest.approx(16.62)


@pytest.mark.parametrize(("rule", "end"), [
    ("oi", last_allowed), ("volume", last_allowed), ("last-trade-5", last_allowed), (SMART["c"], last_trade),
])  # fmt: skip
def test_t04_changes_of_the_vx_series_are_those_of_the_contract_held_and_none_is_held_too_long(vix, rule, end):
    spec = Master.load().spec("VX")
    made = rolls.calendar(vix, spec, rule)
    table = continuous.stitch(vix, made, spec)
    price = {(contract, day): settle for contract, day, settle in vix.select("contract", "day", "settle").iter_rows()}
    rows = table.select("day", "contract", "adjusted").rows()
    breaks = []
    for (before, _, last), (day, contract, now) in pairwise(rows):
        if (contract, before) in price:
            assert now - last == pytest.approx(price[contract, day] - price[contract, before], abs=1e-9)
        else:
            breaks.append((day, contract))
    assert breaks == [(date(2013, 10, 21), 201407)]  # the files lack the contracts between; the calendar says closed
    assert made.frame.filter(pl.col("day") == date(2013, 10, 21))["reason"].to_list() == [rolls.CLOSED]
    assert (made.frame["to_contract"] > made.frame["from_contract"]).all()
    newest = table["contract"][-1]  # after it there is nothing to roll into
    assert not [(day, contract) for day, contract, _ in rows if day > end(spec, contract) and contract != newest]


def test_vx_rolls_by_open_interest_before_it_must_in_three_of_four_cases(vix):
    made = rolls.calendar(vix, Master.load().spec("VX"), "oi")
    assert len(made.frame) == 57
    counts = dict(made.frame.group_by("reason").len().iter_rows())
    assert counts == {"oi": 44, "fallback: no crossing": 12, rolls.CLOSED: 1}


@pytest.mark.parametrize(("rank", "count"), [(0, 823), (1, 393)])
def test_the_two_nearest_vx_are_quantiacs_prices_wherever_it_holds_the_same_contract(archive, vix, rank, count):
    spec = Master.load().spec("VX")
    made = rolls.calendar(vix, spec, SMART["c"])
    made = ranks.ranked(vix, made, rank, spec) if rank else made
    ours = continuous.stitch(vix, made, spec).select("day", "contract", "settle")
    theirs = archive.read("vendor_chains", source="quantiacs", root="VX").select(
        "day", "price", contract="price_contract"
    )
    both = ours.join(theirs, on=["day", "contract"])
    assert both.height == count
    assert (both["settle"] - both["price"]).abs().max() < 0.0051


# palladium


def test_palladium_by_open_interest_rolls_as_16_years_of_numbers_say(palladium):
    """A slow twin: two sessions after the first on which the next contract had more, at the latest a session before the
    last one of the month before delivery, when notice is given. Sessions are the days of the file."""
    bars, _, made = palladium
    frame = made.frame.filter(pl.col("day") > KNOWN)
    interest = {(contract, day): x for contract, day, x in bars.select("contract", "day", "open_interest").iter_rows()}
    days = bars["day"].unique().sort().to_list()
    place = {day: number for number, day in enumerate(days)}
    since, held = made.frame.filter(pl.col("day") <= KNOWN).select("day", "to_contract").row(-1)
    expected = []
    while len(expected) < frame.height:
        year, month = divmod(held, 100)
        following = held + 3 if month < 12 else (year + 1) * 100 + 3
        last = [day for day in days if (day.year, day.month) < (year, month)][-2]
        more = (day for day in days[place[since] :] if interest.get((following, day), 0) > interest.get((held, day), 0))
        known = days[place[next(more)] + 2]
        expected.append((min(known, last), held, following, "oi" if known <= last else "fallback: no crossing"))
        since, held = expected[-1][0], following
    assert frame.select("day", "from_contract", "to_contract", "reason").rows() == expected
    assert len(expected) == 66
    assert [row[3] for row in expected].count("oi") == 63


def test_palladium_never_goes_back_and_leaves_before_notice(palladium):
    _, spec, made = palladium
    frame = made.frame.filter(pl.col("day") > KNOWN)
    assert (frame["to_contract"] > frame["from_contract"]).all()
    assert all(
        day <= last_allowed(spec, contract) for day, contract in frame.select("day", "from_contract").iter_rows()
    )
