"""The market of a run, loaded again: the same numbers, or a clear word about what has changed."""

import numpy as np
import polars as pl
import pytest

from engine import Portfolio
from engine.analysis.source import SourceChanged, after_rolls, curve_of_run, market_of_run
from engine.backtest import run as run_and_save
from engine.result import Elsewhere, NotRunHere, RunResult
from store.contracts import Master, last_trade
from tests.small_store import bars, build

PORTFOLIO = """
[portfolio]
name = "small"
capital = 1_000_000
start = 2021-02-01
[[strategies]]
name = "moving_average_cross"
params = { fast = 5, slow = 20 }
[sizing]
rule = "fixed"
contracts = 2
"""


@pytest.fixture
def archive(tmp_path):
    return build(tmp_path / "store")


@pytest.fixture
def run(archive):
    return run_and_save(archive, Portfolio.from_toml(PORTFOLIO))[0]


def test_the_market_of_a_run_is_the_one_it_was_made_of_also_after_an_import(archive, run):
    before = market_of_run(archive, run)
    archive.commit([archive.write("contract_bars", bars("ZC", 400.0, 3), source="barchart", root="ZC")])
    after = market_of_run(archive, run)
    assert after.names == ("FGBL", "MES")
    assert np.array_equal(after.mark, before.mark, equal_nan=True)
    assert after.hashes["data"] == run.summary["hashes"]["data"]


def test_facts_that_were_edited_since_are_told(archive, run):
    text = "root,field,value,valid_from,source\nMES,multiplier,50,2000-01-01,hand\n"
    (archive.path / "contracts.csv").write_text(text)
    with pytest.raises(SourceChanged, match="was made of other data than snapshot 1 gives now"):
        market_of_run(archive, run)


def test_a_run_without_a_snapshot_and_one_of_another_program_are_refused(archive, run):
    bare = RunResult({key: value for key, value in run.summary.items() if key != "snapshot"}, run.portfolio, [], {})
    with pytest.raises(SourceChanged, match="was made of no stored snapshot"):
        market_of_run(archive, bare)
    other = RunResult({"run": "ab", "program": "pybroker 1"}, Elsewhere("x", 1.0, "USD", "pybroker 1"), [], {})
    with pytest.raises(NotRunHere, match="run ab was imported from pybroker 1"):
        market_of_run(archive, other)


def test_the_curve_is_of_the_days_of_the_run(archive, run):
    found = curve_of_run(archive, run)
    assert found.market.days.tolist() == run.equity()["day"].to_list()[1:]
    assert found.slope.shape == found.gap.shape == found.market.mark.shape


def test_on_the_day_of_a_roll_the_curve_is_that_of_the_contract_rolled_into(archive, run):
    """Each contract of MES costs 2.00 more than the last, each of FGBL 0.50; last trades are a quarter apart."""
    found = market_of_run(archive, run)
    beyond = after_rolls(archive, run, found)
    months = (202103, 202106, 202109, 202112, 202203, 202206, 202209, 202212, 202303, 202306, 202309, 202312)
    rows = 0
    for m, gap in ((found.names.index("MES"), 2.0), (found.names.index("FGBL"), 0.5)):
        spec = Master.load().spec(found.names[m])
        for t in np.flatnonzero(found.roll[:, m]):
            into = int(found.roll_contract[t, m])
            after = months[months.index(into) + 1]
            days = (last_trade(spec, after) - last_trade(spec, into)).days
            if np.isnan(beyond[t, m]):
                continue
            assert beyond[t, m] == pytest.approx(gap / days, abs=0.011 / days)  # prices are rounded to cents
            rows += 1
    assert rows >= 12
    assert np.isnan(beyond[~found.roll]).all()


def test_what_follows_is_read_from_the_bars_of_that_very_day(archive, run):
    found = market_of_run(archive, run)
    beyond, m = after_rolls(archive, run, found), found.names.index("MES")
    t = int(np.flatnonzero(found.roll[:, m])[2])
    raw = archive.read("contract_bars", root="MES").filter(pl.col("day") == found.days[t].item())
    price = dict(raw.select("contract", "settle").rows())
    into = int(found.roll_contract[t, m])
    after = min(contract for contract in price if contract > into)
    spec = Master.load().spec("MES")
    days = (last_trade(spec, after) - last_trade(spec, into)).days
    assert beyond[t, m] == pytest.approx((price[after] - price[into]) / days, abs=1e-12)
