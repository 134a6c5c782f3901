"""Our numbers beside those of empyrical, quantstats, ffn and PerformanceAnalytics, on made and real curves.

Where a library differs, its number is ours by a formula that `tests/peers.py` tells (docs/accuracy.md shows them all).
"""

import csv
import re
import warnings

import numpy as np
import pytest
from test_engine_ratios import MIXED

from engine import ratios, relative, risk, tails
from engine.result import load
from store import open_archive
from tests.conftest import REPO
from tests.peers import BACON, DIFFERENCES, SAME, Case

MADE = {"empyrical's own", "Bacon's months", "fat tails", "one after the other", "days without a move", "a bad year"}


def made(name):
    """A series and a benchmark."""
    random = np.random.default_rng(len(name))
    returns = random.standard_t(4, 1500) * 0.008 + 0.0005
    other = 0.5 * returns + random.normal(0.0002, 0.006, 1500)
    if name == "empyrical's own":
        return Case(MIXED, np.roll(MIXED, 1))
    if name == "Bacon's months":
        return BACON
    if name == "one after the other":
        return Case(0.7 * returns + 0.3 * np.roll(returns, 1), other)
    if name == "days without a move":
        return Case(np.where(random.random(1500) < 0.3, 0.0, returns), other)
    return Case(returns[:250] - 0.004, other[:250]) if name == "a bad year" else Case(returns, other)


@pytest.fixture(scope="module")
def curves(request, tmp_path_factory):
    """Name -> Case: made series, and the equity of a run."""
    found = {name: made(name) for name in sorted(MADE)}
    store, run = request.getfixturevalue("ran")
    equity = load(open_archive(store), run).equity()
    worth, days = equity["equity"].to_numpy(), equity["day"].to_numpy().astype("datetime64[D]")
    returns = np.diff(worth) / worth[:-1]
    found["a run"] = Case(returns, np.roll(returns, 3), days)
    return found


@pytest.fixture(scope="module")
def real(shared):
    """Settlements of the nearest E-mini S&P 500 contract, joined: a real curve, beside that of crude oil."""

    def prices(name):
        with open(shared / "quandl_chris" / name, encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        day, price = next(iter(rows[0])), next(name for name in ("Settle", "Last") if name in rows[0])
        found = {row[day]: float(row[price]) for row in rows if row[price] and float(row[price]) > 0.0}
        return {np.datetime64(day): price for day, price in found.items()}

    ours, other = prices("CME_ES1.csv"), prices("CME_CL1.csv")
    days = np.array(sorted(set(ours) & set(other)))[-2500:]
    one, two = (np.array([prices[day] for day in days]) for prices in (ours, other))
    return Case(np.diff(one) / one[:-1], np.diff(two) / two[:-1], days)


def asked(library, ask, case):
    """What a library says; its own warnings are its own."""
    module = pytest.importorskip(library, reason=f"no {library}: requirements-peers.lock")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(ask(module, case))


def same(found, expected):
    return found == pytest.approx(expected, rel=1e-7, abs=1e-12)


PAIRS = [(library, number) for library, numbers in SAME.items() for number in numbers]


@pytest.mark.parametrize(("library", "number"), PAIRS)
def test_a_library_has_the_same_number(curves, library, number):
    ours, ask = SAME[library][number]
    for name, case in curves.items():
        assert same(asked(library, ask, case), ours(case)), name


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda d: f"{d.library} {d.number}")
def test_a_library_has_another_number_for_the_reason_that_is_told(curves, difference):
    for name, case in curves.items():
        found = asked(difference.library, difference.ask, case)
        assert same(found, difference.theirs(case)), name
    assert not same(difference.ours(BACON), difference.theirs(BACON))


@pytest.mark.parametrize("library", SAME)
def test_so_it_is_on_a_real_curve(real, library):
    for number, (ours, ask) in SAME[library].items():
        assert same(asked(library, ask, real), ours(real)), number
    for difference in (one for one in DIFFERENCES if one.library == library):
        assert same(asked(library, difference.ask, real), difference.theirs(real)), difference.number


def test_quantstats_leaves_days_without_a_move_out_of_its_win_rate(curves):
    case = curves["days without a move"]
    ours = np.mean(case.returns > 0.0)
    found = asked("quantstats", lambda q, c: q.stats.win_rate(c.series), case)
    assert same(found, ours * case.count / np.count_nonzero(case.returns)) and found > ours + 0.1


def test_the_numbers_that_performance_analytics_documents():
    """Its examples on `portfolio_bacon`, to the digits that they print."""
    returns, other = BACON.returns, BACON.other
    monthly = np.prod(1.0 + returns) ** 0.5 - 1.0  # geometric, of a year of twelve months
    assert risk.pain(BACON.equity) == pytest.approx(0.04, abs=5e-3)  # PainIndex
    assert ratios.omega(returns) == pytest.approx(1.78, abs=5e-3)  # BernardoLedoitRatio
    assert ratios.sortino(returns, target=0.005, periods=1) == pytest.approx(0.157, abs=5e-4)  # Kappa of order 2
    assert ratios.downside_deviation(returns, 0.5, periods=1) == pytest.approx(0.493, abs=5e-4)  # DownsideDeviation
    assert ratios.downside_potential(returns, 0.5) == pytest.approx(0.491, abs=5e-4)  # DownsidePotential
    assert tails.kurtosis(returns) == pytest.approx(2.43, abs=5e-3)  # kurtosis, moment
    assert tails.skew(returns) / tails.kurtosis(returns) == pytest.approx(-0.034, abs=5e-4)  # SkewnessKurtosisRatio
    assert BACON.sample_moments[0] == pytest.approx(-0.09, abs=5e-3)  # skewness, sample
    assert BACON.sample_moments[1] == pytest.approx(-0.41, abs=5e-3)  # kurtosis, sample_excess
    assert np.std(returns) / np.std(other) == pytest.approx(1.03, abs=5e-3)  # FamaBeta
    grown = np.prod(1.0 + other) ** 0.5 - 1.0
    assert monthly - relative.beta(returns, other) * grown == pytest.approx(-0.014, abs=5e-4)  # jensenAlpha


def test_ratios_of_the_book_are_of_rounded_indices():
    """Bacon prints 1.70 and 2.66: 10.37 % over 6.1 % and over 3.9 %. Of the indices as they are it is 1.69 and 2.59."""
    monthly = np.prod(1.0 + BACON.returns) ** 0.5 - 1.0
    assert monthly / 0.061 == pytest.approx(1.70, abs=5e-3) and monthly / 0.039 == pytest.approx(2.66, abs=5e-3)
    assert monthly / risk.ulcer(BACON.equity) == pytest.approx(1.6945, abs=5e-5)
    assert monthly / risk.pain(BACON.equity) == pytest.approx(2.5926, abs=5e-5)


PAGE = (REPO / "docs" / "accuracy.md").read_text(encoding="utf-8")


def test_every_test_that_the_page_names_is_there():
    named = set(re.findall(r"`(tests/\w+\.py)::(\w+)`", PAGE))
    assert len(named) > 8
    for file, test in sorted(named):
        assert re.search(rf"^\s*def {test}\(", (REPO / file).read_text(encoding="utf-8"), re.M), (file, test)
