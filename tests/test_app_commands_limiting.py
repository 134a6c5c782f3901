"""The section `limits`: which levels count, what it says of a breach, and the portfolio's own limits."""

import pytest

from tests.command import copied

TIGHT = "[margin_to_equity]\namber = 0.000001\n[loss_day]\nred = 0.0001\n[stale_data]\namber = 3\n"


def tables(found):
    """Rows of a document by title."""
    return {table["title"]: table["rows"] for table in found["tables"]}


def test_the_levels_that_ship_count_until_there_are_others(ran, document, tmp_path):
    store = copied(ran[0], tmp_path)
    shipped = document("show", ran[1], "--section", "limits", "--store", store)
    assert "shipped levels" in shipped["tables"][0]["note"]
    assert len(tables(shipped)["Limits"]) == 9
    (store / "risk_limits.toml").write_text(TIGHT)
    own = document("show", ran[1], "--section", "limits", "--store", store)
    assert "levels of risk_limits.toml" in own["tables"][0]["note"]
    assert [row["limit"] for row in tables(own)["Limits"]] == ["margin_to_equity", "loss_day", "stale_data"]
    (tmp_path / "other.toml").write_text("[loss_week]\nred = 0.1\n")
    other = document("show", ran[1], "--section", "limits", "--limits", tmp_path / "other.toml", "--store", store)
    assert [row["limit"] for row in tables(other)["Limits"]] == ["loss_week"]


def test_a_breach_is_shown_with_the_markets_that_made_it(ran, call, document, tmp_path):
    (tmp_path / "tight.toml").write_text(TIGHT)
    words = ("show", ran[1], "--section", "limits", "--limits", tmp_path / "tight.toml", "--store", ran[0])
    found = tables(document(*words))
    losses = [row for row in found["Breaches"] if row["limit"] == "loss_day"]
    assert losses and all(row["state"] == "red" and row["limit_worst"] > 0.0001 and row["who"] for row in losses)
    assert [row["breach"] for row in losses] == sorted((row["breach"] for row in losses), reverse=True)
    shown = call(*words).out
    assert f"{100 * losses[0]['limit_worst']:.2f} %" in shown and losses[0]["who"].split(",")[0] in shown


def test_a_run_with_limits_is_shown_beside_the_same_one_without(ran, call, document, tmp_path):
    store = copied(ran[0], tmp_path)
    call("run", "cross", "--set", "limits.gross_notional=0.3", "--store", store)
    (own,) = [
        t for t in document("show", "last", "--section", "limits", "--store", store)["tables"] if "off" in t["title"]
    ]
    assert own["rows"][0]["window"] == "whole run" and "loss avoided" in own["note"]
    without = document("show", ran[1], "--section", "limits", "--store", store)["tables"][-1]
    assert without["rows"] == [] and "no limits of its own" in without["note"]


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["--limits", "x.toml"], 2, "--section limits"),
        (["--section", "risk", "--limits", "x.toml"], 2, "--section limits"),
        (["--section", "limits", "--limits", "x.toml"], 1, "x.toml: cannot be read: No such file"),
    ],
)
def test_what_is_asked_wrongly_is_told(ran, call, words, code, reason):
    assert reason in call("show", ran[1], *words, "--store", ran[0], code=code).err


def test_where_the_market_is_not_as_it_was_the_rest_is_told(ran, document, tmp_path):
    store = copied(ran[0], tmp_path)
    (store / "contracts.csv").write_text("root,field,value,valid_from,source\nZC,multiplier,49,2000-01-01,hand\n")
    found = document("show", ran[1], "--section", "limits", "--store", store)
    states = {row["limit"]: row["state"] for row in tables(found)["Limits"]}
    assert {name for name, state in states.items() if state == "unknown"} == {
        "value_at_risk", "correlation", "stale_data",
    }  # fmt: skip
    assert "was made of other data" in found["tables"][0]["note"]
