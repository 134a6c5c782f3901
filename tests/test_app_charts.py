"""Number formats and escaping, also on what nobody expects."""

import numpy as np
import pytest

from app import charts


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        (1234567.4, "USD", "$1,234,567"),
        (-0.4, "USD", "$0"),
        (-1e6, "EUR", "-€1,000,000"),
        (12.0, "CHF", "CHF 12"),
        (np.nan, "USD", "–"),
        (None, "USD", "–"),
        (np.inf, "USD", "–"),
    ],
)
def test_money_carries_its_currency(value, currency, text):
    assert charts.money(value, currency) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "12.3 %"), (-0.0001, "0.0 %"), (np.nan, "–"), (12.0, "1,200.0 %")]
)
def test_percent_is_of_a_fraction(value, text):
    assert charts.percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (120.921875, "120.921875"),
        (31465.0, "31,465"),
        (0.0071, "0.0071"),
        (-37.63, "-37.63"),
        (0.0, "0"),
        (np.nan, "–"),
    ],
)
def test_a_price_keeps_its_ticks(value, text):
    assert charts.price(value) == text


def test_an_axis_holds_all_values_and_its_floor():
    assert charts.span(np.array([1.0, np.nan, 3.0]), 0.0) == (0.0, 3.15)
    assert charts.span(np.array([])) == (-1.0, 1.0)
    assert charts.span(np.array([0.0, 0.0]), 0.0) == (-1.0, 1.0)


@pytest.mark.parametrize("text", ["<img onerror=x>", "\"'><script>", "{{ 7 * 7 }}", "{% raw %}", "a&b"])
def test_nothing_escaped_can_open_a_tag_an_attribute_or_a_template(text):
    assert not set("<>\"'{") & set(charts.esc(text))
