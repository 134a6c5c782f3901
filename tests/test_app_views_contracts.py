"""Contracts and rolls: numbers against the store's own, a curve and a roll by hand, words where there is nothing."""

import re
from datetime import date, datetime
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from bokeh.models import ColumnDataSource

from app.chainbook import NO_STORE, Book, Chosen, around, chosen, curve, overlaps, stored
from app.pages import views
from app.view import Board
from app.views import VIEWS
from app.views.contracts import as_day, curve_words, roll_words
from app.views.joined import held_line
from app.views.roll_lab import SCOPES, difference_words, laboratory_of
from engine import Portfolio
from engine.analysis.rolled import AS_RUN, RULED, under_rules
from engine.backtest import run as run_and_save
from engine.settings import ConfigError
from store import history, laboratory, rolls
from store.contracts import Master
from tests.small_store import build
from tests.synthetic_run import EmptyRun
from tests.test_store_laboratory import FAR, NEAR, NEXT, H, M, U, s_and_p

PORTFOLIO = """
[portfolio]
name = "small"
capital = 1_000_000
start = 2021-02-01
[[strategies]]
name = "moving_average_cross"
params = { fast = 5, slow = 20 }
"""
EVIL = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(archive, run) of two markets."""
    archive = build(tmp_path_factory.mktemp("contracts") / "store")
    return archive, run_and_save(archive, Portfolio.from_toml(PORTFOLIO))[0]


def page(run, archive):
    """(board, {name: view}) of the page, everything computed."""
    board = Board(run, archive=archive)
    shown = {name: VIEWS[name](board=board) for name in views("contracts")}
    board.sight(list(shown.values()))
    assert not board.alert.visible, board.alert.text
    return board, shown


def text(view, name):
    """What a view says, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", view.models[name].text).split())


def by_hand():
    """The book of three contracts of ES, rolled five days before the last trade: on Friday the 8th of March."""
    bars, spec = s_and_p(), Master.load().spec("ES")
    calendar = rolls.calendar(bars, spec, "last-trade-5")
    series = history.continuous.stitch(bars, calendar, spec)
    return Book("ES", "last-trade-5", "test", spec, bars, calendar, series)


# ---- by hand


def test_the_curve_of_a_day_has_each_contract_at_its_last_trade_and_the_one_held():
    book = by_hand()
    before, after = curve(book, date(2024, 3, 7)), curve(book, date(2024, 3, 12))
    assert before.contract.tolist() == [H, M, U]
    assert before.end.tolist() == [date(2024, 3, 15), date(2024, 6, 21), date(2024, 9, 20)]
    assert before.mark.tolist() == [NEAR[3], NEXT[3], FAR[3]]
    assert (before.held, before.following) == (H, M)
    assert after.held == M
    step, days = NEXT[3] - NEAR[3], (date(2024, 6, 21) - date(2024, 3, 15)).days
    assert before.roll_yield == pytest.approx((NEAR[3] / NEXT[3] - 1) * 365 / days)
    told = curve_words(before)
    assert "<b>Contango</b>" in told and f"+{step} points away" in told and f"Held is {H}" in told
    assert "-2.3 % a year" in told  # (4080 / 4105 - 1) * 365 / 98 = -0.0227


def test_a_day_without_bars_is_told_by_the_last_one_before():
    book = by_hand()
    assert curve(book, date(2024, 3, 10)).day == date(2024, 3, 8)  # a Sunday
    assert curve(book, date(2020, 1, 1)).day == date(2024, 3, 4)
    assert curve(book, date(2030, 1, 1)).day == date(2024, 3, 20)


def test_a_roll_is_told_with_both_prices_and_shares():
    book = by_hand()
    row = book.rolls.row(0, named=True)
    told = roll_words(row)
    assert str(row["day"]) == "2024-03-08"
    assert "Left at 4,100, entered at 4,125: +25 points" in told
    assert "60 % was left in the old contract, 30 % was in the new one" in told  # 600, 300 and 100 contracts


def test_activity_around_a_roll_is_each_contract_s_own():
    lines = around(by_hand(), 0, "volume")
    assert list(lines) == [H, M, U]
    days, volume = lines[H]
    assert days[0] == np.datetime64("2024-03-04") and volume[:2].tolist() == [900, 900] and np.isnan(volume[2])


