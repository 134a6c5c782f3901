"""No roll, no row and no position knows the future: the harness of tests/blindfold.py on all that is made of bars."""

from dataclasses import replace
from datetime import date
from functools import partial
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from engine import Portfolio, backtest, load
from store import asof, continuous, history, ingest, open_archive
from store.constant import constant_maturity
from store.contracts import Master, last_allowed
from store.ranks import ranked
from store.roll_rules import KNOWN_AFTER, parse_rule
from store.rolls import calendar
from store.tables import TABLES
from tests import blindfold, palladium, peeking, roll_markets, small_store

BEFORE = {"volume": 1, "open_interest": 2}  # days until a number may be read, unless a rule says otherwise
COLUMNS = {"volume": "volume", "oi": "open_interest"}
NOT_BEGUN = ("no bars", "no contract has a price", "no rank")
CLOSED = "closed: no matched price"
AFTER_BREAK = date(2022, 1, 10)  # first day of the contract after the break
BREAK = (date(2021, 12, 16), date(2021, 12, 17), date(2022, 1, 5))  # last allowed day of the one before, and later
PORTFOLIO = """
[portfolio]
capital = 10_000_000
[[strategies]]
name = "moving_average_cross"
params = { fast = 3, slow = 10 }
[sizing]
"""
SIZING = {"fixed": 'rule = "fixed"\ncontracts = 2\n', "volatility": 'rule = "volatility"\n'}
SHOWN_LATER = ("adjusted",)  # back-adjusted: moves with every roll to come, for pages and files


def delays(rule):
    """Days until a rule may read a number; None of a column that it never reads, or reads as a date only."""
    return {"volume": None, "open_interest": None} | {COLUMNS[name]: days for name, days in parse_rule(rule).known}


def begun(make):
    """`make`, giving None where nothing can be made of the bars yet."""

    def made(bars):
        try:
            return make(bars)
        except ValueError as error:
            if any(words in str(error) for words in NOT_BEGUN):
                return None
            raise

    return made


def rolls_of(bars, spec, rule, rank=0, given=None):
    """The calendar's rows and the contract held first."""
    made = ranked(bars, calendar(bars, spec, rule, given), rank, spec)
    return made.frame.with_columns(first=pl.lit(made.first))


def rows_of(bars, spec, rule, rank=0, given=None):
    """The stitched rows; `known` is the day of a roll that found no price, which its last row shows."""
    made = ranked(bars, calendar(bars, spec, rule, given), rank, spec)
    frame = continuous.stitch(bars, made, spec)
    frame = frame.with_columns(forward=continuous.adjusted(frame, "forward")).drop(SHOWN_LATER)
    ends = made.frame.filter(reason=CLOSED).select(contract="from_contract", known="day", roll=True)
    return frame.join(ends, on=["contract", "roll"], how="left", maintain_order="left")


def look_at(make, seed, rule, delays, rolls=None, cuts=5):
    """What is found in one random market, in one of the ways and by delay; cuts are near the `rolls` made of it."""
    bars, _ = roll_markets.market(seed)
    whole = begun(rolls or make)(bars)
    if whole is None:
        return []
    days = blindfold.cuts_of(bars, whole, seed, cuts)
    way = tuple(blindfold.FUTURES)[seed % len(blindfold.FUTURES)]
    return [(rule, seed, peek) for peek in blindfold.peeks(begun(make), bars, days, seed, delays, (way,))]


def limits(spec):
    """{contract: last allowed day} that the plain rollers know, of every contract that may be listed later too."""
    return {y * 100 + m: last_allowed(spec, y * 100 + m) for y in (2023, 2024, 2025) for m in range(1, 13)}


def look(maker, seed, delays):
    """Ways in which a plain roller is caught on a random market."""
    bars, spec = roll_markets.market(seed)
    bars = bars.filter(blindfold.PRICED)
    make = maker(limits(spec))
    whole = make(bars)
    changes = whole.filter(pl.col("contract").diff() != 0) if "contract" in whole.columns else whole
    return {peek.how for peek in blindfold.peeks(make, bars, blindfold.cuts_of(bars, changes, seed, 8), seed, delays)}


@pytest.mark.parametrize("maker", peeking.PLANTED, ids=lambda maker: maker.__name__)
def test_a_planted_roller_that_looks_ahead_is_caught(maker):
    told = None if maker is peeking.anchored_at_the_last else BEFORE
    assert any(peeking.PLANTED[maker] in look(maker, seed, told) for seed in range(3, 25))


