"""The sample store: simulated, the same each time, and as real markets are in all that the rest relies on."""

from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from store import checks, continuous, open_archive, rolls, sample
from store.contracts import MONTHS, Master, last_allowed, last_trade
from store.days import calendar
from store.sample_bars import Chain, grid, stream
from store.sample_faults import CAUGHT_ON_IMPORT, KINDS
from store.sample_prices import CURRENCIES, DRIFT, END, MARKETS, START, world
from store.tables import TABLES

ROOTS = [market.root for market in MARKETS]
PRICES = ["open", "high", "low", "close", "settle"]
FOUND_AS = {"missing_days": "gap", "high_below_low": "range", "text": "unparsed"}  # the rules that are named otherwise


@pytest.fixture(scope="module")
def master():
    return Master.load()


@pytest.fixture(scope="module")
def raw():
    """Rows by market, as they come, with the planted faults."""
    return dict(sample.chains())


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(archive, counts) of a sample store."""
    archive = open_archive(tmp_path_factory.mktemp("sample") / "store", create=True)
    return archive, sample.build(archive)


@pytest.fixture(scope="module")
def bars(built):
    """Stored bars by market without the contracts that hold a planted fault."""
    spoiled = {(fault.root, fault.contract) for fault in sample.planted()}
    faulty = {root: [c for r, c in spoiled if r == root] for root in ROOTS}
    return {root: stored(built[0], root).filter(~pl.col("contract").is_in(faulty[root])) for root in ROOTS}


@pytest.fixture(scope="module")
def series(built, master):
    """Continuous series by market, rolled by volume as a portfolio would."""
    chains = {root: stored(built[0], root) for root in ROOTS}
    calendars = {root: rolls.calendar(chains[root], master.spec(root)) for root in ROOTS}
    return {root: (continuous.stitch(chains[root], calendars[root]), calendars[root]) for root in ROOTS}


@pytest.fixture(scope="module")
def findings(built, master):
    """What the checks find in the whole store."""
    return pl.concat([checks.market(stored(built[0], root), master.spec(root)) for root in ROOTS])


@pytest.fixture(scope="module")
def returns(series):
    """(day, market): daily change of the adjusted price over the price held the day before; 0 on holidays."""
    columns = []
    for root in ROOTS:
        frame = series[root][0].select("day", (pl.col("adjusted").diff() / pl.col("settle").shift(1)).alias(root))
        columns.append(frame.drop_nulls())
    wide = columns[0]
    for frame in columns[1:]:
        wide = wide.join(frame, on="day", how="full", coalesce=True)
    return wide.sort("day").fill_null(0.0)


def stored(archive, root):
    return archive.read("contract_bars", root=root)


def in_cycle(spec):
    """Whether a row's contract is one of the held cycle."""
    return (pl.col("contract") % 100).is_in([MONTHS.index(letter) + 1 for letter in spec.held_months])


def sessions(spec):
    every = np.arange(START, END + 1)
    return every[np.is_busday(every, busdaycal=calendar(spec.calendar))]


# What it holds


def test_the_same_seed_writes_the_same_bytes(built, tmp_path):
    again = open_archive(tmp_path / "store", create=True)
    sample.build(again)
    for table in ("contract_bars", "fx", "rates"):
        files = [sorted((s.labels.items(), s.sha256) for s in archive.files(table)) for archive in (built[0], again)]
        assert files[0] == files[1] != []


def test_another_seed_gives_another_world():
    assert not np.allclose(world(1).lasting, world(2).lasting)


def test_a_market_keeps_its_chain_whatever_is_drawn_for_the_others(master):
    market = MARKETS[3]
    chains = [Chain(market, master.spec(market.root), stream(7, market, "chain")) for _ in range(2)]
    assert np.array_equal(chains[0].moves, chains[1].moves, equal_nan=True)


