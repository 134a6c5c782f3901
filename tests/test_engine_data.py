"""What a run reads beside prices of its own: proxies, own margins, decisions, the store of an earlier day."""

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from engine import Portfolio, backtest
from engine.backtest import run
from engine.inputs import margins
from engine.market import MarketRefused, MarketUnknown, load
from store import decisions, history
from store.archive import Refused
from store.manifest import Manifests
from store.tables import TABLES
from tests.small_store import build

SINCE = date(2022, 1, 3)  # first day of the micro's own history
FACTS = "root,field,value,valid_from,source\nMES,history_from,ES,2022-01-03,of this test\n"


@pytest.fixture
def archive(tmp_path):
    return build(tmp_path / "store")


def with_full_size(archive, since=SINCE):
    """The micro's bars before `since` move to the full-size contract."""
    (archive.path / "contracts.csv").write_text(FACTS)
    bars = archive.read("contract_bars", root="MES")
    parts = {"MES": bars.filter(pl.col("day") >= since), "ES": bars.filter(pl.col("day") < since)}
    old = archive.files("contract_bars", root="MES")
    archive.commit(
        [
            archive.write("contract_bars", rows.drop("root"), source="barchart", root=root)
            for root, rows in parts.items()
            if len(rows)
        ],
        old,
    )
    return archive


def test_a_full_size_contract_stands_in_before_the_micro_was_listed(archive):
    whole = load(archive, ["MES"])
    parted = load(with_full_size(archive), ["MES"])
    assert np.array_equal(whole.adjusted, parted.adjusted, equal_nan=True)  # the same prices under two names
    assert np.array_equal(whole.contract, parted.contract)
    assert parted.multiplier[0, 0] == 5.0  # its own, not the 50 of the full-size contract
    proxy = parted.days < np.datetime64(SINCE)
    assert proxy.sum() > 200 and np.array_equal(parted.proxy[:, 0], proxy)
    assert not whole.proxy.any()
    assert parted.sources["MES"]["proxy"] == "ES"


def test_a_micro_without_any_bar_is_run_on_its_full_size_contract(archive):
    with_full_size(archive, date(2030, 1, 1))
    market = load(archive, ["MES"])
    assert market.proxy[~np.isnan(market.mark[:, 0]), 0].all()
    assert load(archive).roots == ("ES", "FGBL")  # but only where it is asked for by name


def test_a_bar_lent_after_an_own_row_without_a_price_is_a_proxy_too(archive):
    with_full_size(archive)
    bars = archive.read("contract_bars", root="MES")
    week = pl.col("day") < date(2022, 1, 10)  # its own first week has rows, but no price: the full-size one's are read
    own = bars.with_columns(settle=pl.when(~week).then("settle"))
    lent = bars.filter(week).with_columns(open=pl.col("settle"))
    old = archive.files("contract_bars", root="MES")
    parts = {"MES": own, "ES": lent}
    archive.commit([archive.write("contract_bars", rows.drop("root", "source"), source="barchart", root=root)
                    for root, rows in parts.items()], old)  # fmt: skip
    for _ in range(2):  # made, and from the cache
        market = load(archive, ["MES"])
        assert market.days[market.proxy[:, 0]][-1] == np.datetime64("2022-01-07")  # Monday's are its own
        assert np.array_equal(market.proxy[:, 0], market.days < np.datetime64("2022-01-10"))
        assert market.sources["MES"]["until"] == date(2022, 1, 10)


def test_simulated_prices_never_stand_in_before_real_ones(archive):
    with_full_size(archive)
    bars = archive.read("contract_bars", root="ES").drop("root", "source")
    old = archive.files("contract_bars", root="ES")
    archive.commit([archive.write("contract_bars", bars, source="sample", root="ES")], old)
    assert load(archive, ["MES"]).days[0] == np.datetime64(SINCE)


def test_a_result_says_which_days_were_proxies(archive):
    made = backtest(load(with_full_size(archive), ["MES"]), Portfolio.from_toml(_file(archive)))
    told = made.summary["data"]["MES"]
    assert told["proxy"] == "ES" and told["proxy_days"] > 200 and told["source"] == "barchart"
    assert any(note.startswith("proxy days") and "MES" in note for note in made.summary["notes"])