@pytest.mark.parametrize("maker", [peeking.same_day_volume, peeking.same_day_interest])
def test_t8_a_number_of_the_roll_day_itself_shows_only_where_its_publication_is_delayed(maker):
    assert set().union(*(look(maker, seed, BEFORE) for seed in (3, 6))) == {"delayed"}


@pytest.mark.parametrize("maker", peeking.HONEST, ids=lambda maker: maker.__name__)
def test_the_same_roller_without_a_look_ahead_is_not_caught(maker):
    told = None if maker is peeking.anchored_at_the_first else BEFORE
    assert not set().union(*(look(maker, seed, told) for seed in range(3, 9)))


def test_the_random_rules_cover_the_grammar():
    rules = [parse_rule(roll_markets.rule(seed)) for seed in range(100)]
    assert {rule.name for rule in rules} == {"volume", "oi", "volume+oi", "volume/oi", *roll_markets.DATES}
    told = [rule.since or rule.until for rule in rules if rule.since or rule.until]
    assert {day.name for day in told} == set(roll_markets.DATES) and {day.count < 0 for day in told} == {True, False}
    assert {rule.exit for rule in rules} >= {1, 2, None} and {rule.count for rule in rules} >= {1, 2, 3}
    assert any(days > KNOWN_AFTER[name] for rule in rules for name, days in rule.known)
    assert any(days < KNOWN_AFTER[name] for rule in rules for name, days in rule.known)
    assert {rule.months[:1] for rule in rules} >= {"", "-", "G"}


@pytest.mark.parametrize("part", range(3))
def test_no_roll_of_any_rule_knows_the_future(part):
    found = []
    for seed in range(part, 60, 3):
        (_, spec), rule = roll_markets.market(seed), roll_markets.rule(seed)
        make = partial(rolls_of, spec=spec, rule=rule)
        found += look_at(make, seed, rule, delays(rule))
    assert not found


def test_no_row_of_a_series_knows_the_future():
    found = []
    for seed in range(60, 84):
        (_, spec), rule = roll_markets.market(seed), roll_markets.rule(seed)
        found += look_at(
            partial(rows_of, spec=spec, rule=rule), seed, rule, None, partial(rolls_of, spec=spec, rule=rule)
        )
    assert not found


@pytest.mark.parametrize("rank", [1, 2])
def test_no_roll_and_no_row_of_a_rank_knows_the_future(rank):
    found = []
    for seed in range(100, 116):
        (_, spec), rule = roll_markets.market(seed), roll_markets.rule(seed)
        of = {"spec": spec, "rule": rule, "rank": rank}
        found += look_at(partial(rolls_of, **of), seed, rule, delays(rule), cuts=4)
        found += look_at(partial(rows_of, **of), seed, rule, None, partial(rolls_of, **of), 4)
    assert not found


def test_no_roll_of_a_plan_that_came_from_elsewhere_knows_the_future():
    found = []
    for seed in range(120, 136):
        bars, spec = roll_markets.market(seed)
        plan = planned(bars, seed)
        make = partial(rolls_of, spec=spec, rule="elsewhere", given=plan)
        found += look_at(make, seed, "plan", {"volume": None, "open_interest": None})
        found += look_at(partial(rows_of, spec=spec, rule="elsewhere", given=plan), seed, "plan", None, make)
    assert not found


def planned(bars, seed):
    """Rolls through the contracts, a few steps over one, on random days in order."""
    rng = np.random.default_rng(seed)
    contracts = [k for k in bars["contract"].unique().sort().to_list() if rng.random() > 0.2]
    days = sorted(rng.choice(bars["day"].unique().sort(), len(contracts) - 1, replace=False).tolist())
    return pl.DataFrame(
        {"day": days, "from_contract": contracts[:-1], "to_contract": contracts[1:]},
        {"day": pl.Date, "from_contract": pl.Int32, "to_contract": pl.Int32},
    )


def test_of_a_market_without_facts_every_roll_that_knew_the_future_says_so():
    found, said = [], 0
    for seed in range(140, 164):
        rule = roll_markets.rule(seed)
        make = partial(rolls_of, spec=None, rule=rule)
        for case in look_at(make, seed, rule, delays(rule)):
            rows = [row for row in (case[2].was, case[2].now) if row]
            first = min(row["day"] for row in rows)  # where the two part: one rolls, the other holds
            told = any("retrospective" in row["reason"] for row in rows if row["day"] == first)
            said += told
            found += [] if told else [case]
    assert said > 5 and not found


