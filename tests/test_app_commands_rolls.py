"""The verb roll: calendars with prices and reasons, rules compared, calendars as files and versions, what comes."""

import pytest

from store import open_archive


def test_roll_tells_every_roll_with_its_prices_and_reasons(document, store):
    made = document("roll", "MES", "--rule", "volume:1", "--store", store)
    assert {"root", "rule", "version", "first", "rolls", "reasons", "source", "tag", "done", "proxy", "until"} == set(
        made
    )
    assert set(made["rolls"][0]) == {"day", "time", "from", "to", "from_price", "to_price", "reason"}
    assert [roll["from"] for roll in made["rolls"]][:3] == ["202103", "202106", "202109"]
    assert made["rolls"][0]["to_price"] - made["rolls"][0]["from_price"] == 4.0
    assert sum(made["reasons"].values()) == pytest.approx(1.0)
    saved = open_archive(store).read("roll_calendars", root="MES")
    assert saved["version"].unique().to_list() == [made["version"]]


def test_roll_of_several_markets_is_a_list(document, store):
    assert [made["root"] for made in document("roll", "MES", "CORN", "--store", store)] == ["MES", "ZC"]


def test_show_tells_spread_volume_left_and_cost_of_each_roll(call, document, store):
    roll = document("roll", "MES", "--show", "--store", store)["rolls"][0]
    assert roll["spread"] == 4.0
    bars = open_archive(store).read("contract_bars", root="MES").rows(named=True)
    day = {row["contract"]: row["volume"] for row in bars if row["day"].isoformat() == roll["day"]}
    shares = [day[int(roll[leg])] / sum(day.values()) for leg in ("from", "to")]
    assert [roll["from_share"], roll["to_share"]] == pytest.approx(shares)
    assert roll["cost"] == pytest.approx(2 * (0.75 + 0.25 * 5))  # config/costs.toml: commission, and a tick
    shown = call("roll", "MES", "--show", "--store", store).out
    assert "volume left" in shown and "202103" in shown


def test_diff_compares_two_calendars_and_stores_nothing(call, document, store):
    before = open_archive(store).head().hash
    made = document("roll", "ZC", "--diff", "volume:1", "first-notice-20", "--store", store)
    assert set(made) == {"root", "rule", "other", "rolls", "differences"}
    assert (made["rule"], made["other"]) == ("volume:1", "first-notice-20")
    both = [row for row in made["differences"] if row["day"] and row["other_day"]]
    assert both and all(row["other_day"] < row["day"] for row in both)
    assert "between volume:1 (" in call("roll", "ZC", "--diff", "volume:1", "first-notice-20", "--store", store).out
    assert open_archive(store).head().hash == before


def test_compare_puts_rules_side_by_side(call, document, store):
    words = ("roll", "MES", "--compare", "volume:1", "last-trade-20")
    made = document(*words, "--store", store)
    first, second = made["rules"]
    assert (first["rule"], second["rule"]) == ("volume:1", "last-trade-20")
    for row in made["rules"]:
        assert row["total_points"] == pytest.approx(row["price_points"] + row["roll_points"])
        assert row["roll_points"] == pytest.approx(-sum(r["spreads"][row["rule"]] or 0 for r in made["rolls"]))
    shown = call(*words, "--show", "--store", store).out
    assert "of it by rolling" in shown and "day last-trade-20" in shown


def test_compare_tells_what_a_portfolio_earns_under_each_rule(document, store, tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(
        '[portfolio]\nmarkets = ["MES"]\n[[strategies]]\nname = "moving_average_cross"\nfast = 5\nslow = 20\n'
    )
    made = document("roll", "MES", "--compare", "volume:1", "last-trade-20", "--portfolio", path, "--store", store)
    first, second = made["portfolio"]
    assert first["final_equity_difference"] == 0 and first["rolls"] > 0
    assert second["final_equity"] - first["final_equity"] == pytest.approx(second["final_equity_difference"])


def test_a_calendar_goes_out_is_edited_and_comes_back_under_a_tag(call, document, store, tmp_path):
    path = tmp_path / "mes.csv"
    made = document("roll", "MES", "--out", path, "--store", store)
    again = document("roll", "MES", "--from", path, "--tag", "mine", "--store", store)
    assert again["version"] == made["version"] and again["tag"] == "mine"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:1] + lines[2:]) + "\n")  # the first roll is left out
    refused = call("roll", "MES", "--from", path, "--tag", "mine", "--store", store, code=0)
    assert "file 100.0 %" in refused.out
    listed = document("roll", "--list", "--store", store)
    assert "mine" in [row["tag"] for row in listed]
    assert document("roll", "MES", "--diff", "mine", "volume:1", "--store", store)["differences"]
    assert document("continuous", "MES", "--rule", "mine", "--store", store)
    path.write_text("\n".join(lines[:4]) + "\n")  # a calendar that ends early goes on, by --compare as by --rule
    call("roll", "MES", "--from", path, "--tag", "short", "--store", store)
    by_rule = [roll["day"] for roll in document("roll", "MES", "--rule", "short", "--store", store)["rolls"]]
    pairs = document("roll", "MES", "--compare", "short", "volume:1", "--store", store)["rolls"]
    assert len(by_rule) > 4 and [pair["days"]["short"] for pair in pairs if pair["days"]["short"]] == by_rule
    document("roll", "MES", "--remove", "mine", "--store", store)
    assert "mine" not in [row["tag"] for row in document("roll", "--list", "--store", store)]


