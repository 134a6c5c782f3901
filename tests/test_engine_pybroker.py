"""A result of PyBroker as a run: by hand, beside ours to the cent, and through every verb."""

import re
import sys
from datetime import date

import pytest
from bokeh.models import Div

from app.views import About
from engine import result
from store import open_archive, sample
from tests.conftest import REPO

pybroker = pytest.importorskip("pybroker", reason="no PyBroker: pip install 'frontmonth[pybroker]'")
from engine.pybroker import NotImported, run_of  # noqa: E402

CLOSE = (100.0, 102.0, 101.0, 105.0, 104.0, 107.0)
OPEN = (100.0, 101.0, 103.0, 102.0, 106.0, 105.0)
WANTED = {1: 2, 3: -3, 5: -1}  # bars since the first -> shares bought (sold, negative) at the next open
KEPT = {"initial_cash": 10_000, "record_position_bars": True, "round_test_result": False, "round_fill_price": False}


@pytest.fixture(autouse=True)
def quiet():
    pybroker.disable_logging()
    pybroker.disable_progress_bar()
    yield
    pybroker.enable_logging()
    pybroker.enable_progress_bar()


def result_of(wanted=WANTED, slippage=None, **changes):
    """A result of one symbol and six bars from Monday 2024-01-01, opens and closes as above."""
    import pandas

    days = pandas.bdate_range("2024-01-01", periods=len(CLOSE))
    frame = pandas.DataFrame({"symbol": "A", "date": days, "open": OPEN, "close": CLOSE})
    frame["high"], frame["low"] = frame[["open", "close"]].max(axis=1) + 1, frame[["open", "close"]].min(axis=1) - 1

    def trade(ctx):
        shares = wanted.get(ctx.bars, 0)
        if shares > 0:
            ctx.buy_shares, ctx.buy_fill_price = shares, pybroker.PriceType.OPEN
        elif shares < 0:
            ctx.sell_shares, ctx.sell_fill_price = -shares, pybroker.PriceType.OPEN

    strategy = pybroker.Strategy(frame, days[0], days[-1], pybroker.StrategyConfig(**(KEPT | changes)))
    strategy.add_execution(trade, "A")
    if slippage:
        strategy.set_slippage_model(slippage)
    return strategy.backtest(calc_bootstrap=False)


def test_every_cent_has_its_day_and_cause():
    """Buy 2 at 101 on the 2nd; sell 3 at 102 on the 4th, so short 1; sell 1 at 105 on the 8th; fees 2 + 3 + 1."""
    run = run_of(result_of(fee_mode=pybroker.FeeMode.PER_SHARE, fee_amount=1), "hand")
    price = run.ledger().filter(cause="price").select("day", "amount").rows()
    assert price == [
        (date(2024, 1, 2), 2.0),  # 2 * (102 - 101)
        (date(2024, 1, 3), -2.0),  # 2 * (101 - 102)
        (date(2024, 1, 4), -1.0),  # 2 * (102 - 101), then -1 * (105 - 102)
        (date(2024, 1, 5), 1.0),  # -1 * (104 - 105)
        (date(2024, 1, 8), -5.0),  # -1 * (107 - 104) and -1 * (107 - 105)
    ]
    assert run.summary["ledger"] == {"price": -5.0, "commission": -6.0}
    equity = run.equity()
    assert equity["equity"].to_list() == [10_000.0, 10_000.0, 10_000.0, 9_998.0, 9_994.0, 9_995.0, 9_989.0]
    assert equity["day"][0] == date(2023, 12, 31)
    assert equity["equity"][-1] - equity["equity"][0] == run.ledger()["amount"].sum()


def test_trades_are_told_from_flat_to_flat():
    trades = run_of(result_of(fee_mode=pybroker.FeeMode.PER_SHARE, fee_amount=1), "hand").trades()
    names = ("direction", "contracts", "entry_price", "exit_price", "gross", "costs", "net", "bars", "open")
    assert trades.select(names).rows() == [
        ("long", 2.0, 101.0, 102.0, 2.0, -4.0, -2.0, 2, False),  # 2 bought, and 2 of the 3 sold
        ("short", 2.0, 102.0, 107.0, -7.0, -2.0, -9.0, 2, True),  # 102 - 107 and 105 - 107; 1 of the 3, and 1 more
    ]
    assert trades["exit_reason"].to_list() == ["signal", "open"]
    assert trades["entry_contract"].null_count() == trades["rolls"].null_count() == trades["risk"].null_count() == 2


def test_slippage_is_told_apart_from_the_price():
    run = run_of(result_of(slippage=pybroker.FixedSlippageModel(bps=50)), "hand")
    assert run.summary["ledger"] == pytest.approx({"price": -5.0, "slippage": -3.065})  # 2 * 0.505, 3 * 0.51, 1 * 0.525
    assert run.fills().select("price", "shown").rows() == [
        (101.0, pytest.approx(101.505)),
        (102.0, pytest.approx(101.49)),
        (105.0, pytest.approx(104.475)),
    ]
    assert run.trades()["costs"].sum() == pytest.approx(-3.065)