def _file(archive, text=""):
    path = archive.path / "one.toml"
    path.write_text(
        '[portfolio]\ncapital = 1_000_000\nmarkets = ["MES"]\n[[strategies]]\nname = "moving_average_cross"\n'
        f"params = {{ fast = 5, slow = 20 }}\n{text}"
    )
    return path


def test_an_own_margin_table_goes_before_the_exchange_from_its_first_day(archive):
    table = pl.DataFrame({"day": [date(2022, 1, 3)], "initial": [3000.0], "maintenance": [2500.0]})
    archive.commit([archive.write("margins", table, source="plain", root="MES")])
    exchange, market = load(build(archive.path.parent / "other"), ["MES"]), load(archive, ["MES"])
    before = market.days < np.datetime64("2022-01-03")
    assert np.array_equal(market.initial_margin[before], exchange.initial_margin[before], equal_nan=True)
    assert set(market.initial_margin[~before, 0]) == {3000.0} and set(market.maintenance_margin[~before, 0]) == {2500.0}
    assert np.array_equal(market.own_margin[:, 0], ~before)


def test_the_user_s_own_table_goes_before_a_vendor_s(archive):
    tables = {"lean": (date(2022, 6, 1), 9000.0), "plain": (date(2022, 1, 3), 3000.0)}
    for source, (day, amount) in tables.items():
        rows = pl.DataFrame({"day": [day], "initial": [amount], "maintenance": [amount]})
        archive.commit([archive.write("margins", rows, source=source, root="MES")])
    assert load(archive, ["MES"]).initial_margin[-1, 0] == 3000.0


def test_a_house_margin_multiplies_the_exchange_s_and_not_the_own_table_s(archive):
    market = load(archive, ["MES"])
    plain, house = (
        margins(market, Portfolio.from_toml(_file(archive, text)).margin)[0]
        for text in ("", "[margin]\nhouse = 1.25\n")
    )
    assert np.allclose(house, 1.25 * plain, equal_nan=True)
    table = pl.DataFrame({"day": [date(2000, 1, 3)], "initial": [3000.0], "maintenance": [2500.0]})
    archive.commit([archive.write("margins", table, source="plain", root="MES")])
    rule = Portfolio.from_toml(_file(archive, "[margin]\nhouse = 1.25\n")).margin
    assert set(margins(load(archive, ["MES"]), rule)[0][:, 0]) == {3000.0}


def refuse(archive, root="MES"):
    """Store a finding that must be decided about."""
    row = {"id": "f00d", "severity": "refuse", "rule": "unit_slip", "source": "barchart", "root": root,
           "contract": 202203, "day": date(2022, 1, 4), "field": "settle", "value": "40.0",
           "reason": "0.01 times the day before", "done": "kept; decide"}  # fmt: skip
    archive.commit([archive.write("findings", TABLES["findings"].conform(pl.DataFrame([row])), root=root)])
    return archive


def test_a_market_to_be_decided_about_is_not_run(archive):
    refuse(archive)
    with pytest.raises(MarketRefused, match=r"MES: unit_slip 2022-01-04 40.0: .*frontmonth check --release f00d"):
        load(archive, ["MES"])


def test_a_run_over_all_markets_leaves_it_out_and_says_so(archive):
    made, _ = run(archive, Portfolio.from_toml(_all(refuse(archive))))
    assert made.summary["markets"] == ["FGBL"]
    assert any("to be decided about" in note and "MES" in note for note in made.summary["notes"])


def test_a_released_finding_lets_the_market_run_again(archive):
    decisions.release(refuse(archive), ["f00d"], "the exchange confirmed it", "me")
    assert load(archive, ["MES"]).roots == ("MES",)


def test_the_same_prices_have_the_same_hash_in_any_store(tmp_path):
    one, two = build(tmp_path / "one"), build(tmp_path / "two")
    rows = two.read("contract_bars", root="MES").with_columns(known=pl.lit(datetime(2026, 1, 1, tzinfo=UTC)))
    halves = [rows.filter(pl.col("contract") < 202203), rows.filter(pl.col("contract") >= 202203)]
    two.commit(
        [two.write("contract_bars", half, source="barchart", root="MES") for half in halves],
        two.files("contract_bars", root="MES"),
    )
    assert load(one).hashes == load(two).hashes


