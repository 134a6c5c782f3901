"""crossfilter: against a slow twin that walks the ledger row by row, and against the run's own numbers."""

from datetime import date

import numpy as np
import pytest

from app.columns import Columns
from app.crossfilter import FIELDS, STATISTICS, crossfilter
from app.selection import Selection
from engine.metrics import METRICS, Account
from engine.ratios import period_returns, unpaid
from engine.risk import drawdown
from tests import analysed
from tests.naive_crossfilter import OddRun, Twin, drawn
from tests.synthetic_run import EmptyRun, SyntheticRun

RUN = SyntheticRun(years=4)
COLUMNS = Columns.of(RUN)
SECTOR = dict(RUN.market)
PICKS = [
    Selection(),
    Selection(days=(date(2013, 3, 1), date(2014, 6, 30))),
    Selection(markets=["ZC", "MES"]),
    Selection(sectors=["Energy"], days=(date(2012, 6, 1), date(2012, 6, 29))),
    Selection(sectors=["Grains", "Metals"], markets=["ZC", "CL"]),
    Selection(days=(date(2012, 1, 1), date(2012, 1, 2))),
]


def naive_profit(picked, ignore=()):
    """Profit by market of what is picked, row by row; `ignore`: filters that do not hold."""
    found = {}
    for row in RUN.ledger().iter_rows(named=True):
        root = row["root"]
        if "days" not in ignore and picked.days and not picked.days[0] <= row["day"] <= picked.days[1]:
            continue
        if "markets" not in ignore and picked.markets and root not in picked.markets:
            continue
        if "sectors" not in ignore and picked.sectors and SECTOR.get(root) not in picked.sectors:
            continue
        found[root] = found.get(root, 0.0) + row["amount"]
    return found


@pytest.mark.parametrize("picked", PICKS, ids=Selection.to_query)
def test_profit_is_that_of_the_ledger_rows_picked(picked):
    slice_ = crossfilter(COLUMNS, picked)
    assert slice_.statistics["profit"] == pytest.approx(sum(naive_profit(picked).values()), abs=1e-6)
    assert slice_.profit.sum() == pytest.approx(sum(naive_profit(picked, ["days"]).values()), abs=1e-6)


@pytest.mark.parametrize("picked", PICKS, ids=Selection.to_query)
def test_a_picture_does_not_hide_what_it_lets_one_pick(picked):
    slice_ = crossfilter(COLUMNS, picked)
    by_root = naive_profit(picked, ["markets"])
    for k, root in enumerate([*COLUMNS.roots, ""]):
        assert slice_.by_root[k] == pytest.approx(by_root.get(root, 0.0), abs=1e-6)
    by_sector = naive_profit(picked, ["sectors"])
    for k, sector in enumerate(COLUMNS.sectors):
        expected = sum(amount for root, amount in by_sector.items() if SECTOR.get(root) == sector)
        assert slice_.by_sector[k] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("picked", PICKS, ids=Selection.to_query)
def test_a_trade_counts_if_it_ended_on_a_day_picked(picked):
    expected = 0
    last = COLUMNS.days[-1].astype(object)
    for row in RUN.trades().iter_rows(named=True):
        inside = picked.days is None or picked.days[0] <= (row["exit_day"] or last) <= picked.days[1]
        chosen = not picked.markets or row["root"] in picked.markets
        expected += inside and chosen and (not picked.sectors or row["sector"] in picked.sectors)
    assert len(crossfilter(COLUMNS, picked).trades) == expected


@pytest.mark.parametrize("picked", PICKS, ids=Selection.to_query)
def test_months_and_years_add_up_to_the_profit(picked):
    slice_ = crossfilter(COLUMNS, picked)
    back = 0.0
    for year, values in slice_.months.items():
        rows = [t for t in range(slice_.first, slice_.last + 1) if COLUMNS.days[t].astype(object).year == year]
        back += values[12] * COLUMNS.equity[rows[0] - 1]
    assert back == pytest.approx(slice_.statistics["profit"], abs=1e-6)