def test_a_file_with_faults_is_refused_with_all_of_them(call, store, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("day,from,to\n2021-03-09,202103,202106\n2021-03-08,202109,202106\n2021-02-30,202106,202109\n")
    before = open_archive(store).head().hash
    found = call("roll", "MES", "--from", path, "--tag", "bad", "--store", store, code=1)
    assert "nothing was stored" in found.err and found.err.count("\n") == 1
    assert "2021-02-30" in found.out and "202109" in found.out
    assert open_archive(store).head().hash == before


def test_upcoming_tells_the_state_of_the_rule_and_the_days_ahead(call, document, store):
    rows = document("roll", "MES", "--upcoming", "80", "--store", store)
    assert [row["root"] for row in rows] == ["MES"]
    assert rows[0]["held"] == "202303" and rows[0]["expected"] <= rows[0]["latest"] <= rows[0]["last_trade"]
    assert "202303" in call("roll", "MES", "--upcoming", "80", "--store", store).out
    assert "within 1 session" in call("roll", "MES", "--upcoming", "1", "--store", store).out


def test_upcoming_of_a_run_tells_its_contracts(document, ran):
    store, run = ran
    rows = document("roll", "--upcoming", "250", "--run", run, "--store", store)
    assert all(row["held"] for row in rows)


def test_an_unknown_rule_is_refused_with_the_nearest(call, store):
    assert "did you mean 'volume:2'" in call("roll", "MES", "--rule", "volum:2", "--store", store, code=1).err


@pytest.mark.parametrize(
    "words",
    [("--diff", "oi"), ("MES", "--list", "--compare", "oi"), ("MES", "--run", "last"), ("MES", "--portfolio", "trend"),
     ("MES", "ZC", "--compare", "oi"), ("MES", "--upcoming", "0"), ("MES", "ZC", "--out", "x.csv")],
    ids=["one", "two", "run", "portfolio", "markets", "none", "out"],
)  # fmt: skip
def test_wrong_usage_of_roll(call, built, words):
    found = call("roll", *words, "--store", built, code=2)
    assert found.out == "" and found.err.count("\n") == 1


def test_a_source_can_be_named_where_there_are_several(call, document, store):
    archive = open_archive(store)
    bars = archive.read("contract_bars", root="MES").drop("source", "root")
    later = bars.filter(bars["contract"] >= 202109)
    archive.commit([archive.write("contract_bars", later, source="percontract", root="MES")])
    assert document("roll", "MES", "--store", store)["first"] == "202103"
    made = document("roll", "MES", "--source", "percontract", "--store", store)
    assert (made["first"], made["source"]) == ("202109", "percontract")
    assert document("continuous", "MES", "--source", "percontract", "--store", store)[0]["contract"] == "202109"
    assert "there are barchart, percontract" in call("roll", "MES", "--source", "x", "--store", store, code=1).err


def test_a_series_name_says_rule_and_rank(call, document, store):
    made = document("roll", "MES.n.1", "--store", store)
    assert made["rule"] == "oi:1" and made["first"] == "202106"
    for words in (("MES.n.1", "--rank", "2"), ("MES.n.0", "--rule", "volume"), ("MES.n.0", "--list"),
                  ("MES.n.1", "--compare", "oi")):  # fmt: skip
        assert call("roll", *words, "--store", store, code=2).out == ""


def test_markets_that_fail_do_not_keep_others_from_being_stored(call, store):
    found = call("roll", "MES", "CORN", "--rule", "volume,months=FV", "--store", store, code=1)
    assert "MES: " in found.err and "ZC: " in found.err
    found = call("roll", "MES", "CORN", "--rule", "volume,months=Z", "--store", store)
    assert "ZC" in found.out
