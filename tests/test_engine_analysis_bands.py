"""Bands: every number of every resample is the one of `engine.metrics`, whatever the threads, and they cover."""

import sys
import time
from dataclasses import replace

import analysed
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import tails
from engine.analysis import resampling
from engine.analysis.activity import Activity, by_day
from engine.analysis.bands import BANDS, NUMBERS, bands, blocks, lengths, of_activity, of_days, of_trades
from engine.analysis.daily import account as account_of
from engine.metrics import METRICS, SUMMARY, Account
from engine.ratios import sharpe, unpaid
from engine.significance import sharpe_error


def account(returns, net=(), compounding=True, interest=0.0):
    """The account of one unit with some daily returns, on every second day."""
    returns = np.asarray(returns, float)
    days = np.datetime64("2010-01-01") + 2 * np.arange(len(returns) + 1)
    grown = np.concatenate([[1.0], returns])
    equity = np.cumprod(np.concatenate([[1.0], 1.0 + returns])) if compounding else np.cumsum(grown)
    return Account(returns, days, equity, np.asarray(net, float), interest=interest, compounding=compounding)


def wild(count, seed=1):
    """Returns whose quiet and wild times follow each other."""
    random = np.random.default_rng(seed)
    size = np.exp(np.repeat(random.normal(0.0, 0.7, count // 20 + 1), 20)[:count])
    return 0.0005 + 0.01 * size * random.standard_normal(count)


def same(found, expected):
    return found == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)


def either(name, drawn):
    """What a number may be: on the very edge of the Cornish-Fisher domain (skew 0, kurtosis 3) rounding decides."""
    yield METRICS[name](drawn)
    if name.startswith("modified_"):
        kind, level = name.removeprefix("modified_").split("_")
        yield METRICS[f"{kind}_{level}"](drawn)
        yield getattr(tails, f"cornish_fisher_{kind}")(drawn.returns, int(level) / 100)


@pytest.mark.parametrize("compounding", [True, False])
@pytest.mark.parametrize("block", [1.0, 6.5])
def test_each_number_of_each_resample_is_that_of_the_metrics(compounding, block):
    """The one pass over drawn days against METRICS over the same days, drawn one by one."""
    interest = np.random.default_rng(2).uniform(0.0, 2e-4, 300)
    one = account(wild(300) + interest, compounding=compounding, interest=interest)
    found = of_days(one, block, 7, 12)
    assert set(found) == set(NUMBERS["days"])
    for number in range(12):
        rows = resampling.indices(300, block, 7, number)
        drawn = account(one.returns[rows], compounding=compounding, interest=interest[rows])
        for name, values in found.items():
            assert same(values[number], METRICS[name](drawn)), (name, number)


@given(
    st.lists(st.sampled_from([-0.03, -0.01, 0.0, 0.01, 0.02]), min_size=2, max_size=12),
    st.booleans(),
    st.integers(0, 2**60),
)
@settings(max_examples=150, deadline=None)
def test_so_are_those_of_short_runs_with_equal_days(returns, compounding, seed):
    one = account(returns, compounding=compounding)
    found = of_days(one, 2.0, seed, 3)
    for number in range(3):
        drawn = account(one.returns[resampling.indices(len(returns), 2.0, seed, number)], compounding=compounding)
        for name, values in found.items():
            assert any(same(values[number], expected) for expected in either(name, drawn)), name


@given(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 1.0, 3.0]), min_size=2, max_size=15), st.integers(0, 2**60))
@settings(max_examples=100, deadline=None)
def test_each_number_of_drawn_trades_is_that_of_the_metrics(net, seed):
    one = account([0.01, 0.02], net)
    found = of_trades(one, 1.0, seed, 4)
    assert set(found) == set(NUMBERS["trades"])
    for number in range(4):
        drawn = account([0.01, 0.02], one.trade_net[resampling.indices(len(net), 1.0, seed, number)])
        for name, values in found.items():
            assert same(values[number], METRICS[name](drawn)), (name, number)


# What was traded, paid and held


