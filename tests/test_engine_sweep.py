"""engine/sweep.py: each trial is the run with its settings; threads, blocks, kills and order change nothing."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import param
import pytest

from engine import Portfolio, backtest, blocks, draft, load, swept
from engine.draft import Draft, SweepDiffers
from engine.grid import Grid, evenly
from engine.headline import STATISTICS
from engine.settings import ConfigError
from engine.strategy import Strategy
from engine.sweep import sweep
from store import open_archive, sample
from tests.conftest import REPO
from tests.small_runs import Wants, portfolio
from tests.small_runs import market as by_hand

PORTFOLIO = """
[portfolio]
name = "swept"
capital = 5_000_000
start = 2019-06-03
[[strategies]]
name = "moving_average_cross"
"""
COSTS = ("slippage", "impact", "commission", "roll_slippage", "roll_impact", "roll_commission")
GRID = {"sizing.target": [0.1, 0.3], "fast": [5, 20, 60], "slow": [60, 120]}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    made = open_archive(tmp_path_factory.mktemp("sweep") / "store", create=True)
    sample.build(made)
    return made


@pytest.fixture(scope="module")
def market(archive):
    return load(archive, ["MES", "ZC", "FGBL", "GC"])


@pytest.fixture(scope="module")
def cross():
    return Portfolio.from_toml(PORTFOLIO)


@pytest.fixture(scope="module")
def made(market, cross):
    return sweep(market, cross, GRID, threads=2)


def run_of(market, given, changes):
    """What `backtest` says of every statistic."""
    run = backtest(market, given.with_settings(changes))
    told = {name: run.metrics()[name] for name in STATISTICS if name in run.metrics()}
    ledger = run.summary["ledger"]
    return run, told | {
        "costs": -sum(ledger[cause] for cause in COSTS), "margin_peak": run.equity()["margin"].max(),
        "fills": run.fills().height,
    }  # fmt: skip


def assert_is_backtest(market, given, made):
    """Every trial has the statistics and, where kept, the daily returns of the run with its settings."""
    returns, rows = made.returns(), made.trials().to_dicts()
    assert len(rows) == len(made)
    for row in rows:
        run, wanted = run_of(market, given, made.changes(row))
        found = {name: row[name] for name in STATISTICS}
        assert found.pop("costs") == pytest.approx(wanted.pop("costs"), rel=1e-12)
        none = {name for name, x in wanted.items() if x is None or np.isnan(x)}
        assert {name: found[name] for name in wanted if name not in none} == {
            name: x for name, x in wanted.items() if name not in none
        }
        assert all(found[name] is None for name in none)
        equity = run.equity()["equity"].to_numpy()
        if given.compounding and not given.cash.payments:  # else a return is no change of equity
            assert np.array_equal(returns[row["kept"]], (np.diff(equity) / equity[:-1]).astype(np.float32))


def test_every_trial_is_the_run_with_its_settings(market, cross, made):
    assert_is_backtest(market, cross, made)
    assert made.trials()["trades"].max() > 10 and made.summary["kept"] == 12 and made.summary["refused"] == 0
    assert made.returns().shape == (12, len(made.days())) and made.returns().dtype == np.float32


VARIANTS = {
    "of fixed size": (["sizing.rule=fixed"], {"fast": [10, 50], "sizing.contracts": [1, 2]}),
    "of an amount": (["sizing.rule=notional", "compounding=false"], {"fast": [10, 50], "slow": [100]}),
    "a share, with a buffer": (["sizing.rule=notional", "sizing.share=0.5"], {"fast": [10], "buffer": [0.0, 0.2]}),
    "of risk": (["sizing.rule=risk"], {"fast": [10, 50]}),
    "kelly, which learns from forecasts": (["sizing.rule=kelly"], {"fast": [10, 50]}),
    "the whole book": (["sizing.rule=portfolio_volatility"], {"fast": [10, 50]}),
    "nearest in risk": (["rounding=nearest_risk", "capital=500000"], {"fast": [10, 50]}),
    "fractions": (["rounding=fractional"], {"fast": [10, 50]}),
    "at a fixed time": (["decision=16:00 America/New_York"], {"fast": [10, 50]}),
    "fees, payments, a floor": (
        ["cash.fee=0.02", "cash.payments=[{day = 2020-01-02, amount = -250_000}]", "floor=4_500_000"],
        {"fast": [10, 50]},
    ),
    "limits": (["max_contracts=5", "margin_to_equity=0.1"], {"fast": [10, 50]}),
    "another strategy": (["strategies.0.name=ewmac"], {"strategies.0.params.span": [20, 36.0], "fast": [8, 16]}),
    "stops": (["strategies.0.name=breakout"], {"entry": [20, 40]}),
    "called bar by bar": (["strategies.0.name=turtle_units"], {"units": [2, 4]}),
    "across markets": (["strategies.0.name=short_term_reversal"], {"lookback": [5, 20]}),
    "settings alone": ([], {"max_contracts": [None, 3], "costs.slippage_ticks": [0.0, 2.0]}),
    "a strategy that starts later": (["strategies.0.start=2021-03-01"], {"fast": [10, 50]}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_kind_of_portfolio_gives_the_runs_of_backtest(name, market, cross):
    changes, grid = VARIANTS[name]
    given = cross.with_settings(changes)
    assert_is_backtest(market, given, sweep(market, given, grid, threads=2))


def test_two_strategies_of_one_kind_are_swept_side_by_side(market):
    """Each has forecasts of its own, which no other's are written over."""
    second = "weight = 0.5\nmarkets = ['ZC', 'MES']\n[[strategies]]\nname = 'moving_average_cross'\nweight = 0.5\n"
    given = Portfolio.from_toml(PORTFOLIO + second)
    found = sweep(market, given, {"strategies.0.fast": [5, 40], "strategies.1.slow": [80, 200]}, threads=2)
    assert_is_backtest(market, given, found)