def test_contracts_overlap_where_they_are_held_and_never_in_one_line():
    book = by_hand()
    _, marks = overlaps(book, date(2024, 3, 4), date(2024, 3, 20))
    cut = np.flatnonzero(np.isnan(marks))
    assert cut.tolist() == [len(NEAR)]  # of H, then of M; U is never held
    assert marks[: cut[0]].tolist() == NEAR and marks[cut[0] + 1 :].tolist() == NEXT
    _, marks = held_line(book)
    assert marks[np.isfinite(marks)].tolist() == NEAR[:5] + NEXT[5:]


# ---- the page


def test_the_page_shows_a_market_of_the_run_by_the_store_s_own_numbers(made):
    archive, run = made
    board, shown = page(run, archive)
    root = chosen(board).root
    assert root in run.summary["markets"] and stored(archive) == ["FGBL", "MES"]
    calendar, source = history.calendar(archive, root, history.DEFAULT)
    told = text(shown["chain_market"], "chain_text")
    assert f"{len(calendar.frame)} rolls by volume:1" in told and source in told
    joined = shown["joined"].models
    table = history.table(archive, root, history.DEFAULT)
    assert joined["joined_series"].data["adjusted"][-1] == table["adjusted"][-1]
    assert len(joined["joined_rolls"].data["day"]) == len(calendar.frame)
    assert joined["joined_rolls"].data["left"].tolist() == calendar.frame["from_price"].to_list()


def test_a_holder_s_profit_is_price_and_rolling(made):
    archive, run = made
    board, shown = page(run, archive)
    shown["joined"]._spanned({"value": "all"})
    table = history.table(archive, chosen(board).root, history.DEFAULT).unique("day", keep="last", maintain_order=True)
    total = table["adjusted"][-1] - table["adjusted"][0]
    price = table["settle"][-1] - table["settle"][0]
    told = text(shown["joined"], "joined_text")
    assert float(re.search(r"earned (\S+) points", told)[1]) == pytest.approx(total, abs=1e-3)
    assert float(re.search(r"(\S+) of it by price", told)[1]) == pytest.approx(price, abs=1e-3)
    assert float(re.search(r"(\S+) by rolling", told)[1]) == pytest.approx(total - price, abs=1e-3)


def test_another_market_rule_day_and_roll_are_followed(made):
    archive, run = made
    board, shown = page(run, archive)
    shown["chain_market"].market.value = "FGBL"
    assert text(shown["chain_market"], "chain_text").startswith("FGBL")
    shown["chain_market"].rule.value = "last-trade-5"
    assert len(chosen(board).book.rolls) == len(history.calendar(archive, "FGBL", "last-trade-5")[0].frame)
    shown["term_structure"].slider.value = date(2021, 6, 1)
    assert text(shown["term_structure"], "term_text").startswith("2021-06-01")
    shown["roll_activity"].pick.value = "0"
    row = chosen(board).book.rolls.row(0, named=True)
    assert text(shown["roll_activity"], "activity_text").startswith(f"{row['day']}: {row['from_contract']} to")


def test_what_is_picked_gives_the_market_and_the_days(made):
    archive, run = made
    board, shown = page(run, archive)
    board.selection.pick(markets=["FGBL"], days=(date(2022, 1, 3), date(2022, 3, 31)))
    assert chosen(board).root == "FGBL"
    assert text(shown["joined"], "joined_text").startswith("2022-01-03 to 2022-03-31")


def test_no_store_no_bars_and_a_rule_that_is_none_are_said_in_words(made):
    archive, run = made
    _, shown = page(run, None)
    assert all(NO_STORE in text(view, name) for view, name in (
        (shown["chain_market"], "chain_text"), (shown["joined"], "joined_text"), (shown["roll_lab"], "lab_text"))
    )  # fmt: skip
    _, shown = page(run, archive)
    shown["chain_market"].rule.value = f"nonsense{EVIL}"
    assert "nonsense" in text(shown["term_structure"], "term_text")
    assert EVIL not in shown["term_structure"].models["term_text"].text
    assert not shown["joined"].models["joined_plot"].visible
    shown["chain_market"].rule.value = "volume:1"
    assert shown["joined"].models["joined_plot"].visible


def test_an_empty_run_has_the_page_of_the_store(made):
    archive, _ = made
    board, shown = page(EmptyRun(years=1), archive)
    assert chosen(board).book is not None
    assert "does not trade" in text(shown["roll_strategy"], "ruled_text") or chosen(board).root in board.columns.roots