@pytest.fixture
def stored(tmp_path):
    """Bars of MES -> a store of them, with those of the Bund, made anew each time."""
    number = iter(range(10_000))

    def make(bars):
        archive = open_archive(tmp_path / str(next(number)), create=True)
        bund = small_store.bars("FGBL", 170.0, 2, gap=0.5)
        archive.commit(
            [
                archive.write("contract_bars", bars.drop("root", "source"), source="barchart", root="MES"),
                archive.write("contract_bars", bund, source="barchart", root="FGBL"),
                archive.write("fx", small_store.fx(1.10), source="pysystemtrade", currency="EUR"),
            ]
        )
        return archive

    return make


@pytest.fixture(scope="module")
def broken():
    """Bars of MES in which the contract of March 2022 begins after that of December 2021 has ended: a break."""
    bars = small_store.bars("MES", 4000.0, 1).with_columns(source=pl.lit("barchart"), root=pl.lit("MES"))
    begun = (pl.col("contract") <= 202112) | (pl.col("day") >= AFTER_BREAK)
    return TABLES["contract_bars"].conform(bars.filter(begun))


def arrays(archive, rule):
    """A market's arrays as a frame; the other market's too."""
    market = load(archive, ["FGBL", "MES"], rule=rule)
    columns = {"day": market.days, "rate": market.rate}
    for name, values in vars(market).items():
        if isinstance(values, np.ndarray) and values.ndim == 2:
            columns |= {f"{name} {root}": values[:, m] for m, root in enumerate(market.roots)}
    return pl.DataFrame(columns)


@pytest.mark.parametrize("rule", ["volume:1", "last-trade-5,exit=3"])
def test_no_array_of_a_market_knows_the_future(stored, broken, rule):
    make = lambda bars: arrays(stored(bars), rule)  # noqa: E731
    rolls = calendar(broken, Master.load().spec("MES"), rule).frame
    days = [*blindfold.cuts_of(broken, rolls, 1, 3), date(2021, 12, 15), *BREAK]
    for day, way in zip(days, ("cut", "noise", "gone", "noise", *["cut"] * len(BREAK)), strict=True):
        assert not blindfold.peeks(make, broken, [day], 1, None, (way,))


@pytest.mark.parametrize("sizing", SIZING)
def test_no_position_knows_the_future(stored, broken, sizing):
    portfolio = Portfolio.from_toml(PORTFOLIO + SIZING[sizing])

    def make(bars):
        return backtest(load(stored(bars), ["FGBL", "MES"]), portfolio).positions().sort("day", "root")

    for day, way in zip((date(2021, 8, 2), *BREAK), ("noise", "cut", "cut", "cut"), strict=True):
        assert not blindfold.peeks(make, broken, [day], 2, None, (way,))


def test_the_chain_as_of_a_day_knows_no_later_one(stored, broken):
    whole = stored(broken)
    for day, way in ((date(2021, 6, 10), "noise"), (date(2021, 9, 8), "gone"), (BREAK[1], "cut")):
        changed = blindfold.FUTURES[way](broken, day, np.random.default_rng(3))
        assert asof.chain(stored(changed), "MES", day).equals(asof.chain(whole, "MES", day))


@pytest.mark.parametrize("rule", ["volume:1", "last-trade-5,exit=3"])
def test_rows_that_were_kept_stand_as_they_were_when_later_days_are_imported(stored, broken, rule):
    """The same days, imported at once and in parts: into the break, and after it."""
    archive, seen = None, None
    for first, last in pairwise((date(2020, 1, 1), date(2021, 12, 10), *BREAK, date(2022, 2, 1), date(2023, 1, 1))):
        rows = broken.filter((pl.col("day") > first) & (pl.col("day") <= last))
        if archive is None:
            archive = stored(rows)
        elif len(rows):
            archive.commit([archive.write("contract_bars", rows.drop("root", "source"), source="barchart", root="MES")])
        frame = history.table(archive, "MES", rule, "none")
        made, _ = history.calendar(archive, "MES", rule)
        if seen is not None:
            before = frame.filter(pl.col("day") <= seen["day"].max())
            ends = made.frame.filter(reason=CLOSED)["decided"].to_list()  # the roll out of a break is known after it
            hide = [name for name in blindfold.LATER if name in frame.columns]
            blank = [pl.when(~pl.col("day").is_in(ends)).then(name).alias(name) for name in hide]
            assert before.with_columns(blank).equals(seen.with_columns(blank))
        seen = frame
    whole = stored(broken)
    assert seen.equals(history.table(whole, "MES", rule, "none"))
    assert made.version == history.calendar(whole, "MES", rule)[0].version


