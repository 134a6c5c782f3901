"""Benchmarks: traded with their rolls and costs, read from a file, told beside the run, and refused in one line."""

import datetime
import re

import numpy as np
import polars as pl
import pytest

from engine import relative, result
from engine.analysis import benchmark
from engine.backtest import replay, run
from engine.portfolio import Portfolio
from engine.ratios import period_returns
from engine.settings import ConfigError
from tests.small_store import QUARTERS, bars, build

HEAD = '[portfolio]\nname = "mine"\ncapital = 1_000_000\n{more}\n[[strategies]]\nname = "moving_average_cross"\n'
CROSS = HEAD + "params = {{ fast = 5, slow = 20 }}\n[costs]\ncommission_per_side = {fee}\nslippage_ticks = 0\n"
ONE = '[benchmark]\nkind = "one_contract"\nmarkets = ["MES"]\n'


def portfolio(benchmark_, more="", fee=0):
    return Portfolio.from_toml(CROSS.format(more=more, fee=fee) + benchmark_)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    found = tmp_path_factory.mktemp("small") / "store"
    build(found)
    from store import open_archive

    return open_archive(found)


def gain(made):
    """What the benchmark of a run earned. [account currency]"""
    worth = made.benchmark()["benchmark"]
    return worth[-1] - worth[0]


def by_hand(held):
    """What one contract of MES earned from its first fill to the last day, from contract prices: bought at the open,
    each roll pays the 2 points that the next contract costs more. `held`: (day, contract) of each day."""
    rows = {(row["contract"], row["day"]): row for row in bars("MES", 4000.0, 1).rows(named=True)}
    entry, end = rows[held[0][1], held[0][0]], rows[held[-1][1], held[-1][0]]
    rolls = QUARTERS.index(held[-1][1]) - QUARTERS.index(held[0][1])
    return 5.0 * (end["settle"] - entry["open"] - 2.0 * rolls), rolls


@pytest.fixture(scope="module")
def held(archive):
    """(day, contract) of each day that a single contract of MES is held, of a run that holds one and no other."""
    from engine.backtest import backtest, market_of

    made = portfolio(ONE)
    wanted = benchmark.portfolio_of(made, ["MES"], datetime.date(2021, 1, 4))
    market = market_of(archive, wanted, ["MES"], archive.head())
    return backtest(market, wanted).positions().select("day", "contract").rows()


def test_t53_one_contract_earns_what_its_contracts_earned_and_pays_its_rolls(archive, held):
    expected, rolls = by_hand(held)
    made, _ = run(archive, portfolio(ONE))
    assert rolls == 8 and gain(made) == pytest.approx(expected, abs=1e-6)
    nearest = bars("MES", 4000.0, 1).filter(pl.col("volume") == 1000.0).sort("day")["settle"]
    joined = 5.0 * (nearest[-1] - nearest[0])
    assert joined - gain(made) > 5.0 * 2.0 * rolls - 60.0  # prices joined end to end earn the rolls as well


def test_t53_a_benchmark_pays_for_entry_and_both_sides_of_each_roll(archive, held):
    free, rolls = by_hand(held)
    made, _ = run(archive, portfolio(ONE, fee=3.5))
    assert gain(made) == pytest.approx(free - 3.5 * (1 + 2 * rolls), abs=1e-6)


def test_shares_of_the_capital_are_notionals(archive):
    """60 % and 40 %: on each day notional by share, to a contract and a tenth."""
    made = portfolio('[benchmark]\nkind = "mix"\nweights = { MES = 0.6, FGBL = 0.4 }\n')
    wanted = benchmark.portfolio_of(made, ["MES"], datetime.date(2021, 1, 4))
    assert [(s.markets, s.weight) for s in wanted.strategies] == [(["FGBL"], 0.4), (["MES"], 0.6)]
    beside, _ = run(archive, wanted)
    equity = dict(beside.equity().select("day", "equity").iter_rows())
    for row in beside.positions().filter(pl.col("day") > datetime.date(2021, 2, 1)).rows(named=True):
        share = {"MES": 0.6, "FGBL": 0.4}[row["market"]]
        one = row["notional"] / row["contracts"]
        assert abs(row["notional"] - share * equity[row["day"]]) < 0.16 * share * equity[row["day"]] + 1.1 * one
    both, _ = run(archive, made)
    assert gain(both) == pytest.approx(beside.equity()["equity"][-1] - 1_000_000, abs=1e-6)
    assert both.summary["benchmark"]["name"] == "40 % FGBL, 60 % MES"


