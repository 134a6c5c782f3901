"""The words about a run: where its prices come from, and what stands in for what."""

import re

from app import charts, shell
from app.report import page
from app.views import about
from engine.book import CAUSES
from tests.synthetic_run import SyntheticRun

TOLD = {
    "MES": {"source": "barchart", "proxy": "ES", "proxy_days": 1234, "filled": 0,
            "quality": {"score": 0.912, "coverage": 1.0, "freshness": 0.95, "findings": 0.96}},
    "<b>": {"source": "<i>", "proxy": "", "proxy_days": 0, "filled": 1, "quality": None},
}  # fmt: skip


def test_each_market_has_its_source_quality_and_marks():
    shown = about.data(TOLD)
    assert "barchart" in shown and "91.20 %" in shown and "1,234 proxy days of ES" in shown
    assert "1 row filled" in shown
    assert "Unknown until" in shown and "Unknown until" not in about.data({"MES": TOLD["MES"]})
    assert "<b>" not in shown and "<i>" not in shown and "&lt;b&gt;" in shown


def test_a_run_without_data_notes_has_no_table():
    assert about.data({}) == "" and shell.marks({}) == ""


SUMMARY = {
    "stamps": ["fractions of contracts are traded", "<i>"],
    "margin_days": {"exchange": 1234, "broker": 0, "estimate": 7},
    "ambiguous": {
        "bars": 5, "trades": 4, "share": 0.02,
        "policies": {"worst": {"final_equity": 900.0, "total_return": -0.1},
                     "nearer": {"final_equity": 1100.0, "total_return": 0.1}},
    },
    "break_even_ticks": {"carry": 2.345, "idle": None},
    "smallest_account": {"ZN": 2e6, "MES": 1e5, "ZC": None},
    "smallest_account_day": {"ZN": "2024-12-30", "MES": "2024-12-31", "ZC": None},
}  # fmt: skip


def test_stamps_margins_ambiguity_and_break_even_say_how_far_to_believe_a_run():
    told = about.trust(SUMMARY, "USD")
    assert told == [
        ("Not as traded", "fractions of contracts are traded"), ("Not as traded", "<i>"),
        ("Margins, market-days", "exchange 1,234, broker 0, estimate 7"),
        ("Ambiguous bars", "5 bars in 4 trades (2.0 %); equity at the end: worst $900, nearer $1,100"),
        ("Break-even, ticks a side more", "carry 2.35"),
        ("Smallest account", "for one contract, as sized last (2024-12-31): MES $100,000, ZN $2,000,000 (2024-12-30)"),
    ]  # fmt: skip
    assert about.trust({}, "USD") == []  # a run of before 0.5


def test_stamps_stand_above_the_page_and_above_every_picture():
    run = SyntheticRun(years=1, simulated=False)
    run.summary["stamps"] = SUMMARY["stamps"]
    for shown in (shell.stamped(run.summary), charts.banner(run)):
        assert "fractions of contracts are traded" in shown and "&lt;i&gt;" in shown and "<i>" not in shown
    assert shell.stamped(run.summary) in page(run)
    run.summary["stamps"] = []
    assert shell.stamped(run.summary) == charts.banner(run) == ""


def test_events_are_told_by_kind_and_market_and_drown_no_rare_one():
    groups = [
        {"kind": "margin call", "market": "", "count": 1, "first": "2020-03-09", "last": "2020-03-09"},
        {"kind": "partial fill", "market": "<b>", "count": 5000, "first": "2001-01-02", "last": "2020-03-10"},
    ]
    shown = about.events(groups)
    cells = [re.findall(r">([^<>]+)</t[dh]>", row) for row in shown.split("<tr>")[2:]]
    assert cells == [
        ["margin call", "account", "1", "2020-03-09", "2020-03-09"],
        ["partial fill", "&lt;b&gt;", "5,000", "2001-01-02", "2020-03-10"],
    ]
    assert "None: no margin call" in about.events([])


def test_the_change_of_equity_is_what_trades_earned_and_what_is_of_none():
    run = SyntheticRun(years=1)
    assert about.trades(run) == ""  # of before 0.5
    run.summary |= {"currency": "USD", "trades_residual": 2e-9}
    run.summary["ledger"] = dict.fromkeys(CAUSES, 0.0) | {"price": -3000.0, "commission": -250.0, "fx": 250.0}
    shown = about.trades(run)
    assert (
        "Change of equity -$3,000 = trades -$3,250 + fx $250. " in shown
        and "ledger by less than $0.01 at most" in shown
    )


def test_proxies_and_filled_rows_stand_above_the_page():
    shown = shell.marks(TOLD)
    assert "Prices of another contract stand in: MES (1,234 days of ES)" in shown
    assert "Rows filled from a second source: &lt;b&gt; (1 row)" in shown