def test_a_run_of_an_earlier_day_uses_the_store_as_it_was(archive, monkeypatch):
    before = load(archive, ["MES"])
    first = archive.head()
    changed = archive.read("contract_bars", root="MES").with_columns(pl.col("settle") + 1.0)
    old = archive.files("contract_bars", root="MES")
    archive.commit([archive.write("contract_bars", changed, source="barchart", root="MES")], old)
    assert archive.as_known(datetime.now(UTC).date()).number == archive.head().number
    snapshots = {first.number: "2026-01-05T10:00:00Z", archive.head().number: "2026-01-07T10:00:00Z"}
    monkeypatch.setattr(Manifests, "time", lambda self, number: snapshots[number])
    assert archive.as_known("2026-01-06").number == first.number
    assert archive.as_known("2026-01-05").number == first.number  # until the end of that day
    assert archive.as_known("2026-01-07").number == first.number + 1
    again = load(archive, ["MES"], snapshot=archive.as_known("2026-01-06"))
    assert again.hashes == before.hashes
    with pytest.raises(Refused, match="the store knew nothing on 2026-01-04: its first snapshot is of 2026-01-05"):
        archive.as_known("2026-01-04")


def test_bars_without_a_price_are_not_read(archive):
    bars = archive.read("contract_bars", root="MES").drop("root", "source")
    rows = bars.head(1).with_columns(
        contract=pl.lit(202409, pl.Int32), settle=pl.lit(None, pl.Float64), close=pl.lit(None, pl.Float64)
    )
    archive.commit([archive.write("contract_bars", rows, source="barchart", root="MES")])
    assert archive.read("contract_bars", root="MES").height == bars.height + 1
    assert history.bars(archive, "MES").read().height == bars.height


def test_a_full_size_contract_stands_in_until_the_micro_s_own_rows_begin(archive):
    with_full_size(archive, date(2022, 1, 3))
    (archive.path / "contracts.csv").write_text(
        FACTS.replace("2022-01-03", "2021-06-01")
    )  # listed long before its rows
    market = load(archive, ["MES"])
    assert market.days[0] == np.datetime64("2021-01-04")
    assert np.isnan(market.mark[:, 0]).sum() == 0
    assert np.array_equal(market.proxy[:, 0], market.days < np.datetime64("2022-01-03"))


def test_a_market_without_any_price_is_left_out_and_named(archive):
    bars = archive.read("contract_bars", root="FGBL").drop("root", "source")
    bare = bars.with_columns(pl.lit(None, pl.Float64).alias(c) for c in ("open", "high", "low", "close", "settle"))
    archive.commit([archive.write("contract_bars", bare, source="lean", root="ZC")])
    market = load(archive)
    assert (market.roots, market.priceless) == (("FGBL", "MES"), ("ZC",))
    made, _ = run(archive, Portfolio.from_toml(_all(archive)))
    assert "not traded, no stored row has a price: ZC" in made.summary["notes"]
    with pytest.raises(MarketUnknown, match="no bar with a price of ZC"):
        load(archive, ["ZC"])
    with pytest.raises(history.NotStored, match="ZC: no stored row has a price"):
        history.table(archive, "ZC")


def _all(archive):
    path = _file(archive)
    path.write_text(path.read_text().replace('markets = ["MES"]\n', ""))
    return path


def test_simulated_rates_never_serve_real_prices(archive):
    rates = pl.DataFrame({"day": [date(2020, 1, 1)], "rate": [0.05]})
    euro = archive.read("fx", currency="EUR").drop("source", "currency")
    parts = [
        archive.write("rates", rates, source="sample", currency="USD"),
        archive.write("fx", euro.with_columns(pl.col("rate") * 9), source="sample", currency="EUR"),
    ]
    archive.commit(parts)
    market = load(archive)
    assert not market.rate.any() and not market.simulated
    assert market.fx[-1, market.roots.index("FGBL")] == pytest.approx(1.10)
    archive.commit([], archive.files("fx", currency="EUR", source="pysystemtrade"))
    assert np.isnan(load(archive).fx[:, 0]).all()  # better none than a made one