def test_equal_risk_trades_what_the_run_trades(archive):
    made, _ = run(archive, portfolio('[benchmark]\nkind = "equal_risk"\ntarget = 0.1\n'))
    assert made.summary["benchmark"]["name"] == "2 markets long at equal risk"
    few, _ = run(archive, portfolio('[benchmark]\nkind = "equal_risk"\nmarkets = ["MES"]\n'))
    assert few.summary["benchmark"]["name"] == "1 market long at equal risk"
    assert gain(few) != gain(made)
    asked = Portfolio.from_toml(HEAD.format(more="") + '[sizing]\ntarget = 0.07\n[benchmark]\nkind = "equal_risk"\n')
    assert benchmark.portfolio_of(asked, ["MES"], datetime.date(2021, 1, 4)).sizing.target == 0.07


def test_the_numbers_are_those_of_the_two_curves(archive):
    made, _ = run(archive, portfolio(ONE))
    frame, told = made.benchmark(), made.summary["benchmark"]
    assert frame.columns == list(benchmark.BENCHMARK) and frame["equity"][0] == frame["benchmark"][0] == 1_000_000
    returns, others = (period_returns(frame[name].to_numpy()) for name in ("equity", "benchmark"))
    for key, (_, _, function, _) in benchmark.NUMBERS.items():
        assert told[key] == pytest.approx(function(returns, others), rel=1e-9)  # no interest is stored here
    assert told["beta"] == pytest.approx(np.cov(returns, others)[0, 1] / np.var(others, ddof=1), rel=1e-9)
    assert told["correlation"] == pytest.approx(np.corrcoef(returns, others)[0, 1], rel=1e-9)


def test_a_run_beside_itself_has_a_beta_of_one(archive, tmp_path):
    """Its own equity as a file of prices."""
    alone, _ = run(archive, portfolio(""))
    curve = alone.equity()
    (tmp_path / "own.csv").write_text(curve.select("day", price="equity").write_csv())
    made, _ = run(archive, portfolio(f'[benchmark]\nkind = "file"\nfile = "{tmp_path / "own.csv"}"\n'))
    told = made.summary["benchmark"]
    assert told["alpha"] == pytest.approx(0.0, abs=1e-12)
    assert [told[key] for key in ("beta", "correlation", "up_capture", "down_capture")] == pytest.approx([1.0] * 4)
    assert told["tracking_error"] == pytest.approx(0.0, abs=1e-12) and told["information_ratio"] is None
    assert (told["name"], told["days"], told["kind"]) == ("own.csv", len(curve) - 1, "file")


def test_a_file_of_returns_is_the_file_of_its_prices(tmp_path):
    (tmp_path / "p.csv").write_text("day,price\n2021-03-01,100\n2021-03-02,110\n2021-03-04,99\n")
    (tmp_path / "r.csv").write_text("\ufeffReturn, Day\n0.1,2021-03-02\n-0.1,2021-03-04\n\n")
    prices, returns = benchmark.read(tmp_path / "p.csv"), benchmark.read(tmp_path / "r.csv")
    assert (prices.days == returns.days).all()
    assert returns.worth == pytest.approx(prices.worth / 100.0)


def test_a_benchmark_of_fewer_days_is_compared_on_those(archive, tmp_path):
    """By hand: it begins on 2022-03-01, has a gap of a week, over which it stays, and ends before the run."""
    lines = ["day,price", "2022-03-01,100", "2022-03-02,102", "2022-03-10,102.51", "2022-03-11,101"]
    (tmp_path / "index.csv").write_text("\n".join(lines))
    made, _ = run(archive, portfolio(f'[benchmark]\nkind = "file"\nfile = "{tmp_path / "index.csv"}"\n'))
    told, frame = made.summary["benchmark"], made.benchmark().drop_nulls()
    assert (told["from"], told["to"], told["days"]) == ("2022-03-01", "2022-03-11", 8)
    first = frame["equity"][0]
    expected = [1.0, 1.02, 1.02, 1.02, 1.02, 1.02, 1.02, 1.0251, 1.01]
    assert (frame["benchmark"] / first).to_list() == pytest.approx(expected)
    returns, others = (period_returns(frame[name].to_numpy()) for name in ("equity", "benchmark"))
    assert told["beta"] == pytest.approx(relative.beta(returns, others), rel=1e-9)