def test_everything_has_the_numbers_of_the_run():
    equity, days = COLUMNS.equity, COLUMNS.days
    interest = np.zeros(len(days))
    for row in RUN.ledger().filter(RUN.ledger()["cause"] == "interest").iter_rows(named=True):
        interest[np.searchsorted(days, np.datetime64(row["day"]))] = row["amount"]
    account = Account(
        np.diff(equity) / equity[:-1], days, equity, RUN.trades()["net"].to_numpy(), interest=interest[1:] / equity[:-1]
    )
    statistics = crossfilter(COLUMNS, Selection()).statistics
    for name in STATISTICS:
        if name not in ("cost_share", "time_in_market"):
            assert statistics[name] == pytest.approx(METRICS[name](account), rel=1e-9), name
    assert statistics["final_equity"] == equity[-1]


@pytest.mark.parametrize("compounding", [True, False])
def test_money_paid_in_or_out_is_no_profit_and_growth_is_told_without_it(compounding):
    run = SyntheticRun(years=2, paid={100: 2e6, 300: -5e5})
    columns = Columns(**{**Columns.of(run).__dict__, "compounding": compounding})
    whole, paid = crossfilter(columns, Selection()), np.zeros(len(run.days))
    paid[[100, 300]] = 2e6, -5e5
    equity = run.equity()["equity"].to_numpy()
    np.testing.assert_allclose(whole.curve, equity, rtol=1e-12)
    assert whole.statistics["profit"] == pytest.approx(equity[-1] - equity[0] - 1.5e6)
    np.testing.assert_allclose(whole.account.returns, period_returns(equity, compounding, paid), atol=1e-12)
    np.testing.assert_allclose(whole.grown, unpaid(equity, paid, compounding), rtol=1e-12)
    grown = unpaid(equity, paid, compounding)
    assert whole.statistics["total_return"] == pytest.approx(grown[-1] / grown[0] - 1.0)
    assert whole.statistics["max_drawdown"] == pytest.approx(drawdown(grown).min())


def test_directions_are_the_trades_and_leave_out_interest():
    sides = [crossfilter(COLUMNS, Selection(directions=[side])) for side in ("long", "short")]
    both = crossfilter(COLUMNS, Selection(directions=["long", "short"]))
    profit = sum(side.statistics["profit"] for side in sides)
    assert profit == pytest.approx(RUN.trades()["net"].sum(), abs=1e-6)
    assert both.statistics["profit"] == pytest.approx(profit, abs=1e-6)


def test_margin_is_the_accounts():
    slice_ = crossfilter(COLUMNS, Selection())
    assert slice_.margin.sum(axis=1) == pytest.approx(RUN.equity()["margin"].to_numpy())


def test_the_book_is_what_was_held_at_the_end():
    day = date(2013, 3, 1)
    slice_ = crossfilter(COLUMNS, Selection(days=(date(2013, 1, 1), day)))
    held = RUN.positions().filter(RUN.positions()["day"] == day)
    assert COLUMNS.held["contracts"][slice_.book].sum() == held["contracts"].sum()
    assert len(slice_.book) == len(held)


@pytest.mark.parametrize(
    ("picked", "words"),
    [
        (Selection(days=(date(2040, 1, 1), date(2041, 1, 1))), "No day"),
        (Selection(markets=["ZC"], sectors=["Energy"]), "No market"),
        (Selection(days=(date(2013, 1, 1), date(2013, 2, 1)), markets=["ZC"]), "A short selection"),
    ],
)
def test_a_selection_that_says_little_says_so(picked, words):
    slice_ = crossfilter(COLUMNS, picked)
    assert words in slice_.warning
    assert not [name for name, value in slice_.statistics.items() if np.isinf(value)]


def test_enough_days_and_trades_need_no_warning():
    assert crossfilter(COLUMNS, Selection()).warning == ""


def test_a_run_without_a_trade_says_so():
    slice_ = crossfilter(Columns.of(EmptyRun(years=1)), Selection())
    assert "Nothing was traded" in slice_.warning


def test_the_same_selection_is_not_computed_again():
    assert crossfilter(COLUMNS, Selection(markets=["ZC", "CL"])) is crossfilter(
        COLUMNS, Selection(markets=["CL", "ZC"])
    )


