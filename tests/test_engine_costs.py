"""Costs: the figures of the file, who goes before whom and when, rolls, impact, break-even, cost in Sharpe ratios."""

import csv
import datetime
from types import SimpleNamespace

import numpy as np
import pytest

from engine.book import FILL_FIELDS, Facts
from engine.costs import (
    Cost,
    Costs,
    SideCost,
    annual_sr_cost,
    break_even,
    impact_scale,
    side_cost,
    sr_cost,
    table,
    table_hash,
)  # fmt: skip
from store.contracts import Master

DAYS = np.arange("2004-12-28", "2005-01-07", dtype="datetime64[D]")
ARRAYS = ("slippage", "commission", "roll_slippage", "roll_commission", "impact")


def market(roots=("ES",), days=DAYS, currencies=None, tick=0.25, mark=4000.0):
    """What costs read of a market; there is no adjusted price in it."""
    shape = len(days), len(roots)
    currencies = currencies or ("USD",) * len(roots)
    made = {"tick": np.full(shape, tick), "mark": np.array(np.broadcast_to(mark, shape), float)}
    return SimpleNamespace(roots=tuple(roots), currencies=tuple(currencies), days=days, **made)


def walk(bars=60, markets=3, seed=3):
    """A market with holidays and a daily volatility (of nothing: random numbers known at the end of each bar)."""
    random = np.random.default_rng(seed)
    days = np.arange("2020-01-01", "2021-01-01", dtype="datetime64[D]")[:bars]
    mark = 50.0 + 0.25 * np.cumsum(random.integers(-9, 10, (bars, markets)), axis=0)
    sigma = random.uniform(0.5, 2.0, (bars, markets))
    mark[random.random(mark.shape) < 0.2] = np.nan
    sigma[:4] = np.nan
    return market([f"M{m}" for m in range(markets)], days, mark=mark), sigma


def prefix(whole, rows):
    """The same market as it was known after some rows."""
    cut = {name: value[:rows] for name, value in vars(whole).items() if isinstance(value, np.ndarray)}
    return SimpleNamespace(**(vars(whole) | cut))


def ticks(costs, root="ES", days=DAYS):
    """Ticks of a side on each day, where a tick is a point."""
    return costs.arrays(market([root], days, tick=1.0))["slippage"][:, 0]


def test_t5_a_roll_costs_two_sides_and_not_the_gap():
    # 1 tick of 0.25 a leg at 50 dollars and 2.10 a side: 29.20; the 25 points between the contracts are no cost
    made = Costs(commission_per_side=2.10, slippage_ticks=1.0).arrays(market())
    roll = 2 * (made["roll_slippage"] * 50.0 + made["roll_commission"])
    np.testing.assert_allclose(roll, 29.20, rtol=0, atol=1e-12)
    assert 2 * side_cost(2.10, 1.0, 0.25, 50.0) == pytest.approx(29.20, abs=1e-12)
    assert 6250.0 - roll[0, 0] == pytest.approx(6220.80, abs=1e-12)


def test_t55_a_cost_is_one_way_and_a_roll_is_two_sides():
    assert annual_sr_cost(0.001, sides=10, rolls=4) == pytest.approx(0.018, abs=1e-15)
    assert annual_sr_cost(2 * 0.001, sides=10, rolls=4) == pytest.approx(0.036, abs=1e-15)  # a round trip taken for one


def test_t55_a_roll_by_spread_order_crosses_half_the_spread_once_and_pays_its_own_commission():
    legs = Costs(commission_per_side=2.0, slippage_ticks=1.0).arrays(market())
    order = Costs(commission_per_side=2.0, slippage_ticks=1.0, roll_order="spread", roll_commission=0.5)
    spread = order.arrays(market())
    assert (legs["roll_slippage"] == legs["slippage"]).all() and (legs["roll_commission"] == 2.0).all()
    assert (2 * spread["roll_slippage"] == spread["slippage"]).all() and (spread["roll_commission"] == 1.0).all()
    assert (spread["slippage"] == legs["slippage"]).all()  # other orders cost what they did
    assert order.of("ES", roll=True)[:2] == (1.0, 0.5) and order.of("ES")[:2] == (2.0, 1.0)