def test_interest_is_taken_out_of_alpha_beta_and_correlation():
    """A run that is the benchmark twice, with interest on top: beta 2, alpha 0, on excess returns alone."""
    other = np.array([0.01, -0.02, 0.015, 0.0])
    credited = np.array([1e-4, 3e-4, 1e-4, 1e-4])
    assert relative.beta(2 * other + credited - credited, other) == pytest.approx(2.0)
    assert relative.alpha(2 * other + credited - credited, other) == pytest.approx(0.0, abs=1e-15)
    assert relative.alpha(2 * other + credited, other) > 0.02


def test_bacons_benchmark_as_published():
    """PerformanceAnalytics documents its functions by the 24 months of Bacon's book and their benchmark."""
    from test_engine_ratios import BACON

    months = [2, 25, 18, -11, 14, 18, 14, 65, -15, 42, -6, 83, 39, -38, -62, 15, -48, 21, 60, 56, -67, 19, -3, 0]
    other = np.array(months) / 1000
    beta = relative.beta(BACON, other)
    grown = [np.prod(1.0 + one) ** 0.5 - 1.0 for one in (BACON, other)]
    assert grown[0] - beta * grown[1] == pytest.approx(-0.014, abs=5e-4)  # jensenAlpha, with geometric annual returns
    assert np.std(BACON) / np.std(other) == pytest.approx(1.03, abs=5e-3)  # FamaBeta
    five = np.array([0.10, -0.05, 0.05, -0.10, 0.02]), np.array([0.05, 0.02, -0.01, -0.05, 0.05])
    assert relative.up_capture(*five) == pytest.approx(0.07 / 0.12)  # UpDownRatios, its test of 2020
    assert relative.down_capture(*five) == pytest.approx(-0.05 / -0.06)


def test_the_benchmark_is_an_input_of_the_run_and_stays_in_it(archive, tmp_path):
    file = tmp_path / "index.csv"
    file.write_text("day,price\n2021-01-04,100\n2022-01-04,120\n2022-12-30,90\n")
    asked = portfolio(f'[benchmark]\nkind = "file"\nfile = "{file}"\n')
    first, stored = run(archive, asked)
    again, found = run(archive, asked)
    assert not stored and found and again.id == first.id
    assert again.benchmark().equals(first.benchmark()) and again.summary["benchmark"] == first.summary["benchmark"]
    before, after = replay(archive, first.id)
    assert before.summary["hashes"] == after.summary["hashes"]
    file.write_text("day,price\n2021-01-04,100\n2022-01-04,121\n2022-12-30,90\n")
    other, found = run(archive, asked)
    assert other.id != first.id and not found
    file.unlink()
    assert result.load(archive, first.id).benchmark().equals(first.benchmark())


def test_a_file_may_lie_beside_the_store(archive, tmp_path):
    (archive.path / "benchmarks").mkdir(exist_ok=True)
    (archive.path / "benchmarks" / "kept.csv").write_text("day,return\n2021-01-05,0.01\n2022-01-05,0.02\n")
    made, _ = run(archive, portfolio('[benchmark]\nkind = "file"\nfile = "kept.csv"\n'))
    assert made.summary["benchmark"]["name"] == "kept.csv"


def test_a_run_without_one_says_so(archive):
    made, _ = run(archive, portfolio(""))
    assert "benchmark" not in made.summary
    with pytest.raises(result.RunUnknown, match=r"has no benchmark; name one in the section \[benchmark\]"):
        made.benchmark()