class Keeper(Wants):
    """Long; its forecasts of all combinations are an array that it keeps."""

    size = param.Number(default=1.0, bounds=(0, 9), doc="[1]")
    kept = None

    def forecast(self, market):
        """`size` for every bar."""
        return np.full(market.mark.shape, self.size)

    def forecasts(self, market, values):
        """The same of each."""
        Keeper.kept = np.repeat(np.asarray(values["size"])[:, None, None], market.mark.size, axis=1)
        return Keeper.kept


def test_what_a_strategy_keeps_of_its_forecasts_is_not_written_over():
    given = portfolio((Keeper(), {}), settings=["sizing.contracts=3"])
    market = by_hand([100.0, 101.0, 103.0, 102.0])
    found = sweep(market, given, {"size": [1.0, 2.0, 3.0]}, threads=1)
    assert Keeper.kept[:, -1, 0].tolist() == [1.0, 2.0, 3.0]
    earned = found.trials()["final_equity"] - given.capital
    assert earned.to_list() == [3.0, 6.0, 9.0]  # 3 contracts times the forecast, from 101 to 102


def test_a_fault_of_ours_is_raised_and_no_refusal(market, cross, monkeypatch):
    def broken(*given, **more):
        raise ValueError("a fault of the engine")

    monkeypatch.setattr(blocks, "ready_of", broken)
    with pytest.raises(ValueError, match="a fault of the engine"):
        sweep(market, cross, {"fast": [5, 20]}, threads=1)


def test_of_two_strategies_one_is_swept_and_the_other_stays(market, cross):
    text = PORTFOLIO + "weight = 0.5\nmarkets = ['ZC', 'MES']\n[[strategies]]\nname = 'ewmac'\nweight = 0.5\n"
    given = Portfolio.from_toml(text)
    found = sweep(market, given, {"slow": [60, 150], "speeds": [1, 3]}, threads=2)
    assert_is_backtest(market, given, found)
    own = given.with_settings(["strategies.0.capital=0.4", "strategies.1.capital=0.6", "rebalance=quarter"])
    assert_is_backtest(market, own, sweep(market, own, {"slow": [60, 150]}))
    assert blocks.Group(blocks.Source(market, own, Grid.of(own, {"slow": [60, 150]})), 0).at_once


