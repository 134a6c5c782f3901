"""Number formats and escaping, also on what nobody expects."""

import numpy as np
import pytest

from app import charts, theme


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


def luminance(colour):
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[k : k + 2], 16) / 255.0 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_text_and_edges_stand_out_from_every_ground(tokens):
    """WCAG 2.2, 1.4.3 and 1.4.11: 4.5 to 1 for text, 3 to 1 for the edges of what can be pressed."""
    grounds = ("ground", "card", "raised", "rail", "line", "accent-ground", "warn-ground", "fail-ground")

    def contrast(one, other):
        low, high = sorted(luminance(tokens[name]) for name in (one, other))
        return (high + 0.05) / (low + 0.05)

    for text in ("ink", "muted", "accent", "gain", "loss", "warn", "bad"):
        assert {ground: contrast(text, ground) for ground in grounds if contrast(text, ground) < 4.5} == {}, text
    assert all(contrast("edge", ground) >= 3.0 for ground in grounds[:4])