@pytest.mark.parametrize("days", [30, 60])
def test_no_price_at_a_constant_maturity_knows_the_future(days):
    found = []
    for seed in range(170, 182):
        _, spec = roll_markets.market(seed)
        make = partial(constant_maturity, spec=spec, days=days)
        found += look_at(make, seed, days, None, partial(rolls_of, spec=spec, rule="volume"))
    assert not found


def test_whether_activity_is_known_at_all_is_published_as_late_as_the_number():
    """Two contracts end on days that follow each other; open interest begins two days before the second roll."""
    days = np.busday_offset(date(2024, 4, 1), np.arange(30))
    interest = pl.Series("open_interest", [None] * 8 + [5.0] * 22)
    frames = [
        pl.DataFrame({"contract": [k] * 30, "day": days, "settle": [k / 1000] * 30, "open_interest": interest})
        for k in (202404, 202405, 202406)
    ]
    bars, ends = roll_markets.conform(pl.concat(frames)), days[[12, 13, 29]].tolist()
    dates = tuple((k, end, None) for k, end in zip((202404, 202405, 202406), ends, strict=True))
    spec = replace(Master.load().spec("ES"), held_months="FGHJKM", first_notice_rules=(), dates=dates)
    for rule in ("oi", "oi@3", "oi@4", "volume+oi@4", "oi@6:2"):
        make = partial(rolls_of, spec=spec, rule=rule)
        assert not blindfold.peeks(make, bars, days[5:16].tolist(), 3, delays(rule), ("cut",)), rule


def test_t12_the_euro_is_left_before_presidents_day_and_not_after():
    """Two business days before 19 February 2025 are 14 February, a Friday: Monday the 17th is no trade date."""
    days = [day for day in np.busday_offset(date(2025, 1, 27), np.arange(18)).tolist() if day != date(2025, 2, 17)]
    frames = [pl.DataFrame({"contract": [k] * 17, "day": days, "settle": [1.0] * 17}) for k in (202502, 202503)]
    bars, spec = roll_markets.conform(pl.concat(frames)), Master.load().spec("6E")
    rolled = {
        "last-trade-0,exit=expiry": date(2025, 2, 14),  # at the last trade
        "last-trade-0": date(2025, 2, 13),  # forced to the last allowed day
        "last-trade-3": date(2025, 2, 11),
        "volume": date(2025, 2, 11),  # unknown: two business days before the last allowed
    }
    found = {rule: calendar(bars, spec, f"{rule},months=GH").frame["day"].to_list() for rule in rolled}
    assert found == {rule: [day] for rule, day in rolled.items()}


MARKETS = {  # root: rules
    "MES": ("volume:1", "last-trade-5"),
    "SI": ("volume:3", "volume+first-notice-20/first-notice-2"),
    "KC": ("volume:1,months=HNZ", "first-notice-1"),
    "FGBL": ("volume@2:1", "month-begin+3"),
    "ZT": ("volume:1", "delivery-2,exit=3"),
    "ZC": ("volume:2/month-end-3", "month-end-5"),
}


@pytest.mark.parametrize("root", MARKETS)
def test_no_roll_and_no_row_of_a_real_market_knows_the_future(real, root):
    bars, spec = history.bars(real, root).read(), history.spec(real, root)
    assert not [peek for rule in MARKETS[root] for peek in real_peeks(bars, spec, rule)]


@pytest.mark.parametrize("rule", ["oi:1", "volume/oi:2", "volume@2+oi@4", "last-trade-0,exit=expiry"])
def test_nor_of_volatility_and_palladium_by_open_interest(shared, volatility, rule):
    palladium_bars = palladium.bars(shared).filter(blindfold.PRICED)
    for bars, root in ((volatility, "VX"), (palladium_bars, "PA")):
        assert not real_peeks(bars, Master.load().spec(root), rule)


def real_peeks(bars, spec, rule):
    """What is found at six days, of which four are about a roll."""
    of, found = {"spec": spec, "rule": rule}, []
    days = blindfold.cuts_of(bars, rolls_of(bars, **of), len(rule), 6)
    for day, way in zip(days, [*blindfold.FUTURES, "cut", "noise"], strict=False):
        found += blindfold.peeks(begun(partial(rolls_of, **of)), bars, [day], 5, delays(rule), (way,))
        found += blindfold.peeks(begun(partial(rows_of, **of)), bars, [day], 5, None, (way,))
    return found


@pytest.fixture(scope="module")
def volatility(shared, tmp_path_factory):
    """The contracts of VX as Cboe publishes them."""
    archive = open_archive(tmp_path_factory.mktemp("volatility") / "store", create=True)
    ingest.import_paths(archive, [shared / "cfe_vx"])
    return history.bars(archive, "VX").read()