def active(count, seed=3, paid=0.0):
    """An account of three lines, one of which loses, and its Activity: days of trading in a row."""
    random = np.random.default_rng(seed)
    one = account(wild(count, seed))
    busy = np.repeat(random.random(count // 10 + 1) > 0.4, 10)[:count].astype(float)
    gross = random.normal([0.02, 0.01, -0.02], 0.1, (count, 3)) * busy[:, None]
    payments = np.where(np.arange(count) == count // 3, paid, 0.0)
    told = Activity(busy * random.random(count), 0.01 * busy, gross, random.integers(0, 3, count), payments)
    sums = {"notional": told.traded.sum(), "costs": told.costs.sum(), "line_gross": gross.sum(axis=0)}
    return replace(one, contracts=busy, trade_net=random.normal(0.1, 1.0, told.begun.sum()), **sums), told


def test_each_headline_number_has_a_band():
    assert set(SUMMARY) <= {name for names in NUMBERS.values() for name in names}
    found = bands(*active(300)[:1], 200, activity=active(300)[1])
    assert found["metric"].to_list() == [name for names in NUMBERS.values() for name in names]
    assert found.filter(found["metric"].is_in(SUMMARY))["low"].null_count() == 0


@pytest.mark.parametrize("compounding", [True, False])
def test_each_number_of_drawn_activity_is_that_of_the_metrics(compounding):
    """Sums of blocks against METRICS over the same days drawn one by one; what is paid in comes on its own day."""
    one, told = active(200, paid=0.5)
    one = replace(one, compounding=compounding)
    block = dict(zip(NUMBERS["activity"], (1.0, 4.0, 9.5, 300.0, 3.0), strict=True))
    found = of_activity(one, told, block, 7, 10)
    assert set(found) == set(NUMBERS["activity"])
    for number in range(10):
        for name in block:
            rows = resampling.indices(200, block[name], 7, number)
            drawn = replace(
                one, equity=np.append(one.equity[0], one.equity[1:][rows]), notional=told.traded[rows].sum(),
                costs=told.costs[rows].sum(), line_gross=told.gross[rows].sum(axis=0), contracts=one.contracts[rows],
                trade_net=np.ones(told.begun[rows].sum()),
            )  # fmt: skip
            expected = METRICS[name](drawn)
            if name == "final_equity":
                expected = 1.0
                for more, rate in zip(told.paid, one.returns[rows], strict=True):
                    expected = (expected + more) * (1.0 + rate) if compounding else expected + more + rate
            assert same(found[name][number], expected), (name, number)


@pytest.mark.parametrize("sleeves", [1, 2])
def test_the_days_of_a_run_add_up_to_its_numbers(sleeves):
    """Traded, paid and held by day, of two strategies that net too, against what the simulation counted."""
    settings = ['cash.payments=[{day="2024-03-01", amount=20000}]']
    run, market = analysed.made(5, sleeves=sleeves, settings=settings)
    told, one, numbers = by_day(run, market), account_of(run), run.metrics()
    found = bands(replace(one, notional=told.traded.sum()), 200, activity=told)
    values = dict(found.select("metric", "value").rows())
    for name in NUMBERS["activity"]:
        assert values[name] == pytest.approx(numbers[name], rel=1e-9), name
    assert np.sort(told.gross.sum(axis=0)) == pytest.approx(np.sort(one.line_gross[one.line_gross != 0.0]), abs=1e-6)
    assert told.begun.sum() == numbers["trades"] and told.paid.sum() == 20_000.0
    assert found["low"].null_count() == 0


def test_what_is_not_known_has_no_band():
    run, _ = analysed.made(5)
    found = bands(account_of(run), 200, activity=by_day(run))
    assert found.filter(found["low"].is_null())["metric"].to_list() == ["turnover"]
    one, told = active(60)
    nothing = told._replace(gross=np.zeros((60, 0)), costs=np.zeros(60))  # no line ever traded
    found = bands(replace(one, line_gross=np.zeros(0), costs=0.0), 200, activity=nothing).filter(metric="cost_share")
    assert found.select("value", "low", "defined").row(0) == (None, None, 0.0)
    ruined = replace(one, returns=np.append(one.returns[:-1], np.nan))
    assert bands(ruined, 200, activity=told)["low"].drop_nulls().len() == len(NUMBERS["trades"])


def test_bands_of_what_is_held_and_traded_hold_the_truth_in_about_ninety_five():
    """Positions that last 20 days in the mean, and are there half of the time; 300 runs of 1,500 days: 95 % ± 3.8."""
    inside, short = {"time_in_market": 0, "turnover": 0}, 0
    for k in range(300):
        random = np.random.default_rng(k)
        held = ((np.cumsum(random.random(1600) < 0.05) + random.integers(2)) % 2).astype(float)[100:]
        one = replace(account(np.zeros(1500) + 1e-9 * np.arange(1500)), contracts=held)
        told = Activity(held * random.random(1500), held, held[:, None], held, np.zeros(1500))
        block = {name: lengths(one, told)[name] for name in inside}
        truth = {"time_in_market": 0.5, "turnover": 0.25 * 1500 / one.years}
        for name, drawn in of_activity(one, told, block, k, 300).items():
            low, high = np.quantile(drawn, [0.025, 0.975])
            inside[name] += int(low <= truth[name] <= high)
        alone = of_activity(one, told, {"time_in_market": 1.0}, k, 300)["time_in_market"]
        low, high = np.quantile(alone, [0.025, 0.975])
        short += int(low <= 0.5 <= high)
    assert all(abs(count / 300 - 0.95) < 0.06 for count in inside.values()), inside
    assert short < 150


def test_the_same_bands_in_any_number_of_threads_and_beside_any_number_of_others():
    one = account(wild(400), wild(120, 3))
    first = bands(one, 1000, threads=1)
    assert first.equals(bands(one, 1000, threads=5)) and first.equals(bands(one, 1000))
    both, told = active(400, paid=0.1)
    assert bands(both, 500, threads=1, activity=told).equals(bands(both, 500, threads=5, activity=told))
    many, few = of_days(one, 4.0, 1, 137), of_days(one, 4.0, 1, 3)
    assert all(np.array_equal(many[name][:3], few[name], equal_nan=True) for name in few)
    assert not first.equals(bands(one, 1000, seed=1))


def test_a_block_is_as_long_as_asked_for_in_the_mean_and_goes_around_the_circle():
    rows = np.concatenate([resampling.indices(1000, 8.0, 3, k) for k in range(200)])
    goes_on = (np.diff(rows) % 1000) == 1
    assert 1.0 / (1.0 - goes_on.mean()) == pytest.approx(8.0, rel=0.03)
    drawn = np.bincount(rows, minlength=1000)
    assert drawn.mean() == 200.0 and abs(drawn - 200.0).max() < 6.0 * np.sqrt(200.0 * 8.0)


def test_the_spread_of_drawn_sharpe_ratios_is_its_standard_error():
    """Independent returns: the bootstrap and Lo's formula tell the same."""
    returns = np.random.default_rng(5).normal(0.0004, 0.01, 4000)
    drawn = of_days(account(returns), 1.0, 11, 4000)["sharpe"]
    assert np.std(drawn) == pytest.approx(sharpe_error(returns, lags=0), rel=0.04)


def test_of_a_hundred_runs_of_one_world_the_bands_hold_the_truth_in_about_ninety_five():
    """Normal returns with a Sharpe ratio of 0.8 a year: 400 runs of 500 days; 95 % ± 3.5 (three standard errors)."""
    random, inside = np.random.default_rng(6), 0
    for k in range(400):
        drawn = of_days(account(random.normal(0.8 / 252**0.5 * 0.01, 0.01, 500)), 1.0, k, 400)["sharpe"]
        low, high = np.quantile(drawn, [0.025, 0.975])
        inside += low <= 0.8 <= high
    assert abs(inside / 400 - 0.95) < 0.035


def test_the_frame_has_its_columns_and_a_band_around_each_median():
    one = account(wild(600), wild(90, 3))
    found = bands(one, 500)
    assert found.columns == list(BANDS) and found["metric"].to_list() == [*NUMBERS["days"], *NUMBERS["trades"]]
    assert (found["low"] <= found["median"]).all() and (found["median"] <= found["high"]).all()
    assert found["value"].to_list() == [METRICS[name](one) for name in found["metric"]]
    assert found.filter(of="days")["block"][0] == blocks(one.returns) > 5.0  # quiet and wild times stay together


def test_one_wild_day_does_not_shorten_the_blocks():
    """Blocks are those of the sizes of the days; one day of 40 % leaves nothing of the squares' correlation."""
    returns = wild(3000)
    plain = blocks(returns)
    returns[1234] = 0.4
    assert blocks(returns) == pytest.approx(plain, rel=0.3) and plain > 15.0 > 3.0 * resampling.block_length(returns)
    assert resampling.block_length((returns - returns.mean()) ** 2) < plain / 3.0


def test_a_wild_day_of_a_calm_run_does_not_hide_that_quiet_and_wild_times_follow_each_other():
    """Half of the days swing by 0.7 %, half by 1.3 %, 150 in a row; one of 40 % tells nothing of that."""
    random = np.random.default_rng(3)
    returns = np.repeat(np.tile([0.007, 0.013], 10), 150) * random.standard_normal(3000)
    plain = blocks(returns)
    returns[1234] = 0.4
    assert resampling.block_length(np.abs(returns - returns.mean())) < 10.0 < 50.0 < blocks(returns)
    assert blocks(returns) == pytest.approx(plain, rel=0.1)


def test_days_before_anything_is_held_do_not_make_blocks_long():
    """Independent returns after 200 days of warm-up that earned interest: the whole is two regimes, the run is none."""
    random = np.random.default_rng(3)
    returns = np.concatenate([np.full(200, 1e-4), random.normal(0.0003, 0.005, 2800)])
    held = np.arange(3000) >= 200
    assert blocks(returns) > 50.0 and blocks(returns, held) == blocks(returns[200:]) < 5.0
    one = account(returns)
    for contracts in (held.astype(float), np.column_stack([np.zeros(3000), -2.0 * held])):
        told = bands(replace(one, contracts=contracts), 200).filter(of="days")
        assert told["block"][0] == blocks(returns, held)


def test_blocks_of_sizes_hold_the_value_at_risk_of_quiet_and_wild_times_and_those_of_returns_do_not():
    """docs/accuracy.md: of 60 worlds of a GARCH process bands by the one hold the true number in twice as many."""
    place = resampling.DAILY.index("var_99")
    true, days = -np.quantile(garch(400_000, 0), 0.01), np.datetime64("2010-01-01") + np.arange(2501)
    inside = {"returns": 0, "sizes": 0}
    for k in range(60):
        returns = garch(2500, k + 1)
        for name, block in (("returns", resampling.block_length(returns)), ("sizes", blocks(returns))):
            drawn = resampling.daily(returns, returns, days, True, block, k, 200)[:, place]
            low, high = np.quantile(drawn, [0.025, 0.975])
            inside[name] += int(low <= true <= high)
    assert inside["returns"] < 30 < 36 < inside["sizes"]


def garch(count, seed):
    """Returns whose variance is 0.08 of the last square and 0.91 of the last variance."""
    noise, variance, out = np.random.default_rng(seed).standard_normal(count + 500), 1.0, []
    for one in noise.tolist():
        out.append(variance**0.5 * one)
        variance = 0.01 + 0.08 * out[-1] ** 2 + 0.91 * variance
    return 0.0004 + 0.01 * np.array(out[500:])


def test_a_ruined_run_and_one_without_trades_have_no_bands():
    ruined = account([0.01, -0.02, np.nan])
    found = bands(ruined, 200)
    assert found["low"].null_count() == found["resamples"].null_count() == len(found)
    assert found.filter(metric="trades").is_empty()


def test_what_few_resamples_define_is_told():
    """Two trades: half of the draws have no losing one, and no profit factor."""
    found = bands(account([0.01, -0.02], [1.0, -1.0]), 4000).filter(metric="profit_factor")
    assert found["defined"][0] == pytest.approx(0.75, abs=0.03)  # at least one lost, of (0, 1, 2) with 1/4, 1/2, 1/4


def test_a_million_trades_have_fewer_resamples():
    one = account([0.01, -0.02], np.random.default_rng(1).normal(0.1, 1.0, 1_000_000))
    assert bands(one, 10_000).filter(of="trades")["resamples"][0] == 200


def test_unpaid_equity_is_what_the_drawn_path_starts_from():
    """Money paid in is no return: an account with a payment has the bands of one without."""
    plain = account([0.1, -0.05, 0.02])
    paid = np.array([0.0, 1.0, 0.0])
    equity = [1.0]
    for rate, more in zip(plain.returns, paid, strict=True):
        equity.append((equity[-1] + more) * (1.0 + rate))
    assert unpaid(np.array(equity), paid) == pytest.approx(plain.equity)


def test_ten_thousand_resamples_of_twenty_years_take_about_a_second():
    one = account(wild(5000), wild(2000, 3))
    bands(one, 50)
    began = time.perf_counter()
    bands(one)
    assert time.perf_counter() - began < 6.0  # 0.6 s on a quiet machine


class TestAgainstArch:
    """`arch.bootstrap`, which the engine does without (docs/accuracy.md)."""

    arch = None

    @pytest.fixture(autouse=True)
    def library(self):
        self.arch = pytest.importorskip("arch.bootstrap", reason="no arch: requirements-peers.lock")

    @pytest.mark.parametrize("seed", range(8))
    def test_the_block_length_is_that_of_arch(self, seed):
        random = np.random.default_rng(seed)
        values = random.standard_normal(400 + 300 * seed)
        for t in range(1, len(values)):
            values[t] += (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, -0.4, 0.97)[seed] * values[t - 1]
        theirs = float(self.arch.optimal_block_length(values)["stationary"].iloc[0])
        assert resampling.block_length(values) == pytest.approx(max(theirs, 1.0), rel=1e-9)

    def test_the_bands_of_arch_are_ours(self):
        """Both draw 4,000 resamples: quantiles differ by what so few draws leave open."""
        returns, block = wild(800), 12.0
        theirs = self.arch.StationaryBootstrap(block, returns, seed=np.random.default_rng(3))
        drawn = theirs.apply(lambda x: np.array([sharpe(x), np.std(x, ddof=1) * 252**0.5]), 4000)
        ours = of_days(account(returns), block, 5, 4000)
        for k, name in enumerate(("sharpe", "volatility")):
            spread = np.std(drawn[:, k])
            for level in (0.025, 0.5, 0.975):
                apart = np.quantile(drawn[:, k], level) - np.quantile(ours[name], level)
                assert abs(apart) < 0.12 * spread, (name, level)

    def test_the_engine_does_not_load_it(self):
        import engine.analysis.bands  # noqa: F401

        assert "arch" not in vars(sys.modules["engine.analysis.bands"])
