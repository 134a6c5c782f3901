"""The portfolio that `make bench-peers` gives to other engines: ours has it as written, and a difference is told."""

import json
import re
import sys
from dataclasses import fields

import numpy as np
import pytest

from bench.peers import on_frontmonth, run, workload
from tests import naive_crossover
from tests.conftest import REPO

CENT = 0.01


@pytest.fixture(scope="module")
def given():
    """Five markets of ten years."""
    return workload.made(5, 10 * workload.YEAR)


def columns(values):
    return values.T.tolist()


def ours(given, fill):
    """Equity and fills by the engine, as a worker tells them."""
    made, told = on_frontmonth.prepare(given, fill)
    equity, fills = told(made())
    fills = workload.netted(fills)
    return workload.costs_of_the_bar_before(equity, fills, given) if fill == "same_close" else equity, fills


def plain(given, fill):
    return naive_crossover.portfolio(
        columns(given.open), columns(given.close), given.tick.tolist(), given.multiplier.tolist(), fill, 1e7
    )


@pytest.mark.parametrize("fill", workload.FILLS)
def test_equity_of_every_day_and_every_fill_equal_plain_python_to_the_cent(given, fill):
    equity, fills = ours(given, fill)
    expected, trades = plain(given, fill)
    assert fills.tolist() == [list(one) for one in trades]
    np.testing.assert_allclose(equity, expected, rtol=0, atol=CENT / 2)
    assert np.ptp(equity) > 100_000 and len(trades) > 100


def test_the_three_moments_of_filling_give_three_results(given):
    assert len({plain(given, fill)[0][-1] for fill in workload.FILLS}) == 3


def test_the_portfolio_is_long_short_and_flat_on_a_tie(given):
    held = workload.side(given.close)
    assert (held[: workload.SLOW - 1] == 0).all()
    traded = held[workload.SLOW - 1 :]
    assert ((traded == 1).sum(axis=0) > 500).all() and ((traded == -1).sum(axis=0) > 500).all()
    assert (traded == 0).any()
    assert (held[-1] == held[-2]).all()


def test_averages_are_equal_or_clearly_apart(given):
    gap = np.abs(workload.average(given.close, workload.FAST) - workload.average(given.close, workload.SLOW))
    share = gap[workload.SLOW - 1 :] / given.close[workload.SLOW - 1 :]
    assert not ((share > 1e-3 * workload.TIE) & (share < 1e3 * workload.TIE)).any()


def test_the_signal_that_engines_are_given_is_that_of_plain_python(given):
    market = given.close[:, 1].tolist()
    expected = [naive_crossover.side(market[: t + 1], 20, 100) if t >= 99 else 0 for t in range(len(market) - 1)]
    assert workload.side(given.close)[:-1, 1].tolist() == expected


# closes 100, 101, 102, 99, 98: long at the close of bar 1, short at that of bar 3; the last close decides nothing
OPENS, CLOSES = [100.0, 100.5, 101.5, 103.0, 98.5], [100.0, 101.0, 102.0, 99.0, 98.0]


@pytest.mark.parametrize(
    ("fill", "fills", "profits"),
    [
        # bought at 101.75: (102 - 101.75) 50 - 2.50; (99 - 101.75) 50 - 2.50; sold twice at 98.25: 5 more, and 0.25 won
        ("next_open", [(2, 0, 1), (4, 0, -2)], [0, 0, 10, -140, -140 - 37.5 + 12.5 - 5]),
        # bought at 102.25, sold twice at 97.75
        ("next_close", [(2, 0, 1), (4, 0, -2)], [0, 0, -15, -165, -225 - 12.5 - 7.5]),
        # bought at 101.25, sold twice at 98.75
        ("same_close", [(1, 0, 1), (3, 0, -2)], [0, -15, 35, -125 - 12.5 - 7.5, -125 + 37.5 - 7.5]),
    ],
)
def test_plain_python_has_five_bars_worked_by_hand(fill, fills, profits):
    equity, trades = naive_crossover.portfolio([OPENS], [CLOSES], [0.25], [50.0], fill, 1000.0, fast=1, slow=2)
    assert trades == fills
    assert equity == [1000.0 + profit for profit in profits]


def test_markets_are_the_same_however_many_there_are_and_come_back_from_their_files(given, tmp_path):
    fewer = workload.made(2, 10 * workload.YEAR)
    np.testing.assert_array_equal(fewer.close, given.close[:, :2])
    workload.write(given, tmp_path)
    again = workload.read(tmp_path)
    for one in fields(given):
        np.testing.assert_array_equal(getattr(again, one.name), getattr(given, one.name))
    assert again.days.dtype == given.days.dtype


