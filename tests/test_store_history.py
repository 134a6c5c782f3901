"""The rolled history of a stored market: which source is read, by which rule, and calendars that are kept."""

from datetime import date

import polars as pl
import pytest

from store import history, open_archive
from store.archive import Conflict
from store.ingest import import_paths
from tests import small_store
from tests.sample_files import SAMPLES


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Two markets of dated contracts and the chain of a third; a test that writes takes `archive`."""
    archive = small_store.build(tmp_path_factory.mktemp("built") / "store")
    import_paths(archive, [SAMPLES / "pysystemtrade" / "CORN.csv"])
    return archive


@pytest.fixture
def archive(tmp_path):
    return small_store.build(tmp_path / "store")


def put(archive, source, root="MES"):
    bars = archive.read("contract_bars", root="MES", source="barchart").drop("source", "root")
    archive.commit([archive.write("contract_bars", bars, source=source, root=root)])


def test_dated_contracts_go_before_chains_and_real_prices_before_simulated_ones(archive):
    for source in ("sample", "unheard-of", "contract-csv"):
        put(archive, source)
    archive.commit([archive.write("vendor_chains", archive.read("vendor_chains"), source="pysystemtrade", root="MES")])
    assert history.sources(archive, "MES") == [
        ("contract_bars", "barchart"), ("contract_bars", "contract-csv"), ("contract_bars", "unheard-of"),
        ("contract_bars", "sample"), ("vendor_chains", "pysystemtrade"),
    ]  # fmt: skip
    assert history.sources(archive, "ZC") == []


def test_a_calendar_is_by_volume_unless_told(built):
    found, source = history.calendar(built, "MES")
    assert (found.root, found.rule, source) == ("MES", "volume:1", "barchart")
    assert found.frame.height > 4
    other, _ = history.calendar(built, "MES", "last-trade-20")
    assert other.rule == "last-trade-20" and other.version != found.version


def test_a_chain_rolls_as_its_vendor_did(built):
    for rule in (None, "pysystemtrade"):
        found, source = history.calendar(built, "ZC", rule)
        assert (found.rule, source) == ("pysystemtrade", "pysystemtrade")
        assert found.frame.select("from_contract", "to_contract").rows() == [(202212, 202303)]


def test_a_rule_needs_dated_contracts(built):
    with pytest.raises(history.NotStored, match=r"ZC: rule 'volume:1' needs dated contracts; only the chain of"):
        history.calendar(built, "ZC", "volume:1")
    with pytest.raises(history.NotStored, match=r"ES: nothing is stored"):
        history.calendar(built, "ES")


def test_an_unknown_market_is_rolled_without_specs(archive):
    put(archive, "barchart", "PLUTONIUM")
    assert history.calendar(archive, "PLUTONIUM")[0].frame.height > 4


def test_the_newest_contract_of_the_table_is_at_its_market_price(built):
    frame = history.table(built, "MES")
    assert tuple(frame.columns) == history.OUT
    last = frame.row(-1, named=True)
    assert last["adjusted"] == last["settle"]
    plain = history.table(built, "MES", adjust="none")
    assert plain["adjusted"].equals(plain["settle"], check_names=False)
    assert history.table(built, "MES", adjust="ratio")["adjusted"][0] != frame["adjusted"][0]


def test_the_table_of_a_chain_has_the_same_columns(built):
    frame = history.table(built, "ZC")
    assert tuple(frame.columns) == history.OUT
    assert frame["settle"].null_count() == frame.height  # what the source lacks is null


def test_an_adjustment_that_there_is_none_of_is_refused(built):
    with pytest.raises(ValueError, match=r"adjustment 'panama' is not known; allowed are difference, ratio, none"):
        history.table(built, "MES", adjust="panama")


def test_history_is_read_from_the_snapshot_that_was_asked_for(archive):
    before = archive.head()
    version = history.calendar(archive, "MES")[0].version
    bars = archive.read("contract_bars", root="MES").filter(pl.col("contract") < 202206)
    archive.commit(
        [archive.write("contract_bars", bars, source="barchart", root="MES")],
        archive.files("contract_bars", root="MES"),
    )
    assert history.calendar(archive, "MES")[0].version != version
    assert history.calendar(archive, "MES", snapshot=before)[0].version == version
    assert history.table(archive, "MES", snapshot=before).height > history.table(archive, "MES").height


def test_calendars_are_kept_by_market_source_and_rule(archive):
    made = [history.calendar(archive, root, rule) for root in ("MES", "FGBL") for rule in ("volume:1", "last-trade-20")]
    history.save(archive, made)
    history.save(archive, made[:1])  # the same again takes its own place only
    stored = archive.read("roll_calendars")
    assert stored.height == sum(calendar.frame.height for calendar, _ in made)
    one = stored.filter((pl.col("root") == "MES") & (pl.col("rule") == "volume:1"))
    assert one["version"].unique().to_list() == [made[0][0].version]
    assert one.drop("source", "root", "rule", "version").equals(made[0][0].frame)


def test_calendars_that_another_writer_changed_meanwhile_are_not_lost(archive, monkeypatch):
    made = [history.calendar(archive, "MES")]
    other = [history.calendar(archive, "MES", "last-trade-20")]
    write, calls = archive.write, []

    def late(*arguments, **labels):
        if not calls:
            calls.append(1)
            history.save(open_archive(archive.path), other)
        return write(*arguments, **labels)

    monkeypatch.setattr(archive, "write", late)
    with pytest.raises(Conflict):
        history.save(archive, made)
    assert archive.read("roll_calendars")["rule"].unique().to_list() == ["last-trade-20"]


def test_a_vendor_without_a_chain_of_the_market_is_no_rule_for_it(built):
    with pytest.raises(history.NotStored, match="MES: no chain of pysystemtrade is stored"):
        history.calendar(built, "MES", "pysystemtrade")


def planned(archive, *rolls):
    """Rolls of a vendor's own, as an import of his map file stores them."""
    rows = pl.DataFrame(rolls, ["day", "from_contract", "to_contract"], orient="row").cast(
        {"from_contract": pl.Int32, "to_contract": pl.Int32}
    )
    archive.commit(
        [archive.write("roll_calendars", rows.with_columns(rule=pl.lit("lean:oi")), source="lean", root="MES")]
    )
    return archive