def test_it_has_enough_of_everything(built, master):
    archive, counts = built
    specs = [master.spec(root) for root in ROOTS]
    assert len(ROOTS) >= 24 and len({spec.sector for spec in specs}) >= 8
    assert {"USD", "EUR", "JPY", "GBP"} <= {spec.currency for spec in specs}
    assert counts["markets"] == len(ROOTS) and 300_000 < counts["rows"] < 550_000
    assert counts["rows"] == counts["accepted"] + counts["warned"] + counts["quarantined"]
    days = pl.concat([archive.read("contract_bars", root=root, columns=["day"]) for root in ROOTS])["day"]
    assert (days.min(), days.max()) == (date(2013, 1, 2), date(2024, 12, 31))


def test_every_row_is_marked_as_simulated(built):
    for table in ("contract_bars", "fx", "rates"):
        assert {segment.labels["source"] for segment in built[0].files(table)} == {"sample"}
        assert built[0].read(table, columns=["source"])["source"].unique().to_list() == ["sample"]


def test_building_it_again_changes_nothing_and_says_so(built):
    head = built[0].head().number
    assert sample.build(built[0])["skipped"] and built[0].head().number == head


def test_raw_rows_are_as_a_reader_hands_them_over(raw):
    wanted = {name for name in TABLES["contract_bars"].columns if name not in ("source", "known", "filled_from")}
    for frame in raw.values():
        assert wanted | {"file", "line", "raw", "column", "fault"} <= set(frame.columns)
        assert frame["line"].to_list() == list(range(2, frame.height + 2))


# Contracts and days


@pytest.mark.parametrize("root", ROOTS)
def test_a_contract_ends_on_its_last_trade(root, bars, master):
    spec = master.spec(root)
    ends = bars[root].group_by("contract").agg(pl.col("day").max())
    for contract, day in ends.iter_rows():
        assert day == min(last_trade(spec, contract), sessions(spec)[-1].item())


@pytest.mark.parametrize("root", ROOTS)
def test_contracts_have_listed_months_and_are_listed_for_about_a_year(root, bars, master):
    spec = master.spec(root)
    assert {MONTHS[contract % 100 - 1] for contract in bars[root]["contract"].unique()} <= set(spec.listed_months)
    own = (
        bars[root]
        .filter(in_cycle(spec))
        .group_by("contract")
        .agg(pl.col("day").min(), pl.col("day").max().alias("end"))
    )
    first, last = sessions(spec)[[0, -1]].tolist()
    whole = own.filter((pl.col("day") > first) & (pl.col("end") < last))
    months = (whole["end"] - whole["day"]).dt.total_days() / 30.4
    assert months.min() > 7 and months.max() < 15.5


@pytest.mark.parametrize("root", ROOTS)
def test_there_are_rows_on_all_sessions_and_on_no_holiday(root, bars, master):
    open_days = sessions(master.spec(root))
    assert np.array_equal(bars[root]["day"].unique().sort().to_numpy(), open_days)
    per_contract = bars[root].group_by("contract").agg(pl.col("day").min(), pl.col("day").max().alias("end"), pl.len())
    for _, first, last, rows in per_contract.iter_rows():
        assert rows == np.count_nonzero((open_days >= np.datetime64(first)) & (open_days <= np.datetime64(last)))


# Prices


@pytest.mark.parametrize("root", ROOTS)
def test_prices_are_positive_and_on_the_tick_grid(root, bars, master):
    prices = bars[root].select(PRICES).to_numpy().ravel()
    prices = prices[~np.isnan(prices)]
    tick = master.spec(root).tick
    assert prices.min() > 0
    assert np.abs(prices / tick - np.rint(prices / tick)).max() < 1e-6
    assert np.array_equal(prices, grid(prices, tick))  # the nearest float to the decimal number


@pytest.mark.parametrize("root", ROOTS)
def test_a_bar_holds_its_own_prices(root, bars):
    traded = bars[root].filter(pl.col("volume") > 0)
    assert traded.filter(pl.any_horizontal(pl.col("high") < pl.col(p) for p in PRICES)).is_empty()
    assert traded.filter(pl.any_horizontal(pl.col("low") > pl.col(p) for p in PRICES)).is_empty()
    assert traded.select(pl.all_horizontal(pl.col(PRICES).is_not_null()).all()).item()


def test_a_day_without_volume_has_a_settlement_and_no_trade(bars):
    quiet = pl.concat([frame.filter(pl.col("volume") == 0) for frame in bars.values()])
    assert quiet.height > 0
    assert quiet["settle"].null_count() == 0
    assert quiet.select(pl.all_horizontal(pl.col(PRICES[:4]).is_null()).all()).item()