def test_fixed_capital_adds_returns_up():
    fixed = Columns(**{**COLUMNS.__dict__, "compounding": False, "slices": type(COLUMNS.slices)()})
    slice_ = crossfilter(fixed, Selection())
    assert slice_.account.returns.sum() == pytest.approx(slice_.statistics["total_return"])
    years = (COLUMNS.days[-1] - COLUMNS.days[0]).astype(int) / 365.25
    assert slice_.statistics["annual_return"] == pytest.approx(slice_.statistics["total_return"] / years)


# All ten filters against the slow twin


def pair(seed, real=False):
    """(columns, twin) of a run: an odd one, or one of the engine with rolls, costs and interest."""
    if real:
        run, market = analysed.made(seed, 420, sleeves=2)
    else:
        run = OddRun(seed)
        market = run.market
    columns = Columns.of(run, market=market)
    told = columns.regimes("risk")
    days = [day.astype(object) for day in columns.days]
    return columns, Twin(run, {day: told.names[code] for day, code in zip(days, told.code, strict=True)})


@pytest.fixture(scope="module", params=[(1, False), (2, False), (3, False), (4, True)], ids=str)
def twins(request):
    columns, twin = pair(*request.param)
    rng = np.random.default_rng(request.param[0])
    names = columns.regimes("risk").names
    assert len(np.unique(columns.regimes("risk").code)) > 2
    return columns, twin, [Selection(regime="risk"), *(drawn(rng, twin.run, names, regime="risk") for _ in range(30))]


def test_each_picture_is_under_all_filters_but_its_own(twins):
    columns, twin, picks = twins
    for picked in picks:
        slice_ = crossfilter(columns, picked)
        for kind, field in FIELDS.items():
            expected = twin.by(picked, kind, field)
            names, values = slice_.names(kind), getattr(slice_, f"by_{kind}")
            assert set(expected) <= set(names)
            for name, value in zip(names, values, strict=True):
                assert value == pytest.approx(expected.get(name, 0.0), abs=1e-5), (picked.to_query(), kind, name)


def test_what_is_picked_of_any_picture_adds_up_to_the_profit(twins):
    columns, twin, picks = twins
    for picked in picks:
        slice_ = crossfilter(columns, picked)
        expected = sum(amount for *_, amount in twin.left(picked))
        assert slice_.statistics["profit"] == pytest.approx(expected, abs=1e-5)
        for kind in FIELDS:
            told = getattr(slice_, f"by_{kind}")[getattr(slice_, f"{kind}_picked")].sum()
            assert told == pytest.approx(expected, abs=0.005), (picked.to_query(), kind)


def test_days_and_what_they_are_made_of(twins):
    columns, twin, picks = twins
    for picked in picks:
        slice_, daily = crossfilter(columns, picked), twin.daily(picked)
        for t, day in enumerate(columns.days.astype(object)):
            assert slice_.profit[t] == pytest.approx(daily.get(day, 0.0), abs=1e-5)
        parts = {"gross": 0.0, "cost": 0.0, "interest": 0.0}
        for *_, part, amount in twin.left(picked):
            parts[part] += amount
        assert slice_.costs == pytest.approx(-parts["cost"], abs=1e-5)
        assert slice_.line_gross.sum() == pytest.approx(parts["gross"], abs=1e-5)
        assert slice_.interest[slice_.at].sum() == pytest.approx(parts["interest"], abs=1e-5)
        inside = [day for day in twin.days[1:] if twin.day_passes(picked, day)]
        assert slice_.count == len(inside) == len(slice_.returns)
        assert columns.days[slice_.at].astype(object).tolist() == inside


def test_trades_are_counted_by_result_and_holding_time(twins):
    columns, twin, picks = twins
    edges = {"results": (columns.result_bins, "net"), "holding": (columns.holding_bins, "holding")}
    for picked in picks:
        slice_ = crossfilter(columns, picked)
        numbers = columns.table["trade"].to_numpy()[slice_.trades]
        assert sorted(numbers.tolist()) == sorted(row["trade"] for row in twin.ended(picked))
        for (field, (bounds, what)), told in zip(
            edges.items(), (slice_.trades_by_result, slice_.trades_by_holding), strict=True
        ):
            expected = [0] * (len(bounds) - 1)
            for row in twin.ended(picked, [field]):
                within = [k for k in range(len(expected)) if bounds[k] <= row[what] < bounds[k + 1]]
                expected[within[0] if within else 0 if row[what] < bounds[0] else -1] += 1
            assert told.tolist() == expected