WRONG = {
    "date,price\n2021-01-04,1\n": "row 1: columns are date, price; allowed: day, and either price or return",
    "day,price,return\n2021-01-04,1,0\n": "row 1: columns are day, price, return; allowed:",
    "": "row 1: columns are nothing; allowed:",
    "day,price\n2021-01-04,1\n": "has 1 rows below its head; allowed: at least 2",
    "day,price\n2021-01-04,1\n04.01.2021,2\n": "row 3, column day: '04.01.2021' is no date; allowed: one such as",
    "day,price\n2021-01-04,1\n\n2021-01-04,2\n": "row 4, column day: 2021-01-04 is not after 2021-01-04; allowed:",
    "day,price\n2021-01-04,1\n2021-01-05,\n": "row 3, column price: '' is no number; allowed:",
    "day,price\n2021-01-04,1\n2021-01-05\n": "row 3, column price: '' is no number; allowed:",
    "day,price\n2021-01-04,0\n2021-01-05,1\n": "row 2, column price: 0 is not allowed; allowed: a price above 0",
    "day,price\n2021-01-04,nan\n2021-01-05,1\n": "row 2, column price: nan is not allowed; allowed: a price above 0",
    "day,return\n2021-01-04,1.5\n2021-01-05,1\n": "row 2, column return: 1.5 is not allowed; allowed: a return above",
    "day,return\n2021-01-04,-1\n2021-01-05,1\n": "row 2, column return: -1 is not allowed; allowed: a return above",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_is_refused_with_its_row_and_column(text, tmp_path):
    path = tmp_path / "index.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(f"{path}: {WRONG[text]}")):
        benchmark.read(path)


def test_a_file_that_is_not_there_or_of_another_time_is_refused(archive, tmp_path):
    with pytest.raises(
        ConfigError, match=r"file = 'none.csv' is not there; allowed: a path, or a file in .*benchmarks"
    ):
        run(archive, portfolio('[benchmark]\nkind = "file"\nfile = "none.csv"\n'))
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read: no CSV in UTF-8"):
        benchmark.read(tmp_path / "bytes.csv")
    for day in ("1999", "2030"):
        (tmp_path / "far.csv").write_text(f"day,price\n{day}-01-04,1\n{day}-01-05,2\n")
        with pytest.raises(ConfigError, match="have fewer than two of the run's"):
            run(archive, portfolio(f'[benchmark]\nkind = "file"\nfile = "{tmp_path / "far.csv"}"\n'))


REFUSED = {
    'kind = "one_contract"': 'markets = "all" is not allowed for one_contract; allowed: a list of one root',
    'kind = "one_contract"\nmarkets = ["MES", "FGBL"]': "is not allowed for one_contract; allowed: a list of one root",
    'kind = "mix"': "mix has no weights; allowed: a table such as",
    'kind = "mix"\nweights = { MES = 0 }': "mix has no weights; allowed: a table such as",
    'kind = "mix"\nweights = { MES = 1 }\ntarget = 0.1': 'target is not read by kind = "mix"; allowed with weights',
    'kind = "file"': "no file; allowed: a path",
    'file = "index.csv"': 'file is not read by kind = "none"; allowed: one of one_contract, equal_risk, mix, file',
    'kind = "index"': 'kind = "index" is not allowed; allowed: "none" or "one_contract"',
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_wrong_section_is_refused(text):
    with pytest.raises(ConfigError, match=re.escape(REFUSED[text])) as fault:
        portfolio(f"[benchmark]\n{text}\n")
    assert "[benchmark]" in str(fault.value)


def test_a_market_that_is_not_stored_is_named(archive):
    with pytest.raises(ValueError, match="ZZ"):
        run(archive, portfolio('[benchmark]\nkind = "one_contract"\nmarkets = ["ZZ"]\n'))


def test_every_setting_is_written_read_and_put_in():
    for text in ('kind = "one_contract"\nmarkets = ["MES"]', 'kind = "mix"\nweights = { FGBL = 0.4, MES = 0.6 }'):
        made = portfolio(f"[benchmark]\n{text}\n")
        assert Portfolio.from_toml(made.to_toml()) == made != portfolio("")
    changed = portfolio("").with_settings(["benchmark.kind=equal_risk", "benchmark.target=0.15"])
    assert changed == portfolio('[benchmark]\nkind = "equal_risk"\ntarget = 0.15\n')


def test_payments_into_the_run_are_no_return(archive):
    """With money paid in half-way the benchmark stays, and the run beside it is that of the starting capital."""
    paid = "[cash]\npayments = [{ day = 2021-09-01, amount = 1_000_000 }]\n"
    plain, more = run(archive, portfolio(ONE))[0], run(archive, portfolio(paid + ONE))[0]
    assert more.benchmark()["benchmark"].to_list() == pytest.approx(plain.benchmark()["benchmark"].to_list())
    assert more.benchmark()["equity"][-1] < 1.3 * plain.benchmark()["equity"][-1] < more.equity()["equity"][-1]
