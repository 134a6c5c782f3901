"""The words about a run: where its prices come from, and what stands in for what."""

from app import shell
from app.views import about

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


def test_proxies_and_filled_rows_stand_above_the_page():
    shown = shell.marks(TOLD)
    assert "Prices of another contract stand in: MES (1,234 days of ES)" in shown
    assert "Rows filled from a second source: &lt;b&gt; (1 row)" in shown
