"""Badges of a run: what is good, what is not, and what nobody looked at."""

from types import SimpleNamespace

import pytest

from app import shell
from app.badges import badges

GOOD = {
    "currency": "USD", "metrics": {"final_equity": 1100.0}, "ledger": {"price": 130.0, "commission": -30.0},
    "trades_residual": 2e-9, "identity_residual": 0.0, "identity_holds": True, "hashes": {"data": "ab" * 32},
    "data": {"CL": {"quality": {"score": 0.99}}, "ES": {"quality": {"score": 0.97}}}, "markets": ["CL", "ES"],
}  # fmt: skip


def of(**changes):
    """{words: badge} of a run of two markets with these changes of its summary."""
    run = SimpleNamespace(summary=GOOD | changes, portfolio=SimpleNamespace(capital=1000.0, currency="USD"))
    return {badge.words: badge for badge in badges(run)}


def test_a_run_whose_sums_agree_says_so():
    found = of()
    assert list(found) == ["Data quality 98 %", "Adds up to the cent", "Told twice alike", "Inputs abababab"]
    assert [badge.good for badge in found.values()] == [True, True, True, None]
    assert "weakest ES 97.0 %" in found["Data quality 98 %"].meaning


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metrics": {"final_equity": 1100.01}}, "Off by $0.01"),
        ({"ledger": {"price": 1130.0, "commission": -30.0}}, "Off by $1,000.00"),
        ({"trades_residual": 2.5}, "Off by $2.50"),
        ({"identity_holds": False, "identity_residual": 3.0}, "Told twice, not alike"),
        ({"data": {"CL": {"quality": {"score": 0.8}}}}, "Data quality 80 %"),
        ({"data": {f"M{k}": {"quality": {"score": float(k > 0)}} for k in range(20)}}, "Data quality 95 %"),
    ],
)
def test_what_is_not_so_is_red(changes, words):
    assert of(**changes)[words].good is False


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": {"CL": {"quality": None}}}, "Data quality unknown"),
        ({"trades_residual": None}, "Sums unknown"),
        ({"program": "PyBroker"}, "Told once"),
    ],
)
def test_what_nobody_looked_at_is_neither_good_nor_bad(changes, words):
    assert of(**changes)[words].good is None


def test_badges_are_text_on_the_page():
    data = {"<img src=x>": {"quality": {"score": 0.5}}}
    run = SimpleNamespace(summary=GOOD | {"data": data}, portfolio=SimpleNamespace(capital=1000.0, currency="USD"))
    told = shell.badged(run)
    assert 'class="bad" title="Mean of 1 market' in told and "&lt;img src=x&gt;" in told and "<img" not in told
