"""Risk limits: the file of their levels, and where a run stands against them, by hand and in parts that add up."""

import re
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from engine import backtest
from engine.analysis import exposure, risk_limits, standing, value_at_risk
from engine.analysis.standing import Standing
from engine.settings import ConfigError
from tests import analysed
from tests.conftest import REPO
from tests.small_runs import Buys, market, portfolio

MARKS = np.array([[100.0, 50.0], [100.0, 50.0], [110.0, 50.0], [90.0, 52.0], [95.0, 52.0]])  # Monday to Friday


def hand(marks=MARKS, wants=(2.0, -3.0), settings=(), opened=None):
    """(run, market): 2 A long and 3 B short from the second day on, of a capital of 1,000, margin 10 a contract.

    Equity 1,000, 1,000, 1,000, 1,020, 974, 984.
    """
    first = np.where(np.isnan(marks), np.nan, np.vstack([marks[:1], marks[:-1]]))
    for place, price in (opened or {}).items():
        first[place] = price
    held = market(marks, open=first)
    wanted = np.tile(wants, (len(marks), 1))
    settings = ["portfolio.capital=1000", *settings]
    return backtest(held, portfolio((Buys.of(wanted), {}), settings=settings)), held


def stands(text, run, held=None):
    """The standing of a run against the limits of a text."""
    return Standing.of(run, risk_limits.read(text + "\n"), held)


def parts(one, name, t):
    """{market: its part} on a row, rounded."""
    return dict(zip([*one.daily.names, "account"], np.round(one.parts(name, t), 12), strict=True))


# Levels


def test_the_file_that_ships_has_every_limit_and_the_file_of_the_store_goes_before_it(tmp_path):
    assert list(risk_limits.read(risk_limits.SHIPPED)) == list(risk_limits.LIMITS)
    assert risk_limits.file_of(tmp_path) == risk_limits.SHIPPED
    (tmp_path / "risk_limits.toml").write_text("[loss_day]\nred = 0.02\n")
    assert risk_limits.file_of(tmp_path) == tmp_path / "risk_limits.toml"
    assert risk_limits.file_of(tmp_path, "other.toml").name == "other.toml"