class Flips(Wants):
    """Target contracts, long or short."""

    size = param.Integer(default=1, bounds=(1, 10), doc="Held. [contracts]")

    def targets(self, market):
        return self.size * Wants.forecast(self, market)


def test_target_contracts_by_hand():
    # three days at 100, 110, 105: bought at the second day's open, which is its mark, 5 points lost on each contract
    given = portfolio((Flips.of([1.0, 1.0, 1.0]), {}), capital=1000.0)
    found = sweep(by_hand([100.0, 110.0, 105.0]), given, {"size": [1, 3, 11]})
    rows = found.trials()
    assert rows["final_equity"].to_list() == [995.0, 985.0, None] and rows["fills"].to_list() == [1, 1, None]
    assert "size = 11 is not allowed; allowed: a whole number from 1 to 10" in rows["refused"][2]
    assert rows["kept"].to_list() == [0, 1, None] and np.allclose(found.returns(), [[0, 0, -0.005], [0, 0, -0.015]])


# results do not depend on how they are made


@pytest.mark.parametrize(("threads", "block"), [(1, None), (4, None), (2, 1), (1, 5), (4, 4)])
def test_threads_and_blocks_change_no_byte(threads, block, market, cross, made):
    again = sweep(market, cross, GRID, threads=threads, block=block)
    assert again.summary["files"] == made.summary["files"] and again.id == made.id


def test_the_given_portfolio_and_market_are_not_changed(market, cross):
    text, prices = cross.to_toml(), market.adjusted.copy()
    sweep(market, cross, {"fast": [3, 4], "slow": [10]}, threads=2)
    assert cross.to_toml() == text and np.array_equal(market.adjusted, prices, equal_nan=True)


def stopped_after(blocks_, market, given, folder, **how):
    """Interrupt a sweep once some blocks are written."""
    calls = []

    def progress(done, total, name):
        calls.append(done)
        if len(calls) == blocks_:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(market, given, GRID, into=folder, block=2, progress=progress, **how)
    return calls[-1]


