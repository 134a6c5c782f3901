"""Hours of real markets: what they tell of bars that could be told in two ways, and trading within the day (T19)."""

import polars as pl
import pytest

from engine import backtest
from engine.backtest import within_the_day
from store import ingest, open_archive
from tests.real_runs import loaded, portfolio

DAYS = ("BUND", "CORN", "CRUDE_W_micro", "EUR_micro", "SP500_micro")
ROOTS = ("FGBL", "M6E", "MCL", "MES", "ZC")
CLOSE_STOPS = {  # orders so close together that many a bar reaches two of them
    "breakout": "params = { entry = 5, exit = 3, stop = 1.0, fast = 5, slow = 20, range = 10 }",
    "bollinger_reversal": "params = { length = 10, width = 1.0, stop = 0.5, hold = 5 }",
}
TRADE = ("root", "direction", "contracts", "entry_day", "exit_day", "entry_price", "exit_price", "exit_reason")


@pytest.fixture(scope="module")
def archive(shared, tmp_path_factory):
    """Days and hours of five markets; of the micro S&P nearly every day has its hours, of the others a year or two."""
    made = open_archive(tmp_path_factory.mktemp("hours") / "store", create=True)
    files = [shared / "barchart" / "hourly", shared / "pysystemtrade" / "fx_prices_csv"]
    files += [shared / "barchart" / "daily" / f"Day_{name}.zip" for name in DAYS]
    assert not [report.error for report in ingest.import_paths(made, files) if report.error]
    return made


def made(archive, strategy, execution, roots=ROOTS, head=""):
    """A run on bars within the day, or with them beside the daily ones."""
    told = portfolio(
        'rule = "risk"\nrisk = 0.005', strategy, head=f"markets = {list(roots)}\n{head}", start="2019-06-01",
        params=CLOSE_STOPS[strategy], rest=f"[execution]\n{execution}",
    )  # fmt: skip
    market, bars, within = within_the_day(archive, loaded(archive, told, roots), told, archive.head())
    return backtest(market, told, bars, within)


@pytest.fixture(scope="module")
def breakouts(archive):
    """The S&P alone: by days whose inside is taken for the worse, by days with their hours, and on the hours."""
    ways = ('ties = "worst"', 'ties = "finer"', 'bars = "within"')
    return {way: made(archive, "breakout", way, ["MES"]) for way in ways}


def test_t19_hours_settle_nearly_all_bars_that_could_be_told_in_two_ways(breakouts):
    worst, finer, within = (run.summary["ambiguous"] for run in breakouts.values())
    assert worst["bars"] > 30 and worst["share"] > 0.1
    assert finer["bars"] == within["bars"] < worst["bars"] / 10
    range_of = [told["final_equity"] for told in worst["policies"].values() if told]
    assert len(range_of) == 3 and min(range_of) == breakouts['ties = "worst"'].summary["metrics"]["final_equity"]


@pytest.mark.parametrize("strategy", CLOSE_STOPS)
def test_orders_fill_alike_on_hours_and_on_days_that_know_their_hours(archive, strategy):
    """Two ways through the engine: one walks the hours of a day inside its bar, the other trades hour by hour."""
    inside, alone = (made(archive, strategy, way, ["MES"]) for way in ('ties = "finer"', 'bars = "within"'))
    assert inside.trades().height > 100
    assert inside.trades().select(TRADE).equals(alone.trades().select(TRADE))


@pytest.mark.parametrize("strategy", CLOSE_STOPS)
def test_t45_nothing_on_the_hours_reads_what_comes_later_and_the_ledger_adds_up(archive, strategy):
    whole = made(archive, strategy, 'bars = "within"')
    assert whole.identity_holds
    change = whole.equity()["equity"][-1] - whole.equity()["equity"][0]
    assert whole.ledger()["amount"].sum() == pytest.approx(change, abs=0.005)
    assert whole.trades()["net"].sum() == pytest.approx(whole.contract_trades()["net"].sum(), abs=0.005)
    for cut in ("2020-03-13", "2022-09-01"):
        early = made(archive, strategy, 'bars = "within"', head=f"end = {cut}")
        last = early.equity()["day"][-1]
        for table in ("equity", "positions", "ledger", "fills"):
            ours, theirs = (getattr(run, table)() for run in (early, whole))
            assert _texts(ours).equals(_texts(theirs.filter(pl.col("day") <= last))), table


def _texts(frame):
    return frame.with_columns(pl.col([c for c, kind in frame.schema.items() if isinstance(kind, pl.Enum)]).cast(str))