def test_a_roll_has_its_own_slippage_for_all_markets_or_for_one():
    costs = Costs(slippage_ticks=2.0, roll_slippage_ticks=0.2, roots={"NQ": SideCost(roll_slippage_ticks=0.0)})
    for order in ("legs", "spread"):
        costs.roll_order = order
        made = costs.arrays(market(["ES", "NQ", "ES"]))
        np.testing.assert_allclose(made["roll_slippage"][0], [0.05, 0.0, 0.05], rtol=1e-15)
        np.testing.assert_array_equal(made["slippage"][0], [0.5, 0.5, 0.5])


def test_cost_in_sharpe_ratio_is_cost_over_a_years_swing():
    # half a spread of 0.125 · 50 + 2.25 over 45 · 50 · √252: DOMAIN 2.12, where the rate stands above and below
    assert sr_cost(0.125 * 50 + 2.25, 45.0, 50.0) == pytest.approx(8.5 / 35_717.6427, rel=1e-6)
    fx = 1.08
    assert sr_cost(8.5, 45.0, 50.0) == pytest.approx((8.5 * fx) / (45.0 * 50.0 * fx * np.sqrt(252.0)), rel=1e-15)


def test_every_row_of_the_file_has_figures_a_date_and_a_source():
    known = table()
    assert set(known) == {"default", "currency", "roots", "dated"}
    for name, row in {"default": known["default"], **known["currency"], **known["roots"]}.items():
        assert 0.0 < row.get("commission_per_side", 1.0) <= 5000.0, name
        assert 1.0 <= row.get("slippage_ticks", 1.0) <= 20.0, name
        assert isinstance(row["date"], datetime.date) and row["source"].startswith("assumption"), name
        assert "commission_per_side" in row or "slippage_ticks" in row, name


def test_every_dated_row_of_the_file_is_of_a_known_market_in_order_and_says_who_says_so():
    rows, roots = table()["dated"], Master.load().roots
    for row in rows:
        assert row.keys() <= {"root", "since", "source", "commission_per_side", "half_spread_ticks"}, row
        assert row["root"] in roots and isinstance(row["since"], datetime.date) and len(row["source"]) > 30, row
        assert 0.5 <= row.get("half_spread_ticks", 0.5) <= 10.0, row  # a market is not quoted within a tick
    keys = [(row["root"], row["since"]) for row in rows]
    for root in {root for root, _ in keys}:
        days = [day for name, day in keys if name == root]
        assert days == sorted(set(days)), root


def test_every_currency_of_the_master_has_a_commission_of_its_size():
    master = Master.load()
    for root in master.roots:
        spec = master.spec(root)
        worth = {"JPY": 1 / 150, "HKD": 1 / 7.8, "KRW": 1 / 1350}.get(spec.currency, 1.0)
        assert 0.3 < Costs().of(root, spec.currency).commission_per_side * worth < 5.0, root


def test_by_default_all_days_of_all_markets_have_the_undated_figures_of_the_file():
    master, known = Master.load(), table()
    roots, currencies = list(master.roots), [master.spec(root).currency for root in master.roots]
    days = np.array(["1985-01-02", "2005-06-01", "2026-11-20"], "datetime64[D]")
    made = Costs().arrays(market(roots, days, currencies, tick=0.5))
    for m, (root, currency) in enumerate(zip(roots, currencies, strict=True)):
        row = known["default"] | known["currency"].get(currency, {}) | known["roots"].get(root, {})
        assert (made["commission"][:, m] == row["commission_per_side"]).all(), root
        assert (made["slippage"][:, m] == 0.5 * row["slippage_ticks"]).all(), root
    assert (made["roll_slippage"] == made["slippage"]).all() and (made["roll_commission"] == made["commission"]).all()
    assert not made["impact"].any()


def test_figures_of_the_portfolio_go_before_those_of_the_file():
    assert Costs().of("ES") == Cost(2.5, 1.0, "assumption: a full-size contract in dollars")
    assert Costs(slippage_ticks=2.0).of("ES")[:2] == (2.5, 2.0)
    costs = Costs(commission_per_side=5.0, roots={"ES": SideCost(slippage_ticks=3.0)})
    assert costs.of("ES")[:2] == (5.0, 3.0)
    assert costs.of("LE")[:2] == (5.0, 1.5)


