"""engine/rows.py: mean volume, and the contract rolled out of, by hand, by a slow twin, and against the stored bars."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from engine import columns
from engine.market import load
from engine.rows import LEFT, MONTHS, left, mean_volume
from store import kept, open_archive
from tests.small_store import build, forget
from tests.test_engine_market import hours, put

NAN = np.nan
MARCH, JUNE, SEPTEMBER = 202003, 202006, 202009
FIELDS = (*LEFT, "left_contract", "left_end")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return build(tmp_path_factory.mktemp("small") / "store")


# ---- volume


def slow_mean(volume, bars):
    """As `mean_volume`, window by window."""
    out = []
    for t in range(len(volume)):
        known = [x for x in volume[max(t - bars + 1, 0) : t + 1] if x == x]
        out.append(sum(reversed(known)) / len(known) if known else NAN)  # the newest first, as there
    return out


def test_the_mean_volume_is_that_of_the_known_ones_of_the_last_bars():
    random = np.random.default_rng(5)
    volume = np.where(random.random(300) < 0.3, NAN, random.random(300) * 1e5)
    volume[100:130] = NAN
    for bars in (1, 3, 20, 400):
        assert np.array_equal(mean_volume(volume, bars), slow_mean(volume.tolist(), bars), equal_nan=True)
    assert np.isnan(mean_volume(volume, 20)[119:130]).all() and len(mean_volume(volume[:0])) == 0


def test_a_holiday_keeps_the_mean_volume_and_the_mean_reaches_across_a_roll(archive):
    market = load(archive, ["MES"])
    assert market.liquidity[0, 0] == market.volume[0, 0] == 1000.0
    t = int(np.flatnonzero(market.roll[:, 0])[0])
    last = market.volume[t - 17 : t + 3, 0]  # of two contracts
    assert set(last) == {100.0, 1000.0} and market.liquidity[t + 2, 0] == last.mean()


def test_volumes_of_zero_are_unknown_until_one_is_above_zero(tmp_path):
    archive = build(tmp_path / "store")
    rows = archive.read("contract_bars", root="MES").drop("root", "source")
    none = (pl.col("day") < date(2021, 2, 1)) | (pl.col("day") == date(2021, 3, 1))
    rows = rows.with_columns(volume=pl.when(none).then(0.0).otherwise("volume"))
    archive.commit([archive.write("contract_bars", rows, source="barchart", root="MES")],
                   archive.files("contract_bars", root="MES"))  # fmt: skip
    market = load(archive, ["MES"], rule="last-trade-30", legs=True)
    unknown = np.isnan(market.volume[:, 0])
    assert market.days[unknown].max() == np.datetime64("2021-01-29") and unknown[: unknown.sum()].all()
    assert np.isnan(market.liquidity[unknown]).all()
    assert market.volume[market.days == np.datetime64("2021-03-01"), 0] == 0.0  # an idle day, and no year without data
    assert not np.isnan(market.roll_volume[market.roll & ~unknown[:, None]]).any()


# ---- the contract rolled out of, by hand


def case(marks, rolls, old, limit, roll_days=1, capped=False, closed=(), volume=None, settled=True):
    """`left` of one market on days 100, 101...: `rolls` is {row: contract rolled into}, `old` {(row, contract): (open,
    settle, close, volume)}, `limit` {contract: last allowed day}; holdings begin in March."""
    rows, held, contract = len(marks), MARCH, []
    for t in range(rows):
        contract.append(held)
        held = rolls.get(t, held)
    mark = np.array(marks, float)[:, None]
    flags = {
        name: np.isin(np.arange(rows), list(which))[:, None] for name, which in (("roll", rolls), ("closed", closed))
    }
    arrays = flags | {
        "mark": mark,
        "settle": mark if settled else np.full((rows, 1), NAN),
        "volume": np.where(np.isnan(mark), NAN, 500.0) if volume is None else np.array(volume, float)[:, None],
        "contract": np.array(contract, np.int32)[:, None],
        "roll_contract": np.array([rolls.get(t, 0) for t in range(rows)], np.int32)[:, None],
    }
    days = 100 + np.arange(rows)
    bars = sorted((days[t] * MONTHS + name, *values) for (t, name), values in old.items())
    keys = np.array([bar[0] for bar in bars], np.int64)
    values = np.array([bar[1:] for bar in bars], float).reshape(-1, 4)
    limits = [np.array([limit[contract[t]] for t in sorted(rolls)], np.int64)]
    found = left(arrays, days, [(keys, values)], limits, roll_days, capped)
    return {name: found[name][:, 0].tolist() for name in FIELDS}


OLD = {(t, MARCH): (89.5 + t, 90.0 + t, 90.25 + t, 40.0 - t) for t in range(8)} | {(2, JUNE): (NAN, 102.0, 102.0, 60.0)}
MARKS = [90.0, 91.0, 92.0, 103.0, 104.0, 105.0, 106.0, 107.0]


def known(values):
    """{row: value} of those that are there."""
    return {t: x for t, x in enumerate(values) if x == x and x}


def test_a_roll_over_three_days_is_followed_for_two_more():
    found = case(MARKS, {2: JUNE}, OLD, {MARCH: 199}, roll_days=3)
    assert known(found["left_contract"]) == {3: MARCH, 4: MARCH}
    assert known(found["left_open"]) == {3: 92.5, 4: 93.5}
    assert known(found["left_mark"]) == {3: 93.0, 4: 94.0}
    assert known(found["left_volume"]) == {3: 37.0, 4: 36.0}
    assert known(found["left_end"]) == {4: True}
    assert known(found["roll_volume"]) == {2: 38.0}  # the smaller of 38 and 60


def test_a_roll_on_one_day_is_followed_only_where_volume_may_stop_it():
    plain = case(MARKS, {2: JUNE}, OLD, {MARCH: 199})
    assert (
        not known(plain["left_contract"]) and not known(plain["left_end"]) and known(plain["roll_volume"]) == {2: 38.0}
    )


def test_t23_what_a_cap_on_participation_leaves_is_followed_to_its_last_allowed_day():
    old = OLD | {(2, MARCH): (92.0, 92.0, 92.0, 40.0), (2, JUNE): (102.0, 102.0, 102.0, 900.0)}
    found = case(MARKS, {2: JUNE}, old, {MARCH: 105}, capped=True)
    assert known(found["roll_volume"]) == {2: 40.0}  # a tenth of it is 4 of 10 lots; the rest may go on the next days
    assert known(found["left_contract"]) == dict.fromkeys((3, 4, 5), MARCH)
    assert known(found["left_end"]) == {5: True}


def test_t11_nothing_is_held_beyond_its_last_allowed_day():
    found = case(MARKS, {2: JUNE}, OLD, {MARCH: 103}, roll_days=5)
    assert known(found["left_contract"]) == {3: MARCH} and known(found["left_end"]) == {3: True}
    for capped in (False, True):
        at_once = case(MARKS, {2: JUNE}, OLD, {MARCH: 102}, roll_days=5, capped=capped)
        assert not known(at_once["left_contract"]) and known(at_once["left_end"]) == {2: True}  # all of it on that day


def test_a_holiday_is_held_over_and_is_no_day_of_the_roll():
    marks = [*MARKS[:3], NAN, 104.0, 105.0, 106.0, 107.0]
    found = case(marks, {2: JUNE}, OLD, {MARCH: 199}, roll_days=3)
    assert known(found["left_contract"]) == dict.fromkeys((3, 4, 5), MARCH)
    assert known(found["left_mark"]) == {4: 94.0, 5: 95.0} and known(found["left_end"]) == {5: True}


def test_a_last_allowed_day_on_which_the_market_has_no_bar_is_the_end_all_the_same():
    found = case([*MARKS[:4], NAN, NAN, *MARKS[6:]], {2: JUNE}, OLD, {MARCH: 104}, roll_days=9)
    assert known(found["left_end"]) == {4: True}  # at the last known spread, as others trade on the day
    assert known(found["left_contract"]) == {3: MARCH, 4: MARCH}


def test_t13_a_missing_price_of_the_old_contract_is_waited_for():
    old = {key: bar for key, bar in OLD.items() if key != (4, MARCH)}
    found = case(MARKS, {2: JUNE}, old, {MARCH: 199}, roll_days=3)
    assert known(found["left_contract"]) == dict.fromkeys((3, 4, 5), MARCH)
    assert known(found["left_mark"]) == {3: 93.0, 5: 95.0} and known(found["left_end"]) == {5: True}
    forced = case(MARKS, {2: JUNE}, old, {MARCH: 104}, roll_days=3)
    assert known(forced["left_end"]) == {4: True} and np.isnan(forced["left_mark"][4])


def test_t54_the_old_contract_is_marked_by_the_field_of_the_new_one():
    closes = case(MARKS, {2: JUNE}, OLD, {MARCH: 199}, roll_days=2, settled=False)
    assert known(closes["left_mark"]) == {3: 93.25}
    unsettled = {key: (bar[0], NAN, *bar[2:]) for key, bar in OLD.items()}
    found = case(MARKS, {2: JUNE}, unsettled, {MARCH: 105}, roll_days=2)
    assert not known(found["left_mark"]) and known(found["left_end"]) == {5: True}


def test_the_next_roll_comes_before_which_all_of_it_goes():
    old = OLD | {(t, JUNE): (99.0, 100.0 + t, 100.0, 7.0) for t in range(8)}
    found = case(MARKS, {2: JUNE, 4: SEPTEMBER}, old, {MARCH: 199, JUNE: 199}, roll_days=5)
    assert known(found["left_contract"]) == {3: MARCH, 4: MARCH, 5: JUNE, 6: JUNE, 7: JUNE}
    assert known(found["left_mark"]) == {3: 93.0, 4: 94.0, 5: 105.0, 6: 106.0, 7: 107.0}
    assert not known(found["left_end"])  # on row 4 the next roll says so; the data end before June does


def test_the_end_of_a_chain_ends_what_is_left_of_it():
    found = case(MARKS, {2: JUNE}, OLD, {MARCH: 199}, roll_days=9, closed=[5])
    assert known(found["left_contract"]) == dict.fromkeys((3, 4, 5), MARCH) and known(found["left_end"]) == {5: True}


# ---- a slow twin


def slow_left(marks, rolls, old, limit, roll_days, capped, closed):
    """As `case`, day by day, on dicts."""
    rows, held = len(marks), [MARCH]
    for t in range(rows):
        held.append(rolls.get(t, held[-1]))
    gone, bars_since, out = 0, 0, {name: {} for name in FIELDS}
    for t in range(rows):
        priced = marks[t] == marks[t]
        if gone:
            bars_since += priced
            bar = old.get((t, gone), (NAN,) * 4)
            out["left_contract"][t] = gone
            out["left_open"][t], out["left_mark"][t] = bar[0], bar[1] if priced else NAN
            out["left_volume"][t] = min(bar[3], 500.0) if priced and bar[3] == bar[3] else NAN
            due = not capped and bars_since >= roll_days - 1 and priced and bar[1] == bar[1]
            if due or t in closed or 100 + t >= limit[gone]:
                out["left_end"][t] = t not in rolls
                gone = 0
        if t in rolls:
            pair = [old.get((t, name), (NAN,) * 4)[3] for name in (held[t], rolls[t])]
            out["roll_volume"][t] = min(pair) if all(x == x for x in pair) else NAN
            gone, bars_since = held[t], 0
            if 100 + t >= limit[gone]:
                out["left_end"][t], gone = True, 0
            elif roll_days == 1 and not capped:
                gone = 0
    return {name: known([found.get(t, NAN) for t in range(rows)]) for name, found in out.items()}


def test_random_rolls_are_followed_as_the_slow_twin_follows_them():
    random = np.random.default_rng(11)
    ends = 0
    for _ in range(300):
        rows = int(random.integers(6, 40))
        marks = np.where(random.random(rows) < 0.2, NAN, 100.0 + random.integers(1, 9, rows)).tolist()
        priced = [t for t in range(rows) if marks[t] == marks[t]][1:]
        chosen = sorted(random.choice(priced, min(3, len(priced)), replace=False).tolist())
        rolls = dict(zip(chosen, (JUNE, SEPTEMBER, 202012), strict=False))
        names = (MARCH, JUNE, SEPTEMBER, 202012)
        old = {(t, name): (1.0 + t, 2.0 + t, 3.0 + t, float(random.integers(1, 900)))
               for t in range(rows) for name in names if random.random() < 0.85}  # fmt: skip
        limit = {name: int(100 + random.integers(0, rows + 5)) for name in names}
        closed = {int(t) for t in random.choice(rows, 1) if t not in rolls}
        roll_days, capped = int(random.integers(1, 6)), bool(random.random() < 0.3)
        found = case(marks, rolls, old, limit, roll_days, capped, closed)
        wanted = slow_left(marks, rolls, old, limit, roll_days, capped, closed)
        assert {name: known(values) for name, values in found.items()} == wanted
        ends += len(wanted["left_end"])
    assert ends > 200


# ---- read from a store


def test_the_contract_left_has_the_stored_prices_of_its_days(archive):
    market = load(archive, roll_days=3)
    raw = {}
    for root in market.roots:
        for row in archive.read("contract_bars", root=root).to_dicts():
            raw[root, row["contract"], row["day"]] = row
    rows = np.argwhere((market.left_contract > 0) & ~np.isnan(market.mark))
    assert len(rows) > 20
    for t, m in rows.tolist():
        bar = raw[market.roots[m], int(market.left_contract[t, m]), market.days[t].item()]
        told = [getattr(market, name)[t, m] for name in ("left_open", "left_mark", "left_volume")]
        assert told == [bar["open"], bar["settle"], min(bar["volume"], market.volume[t, m])]
        assert market.mark[t, m] - told[1] == pytest.approx((2.0, 0.5)[market.roots[m] == "FGBL"])  # a contract's price
    for t, m in np.argwhere(market.roll).tolist():
        day = market.days[t].item()
        legs = [raw[market.roots[m], int(name[t, m]), day] for name in (market.contract, market.roll_contract)]
        assert market.roll_volume[t, m] == min(leg["volume"] for leg in legs)
    assert (market.left_end.sum(axis=0) == market.roll.sum(axis=0)).all()


def test_no_bar_is_read_where_all_rolls_at_once(archive, monkeypatch):
    monkeypatch.setattr(columns, "_left", None)
    market = load(build(archive.path.parent / "other"))
    assert np.isnan(market.left_mark).all() and np.isnan(market.roll_volume).all()
    assert not market.left_contract.any() and not market.left_end.any() and market.left_contract.dtype == np.int32


@pytest.mark.parametrize("harm", ["none", "torn", "no folder"])
def test_the_bars_are_read_once_and_again_where_they_are_harmed(tmp_path, monkeypatch, harm):
    archive, read = build(tmp_path / "store"), []
    if harm == "no folder":
        archive.cache.mkdir(exist_ok=True)
        (archive.cache / "left").write_text("a file")
    first, make = load(archive, roll_days=3), columns._left
    forget(archive)
    monkeypatch.setattr(columns, "_left", lambda *one: read.append(one) or make(*one))
    if harm == "torn":
        kept.memory.clear()
        for path in (archive.cache / "left").glob("*.arrow"):
            path.write_bytes(path.read_bytes()[:-9])
    second = load(archive, roll_days=3)
    assert len(read) == (0 if harm == "none" else 2)
    assert all(np.array_equal(getattr(first, name), getattr(second, name), equal_nan=True) for name in FIELDS)
    assert first.hashes == second.hashes


def test_rows_that_came_are_read_and_the_older_store_keeps_its_own(tmp_path):
    archive = build(tmp_path / "store")
    old, before = archive.head(), load(archive, ["MES"], roll_days=3)
    rows = archive.read("contract_bars", root="MES").drop("root", "source")
    dear = rows.with_columns(settle=pl.when(pl.col("volume") == 100.0).then(pl.col("settle") + 8.0).otherwise("settle"))
    archive.commit([archive.write("contract_bars", dear, source="barchart", root="MES")],
                   archive.files("contract_bars", root="MES"))  # fmt: skip
    after = load(archive, ["MES"], roll_days=3)
    assert not np.array_equal(after.left_mark, before.left_mark, equal_nan=True)
    again = load(archive, ["MES"], roll_days=3, snapshot=old)
    assert np.array_equal(again.left_mark, before.left_mark, equal_nan=True) and again.hashes == before.hashes


def test_the_hash_of_the_data_covers_the_contract_that_is_left(tmp_path):
    archive = build(tmp_path / "store")
    market = load(archive, ["MES"], roll_days=3)
    t = int(np.flatnonzero(market.left_contract[:, 0])[0])
    rows = archive.read("contract_bars", root="MES").drop("root", "source")
    one = (pl.col("contract") == int(market.left_contract[t, 0])) & (pl.col("day") == market.days[t].item())
    archive.commit(
        [archive.write("contract_bars", rows.with_columns(open=pl.when(one).then(9.0).otherwise("open")),
                       source="barchart", root="MES")],
        archive.files("contract_bars", root="MES"),
    )  # fmt: skip
    other = load(archive, ["MES"], roll_days=3)
    assert other.left_open[t, 0] == 9.0 and other.hashes["data"] != market.hashes["data"]
    assert load(archive, ["MES"]).hashes["data"] not in (market.hashes["data"], other.hashes["data"])


def test_t54_within_the_day_the_old_contract_counts_at_the_moment_of_the_new_one_s_last_bar(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    put(archive, hours(), source="barchart-hour")
    market = load(archive, ["MES"], roll_days=9)
    t = int(np.flatnonzero(market.roll[:, 0])[0])
    assert t == 41 and market.left_contract[t + 1, 0] == 202003
    for row in range(t + 1, 48):  # on odd days March has no bar at 22:00, when June has its last
        assert market.left_mark[row, 0] == pytest.approx(3000.0 + 2 * row + 0.22 if row % 2 == 0 else NAN, nan_ok=True)
        assert market.left_open[row, 0] == pytest.approx(3000.0 + 2 * row + 0.095)
        assert market.left_volume[row, 0] == (80.0 if row % 2 == 0 else 60.0)  # of March's bars, 20 each
    assert market.roll_volume[t, 0] == 60.0


def test_real_contracts_that_are_left_have_the_stored_prices_of_their_days(real):
    market = load(real, ["ZC", "SI", "FGBL", "KC.c.1"], roll_days=4, legs=True)
    for m, root in enumerate(market.roots):
        rows = np.flatnonzero((market.left_contract[:, m] > 0) & ~np.isnan(market.mark[:, m]))
        wanted = pl.DataFrame({"day": market.days[rows], "contract": market.left_contract[rows, m],
                               "left": market.left_mark[rows, m], "held": market.mark[rows, m]})  # fmt: skip
        bars = real.read("contract_bars", root=root, source=market.sources[root]["source"])
        told = wanted.join(bars, on=["day", "contract"], how="left", maintain_order="left")
        priced = told.with_columns(price=pl.coalesce("settle", "close")).filter(pl.col("price").is_not_null())
        assert len(priced) > 40 and (priced["left"] == priced["price"]).mean() > 0.99, root
        assert (priced["left"].is_nan() | (priced["left"] == priced["price"])).all(), root
        spread = ((priced["held"] - priced["left"]) / priced["held"]).fill_nan(None).abs()
        assert spread.median() < 0.1, root  # neither of another market, nor adjusted
