"""What a run reads, against a store made by hand."""

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from engine import Portfolio, backtest
from engine.backtest import run
from engine.market import MarketUnknown, RuleRefused, RuleUnknown, checked_rule, load, refused, specified
from engine.settings import ConfigError
from store import derived, history, kept, open_archive, roll_versions
from store.ingest import import_paths
from store.roll_rules import UnknownRule
from tests.small_store import QUARTERS, build, forget, fx, sessions
from tests.test_engine_backtest import PORTFOLIO

DAY = timedelta(days=1)


def check_changes(market):
    """The law: wherever a market's contract changes, the row before rolls or closes; its profit is told by the legs."""
    for m, root in enumerate(market.roots):
        rows = np.flatnonzero(~np.isnan(market.mark[:, m]) | market.roll[:, m] | market.closed[:, m])
        contract, left = market.contract[rows, m], (market.roll | market.closed)[rows, m]
        changes = np.flatnonzero((contract[1:] != contract[:-1]) & (contract[:-1] > 0))
        assert left[changes].all(), (root, market.days[rows[changes[~left[changes]]]])
        for t, after in zip(rows[changes], rows[changes + 1], strict=True):
            if market.roll[t, m]:
                assert market.roll_contract[t, m] == market.contract[after, m]
                earned = market.adjusted[after, m] - market.adjusted[t, m]
                assert earned == pytest.approx(market.mark[after, m] - market.roll_to[t, m], abs=1e-6, nan_ok=True)


def put(archive, rows, root="MES", source="barchart"):
    """Commit rows as a file of their own."""
    rows = rows.drop("root", "source", strict=False)
    archive.commit([archive.write("contract_bars", rows, source=source, root=root)])


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return build(tmp_path_factory.mktemp("small") / "store")


def test_markets_are_aligned_on_the_union_of_their_days(archive):
    market = load(archive)
    assert market.roots == ("FGBL", "MES")
    assert market.days.tolist() == sessions()
    assert market.currencies == ("EUR", "USD")
    assert market.mark.shape == market.fx.shape == (len(market.days), 2)


def test_the_second_load_comes_from_the_cache_and_is_equal(archive, monkeypatch):
    first = load(archive)
    kept.memory.clear()
    forget(archive)
    monkeypatch.setattr(derived, "_whole", None)  # nothing is made again
    second = load(archive)
    assert np.array_equal(first.adjusted, second.adjusted, equal_nan=True)
    assert first.hashes == second.hashes


def test_the_adjusted_series_has_no_gap_at_a_roll(archive):
    market = load(archive, ["MES"])
    rolled = np.flatnonzero(market.roll[:, 0])
    assert len(rolled) >= 7
    for t in rolled[:-1]:
        step = market.roll_from[t, 0] - market.roll_to[t, 0]
        assert step == pytest.approx(-2.0)  # each contract costs two points more than the one before
        assert market.offset[t + 1, 0] - market.offset[t, 0] == pytest.approx(step)
    spot = np.diff(market.adjusted[:, 0])
    assert np.abs(spot).max() < 200


def test_rows_belong_to_the_contract_left_on_its_last_day(archive):
    market = load(archive, ["MES"])
    t = int(np.flatnonzero(market.roll[:, 0])[0])
    assert market.contract[t, 0] == 202103
    assert market.contract[t + 1, 0] == market.roll_contract[t, 0] == 202106


def test_t33_a_rate_of_the_day_is_the_last_published_one(tmp_path):
    archive = build(tmp_path, euro=[1.10, 1.20], euro_days=[date(2021, 1, 4), date(2021, 1, 11)])
    market = load(archive, ["FGBL"], end=date(2021, 1, 12))
    assert market.fx[:, 0].tolist() == [1.10] * 5 + [1.20] * 2


def test_a_market_with_a_stale_rate_is_not_traded(tmp_path):
    archive = build(tmp_path, euro=[1.10], euro_days=[date(2021, 1, 4)])
    market = load(archive)
    day = market.days.astype(object).tolist().index(date(2021, 2, 3))
    assert market.available[day, 0]  # thirty days old
    assert not market.available[day + 1 :, 0].any()
    assert market.available[day + 1 : day + 200, 1].all()