def test_the_levels_of_the_page_can_be_read():
    (text,) = re.findall(r"^```toml\n(.*?)^```", (REPO / "docs" / "limits.md").read_text("utf-8"), flags=re.S | re.M)
    assert list(risk_limits.read(text)) == ["max_drawdown", "value_at_risk", "margin_to_equity"]
    page = (REPO / "docs" / "limits.md").read_text("utf-8")
    assert [name for name in risk_limits.LIMITS if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[loss_dya]\nred = 1", "unknown limit [loss_dya]; allowed: max_drawdown, .*nearest: loss_day"),
        ("[loss_day]\nred = 2", "[loss_day] red = 2 is not allowed; allowed: a number above 0 and at most 1"),
        ("[loss_day]\nred = true", "red = true is not allowed"),
        ("[loss_day]\namber = 0.3\nred = 0.1", "red = 0.1 is not above amber = 0.3"),
        ("[loss_day]\nlevel = 0.9", "level: unknown key; allowed: amber, red"),
        ("[value_at_risk]\nlevel = 0.9", "names neither amber nor red"),
        ("[value_at_risk]\nred = 0.1\nlevel = 0.4", "level = 0.4 is not allowed; allowed: a number .* 0.5"),
        ("[value_at_risk]\nred = 0.1\ndays = 5", "days = 5 is not allowed; allowed: a whole number from 20"),
        ("loss_day = 3", "3 is not a table"),
        ("[loss_day", "not TOML"),
        ("", "no limit; allowed: at least one of max_drawdown"),
    ],
)
def test_what_is_wrong_with_the_levels_is_said_in_one_line(text, reason, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=reason.replace("[", r"\[")) as told:
        risk_limits.read(file)
    assert str(told.value).startswith(str(file)) and "\n" not in str(told.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        risk_limits.read(tmp_path / "none.toml")


def test_a_value_at_its_level_is_within_it():
    one = risk_limits.Limit(amber=0.1, red=0.2)
    assert [one.state(value) for value in (0.1, 0.2, 0.2 + 1e-12)] == ["green", "amber", "red"]
    assert risk_limits.Limit(red=0.2).state(0.15) == "green"


# Values


def test_losses_by_hand_and_who_made_them():
    names = ("loss_day", "loss_week", "loss_month", "max_drawdown")
    one = stands("\n".join(f"[{name}]\nred=0.01" for name in names), *hand())
    assert one.values["loss_day"] == pytest.approx([0, 0, -20 / 1000, 46 / 1020, -10 / 974])
    assert one.values["loss_week"] == pytest.approx([0, 0, -0.02, 0.026, 0.016])
    assert one.values["loss_month"] == pytest.approx(one.values["loss_week"])
    assert one.values["max_drawdown"] == pytest.approx([0, 0, 0, 46 / 1020, 36 / 1020])
    assert parts(one, "loss_day", 3) == pytest.approx({"A": 40 / 1020, "B": 6 / 1020, "account": 0.0})
    assert parts(one, "loss_week", 3) == pytest.approx({"A": 0.02, "B": 0.006, "account": 0.0})
    assert parts(one, "max_drawdown", 4) == pytest.approx({"A": 30 / 1020, "B": 6 / 1020, "account": 0.0})


def test_weeks_begin_on_monday_and_months_on_the_first():
    days = np.array(["2024-03-28", "2024-03-29", "2024-03-31", "2024-04-01", "2024-04-05"], "datetime64[D]")
    assert standing._begins(days, "W").tolist() == [0, 0, 0, 3, 3]  # the 31st is a Sunday
    assert standing._begins(days, "M").tolist() == [0, 0, 0, 3, 3]
    assert standing._begins(days, "D").tolist() == [0, 1, 2, 3, 4]


def test_money_paid_in_is_no_gain_that_a_loss_is_hidden_by():
    paid = ['cash.payments=[{day="2024-01-04", amount=500}]']
    one = stands("[loss_day]\nred=0.01\n[max_drawdown]\nred=0.01", *hand(settings=paid))
    assert one.values["loss_day"][3] == pytest.approx(46 / 1520)
    assert one.values["max_drawdown"][3] == pytest.approx(46 / 1520)
    assert sum(parts(one, "max_drawdown", 3).values()) == pytest.approx(46 / 1520)


def test_margin_and_concentration_by_hand():
    one = stands("[margin_to_equity]\nred=0.01\n[concentration]\nred=0.01", *hand())
    assert one.values["margin_to_equity"] == pytest.approx([0, 0.05, 50 / 1020, 50 / 974, 50 / 984])
    assert parts(one, "margin_to_equity", 4) == pytest.approx({"A": 20 / 984, "B": 30 / 984, "account": 0.0})
    assert np.isnan(one.values["concentration"][0])  # nothing is held
    assert one.values["concentration"][1:] == pytest.approx([0.4**2 + 0.6**2] * 4)
    assert parts(one, "concentration", 4) == pytest.approx({"A": 0.16, "B": 0.36, "account": 0.0})


def test_margin_that_is_waived_is_the_accounts_part():
    run, held = analysed.made(3, settings=["margin.spread_credit=0.5"], sleeves=2)
    one = stands("[margin_to_equity]\nred=0.0001", run, held)
    for t in (50, 300, 599):
        assert one.parts("margin_to_equity", t).sum() == pytest.approx(one.values["margin_to_equity"][t])


def test_value_at_risk_is_what_the_positions_of_the_day_would_have_lost():
    """30 moves of A by 1, 2 ... 30, down on even rows: of two contracts and a capital of 10,000."""
    moves = np.array([k if k % 2 else -k for k in range(1, 31)], float)
    marks = 500.0 + np.concatenate([[0.0], np.cumsum(moves)])[:, None]
    run, held = hand(marks, (2.0,), ["portfolio.capital=10000"])
    one = stands("[value_at_risk]\nred=0.001\nlevel=0.9\ndays=20", run, held)
    earned = np.sort(2.0 * moves[10:]) / run.equity()["equity"][-1]
    low = earned[1] + 0.9 * (earned[2] - earned[1])  # (20 - 1) x 0.1 = 1.9
    assert one.values["value_at_risk"][-1] == pytest.approx(-low)
    assert np.isnan(one.values["value_at_risk"][:20]).all() and not np.isnan(one.values["value_at_risk"][20:]).any()


@pytest.mark.parametrize("t", [120, 400])
def test_the_values_of_a_day_do_not_know_the_next_one(t):
    run, held = analysed.made(4)
    text = "[value_at_risk]\nred=0.01\ndays=60\n[correlation]\nred=0.5\ndays=100\n[stale_data]\nred=1"
    later = np.arange(len(held.days))[:, None] > t
    other = replace(held, mark=np.where(later, held.mark * 1.5 + 7.0, held.mark))
    was, now = stands(text, run, held).values, stands(text, run, other).values
    for name in was:
        assert np.array_equal(was[name][: t + 1], now[name][: t + 1], equal_nan=True), name
    assert not np.array_equal(was["value_at_risk"], now["value_at_risk"], equal_nan=True)


def test_the_mean_correlation_of_two_positions_is_theirs_with_the_side_turned():
    covariance = np.array([[4.0, 1.2], [1.2, 1.0]])  # correlation 0.6
    found = standing.mean_correlation(covariance, np.array([[1.0, 1.0], [3.0, -2.0], [0.0, 1.0]]))
    assert found[:2] == pytest.approx([0.6, -0.6]) and np.isnan(found[2])
    three = np.full((3, 3), 0.25) + 0.75 * np.eye(3)
    assert standing.mean_correlation(three, np.array([5.0, 1.0, 2.0])) == pytest.approx(0.25)


def test_weeks_end_on_the_last_day():
    past = np.arange(12.0)[:, None]
    assert standing.weekly(past)[:, 0].tolist() == [2 + 3 + 4 + 5 + 6, 7 + 8 + 9 + 10 + 11]


def test_a_price_grows_old_in_calendar_days_while_it_is_held():
    marks = np.vstack([MARKS, [[96.0, 52.0], [97.0, 52.0]]])
    marks[[4, 5], 0] = np.nan  # A has no price on Friday and Monday
    run, held = hand(marks, opened={(6, 0): 96.0})
    one = stands("[stale_data]\namber=1\nred=3", run, held)
    assert one.values["stale_data"].tolist() == [0, 0, 0, 0, 1, 4, 0]
    assert parts(one, "stale_data", 5) == {"A": 4.0, "B": 0.0, "account": 0.0}
    assert one.states["stale_data"].tolist() == [0, 0, 0, 0, 0, 2, 0]


def test_the_values_are_those_of_the_other_analyses():
    run, held = analysed.made(1, sleeves=2)
    names = ("max_drawdown", "value_at_risk", "margin_to_equity", "concentration", "loss_day")
    one = stands("\n".join(f"[{name}]\nred=0.5" for name in names), run, held)
    exposed = exposure.exposure(run)
    for name in ("margin_to_equity", "concentration"):
        told = exposed[name].fill_null(np.nan).to_numpy()
        assert one.values[name] == pytest.approx(told, nan_ok=True)
    assert one.values["max_drawdown"].max() == pytest.approx(-run.metrics()["max_drawdown"])
    assert one.values["loss_day"].max() == pytest.approx(-min(run.equity()["equity"].pct_change().drop_nulls()))
    last = value_at_risk.of_held(run, held, levels=[0.95]).filter(method="history")["var"][0]
    assert one.values["value_at_risk"][-1] == pytest.approx(last)


# Tables


def test_where_a_run_stands_now_and_stood_before():
    one = stands("[loss_day]\namber=0.02\nred=0.04\n[margin_to_equity]\namber=0.0505\nred=0.06", *hand())
    found = standing.now(one)
    assert found.schema == standing.NOW
    margin, loss = found.rows(named=True)
    assert (loss["state"], loss["days_amber"], loss["days_red"], loss["breaches"]) == ("green", 0, 1, 1)
    assert (loss["worst"], loss["worst_day"]) == (pytest.approx(46 / 1020), date(2024, 1, 4))
    assert (margin["state"], margin["value"]) == ("amber", pytest.approx(50 / 984))
    assert (margin["days_amber"], margin["days_red"], margin["breaches"]) == (2, 0, 1)  # 5.13 % and 5.08 %


def test_a_breach_has_days_values_and_those_who_caused_it():
    one = stands("[margin_to_equity]\namber=0.0505\n[loss_day]\namber=0.02\nred=0.04", *hand())
    found = standing.breaches(one)
    assert found.schema == standing.BREACHES
    margin, loss = found.rows(named=True)
    assert (margin["state"], margin["day"], margin["last"], margin["days"]) == (
        "amber", date(2024, 1, 4), date(2024, 1, 5), 2,
    )  # fmt: skip
    assert (margin["value"], margin["worst"]) == (pytest.approx(50 / 974),) * 2
    assert (loss["state"], loss["days"], loss["worst_day"]) == ("red", 1, date(2024, 1, 4))
    told = standing.causes(one)
    assert told.schema == standing.CAUSES
    assert told.filter(limit="loss_day")["market"].to_list() == ["A", "B"]
    assert told.filter(limit="loss_day")["part"].to_list() == pytest.approx([40 / 1020, 6 / 1020])


LEVELS = {
    "max_drawdown": 0.001, "value_at_risk": 0.001, "margin_to_equity": 0.01, "concentration": 0.34, "correlation": 0.01,
    "loss_day": 0.001, "loss_week": 0.001, "loss_month": 0.001,
}  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_what_the_markets_have_of_a_breach_sums_to_its_value(seed):
    paid = ['cash.payments=[{day="2024-03-01", amount=20000}, {day="2024-09-02", amount=-5000}]']
    run, held = analysed.made(seed, settings=paid, sleeves=2)
    one = stands("\n".join(f"[{name}]\namber={level}" for name, level in LEVELS.items()), run, held)
    found, told = standing.breaches(one), standing.causes(one)
    assert set(found["limit"]) == set(LEVELS)
    sums = {key: frame["part"].sum() for key, frame in told.group_by("limit", "breach")}
    for row in found.to_dicts():
        assert sums[row["limit"], row["breach"]] == pytest.approx(row["worst"], rel=1e-9), row


def test_without_its_market_a_run_tells_what_it_can():
    run, _ = hand()
    one = stands("[value_at_risk]\nred=0.01\n[loss_day]\nred=0.01", run)
    assert standing.now(one)["state"].to_list() == ["unknown", "green"]
    assert set(standing.breaches(one)["limit"]) == {"loss_day"}


def test_a_run_that_never_held_anything_is_green():
    run, held = analysed.empty()
    text = risk_limits.SHIPPED.read_text(encoding="utf-8")
    found = standing.now(stands(text, run, held))
    assert set(found["state"]) == {"green"}
    assert len(standing.breaches(stands(text, run, held))) == len(standing.causes(stands(text, run, held))) == 0