def test_one_that_was_interrupted_goes_on_where_it_was(market, cross, made, tmp_path):
    done = stopped_after(3, market, cross, tmp_path / "a", threads=2)
    assert done == 6 == draft.half_done(tmp_path / "a")
    with pytest.raises(SweepDiffers, match="holds 6 trials of this sweep"):
        sweep(market, cross, GRID, into=tmp_path / "a")
    with pytest.raises(SweepDiffers, match="holds another sweep"):
        sweep(market, cross, GRID | {"fast": [7]}, into=tmp_path / "a", resume=True)
    steps = []
    again = sweep(market, cross, GRID, into=tmp_path / "a", resume=True, progress=lambda d, *_: steps.append(d))
    assert steps[0] > 6 and again.summary["files"] == made.summary["files"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted([*made.summary["files"], "sweep.json"])


@pytest.mark.parametrize("harm", ["cut", "torn journal", "spoiled", "longer", "no journal"])
def test_what_a_kill_left_half_written_is_made_again(harm, market, cross, made, tmp_path):
    stopped_after(4, market, cross, tmp_path / "a", threads=1)
    part = {name: tmp_path / "a" / f"{name}.part" for name in ("trials", "returns", "journal")}
    bytes_ = {name: path.read_bytes() for name, path in part.items()}
    if harm == "cut":
        part["trials"].write_bytes(bytes_["trials"][:-5])
    elif harm == "torn journal":
        part["journal"].write_bytes(bytes_["journal"][:-9])
    elif harm == "spoiled":
        part["returns"].write_bytes(bytes_["returns"][:-4] + b"....")
    elif harm == "longer":
        part["trials"].write_bytes(bytes_["trials"] + b"x" * 700)
    else:
        part["journal"].write_bytes(b"")
    again = sweep(market, cross, GRID, into=tmp_path / "a", resume=True)
    assert again.summary["files"] == made.summary["files"]


@pytest.mark.service
def test_a_killed_process_loses_nothing_that_was_written(archive, made, tmp_path):
    code = (
        "import sys, time; from engine import Portfolio, load; from engine.sweep import sweep; "
        "from store import open_archive; from tests.test_engine_sweep import GRID, PORTFOLIO\n"
        "def progress(done, *_): print(done, flush=True); time.sleep(0.2)\n"
        f"market = load(open_archive({str(archive.path)!r}), ['MES', 'ZC', 'FGBL', 'GC'])\n"
        f"sweep(market, Portfolio.from_toml(PORTFOLIO), GRID, into={str(tmp_path / 'a')!r}, block=1, progress=progress)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPO, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) == 4:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 4 <= draft.half_done(tmp_path / "a") < 12
    market = load(archive, ["MES", "ZC", "FGBL", "GC"])
    again = sweep(market, Portfolio.from_toml(PORTFOLIO), GRID, into=tmp_path / "a", resume=True)
    assert again.summary["files"] == made.summary["files"]


# what is refused


class Choosy(Strategy):
    """Long; wants its params in order."""

    fast = param.Integer(default=1, bounds=(1, 9), doc="[bars]")
    slow = param.Integer(default=2, bounds=(1, 9), doc="[bars]")

    def forecast(self, market):
        """1 for every bar."""
        if self.fast >= self.slow:
            raise ConfigError(f"fast = {self.fast} is not below slow = {self.slow}")
        return np.ones(market.mark.shape)


def test_what_is_refused_is_recorded_with_the_reason_and_the_others_are_made():
    given = portfolio((Choosy(), {}))
    found = sweep(by_hand(np.arange(100.0, 130.0)), given, {"fast": [1, 3, 10], "slow": [2, 4]}, threads=2)
    rows = found.trials()
    assert rows["refused"].to_list()[:2] == [None, None] and rows["refused"][3] is None
    assert rows["refused"][2] == "fast = 3 is not below slow = 2"
    assert all("fast = 10 is not allowed; allowed: a whole number from 1 to 9" in why for why in rows["refused"][4:])
    assert found.summary["refused"] == 3 and found.summary["kept"] == 3
    assert rows["final_equity"].is_null().to_list() == [False, False, True, False, True, True]


def test_settings_that_do_not_go_together_are_refused_for_all_their_params(market, cross):
    found = sweep(market, cross, {"fast": [5, 9], "floor": [1e6, 9e6], "sizing.target": [0.1, 7.0]})
    whole = found.trials()
    assert whole["refused"].is_null().sum() == 2
    assert (
        whole.filter((whole["floor"] == 9e6) & (whole["sizing.target"] == 0.1))["refused"].to_list()
        == [
            "portfolio: [cash] floor = 9_000_000 is above [portfolio] capital = 5_000_000, so that nothing would ever "
            "be bought; allowed: at most 5_000_000"
        ]
        * 2
    )
    assert "target = 7.0 is not allowed; allowed: a number from 0 to 5" in "".join(whole["refused"].drop_nulls())


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"by": "sharp"}, "allowed: sharpe, sortino.*nearest: sharpe"),
        ({"keep": -1}, "keep = -1; allowed: a whole number from 0"),
        ({"threads": 0}, "threads = 0"),
        ({"block": 0.5}, "block = 0.5"),
    ],
)
def test_a_word_that_cannot_be_is_told_before_anything_is_computed(how, reason, market, cross):
    with pytest.raises(ConfigError, match=reason):
        sweep(market, cross, GRID, **how)


# what is kept


def test_of_more_trials_than_are_kept_the_choice_is_even_and_the_best_come_on_top(market, cross, tmp_path):
    grid = {"fast": range(2, 32), "slow": [100]}
    every = sweep(market, cross, grid, threads=2)
    few = sweep(market, cross, grid, threads=2, keep=10, into=tmp_path / "few")
    rows, all_ = few.trials(), every.returns()
    even = evenly(30, 9).tolist()
    others = every.trials().filter(~every.trials()["trial"].is_in(even)).sort("sharpe", descending=True)
    assert rows.filter(rows["kept"].is_not_null())["trial"].to_list() == sorted([*even, others["trial"][0]])
    assert few.returns().shape == (10, all_.shape[1])
    for number, row in rows.drop_nulls("kept").select("trial", "kept").iter_rows():
        assert np.array_equal(few.returns()[row], all_[number])
    assert rows.drop("kept").equals(every.trials().drop("kept"))
    none = sweep(market, cross, grid, keep=0)
    assert none.returns().shape[0] == 0 and none.trials()["kept"].null_count() == 30