def test_an_account_in_euro_has_the_inverse_rate(archive):
    market = load(archive, currency="EUR")
    assert market.fx[5].tolist() == pytest.approx([1.0, 1 / 1.10])


def test_a_currency_without_rates_is_never_one(archive):
    with pytest.raises(MarketUnknown, match="no exchange rate of JPY is stored; stored: EUR, USD"):
        load(archive, currency="JPY")


@pytest.mark.parametrize(("roots", "said"), [(["ES"], "not stored: ES"), (["MES", "NOPE"], "NOPE")])
def test_a_market_that_is_not_stored_is_named(archive, roots, said):
    with pytest.raises(MarketUnknown, match=said):
        load(archive, roots)


def test_an_unknown_market_is_refused_with_the_facts_to_add(tmp_path):
    archive = build(tmp_path)
    bars = archive.read("contract_bars", root="MES").drop("root", "source")
    archive.commit([archive.write("contract_bars", bars, source="barchart", root="HOUSEWARE")])
    with pytest.raises(MarketUnknown, match=r"HOUSEWARE: its facts are not known; add rows .* contracts.csv"):
        load(archive, ["HOUSEWARE"])


def test_t30_a_margin_before_its_first_dated_row_is_unknown(archive):
    market = load(archive, ["MES"])
    margins = market.initial_margin[:, 0]
    assert np.isnan(margins[0]) or margins[0] > 0
    assert not (margins == 0).any()
    assert not (margins[~np.isnan(margins)] == 0).any()


def test_an_earlier_end_leaves_the_rows_before_it_as_they_were(archive):
    whole, short = load(archive), load(archive, end=date(2021, 12, 1))
    rows = len(short.days)
    for name in ("mark", "offset", "contract", "roll", "available"):
        assert np.array_equal(
            getattr(short, name), getattr(whole, name)[:rows], equal_nan=name in ("mark", "offset")
        ), name


def test_rolls_may_fill_at_the_open_while_the_series_uses_the_settlement(archive):
    settle, opened = load(archive, ["MES"]), load(archive, ["MES"], roll_fill="open")
    t = int(np.flatnonzero(settle.roll[:, 0])[0])
    assert settle.roll_from_fill[t, 0] == settle.roll_from[t, 0]
    assert opened.roll_from_fill[t, 0] == opened.open[t, 0]
    assert np.array_equal(settle.adjusted, opened.adjusted, equal_nan=True)


def test_a_holiday_after_a_roll_shows_the_contract_rolled_into(tmp_path):
    archive = build(tmp_path)
    market = load(archive, ["MES"])
    t = int(np.flatnonzero(market.roll[:, 0])[0])
    holiday = market.days[t + 1].item()
    bars = archive.read("contract_bars", root="MES").filter(pl.col("day") != holiday)
    archive.commit(
        [archive.write("contract_bars", bars, source="barchart", root="MES")],
        archive.files("contract_bars", root="MES"),
    )
    both = load(archive)
    t, m = both.days.tolist().index(holiday), both.roots.index("MES")
    assert np.isnan(both.mark[t, m])
    assert both.contract[t - 1 : t + 2, m].tolist() == [202103, 202106, 202106]
    run = backtest(both, Portfolio.from_toml(PORTFOLIO.replace("2021-02-01", "2021-01-04")))
    held = run.positions().filter(
        pl.col("root").cast(pl.String) == "MES", pl.col("day").is_between(holiday - 3 * DAY, holiday)
    )
    assert held["contract"].unique().to_list() in ([202106], [202103, 202106], [])
    assert held["contract"].is_sorted()


def test_a_market_known_by_another_name_is_told_its_root(archive):
    with pytest.raises(MarketUnknown, match=r"not stored: SP500_micro \(its root is MES\)"):
        load(archive, ["SP500_micro"])


def test_each_market_rolls_by_its_own_rule(archive):
    mixed = load(archive, rule={"": "volume:1", "MES": "last-trade-20"})
    late, plain = load(archive, ["MES"], rule="last-trade-20"), load(archive)
    np.testing.assert_array_equal(mixed.contract[:, 1], late.contract[:, 0])
    np.testing.assert_array_equal(mixed.contract[:, 0], plain.contract[:, 0])
    assert (mixed.contract != plain.contract).any()
    assert len({market.hashes["rolls"] for market in (mixed, late, plain)}) == 3