def test_positions_are_those_of_the_closes():
    held = run_of(result_of(), "hand").positions()
    assert held.select("contracts", "mark", "notional").rows() == [
        (2.0, 102.0, 204.0), (2.0, 101.0, 202.0), (-1.0, 105.0, -105.0), (-1.0, 104.0, -104.0), (-2.0, 107.0, -214.0),
    ]  # fmt: skip
    assert held["margin"].null_count() == held["contract"].null_count() == 5


def test_what_orders_and_positions_do_not_explain_is_untold():
    run = run_of(result_of(wanted={}, interest_rate=25.2, bars_per_year=252), "idle")
    assert set(run.summary["ledger"]) == {"untold"}
    assert run.summary["ledger"]["untold"] == pytest.approx(run.equity()["equity"][-1] - run.summary["capital"])
    assert any("untold" in note for note in run.summary["notes"])
    assert run.trades().is_empty() and run.positions().is_empty()


def test_a_result_that_tells_too_little_is_refused():
    with pytest.raises(NotImported, match="record_position_bars=True"):
        run_of(result_of(record_position_bars=False), "hand")
    with pytest.raises(NotImported, match="dict is no result of PyBroker"):
        run_of({}, "hand")


def test_the_same_result_is_the_same_run():
    first, again, other = (run_of(result_of(**changes), "hand") for changes in ({}, {}, {"initial_cash": 20_000}))
    assert first.id == again.id != other.id


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """(store, PyBroker's run, ours): the snippets of the page on simulated prices."""
    folder = tmp_path_factory.mktemp("page")
    sample.build(open_archive(folder / "frontmonth-store", create=True))
    page = (REPO / "docs" / "pybroker.md").read_text(encoding="utf-8")
    theirs, ours = re.findall(r"^```python\n(.*?)^```", page, flags=re.S | re.M)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        names = {}
        exec(compile(theirs, "pybroker.md", "exec"), names)
        exec(compile(ours, "pybroker.md", "exec"), {})
    archive = open_archive(folder / "frontmonth-store")
    return folder / "frontmonth-store", result.load(archive, names["run"].id), result.load(archive, "cross")


def test_the_example_has_the_same_equity_in_both_to_the_cent_on_every_day(both):
    _, theirs, ours = both
    assert theirs.equity()["day"].to_list() == ours.equity()["day"].to_list()
    assert len(ours.equity()) > 3000 and ours.metrics()["trades"] > 20 and ours.trades()["rolls"].sum() > 100
    assert (theirs.equity()["equity"] - ours.equity()["equity"]).abs().max() < 0.005


def test_the_example_has_the_same_trades_and_numbers_in_both(both):
    _, theirs, ours = both
    names = ("market", "direction", "entry_day", "exit_day", "open")
    rows = [
        run.trades().select(names).cast({"market": str}).sort("market", "entry_day").rows() for run in (theirs, ours)
    ]
    assert rows[0] == rows[1]
    for name in ("trades", "win_rate", "expectancy", "max_drawdown_days", "time_in_market"):
        assert theirs.metrics()[name] == pytest.approx(ours.metrics()[name], rel=1e-9), name
    assert theirs.summary["ledger"]["price"] == pytest.approx(ours.summary["ledger"]["price"], abs=0.005)
    assert theirs.simulated


def test_both_are_listed_side_by_side(both, call):
    store, theirs, ours = both
    listed = {row["run"]: row for row in call.document("runs", "--store", store)}
    assert set(listed) == {theirs.id, ours.id}
    assert listed[theirs.id]["program"].startswith("pybroker 2.") and "program" not in listed[ours.id]
    assert "pybroker 2." in call("runs", "--store", store).out


def test_show_and_report_tell_it_as_any_run(both, call, tmp_path):
    store, theirs, _ = both
    shown = call("show", theirs.id, "--store", store).out
    assert "identity unknown" in shown and "Simulated prices" in shown
    assert call.document("show", theirs.id, "--store", store)["identity_holds"] is None
    call("report", theirs.id, "--out", tmp_path / "run.html", "--store", store)
    page = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert "cross in PyBroker" in page
    assert "Imported from" in "".join(model.text for model in About(theirs).root.select({"type": Div}))
    call("report", theirs.id, "--out", f"{tmp_path}/tables/", "--store", store)
    assert (tmp_path / "tables" / "trades.csv").read_text().count("\n") == len(theirs.trades()) + 1


def test_what_only_our_runs_know_is_refused(both, call):
    store, theirs, _ = both
    assert "cannot be computed again" in call("replay", theirs.id, "--store", store, code=1).err
    assert "which contracts" in call("roll", "--upcoming", "30", "--run", theirs.id, "--store", store, code=1).err


def test_the_module_loads_neither_pybroker_nor_pandas():
    import subprocess

    code = "import sys, engine.pybroker; print(*{'pandas', 'pybroker'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO)
    assert done.stdout.strip() == ""