def test_margin_and_notional_are_of_the_trades_picked(twins):
    columns, twin, picks = twins
    for picked in picks[:12]:
        slice_ = crossfilter(columns, picked)
        margin, notional = np.zeros(len(columns.days)), np.zeros((len(columns.days), 2))
        for position in twin.held(picked):
            t = np.searchsorted(columns.days, np.datetime64(position["day"]))
            margin[t] += position["margin"]
            notional[t, 0 if position["contracts"] > 0 else 1] += abs(position["notional"])
        np.testing.assert_allclose(slice_.margin.sum(axis=1), margin, atol=1e-6)
        np.testing.assert_allclose(slice_.notional, notional, atol=1e-6)


def test_every_month_goes_on_beyond_the_dates_and_marks_those_picked(twins):
    columns, _, picks = twins
    for picked in picks:
        slice_ = crossfilter(columns, picked)
        other = Selection(**{name: getattr(picked, name) for name in FIELDS.values()},
                          holding=picked.holding, results=picked.results, regime="risk")  # fmt: skip
        assert str(slice_.every_month) == str(crossfilter(columns, other).months)
        for year, flags in slice_.month_picked.items():
            values = slice_.months.get(year, [np.nan] * 13)
            assert [not np.isnan(value) for value in values] == flags


def test_a_year_is_as_long_as_a_year_of_the_days_picked():
    columns, _ = pair(4, real=True)
    slice_ = crossfilter(columns, Selection(regimes=["not known", "risk-on"], regime="risk"))
    days = columns.days[slice_.at]
    assert 0 < len(days) < len(columns.days) - 1
    span = (days[-1] - columns.days[0]).astype(int) / 365.25
    share = len(days) / np.count_nonzero((columns.days > columns.days[0]) & (columns.days <= days[-1]))
    assert slice_.account.years == pytest.approx(span * share)
    assert slice_.account.returns.tolist() == pytest.approx(slice_.profit[slice_.at] / slice_.base[slice_.at - 1])


def test_regimes_that_occur_on_no_day_pick_none():
    columns, _ = pair(4, real=True)
    slice_ = crossfilter(columns, Selection(regimes=["no such"]))
    assert slice_.count == 0 and "has these regimes" in slice_.warning
    assert slice_.statistics["profit"] == 0.0


def test_reasons_that_occur_in_no_trade_pick_none():
    slice_ = crossfilter(COLUMNS, Selection(exit_reasons=["no such"]))
    assert "No trade is picked" in slice_.warning
    assert not slice_.profit.any() and slice_.by_exit.any()


def test_a_picture_of_regimes_comes_when_they_were_worked_out():
    run, market = analysed.made(5, 420)
    columns = Columns.of(run, market=market)
    before = crossfilter(columns, Selection())
    assert len(before.by_regime) == 0 and "being worked out" in before.regimes.missing
    columns.regimes("volatility")
    after = crossfilter(columns, Selection())
    assert after.by_regime.sum() == pytest.approx(after.statistics["profit"])
    assert crossfilter(columns, Selection(regime="risk")).regimes.names == ()  # nobody has asked for that kind
    asked = crossfilter(columns, Selection(regime="risk", regimes=["risk-off", "risk-on"]))
    assert asked.names("regime") == ("risk-on", "normal", "risk-off", "not known")
    assert asked.regime_picked.tolist() == [True, False, True, False]


def test_interest_is_of_no_trade_and_goes_where_only_everything_is_picked():
    columns, _ = pair(1)
    assert crossfilter(columns, Selection()).interest.any()
    for field, value in (("holding", (0, None)), ("results", (None, None)), ("entry_reasons", ["market", "stop"]),
                         ("directions", ["long", "short"])):  # fmt: skip
        assert not crossfilter(columns, Selection(**{field: value})).interest.any()