def test_prices_lie_on_ticks_and_a_tick_of_slippage_inside_the_bar(given):
    for name in ("open", "high", "low", "close"):
        ticks = getattr(given, name) / given.tick
        np.testing.assert_allclose(ticks, np.rint(ticks), rtol=0, atol=1e-6)
    top, bottom = np.maximum(given.open, given.close), np.minimum(given.open, given.close)
    assert (given.high > top + given.tick).all() and (given.low < bottom - given.tick).all()
    assert (given.low > 0.0).all()


def test_trades_of_a_bar_and_market_are_one_and_those_that_cancel_out_are_none():
    fills = [(7, 1, -1.0), (7, 1, -1.0), (3, 0, 1.0), (3, 2, 1.0), (3, 2, -1.0)]
    assert workload.netted(fills).tolist() == [[3, 0, 1], [7, 1, -2]]
    assert workload.netted([]).shape == (0, 3)


def outcome(**changes):
    fills = np.array([[1, 0, 1], [3, 0, -2]])
    return run.Outcome("1.0", np.array([100.0, 101.0, 99.5, 100.0]), fills)._replace(**changes)


def test_what_is_the_same_to_half_a_cent_agrees():
    found = run.agreement(outcome(), outcome(equity=np.array([100.0, 101.004, 99.5, 100.0])))
    assert found["agrees"] and found["same_fills"] and found["fills"] == 2
    assert found["worst_day"] == pytest.approx(0.4) and found["final"] == 0.0


@pytest.mark.parametrize(
    "changes",
    [
        {"equity": np.array([100.0, 101.01, 99.5, 100.0])},  # a cent, on a day that is not the last
        {"equity": np.array([100.0, 101.0, 99.5, np.nan])},
        {"equity": np.array([100.0, 101.0, 99.5])},
        {"fills": np.array([[1, 0, 1], [2, 0, -2]])},
        {"fills": np.array([[1, 0, 1]])},
    ],
)
def test_a_cent_on_a_day_or_another_fill_does_not_agree(changes):
    found = run.agreement(outcome(), outcome(**changes))
    assert not found["agrees"]


@pytest.mark.service
def test_a_worker_tells_what_the_engine_made(given, tmp_path):
    workload.write(given, tmp_path)
    with run.Worker(sys.executable, run.OURS, tmp_path, "same_close") as worker:
        first = worker.run()
        told = worker.told()
    equity, fills = ours(given, "same_close")
    np.testing.assert_array_equal(told.equity, equity)
    np.testing.assert_array_equal(told.fills, fills)
    assert 0.0 < first["seconds"] < first["from_start"]


def test_engines_that_are_not_there_are_left_out_by_name(tmp_path, capsys):
    run.main(["--envs", str(tmp_path)])
    text = capsys.readouterr().out
    for name, peer in run.PEERS.items():
        assert f"{name}: left out: no environment {name}; to install: {peer.install}" in text


@pytest.mark.service
def test_an_engine_that_fails_is_told_with_its_reason_and_the_exit_code(tmp_path, capsys):
    python = run.interpreter(tmp_path, "backtrader")
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)  # an environment without backtrader
    with pytest.raises(SystemExit, match="does not agree"):
        run.main(["--envs", str(tmp_path), "--years", "1", "--markets", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [row["agrees"] for row in found["agreement"]] == [False] * 3
    assert all("No module named" in row["error"] for row in found["agreement"])
    assert found["speed"] == [] and set(found["left_out"]) == set(run.PEERS) - {"backtrader"}


def test_the_page_has_every_engine_at_its_own_moments_and_all_agree():
    text = (REPO / "docs" / "speed.md").read_text(encoding="utf-8")
    _, _, rest = text.partition(run.BEGIN)
    lines, _, _ = rest.partition(run.END)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines.splitlines() if line.startswith("|")]
    agreed = [row for row in rows if "cents" in "".join(row)]
    every = {(name, fill.replace("_", " ")) for name, peer in run.PEERS.items() for fill in peer.fills}
    assert {(row[0].split()[0], row[2]) for row in agreed} == every
    assert all(row[4:7] == ["0.00 cents", "0.00 cents", "yes"] for row in agreed)
    timed = [row for row in rows if re.search(r" m?s$", row[-1])]
    assert {row[0] for row in timed} == set(run.PEERS)
    assert run.page(text, lines.strip("\n")) == text
