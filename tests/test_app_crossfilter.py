"""crossfilter: against a slow twin that walks the ledger row by row, and against the run's own numbers."""

from datetime import date

import numpy as np
import pytest

from app.columns import Columns
from app.crossfilter import STATISTICS, crossfilter
from app.selection import Selection
from engine.metrics import METRICS, Account
from engine.ratios import period_returns, unpaid
from engine.risk import drawdown
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