USUAL = {"equity": 0.17, "bonds": 0.05, "currency": 0.09, "energy": 0.36, "metals": 0.20, "grains": 0.24, "softs": 0.26,
         "livestock": 0.18, "volatility": 0.65}  # fmt: skip


@pytest.mark.parametrize("sector", DRIFT)
def test_volatility_is_what_the_sector_is_known_for(sector, returns):
    own = [returns[m.root].std() * 252**0.5 for m in MARKETS if m.sector == sector]
    assert 0.7 * USUAL[sector] < np.mean(own) < 1.3 * USUAL[sector]


def test_returns_have_fat_tails_and_volatility_clusters(returns):
    moves = returns.select(ROOTS).to_numpy()
    kurtosis = ((moves - moves.mean(axis=0)) ** 4).mean(axis=0) / moves.var(axis=0) ** 2
    assert kurtosis.min() > 3.5 and kurtosis.max() < 40
    size = np.abs(moves)
    clusters = [np.corrcoef(size[1:, m], size[:-1, m])[0, 1] for m in range(len(ROOTS))]
    assert np.median(clusters) > 0.08


def test_markets_of_a_sector_move_together(returns):
    correlation = np.corrcoef(returns.select(ROOTS).to_numpy().T)
    sectors = np.array([market.sector for market in MARKETS])
    same = sectors[:, None] == sectors
    pairs = np.tri(len(ROOTS), k=-1, dtype=bool)
    within, across = correlation[same & pairs], correlation[~same & pairs]
    assert within.mean() > 0.4 > 0.15 > np.abs(across).mean()
    assert correlation[ROOTS.index("MES"), ROOTS.index("VX")] < -0.5


def test_shares_crash_twice(series):
    frame, _ = series["MES"]
    crashes = ((date(2015, 8, 1), date(2015, 11, 15), 0.12), (date(2020, 2, 15), date(2020, 5, 1), 0.25))
    for first, last, fall in crashes:
        price = frame.filter(pl.col("day").is_between(first, last))["settle"]
        assert 1 - (price / price.cum_max()).min() > fall


def test_near_contracts_of_commodities_move_more_than_far_ones(bars):
    for root in ("CL", "NG", "ZC", "VX"):
        move = pl.col("settle").log().diff().over("contract")
        moves = bars[root].sort("contract", "day").with_columns(move.alias("move"))
        order = moves.with_columns(pl.col("contract").rank("ordinal").over("day").alias("rank"))
        spread = dict(order.group_by("rank").agg(pl.col("move").std()).iter_rows())
        assert spread[1] > 1.15 * spread[5]


def test_chains_are_in_backwardation_and_in_contango(series):
    shares = []
    for root in ROOTS:
        frame = series[root][0].drop_nulls("next_price")
        shares.append((frame["settle"] > frame["next_price"]).mean())
    assert sum(0.15 < share < 0.85 for share in shares) > len(ROOTS) / 2
    assert max(shares[ROOTS.index(root)] for root in ("CL", "ZC", "KC")) < 0.75


def test_gas_for_winter_is_dearer_than_gas_for_summer(bars):
    month = pl.col("contract") % 100
    mean = {m: bars["NG"].filter(month == m)["settle"].mean() for m in (1, 7)}
    assert mean[1] > 1.1 * mean[7]


def test_following_trends_pays_a_little(series):
    """Moving averages of 50 and 200 bars, size by volatility, no costs: between doubtful and too good to be true."""
    total = {}
    for root in ROOTS:
        frame = series[root][0]
        price = frame["adjusted"]
        sign = (price.rolling_mean(50) - price.rolling_mean(200)).sign()
        change = price.diff()
        unit = sign / change.rolling_std(35)
        profit = (unit.shift(2) * change).fill_null(0.0)
        for day, gain in zip(frame["day"], profit, strict=True):
            total[day] = total.get(day, 0.0) + gain
    gains = np.array([total[day] for day in sorted(total)][210:])
    assert 0.3 < gains.mean() / gains.std() * 252**0.5 < 1.2