def test_rules_that_are_all_the_same_are_one_rule(archive):
    told = load(archive, rule={"": "oi:1", "MES": "volume:1", "FGBL": "volume:1"})
    assert told.hashes == load(archive).hashes


def test_a_rule_of_a_market_that_there_is_none_of_is_refused(archive):
    with pytest.raises(MarketUnknown, match="a roll rule is told of MESS, which is no market; did you mean MES"):
        load(archive, rule={"": "volume:1", "MESS": "oi:1"})
    assert load(archive, rule={"": "volume:1", "GC": "oi:1"}).hashes == load(archive).hashes  # is none of this run


def test_a_rule_that_holds_through_expiry_is_for_research_only(archive):
    with pytest.raises(RuleRefused, match="MES: roll rule 'last-trade-0,exit=expiry' holds contracts through expiry"):
        load(archive, ["MES"], rule={"": "volume:1", "MES": "last-trade-0,exit=expiry"})


def test_an_unknown_rule_is_refused_with_the_nearest(archive):
    with pytest.raises(UnknownRule, match="did you mean 'volume:3'"):
        load(archive, rule="volum:3")


def test_progress_of_a_load_is_told(archive):
    told = []
    load(archive, rule="last-trade-11", progress=lambda *state: told.append(state))
    assert told == [(1, 2, "FGBL"), (2, 2, "MES")]


# ---- rolls and bars within the day


def test_the_contract_changes_only_after_a_roll_or_a_close(archive):
    for rule in ("volume:1", "last-trade-5", "oi:2,exit=3"):
        check_changes(load(archive, rule=rule))


def test_the_contract_changes_only_after_a_roll_or_a_close_in_real_markets(real):
    undecided = set(refused(real, real.head()))
    market = load(real, [root for root in specified(real, real.head())[0] if root not in undecided])
    assert len(market.roots) > 15 and market.roll.sum() > 1000
    check_changes(market)


def hours():
    """Hourly bars of MES on 50 weekdays: 3000 plus 2 a day in March, 100 more in June, and an hour adds 0.01 a clock
    hour. From the 41st day on June is the busier one; on every other day March has no bar at 22:00."""
    rows = []
    for i, day in enumerate(sessions(date(2020, 1, 2), date(2020, 3, 11))):
        for contract, base, busy in ((202003, 3000.0, i < 40), (202006, 3100.0, i >= 40)):
            for hour in (10, 14, 18, 22)[: 3 if contract == 202003 and i % 2 else 4]:
                price = base + 2 * i + hour / 100
                rows.append({"contract": contract, "day": day, "time": datetime(*day.timetuple()[:3], hour, tzinfo=UTC),
                             "open": price - 0.005, "high": price + 0.5, "low": price - 0.5, "close": price,
                             "volume": 100.0 if busy else 20.0})  # fmt: skip
    return pl.DataFrame(rows)