def test_a_figure_of_zero_is_a_figure():
    assert Costs(commission_per_side=0.0, slippage_ticks=0.0).of("ES") == Cost(0.0, 0.0, "portfolio")


def test_an_unknown_root_has_the_default_of_its_currency():
    assert Costs().of("NONE")[:2] == (2.5, 1.0)
    assert Costs().of("NONE", "JPY")[:2] == (400.0, 1.0)


def test_dated_rows_of_a_root_go_before_its_figures_before_dated_rows_of_all_before_those_of_all():
    costs = Costs(
        commission_per_side=5.0,
        roots={"NQ": SideCost(commission_per_side=4.0)},
        dated=[
            {"since": "2005-01-02", "root": "NQ", "commission_per_side": 3.0},
            {"since": "2005-01-04", "root": "NQ", "commission_per_side": 2.0},
            {"since": "2005-01-03", "commission_per_side": 1.0},
        ],
    )
    made = costs.arrays(market(["ES", "NQ"], np.arange("2005-01-01", "2005-01-06", dtype="datetime64[D]")))
    np.testing.assert_array_equal(made["commission"][:, 0], [5, 5, 1, 1, 1])
    np.testing.assert_array_equal(made["commission"][:, 1], [4, 3, 3, 2, 2])
    assert [costs.of("NQ", day=day).commission_per_side for day in (datetime.date(2005, 1, 3), None)] == [3.0, 2.0]


def test_every_figure_of_a_side_can_be_dated():
    since = "2005-01-01"
    for key in SideCost.param:
        if key != "name":
            assert Costs(dated=[{"since": since, key: 0.5}]).dated[0][key] == 0.5
    made = Costs(impact="volume", dated=[{"since": since, "impact_factor": 0.5}]).arrays(market(mark=100.0))
    np.testing.assert_allclose(made["impact"][:, 0], [0, 10, 10, 10, *[50] * 6], rtol=1e-15)


def test_half_the_spread_and_slippage_add_up_where_the_spread_is_known():
    assert (ticks(Costs(half_spread_ticks=0.5)) == 0.5).all()  # the assumption of the file was of both together
    assert (ticks(Costs(half_spread_ticks=0.5, slippage_ticks=0.2)) == 0.7).all()
    assert (ticks(Costs(slippage_ticks=0.2)) == 0.2).all()
    assert (ticks(Costs()) == 1.0).all()
    assert Costs(half_spread_ticks=0.5, commission_per_side=1.0).of("ES") == Cost(1.0, 0.5, "portfolio")


def test_the_spread_table_is_read_only_when_asked_and_is_not_carried_back(monkeypatch):
    rows = [
        {"root": "ES", "since": datetime.date(2005, 1, 1), "half_spread_ticks": 0.5, "source": "a study of 2005"},
        {"root": "ES", "since": datetime.date(2005, 1, 4), "half_spread_ticks": 0.6, "source": "another"},
    ]
    monkeypatch.setitem(table(), "dated", rows)
    before, first, last = (np.datetime64(day, "D") for day in ("2005-01-01", "2005-01-04", "2005-01-07"))
    slow = [1.0 if day < before else 0.5 if day < first else 0.6 for day in DAYS]
    np.testing.assert_array_equal(ticks(Costs(spread="table")), slow)
    np.testing.assert_array_equal(ticks(Costs(spread="table", slippage_ticks=1.0)), np.add(slow, 1.0))
    assert (ticks(Costs()) == 1.0).all()
    assert (ticks(Costs(spread="table"), "NONE") == 1.0).all()  # nobody knows it: the assumption of both together
    assert (ticks(Costs(spread="table", slippage_ticks=0.5), "NONE") == 1.5).all()
    assert (ticks(Costs(spread="table", half_spread_ticks=2.0)) == 2.0).all()
    assert Costs(spread="table").of("ES", day=last) == Cost(2.5, 0.6, "another")
    assert Costs(spread="table").of("ES", day=before).source == "a study of 2005"
    assert Costs(spread="table").of("ES", day=DAYS[0]).source.startswith("assumption")