def test_what_is_held_does_not_grow_with_the_number_of_trials(market, cross, monkeypatch):
    """The arrays of a block, the groups and the blocks under way are bounded, whatever the grid."""
    sizes, groups, waiting = [], [], []
    block = blocks.Group.block

    def seen(self, numbers, keeps=()):
        waiting.append(1)
        found = block(self, numbers, keeps)
        sizes.append(found.statistics.nbytes + found.returns.nbytes)
        return found

    from engine import sweep as module

    group = module._Work._group

    def counted(self, number):
        found = group(self, number)
        groups.append(len(self._groups))
        return found

    monkeypatch.setattr(blocks.Group, "block", seen)
    monkeypatch.setattr(module._Work, "_group", counted)
    most = {}
    for count in (40, 400):
        sizes.clear(), groups.clear()
        grid = {"fast": range(2, 2 + count // 20), "sizing.target": [0.01 * k for k in range(1, 21)]}
        module.sweep(market.rows(2400), cross.with_settings(["start=none"]), grid, keep=8, threads=2, block=4)
        most[count] = max(sizes)
        assert len(sizes) >= count // 4 and max(groups) <= 3
    assert most[400] <= 2 * most[40]
    assert blocks.size(market, 10**6) * market.mark.size * 8 <= blocks.BYTES
    assert blocks.size(load_of(200, 20_000), 10**6) == 1


def load_of(markets, days):
    """A market as large as that, of which nothing but its shape is asked."""
    return type("Shape", (), {"mark": np.broadcast_to(1.0, (days, markets))})


# reading


def test_best_neighbours_and_heat_are_what_a_table_says(made):
    rows = made.trials()
    best = made.best(3, "annual_return")
    assert best["trial"].to_list() == rows.sort("annual_return", descending=True)["trial"].head(3).to_list()
    told = {row["trial"]: row["sharpe"] for row in rows.to_dicts()}
    # trial 0 is target 0.1, fast 5, slow 60: its neighbours have target, fast and slow at most one place further
    near = [told[n] for n in (0, 1, 2, 3, 6, 7, 8, 9)]
    assert made.around([0])[0] == pytest.approx(np.mean(near), rel=1e-15)
    heat = made.heat("fast", "slow")
    assert heat.shape == (2, 3) and heat[1, 2] == pytest.approx(np.median([told[5], told[11]]), rel=1e-15)
    with pytest.raises(ConfigError, match=r"allowed: sizing\.target, fast, slow; nearest: slow"):
        made.heat("fast", "slo")
    with pytest.raises(ConfigError, match="no statistic to rank by"):
        made.best(3, "trades")


def test_a_damaged_file_is_told(market, cross, tmp_path):
    found = sweep(market, cross, {"fast": [5]}, into=tmp_path / "a")
    assert sweep(market, cross, {"fast": [5]}, into=tmp_path / "a").summary == found.summary  # not computed again
    with pytest.raises(SweepDiffers, match=f"holds sweep {found.id}, this one is .*; take an empty folder"):
        sweep(market, cross, {"fast": [6]}, into=tmp_path / "a")
    path = tmp_path / "a" / "returns.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(swept.SweepDamaged, match=r"returns\.npy is missing or damaged; sweep again with --force"):
        swept.load(tmp_path / "a")
    record = json.loads((tmp_path / "a" / "sweep.json").read_text())
    (tmp_path / "a" / "sweep.json").write_text(json.dumps(record | {"trials": 2}))
    with pytest.raises(swept.SweepDamaged, match="its checksum is wrong"):
        swept.load(tmp_path / "a")


def test_values_of_several_kinds_stand_in_a_column_as_they_were_told(market, cross):
    found = sweep(market, cross, {"diversification": [1, 1.5, "causal"], "floor": [None, 1e6]})
    rows = found.trials()
    assert rows["diversification"].to_list() == ["1", "1", "1.5", "1.5", "causal", "causal"]
    assert rows["floor"].to_list() == [None, 1e6] * 3
    assert_is_backtest(market, cross, found)


def test_a_draft_counts_what_its_journal_counts(tmp_path):
    plan = {"sweep": "x"}
    returns, kept = np.ones((1, 2), np.float32), np.array([1])
    made = blocks.Made(np.arange(3), np.zeros((3, len(STATISTICS))), returns, kept, {2: "no"})
    with Draft(tmp_path, plan, 2) as one:
        one.add(made)
        assert (one.done, one.kept, one.refused) == (3, 1, 1)
        assert one.trials()[:, -1].tolist() == [-1.0, 0.0, -2.0] and list(one.reasons()) == [(2, "no")]
    began = time.time()
    with Draft(tmp_path, plan, 2, resume=True) as again:
        assert (again.done, again.kept, again.refused) == (3, 1, 1)
    assert tmp_path.stat().st_mtime >= began - 2


# screening


@pytest.fixture(scope="module")
def fixed():
    """One that can be screened: sizes do not follow the account."""
    return Portfolio.from_toml(PORTFOLIO).with_settings(["compounding=false", "sizing.target=0.05"])


def test_a_screened_sweep_records_all_and_runs_the_best_in_full(market, fixed):
    pytest.importorskip("engine.screen")
    grid = {"fast": range(5, 45, 5), "slow": [50, 100], "sizing.target": [0.05, 0.1]}
    screened = sweep(market, fixed, grid, screen=True, best=5, threads=2)
    every = sweep(market, fixed, grid, threads=2)
    names = ["total_return", "annual_return", "volatility", "sharpe", "max_drawdown", "final_equity", "costs", "fills"]
    said, is_ = (made.trials().select(names).to_numpy() for made in (screened, every))
    assert said == pytest.approx(is_, rel=1e-9, abs=1e-12)
    best = every.best(5)
    full = screened.full()
    assert sorted(full["trial"]) == sorted(best["trial"]) and screened.summary["kept"] == 5
    assert screened.best(5).select(best.columns).equals(best)
    told = dict(screened.trials().select("trial", "sharpe").iter_rows())
    assert all(row["screened"] == told[row["trial"]] for row in screened.best(5).to_dicts())
    for trial, row in full.select("trial", "kept").iter_rows():
        assert np.array_equal(screened.returns()[row], every.returns()[every.trials()["kept"][trial]])
    again = sweep(market, fixed, grid, screen=True, best=5, threads=1, block=3)
    assert again.summary["files"] == screened.summary["files"]


def test_where_the_account_has_a_say_a_screened_trial_is_run_in_full(market, fixed):
    pytest.importorskip("engine.screen")
    grid = {"fast": [5, 10], "sizing.target": [0.05, 4.0]}  # the second is called for margin
    screened, every = (sweep(market, fixed, grid, screen=screen, best=1) for screen in (True, False))
    assert screened.trials()["final_equity"].to_list() == pytest.approx(every.trials()["final_equity"].to_list())
    assert screened.trials()["trades"].is_null().to_list() == [True, True, False, False]  # the screen counts no trades


def test_what_the_strategy_refuses_is_recorded_by_a_screened_sweep_too():
    pytest.importorskip("engine.screen")
    given = portfolio((Choosy(), {}))
    grid = {"fast": [1, 3, 10], "slow": [2, 4]}
    screened, every = (sweep(by_hand(np.arange(100.0, 130.0)), given, grid, screen=s, best=2) for s in (True, False))
    assert screened.trials()["refused"].equals(every.trials()["refused"]) and screened.summary["refused"] == 3


def test_what_cannot_be_screened_is_refused_with_the_reason(market, cross):
    screen = pytest.importorskip("engine.screen")
    with pytest.raises(screen.CannotScreen, match="compounding"):
        sweep(market, cross, GRID, screen=True)