# Rolls


def test_volume_has_moved_on_before_the_last_allowed_day(series):
    reasons = [reason for _, calendar in series.values() for reason in calendar.frame["reason"]]
    assert reasons.count("volume") / len(reasons) >= 0.95


def test_the_next_contract_is_the_busier_one_before_the_last_trade(bars, master):
    crossed = rolled = 0
    for root in ROOTS:
        spec = master.spec(root)
        volume = bars[root].filter(in_cycle(spec)).pivot("contract", index="day", values="volume").sort("day")
        contracts = sorted(int(name) for name in volume.columns if name != "day")
        for near, far in pairwise(contracts):
            pair = volume.select("day", str(near), str(far)).drop_nulls()
            if not pair.is_empty() and pair["day"][-1] < END.item():
                before = pair.filter(pl.col("day") < last_allowed(spec, near, buffer=0))
                crossed += bool(before.tail(1).select(pl.col(str(far)) > pl.col(str(near))).sum().item())
                rolled += 1
    assert rolled > 1500 and crossed / rolled >= 0.95


def test_open_interest_follows_volume(bars):
    front = bars["MES"].sort("volume", descending=True).unique("day", keep="first").sort("day")
    interest = bars["MES"].sort("open_interest", descending=True).unique("day", keep="first").sort("day")
    assert 0.9 < (front["contract"] == interest["contract"]).mean() < 1.0
    assert (front["contract"] >= interest["contract"]).mean() > 0.99


# Currencies and interest


def test_every_foreign_market_has_its_currency_and_rate(built, master):
    fx, rates = built[0].read("fx"), built[0].read("rates")
    foreign = {master.spec(root).currency for root in ROOTS} - {"USD"}
    assert foreign <= set(CURRENCIES) == set(fx["currency"]) and foreign | {"USD"} <= set(rates["currency"])
    gaps = fx.sort("currency", "day").select(pl.col("day").diff().over("currency").dt.total_days().max()).item()
    assert gaps <= 5 and fx["rate"].min() > 0
    assert rates["rate"].min() > -0.02 and rates["rate"].max() < 0.08


def test_currency_futures_stand_where_their_currency_does(built, bars):
    spot = built[0].read("fx", currency="EUR").select("day", "rate")
    front = bars["6E"].sort("contract").unique("day", keep="first").join(spot, on="day")
    assert (front["settle"] / front["rate"] - 1).abs().max() < 0.02


# Planted faults


def test_a_few_dozen_faults_are_planted_three_of_each_kind():
    faults = sample.planted()
    assert len(faults) == 3 * len(KINDS) >= 24
    assert all(sum(fault.kind == kind for fault in faults) == 3 for kind in KINDS)
    assert len({(fault.root, fault.contract, fault.day) for fault in faults}) == len(faults)


def test_every_planted_fault_is_found_or_quarantined(built, findings):
    archive, counts = built
    quarantine = archive.read("quarantine")
    assert counts["quarantined"] == 3 * len(CAUGHT_ON_IMPORT) == quarantine.height
    for fault in sample.planted():
        rule = FOUND_AS.get(fault.kind, fault.kind)
        if fault.kind in CAUGHT_ON_IMPORT:
            row = pl.col("raw").str.starts_with(f"{fault.contract},{fault.day}")
            hits = quarantine.filter(row & (pl.col("file") == f"sample/{fault.root}.csv"))
        else:
            row = (pl.col("root") == fault.root) & (pl.col("contract") == fault.contract)
            hits = findings.filter(row & pl.col("day").is_between(fault.day, fault.until))
        assert rule in hits["rule"].to_list(), fault


def test_the_checks_find_little_that_was_not_planted(findings):
    spoiled = {(fault.root, fault.contract) for fault in sample.planted()}
    others = [row for row in findings.select("root", "contract", "rule").iter_rows() if row[:2] not in spoiled]
    assert len(others) <= 20, others


def test_no_fault_lies_in_a_contract_that_is_held(series):
    for fault in sample.planted():
        frame = series[fault.root][0].filter(pl.col("day").is_between(fault.day, fault.until))
        assert fault.contract not in frame["contract"].to_list()