def test_bars_within_the_day_are_one_bar_of_the_contract_held_into_the_day(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    put(archive, hours(), source="barchart-hour")
    market = load(archive, ["MES"])
    check_changes(market)
    t = int(np.flatnonzero(market.roll[:, 0])[0])
    assert market.roll.sum() == 1 and t == 41 and market.days[t] == np.datetime64("2020-02-28")  # after a day of June's
    told = ("contract", "open", "high", "low", "close", "mark", "volume", "roll_from", "roll_to", "roll_contract")
    day = [getattr(market, name)[t, 0] for name in told]  # three bars of March, to 18:00; June's at 22:00 is none of it
    assert day == pytest.approx([202003, 3082.095, 3082.68, 3081.6, 3082.18, 3082.18, 60, 3082.18, 3182.18, 202006])
    day = [getattr(market, name)[t + 1, 0] for name in told[:7]]
    assert day == pytest.approx([202006, 3184.095, 3184.72, 3183.6, 3184.22, 3184.22, 400])
    assert market.adjusted[t + 1, 0] - market.adjusted[t, 0] == pytest.approx(3184.22 - 3182.18)
    assert market.volume[:3, 0].tolist() == [400.0, 300.0, 400.0]
    made = backtest(market, Portfolio.from_toml(PORTFOLIO.replace("2021-02-01", "2020-01-02").replace("20 }", "6 }")))
    assert made.summary["identity_residual"] == pytest.approx(0.0, abs=1e-9) and made.identity_holds
    assert made.trades()["rolls"].sum() == 1


def test_real_bars_within_the_day_roll_on_every_day_of_their_calendar(shared, tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    import_paths(archive, [shared / "barchart" / "hourly" / "Hour_BUND_2022_2023.zip"])
    days = sessions(date(2021, 12, 1), date(2023, 12, 29))
    archive.commit([archive.write("fx", fx(1.05, days), source="ecb", currency="EUR")])
    market = load(archive, ["FGBL"])
    check_changes(market)
    calendar, source = history.calendar(archive, "FGBL")
    assert source == "barchart-hour" and calendar.frame.height >= 6
    rolled = calendar.frame.filter(~pl.col("reason").str.starts_with("closed"))
    assert market.days[market.roll[:, 0]].tolist() == rolled["day"].to_list()
    made = backtest(market, Portfolio.from_toml(PORTFOLIO.replace("2021-02-01", "2022-01-03")))
    assert made.summary["identity_residual"] == pytest.approx(0.0, abs=1e-6) and made.identity_holds
    assert made.trades()["rolls"].sum() >= 1


# ---- the end of a chain


def test_the_end_of_a_chain_is_told_on_its_day_whatever_comes_later(tmp_path):
    rows = build(tmp_path / "all").read("contract_bars", root="MES")
    late = (pl.col("contract") == QUARTERS[2]) & (pl.col("day") >= date(2021, 6, 21))  # September's begin too late
    rows = rows.filter((pl.col("contract") <= QUARTERS[1]) | late)
    loaded = {}
    for day in (9, 10, 11, 14, 18, 21, 30):
        archive = open_archive(tmp_path / str(day), create=True)
        put(archive, rows.filter(pl.col("day") <= date(2021, 6, day)))
        loaded[day] = load(archive, ["MES"], rule="volume:1,exit=5")
    whole = loaded[30]
    check_changes(whole)
    for day, part in loaded.items():  # June's last trade is on the 18th, the fifth session before it the 11th
        n = len(part.days)
        assert np.array_equal(part.days, whole.days[:n]) and part.days[-1].item().day == (11 if 11 < day < 21 else day)
        for name in ("available", "closed", "contract", "roll"):
            assert np.array_equal(getattr(part, name), getattr(whole, name)[:n]), (day, name)
    june = whole.days >= np.datetime64("2021-06-01")
    assert whole.days[whole.closed[:, 0]].tolist() == [date(2021, 6, 11)]
    assert whole.days[june & ~whole.available[:, 0]].tolist() == [date(2021, 6, 11)]  # no row until September's come


# ---- rules as a portfolio has them

WRONG = {
    "volume:x": "did you mean 'volume'",
    "oi:0": "did you mean 'oi'",
    "volume:1000": "did you mean 'volume'",
    "first-notice-1000": "did you mean 'first-notice-1'",
    "volume,exit=2,exit=3": "exit is told twice",
    "volume,exit=0": "option 'exit=0' is not known; allowed are months=LETTERS",
    "volume@0": "@0 would read a number of the roll day itself",
    "first-notise-5": "did you mean 'first-notice-1'",
    "mine": "is not known; ",
}


@pytest.mark.parametrize("text", WRONG)
@pytest.mark.parametrize(
    ("setting", "place"), [("rolls.rule", "[rolls] rule"), ("rolls.roots.MES", "[rolls.roots] MES")]
)
def test_a_wrong_rule_of_a_portfolio_is_told_with_its_place_before_anything_is_loaded(
    archive, monkeypatch, text, setting, place
):
    portfolio = Portfolio.from_toml(PORTFOLIO).with_settings([f"{setting}={text}"])
    monkeypatch.setattr(derived, "series", None)
    with pytest.raises(ConfigError) as fault:
        run(archive, portfolio)
    assert str(fault.value).startswith(f"{place}: roll rule '{text}'") and WRONG[text] in str(fault.value)
    assert isinstance(fault.value, RuleUnknown)


def test_a_rule_that_holds_through_expiry_is_refused_in_a_sentence_of_its_own(archive):
    portfolio = Portfolio.from_toml(PORTFOLIO).with_settings(["rolls.roots.FGBL=volume, exit=expiry"])
    with pytest.raises(
        RuleRefused, match=r"^\[rolls.roots\] FGBL: roll rule 'volume, exit=expiry' holds .* exit=K with K"
    ):
        run(archive, portfolio)


def test_a_rule_may_be_written_as_the_commands_take_it(archive):
    loose, strict = (
        load(archive, rule=Portfolio.from_toml(PORTFOLIO).with_settings([f"rolls.rule={text}"]).rolls.rules())
        for text in ("Volume:2, exit=2", "volume:2,exit=2")
    )
    assert np.array_equal(loose.adjusted, strict.adjusted, equal_nan=True)


def test_a_stored_calendar_is_a_rule_of_a_portfolio_by_tag_and_by_version(tmp_path):
    archive = build(tmp_path / "store")
    calendar = history.calendar(archive, "MES", "last-trade-20")
    roll_versions.save(archive, [calendar], "mine")
    plain = Portfolio.from_toml(PORTFOLIO)
    for name in ("mine", calendar[0].version[:6], "mine,exit=2"):
        made, _ = run(archive, plain.with_settings([f"rolls.roots.MES={name}"]), force=True)
        assert made.identity_holds
    with pytest.raises(RuleUnknown, match=r"\[rolls.roots\] MES: roll rule 'mime' is not known; did you mean 'mine'"):
        run(archive, plain.with_settings(["rolls.roots.MES=mime"]))
    with pytest.raises(RuleUnknown, match=r"\[rolls.roots\] FGBL: roll rule 'mine' is not known"):
        run(archive, plain.with_settings(["rolls.roots.FGBL=mine"]))  # stored of MES only
    elsewhere = plain.with_settings(["rolls.roots.GC=theirs"])  # of a market that is none of this run
    assert run(archive, elsewhere)[0].identity_holds
    assert checked_rule("mine", names=["mine"]).kind == "given"


def test_a_rule_of_an_unknown_market_is_refused_with_the_nearest_name(archive):
    with pytest.raises(MarketUnknown, match="a roll rule is told of FGBLL, which is no market; did you mean FGBL"):
        run(archive, Portfolio.from_toml(PORTFOLIO).with_settings(["rolls.roots.FGBLL=oi:1"]))


# ---- what is kept of the quality


@pytest.mark.parametrize("harm", ["torn", "empty", "other"])
def test_a_quality_that_is_not_as_it_was_written_is_made_again(tmp_path, harm):
    archive = build(tmp_path / "store")
    good = {root: asdict(one) for root, one in load(archive).quality.items()}
    [path] = (archive.cache / "quality").glob("*.json")
    text = path.read_text()
    forget(archive)
    path.write_text({"torn": text[:-9], "empty": "", "other": text.replace("barchart", "barchert")}[harm])
    assert {root: asdict(one) for root, one in load(archive).quality.items()} == good
    assert path.read_text() == text


def test_a_store_that_cannot_be_written_is_loaded_all_the_same(tmp_path):
    archive = build(tmp_path / "store")
    archive.cache.write_text("no folder")
    assert set(load(archive).quality) == {"FGBL", "MES"}


def test_facts_that_change_make_the_quality_anew(tmp_path):
    archive = build(tmp_path / "store")
    before = load(archive).quality["MES"].coverage
    days = [f"CME_EQUITY,{day},open,test" for day in ("2021-07-05", "2021-09-06", "2021-11-25")]
    closed = [f"CME_EQUITY,{day},test,test" for day in ("2021-08-10", "2021-08-11")]
    (archive.path / "holidays.csv").write_text("\n".join(["calendar,day,name,source", *days, *closed]) + "\n")
    load(archive)
    assert len(list((archive.cache / "quality").glob("*.json"))) == 2
    assert before is not None


def test_a_roll_rule_of_a_market_that_is_not_traded_is_noted(archive):
    portfolio = Portfolio.from_toml(PORTFOLIO).with_settings(["rolls.roots.GC=oi", "rolls.roots.MES=volume"])
    made, _ = run(archive, portfolio, force=True)
    assert "roll rules of markets that are not traded: GC" in made.summary["notes"]