def test_sources_have_columns_of_one_length(made):
    for view in page(made[1], made[0])[1].values():
        for name, model in view.models.items():
            if isinstance(model, ColumnDataSource):
                assert len({len(column) for column in model.data.values()}) == 1, name


def test_days_of_a_slider_are_days():
    day = date(2021, 6, 1)
    assert as_day(1622505600000) == as_day(day) == as_day(datetime(2021, 6, 1)) == day


# ---- the laboratory


def test_the_laboratory_says_what_the_store_s_does(made):
    archive, run = made
    board, shown = page(run, archive)
    root, rules = chosen(board).root, laboratory_of(board).rules
    found = laboratory.compare(history.bars(archive, root).read(), history.spec(archive, root), rules)
    told = text(shown["roll_lab"], "lab_text")
    assert f"{found.first} to {found.last}" in told
    for row in found.summary.to_dicts():
        assert f"{row['from_share_mean'] * 100:.0f} %" in told
    dates = shown["roll_dates"].models
    assert len(dates["dates_first"].data["day"]) == found.rolls[f"day {rules[0]}"].drop_nulls().len()
    shown["roll_lab"].fields[1].value = "oi:1"
    assert "oi:1" in text(shown["roll_lab"], "lab_text")
    shown["roll_lab"].fields[1].value = f"no-rule{EVIL}"
    assert "no-rule" in text(shown["roll_lab"], "lab_text") and EVIL not in shown["roll_lab"].models["lab_text"].text


def test_the_strategy_is_played_again_under_both_rules(made):
    archive, run = made
    board, shown = page(run, archive)
    view, root = shown["roll_strategy"], chosen(board).root
    view._begin()
    frame = under_rules(archive, run, laboratory_of(board).rules, root)
    told = text(view, "ruled_text")
    for value in frame["final_equity"]:
        assert f"${value:,.0f}" in told
    view._scoped({"value": "all"})
    assert "press the button" in text(view, "ruled_text")
    view._scoped({"value": "nonsense"})
    assert view.scope in SCOPES


def test_under_the_run_s_own_rule_the_run_comes_out_again(made):
    archive, run = made
    told = under_rules(archive, run, ["volume:1", "last-trade-5", "nonsense"])
    assert told.columns == list(RULED) and told["rule"][0] == AS_RUN
    own, same, other, wrong = told.to_dicts()
    assert own["final_equity"] == run.metrics()["final_equity"] == same["final_equity"]
    assert own["difference"] == same["difference"] == 0.0
    assert other["difference"] == pytest.approx(other["final_equity"] - own["final_equity"])
    assert "nonsense" in wrong["error"] and wrong["final_equity"] is None
    ledger = run.ledger().with_columns(pl.col("cause").cast(pl.String))
    paid = ledger.filter(pl.col("cause").str.starts_with("roll_") & (pl.col("cause") != "roll_price"))
    known = paid.filter(pl.col("cause").is_in(["roll_slippage", "roll_impact", "roll_commission"]))["amount"].sum()
    assert own["roll_costs"] == pytest.approx(-known)


def test_one_market_alone_rolls_by_the_rule(made):
    archive, run = made
    one = under_rules(archive, run, ["last-trade-5"], "MES")
    portfolio = Portfolio.from_toml(PORTFOLIO + '[rolls]\nroots = { MES = "last-trade-5" }\n')
    ours, _ = run_and_save(archive, portfolio)
    assert one["final_equity"][1] == ours.metrics()["final_equity"]
    profit = ours.ledger().filter(pl.col("root").cast(pl.String) == "MES")["amount"].sum()
    assert one["market_profit"][1] == pytest.approx(profit)
    with pytest.raises(ConfigError, match="does not trade 'XX'; allowed: "):
        under_rules(archive, run, ["oi:1"], "XX")


def test_equal_results_are_said_to_be_equal():
    same = [{"rule": "a", "final_equity": 1.0}, {"rule": "b", "final_equity": 1.0}]
    assert "same equity" in difference_words(same, "USD")
    assert "$3" in difference_words([same[0], {"rule": "c", "final_equity": 4.0}], "USD")


def test_a_board_without_a_market_says_so():
    columns, selection = SimpleNamespace(roots=[]), SimpleNamespace(markets=[])
    now = Chosen(SimpleNamespace(archive=None, ways={}, columns=columns, selection=selection))
    assert now.root == "" and now.roots == []