def test_a_calendar_that_came_with_the_data_is_the_rule_named_after_its_vendor(archive):
    planned(archive, (date(2021, 3, 9), 202103, 202106), (date(2021, 6, 8), 202106, 202112))
    found, source = history.calendar(archive, "MES", "lean:oi")
    rolls = found.frame.select("day", "from_contract", "to_contract", "reason").rows()
    assert (found.rule, source) == ("lean:oi", "barchart")
    assert rolls[:2] == [
        (date(2021, 3, 9), 202103, 202106, "lean:oi"), (date(2021, 6, 8), 202106, 202112, "lean:oi"),
    ]  # fmt: skip
    assert rolls[2][1:] == (202112, 202203, "fallback: not in lean:oi")  # after its end, before the last allowed day
    assert found.frame["from_price"].null_count() == found.frame["to_price"].null_count() == 0
    assert history.table(archive, "MES", "lean:oi").filter("roll")["day"].to_list()[:2] == [
        date(2021, 3, 9),
        date(2021, 6, 8),
    ]


def test_a_planned_roll_waits_for_both_prices_and_is_forced_out_in_time(archive):
    bars = archive.read("contract_bars", root="MES")
    gone = (pl.col("contract") == 202106) & (pl.col("day") == date(2021, 3, 9))
    old = archive.files("contract_bars", root="MES")
    archive.commit([archive.write("contract_bars", bars.filter(~gone), source="barchart", root="MES")], old)
    planned(archive, (date(2021, 3, 9), 202103, 202106), (date(2021, 6, 30), 202106, 202109))
    rolls = history.calendar(archive, "MES", "lean:oi")[0].frame.select("day", "reason").rows()
    assert rolls[0] == (date(2021, 3, 10), "lean:oi, waited 1")
    assert rolls[1] == (date(2021, 6, 17), "forced: lean:oi")  # last trade on 2021-06-18


def test_a_calendar_that_did_not_come_is_asked_for_in_vain(archive):
    planned(archive, (date(2021, 3, 9), 202103, 202106))
    with pytest.raises(history.NotStored, match="no roll calendar 'lean:last-trade' is stored; there are lean:oi"):
        history.calendar(archive, "MES", "lean:last-trade")
