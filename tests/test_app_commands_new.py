"""The verb new: its templates run as they stand, and keep the laws of every strategy."""

import json

import numpy as np
import param
import pytest
import strategy_market

from engine.strategies import STRATEGIES
from engine.strategy import load_user
from store import open_archive

KINDS = {"forecast": "forecast", "signals": "signals", "targets": "targets", "program": "decide"}


@pytest.fixture(autouse=True)
def list_as_it_was():
    """Takes the new strategies off the list again."""
    before = dict(STRATEGIES)
    yield
    STRATEGIES.clear()
    STRATEGIES.update(before)


@pytest.fixture
def place(tmp_path):
    """An empty store."""
    return open_archive(tmp_path / "store", create=True).path


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_runs_as_it_stands_and_keeps_the_laws(call, place, kind):
    made = call.document("new", "strategy", "my_own", "--kind", kind, "--store", place)
    run = f"frontmonth --store {place} run trend --set strategies.0.name=my_own"  # a store of one's own is not lost
    assert made == {"strategy": "my_own", "kind": kind, "file": str(place / "strategies" / "my_own.py"), "run": run}
    load_user(place / "strategies")
    strategy, market = STRATEGIES["my_own"](), strategy_market.market(bars=400)
    assert strategy.kind() == KINDS[kind] and strategy.warm_up() > 0
    for key in set(strategy.param) - {"name"}:
        assert isinstance(strategy.param[key], param.Number) and strategy.param[key].bounds
        assert "[" in strategy.param[key].doc
    whole = strategy.forecast(market)
    assert np.abs(whole).max() > 0.0 and np.isfinite(strategy.decision(market).forecast).all()
    np.testing.assert_array_equal(strategy.forecast(strategy_market.lifted(market)), whole)
    for t in (1, 200, 399):
        np.testing.assert_array_equal(strategy.forecast(strategy_market.prefix(market, t)), whole[:t])
        np.testing.assert_array_equal(strategy.forecast(strategy_market.other_future(market, t))[:t], whole[:t])


@pytest.mark.parametrize("name, file", [("MyTrend", "my_trend"), ("my-trend", "my_trend"), ("rsi 2", "rsi2")])
def test_the_file_goes_by_the_name_that_a_portfolio_writes(call, place, name, file):
    told = call("new", "strategy", name, "--store", place).out
    assert f"strategies.0.name={file}" in told and (place / "strategies" / f"{file}.py").is_file()
    assert list(load_user(place / "strategies")) == [file]


@pytest.mark.parametrize(
    "name, why",
    [("breakout", "breakout is there already"), ("2fast", "a letter first"), ("a/b", "letters and digits")],
)
def test_a_name_that_cannot_be_is_refused(call, place, name, why):
    assert why in call("new", "strategy", name, "--store", place, code=2).err
    assert not (place / "strategies").exists()


def test_a_file_that_is_there_is_never_written_over(call, place):
    call("new", "strategy", "mine", "--store", place)
    before = (place / "strategies" / "mine.py").read_text()
    assert "mine is there already" in call("new", "strategy", "mine", "--kind", "program", "--store", place, code=2).err
    assert (place / "strategies" / "mine.py").read_text() == before


def test_the_document_names_the_file(call, place):
    assert json.loads(call("new", "strategy", "one", "--store", place, "--json").out)["strategy"] == "one"
