"""The words about a run: where its prices come from, and what stands in for what."""

from app import charts, shell
from app.report import page
from app.views import about
from tests.synthetic_run import SyntheticRun

TOLD = {
    "MES": {"source": "barchart", "proxy": "ES", "proxy_days": 1234, "filled": 0,
            "quality": {"score": 0.912, "coverage": 1.0, "freshness": 0.95, "findings": 0.96}},
    "<b>": {"source": "<i>", "proxy": "", "proxy_days": 0, "filled": 1, "quality": None},
}  # fmt: skip


def test_each_market_has_its_source_quality_and_marks():
    shown = about.data(TOLD)
    assert "barchart" in shown and "0.912" in shown and "1,234 proxy days of ES" in shown
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
        ("Smallest account for one contract, as sized last (2024-12-31)", "MES $100,000, ZN $2,000,000"),
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


def test_events_are_counted_whole_and_tell_what_was_wanted():
    rows = [
        {"day": "2020-03-10", "root": "CL.c.3", "kind": "partial fill", "wanted": 12.0, "allowed": 4.5},
        {"day": "2020-03-09", "root": "", "kind": "margin call", "wanted": 1200.0, "allowed": None},
    ]
    shown = about.events(rows, {"partial fill": 5000, "margin call": 1})
    assert "partial fill 5,000, margin call 1." in shown and "200 of them" in shown
    assert "wanted 12, allowed 4.50" in shown and "wanted 1,200<" in shown
    assert shown.index("account") < shown.index("CL.c.3")  # by day
    assert "None: no margin call" in about.events([])


def test_proxies_and_filled_rows_stand_above_the_page():
    shown = shell.marks(TOLD)
    assert "Prices of another contract stand in: MES (1,234 days of ES)" in shown
    assert "Rows filled from a second source: &lt;b&gt; (1 row)" in shown