def test_a_dated_commission_of_the_file_goes_before_its_undated_one(monkeypatch):
    row = {"root": "ES", "since": datetime.date(2005, 1, 4), "commission_per_side": 1.4, "source": "a broker's list"}
    monkeypatch.setitem(table(), "dated", [row])
    np.testing.assert_array_equal(Costs().arrays(market())["commission"][:, 0], [2.5] * 7 + [1.4] * 3)
    assert (Costs(commission_per_side=3.0).arrays(market())["commission"] == 3.0).all()
    assert Costs(slippage_ticks=1.0).of("ES") == Cost(1.4, 1.0, "a broker's list")


def test_the_shipped_table_has_the_e_mini_at_half_a_tick_from_the_year_of_its_study():
    made = ticks(Costs(spread="table"))
    np.testing.assert_array_equal(made, np.where(np.datetime64("2005-01-01") <= DAYS, 0.5, 1.0))
    assert "Kurov" in Costs(spread="table").of("ES").source


def test_the_shipped_table_agrees_with_what_another_house_measured(shared):
    with (shared / "contract_specs_reference.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == "pysystemtrade"]
    master, roots = Master.load(), {row["root"] for row in table()["dated"]}
    measured = {row["root"]: float(row["spread_cost_price_units"]) for row in rows if row["root"] in roots}
    assert len(measured) >= 12
    for root, points in measured.items():
        ours = Costs(spread="table").of(root).slippage_ticks
        assert 0.7 < ours / (points / float(master.spec(root).tick)) < 1.4, root


def test_impact_by_volume_is_ziplines_volume_share():
    # zipline: price · 0.1 · share²: 25 of 1,000 contracts at 4,000 points move the price by a quarter of a point
    made = Costs(impact="volume").arrays(market())
    np.testing.assert_allclose(made["impact"][1:] * 0.025 ** made["power"], 0.25, rtol=1e-12)
    twice = Costs(impact="volume", roots={"ES": SideCost(impact_factor=0.2)}).arrays(market())
    np.testing.assert_allclose(twice["impact"], 2 * made["impact"], rtol=1e-15)


def test_impact_by_volatility_is_the_square_root_law():
    # 1 % of the volume where a day moves 40 points: 40 · √0.01 = 4 points, and four times the size costs twice that
    made = Costs(impact="volatility").arrays(market(), np.full((len(DAYS), 1), 40.0))
    np.testing.assert_allclose(made["impact"][1:] * 0.01 ** made["power"], 4.0, rtol=1e-12)
    np.testing.assert_allclose(made["impact"][1:] * 0.04 ** made["power"], 8.0, rtol=1e-12)
    with pytest.raises(ValueError, match="without sigma"):
        Costs(impact="volatility").arrays(market())


def test_t2_an_impact_at_a_negative_price_is_a_cost_and_no_gain():
    made = Costs(impact="volume").arrays(market(["CL"], mark=-37.63))
    np.testing.assert_allclose(made["impact"][1:], 3.763, rtol=1e-12)
    assert impact_scale("volume", 0.1, np.array([-5.0, 0.0, np.nan]), np.nan).tolist() == [0.5, 0.0, 0.0]


def test_an_impact_is_made_of_what_was_known_before_the_bar():
    whole, sigma = walk()
    for kind, values in (("volume", np.abs(whole.mark)), ("volatility", sigma)):
        made = Costs(impact=kind, impact_factor=1.0).arrays(whole, sigma)["impact"]
        for t in range(len(whole.days)):
            for m in range(3):
                known = [value for value in values[:t, m] if not np.isnan(value)]
                assert made[t, m] == (known[-1] if known else 0.0)


@pytest.mark.parametrize("impact", ["none", "volume", "volatility"])
def test_t45_a_longer_history_leaves_the_costs_of_earlier_rows_as_they_were(impact):
    whole, sigma = walk()
    costs = Costs(
        impact=impact, spread="table", roll_order="spread", dated=[{"since": "2020-02-01", "slippage_ticks": 0.3}]
    )
    longer = costs.arrays(whole, sigma)
    for rows in (1, 17, 40):
        part = costs.arrays(prefix(whole, rows), sigma[:rows])
        for name in ARRAYS:
            assert part[name].tobytes() == np.ascontiguousarray(longer[name][:rows]).tobytes(), name


def test_arrays_are_what_the_book_asks_for():
    whole, sigma = walk()
    whole.tick[5] = np.nan
    made = Costs(impact="volatility").arrays(whole, sigma)
    assert set(made) == {*ARRAYS, "power"} and set(ARRAYS) <= set(Facts._fields)
    for name in ARRAYS:
        values = made[name]
        assert values.shape == whole.mark.shape and values.dtype == np.float64 and values.flags.c_contiguous, name
        assert np.isfinite(values).all() and (values >= 0.0).all(), name
    with pytest.raises(ValueError):
        Costs().arrays(market(["ES", "NQ"], currencies=("USD",)))


def test_columns_of_one_root_cost_the_same():
    made = Costs().arrays(market(["LE", "ES", "LE"], currencies=("USD", "USD", "USD")))
    for name in ARRAYS:
        assert (made[name][:, 0] == made[name][:, 2]).all(), name
    np.testing.assert_array_equal(made["slippage"][0], [0.375, 0.25, 0.375])


def book(seed=5, lines=6, bars=40, count=80):
    random = np.random.default_rng(seed)
    fills = np.zeros((count, len(FILL_FIELDS)))
    fills[:, FILL_FIELDS.index("t")] = random.integers(0, bars, count)
    fills[:, FILL_FIELDS.index("line")] = random.integers(0, lines, count)
    fills[:, FILL_FIELDS.index("contracts")] = random.integers(-9, 10, count)
    return random.normal(0.0, 1e4, lines), fills, random.uniform(5.0, 30.0, (bars, lines)), np.array([0, 1, 0, 2, 1, 2])


def test_who_pays_the_break_even_on_every_side_has_earned_nothing():
    profit, fills, worth, group = book()
    found = break_even(profit, fills, worth, group)
    left = np.zeros(3)
    for i, earned in enumerate(profit):
        left[group[i]] += earned
    for fill in fills:
        t, i, q = int(fill[0]), int(fill[1]), fill[FILL_FIELDS.index("contracts")]
        left[group[i]] -= abs(q) * worth[t, i] * found[group[i]]
    np.testing.assert_allclose(left, 0.0, atol=1e-8)


def test_a_break_even_counts_both_sides_of_a_roll_and_is_unknown_where_nothing_is_traded():
    # T3 and T5: one S&P contract in, one roll, out: four sides of 12.50 dollars a tick, 6,220.80 left
    fills = np.zeros((4, len(FILL_FIELDS)))
    fills[:, FILL_FIELDS.index("t")] = 0, 1, 1, 2
    fills[:, FILL_FIELDS.index("contracts")] = 1, -1, 1, -1
    found = break_even(np.array([6220.80, 0.0]), fills, np.full((3, 2), 12.5), np.array([0, 1]))
    assert found[0] == pytest.approx(6220.80 / 50.0, rel=1e-15) and np.isnan(found[1])
    assert break_even(np.array([-100.0]), fills, np.full((3, 1), 12.5), np.array([0]))[0] == -2.0
    assert break_even(np.zeros(0), fills[:0], np.zeros((3, 0)), np.zeros(0, int)).shape == (0,)


def test_costs_are_not_negative():
    for wrong in ({"commission_per_side": -1.0}, {"half_spread_ticks": -0.1}, {"impact_factor": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Costs(**wrong)
    with pytest.raises(ValueError, match=r"slippage_ticks = -1\.0 is not a number from 0 to 1000"):
        Costs(dated=[{"since": "2020-01-01", "slippage_ticks": -1.0}])
    with pytest.raises(ValueError, match="slipage_ticks is unknown"):
        Costs(dated=[{"since": "2020-01-01", "slipage_ticks": 1.0}])


def test_the_hash_of_the_file_covers_its_dated_rows(tmp_path):
    path = tmp_path / "costs.toml"
    path.write_text("[[dated]]\nroot = 'ES'\nsince = 2005-01-01\nhalf_spread_ticks = 0.5\n")
    before = table_hash(path)
    path.write_text(path.read_text().replace("0.5", "0.6"))
    assert table_hash(path) != before
