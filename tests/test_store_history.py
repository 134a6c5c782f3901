"""The rolled history of a stored market: which source is read, by which rule, and the table of many markets."""

from datetime import date

import polars as pl
import pytest

from store import history, roll_versions
from store.ingest import import_paths
from store.roll_rules import UnknownRule
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
    with pytest.raises(ValueError, match="'panama' is not known; allowed are difference, ratio, forward, none"):
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


def test_the_tables_of_many_markets_are_those_of_each(built):
    roots = ["ZC", "MES", "FGBL"]
    whole = history.tables(built, roots)
    assert tuple(whole.columns) == ("root", *history.OUT)
    assert whole["root"].unique(maintain_order=True).to_list() == roots
    for root in roots:
        assert whole.filter(root=root).drop("root").equals(history.table(built, root))
    assert history.tables(built, []).columns == whole.columns


def test_days_are_picked_of_tables_that_are_adjusted_as_a_whole(built):
    whole = history.tables(built, ["MES", "FGBL"], adjust="forward")
    part = history.tables(built, ["MES", "FGBL"], adjust="forward", start="2021-06-01", end=date(2021, 6, 30))
    assert part.equals(whole.filter(pl.col("day").is_between(date(2021, 6, 1), date(2021, 6, 30))))
    assert part.height == 2 * 22
    back = history.tables(built, ["MES"], end="2021-06-30")["adjusted"][-1]
    assert back == history.table(built, "MES").filter(day=date(2021, 6, 30))["adjusted"][0]


def test_each_market_may_have_a_rule_of_its_own(built):
    rules = {"": "volume:1", "MES": "last-trade-20"}
    mixed = history.tables(built, ["MES", "FGBL"], rules)
    assert mixed.filter(root="MES").drop("root").equals(history.table(built, "MES", "last-trade-20"))
    assert mixed.filter(root="FGBL").drop("root").equals(history.table(built, "FGBL"))


def test_a_rank_of_contracts_is_the_one_listed_after_the_held_one(built):
    held, behind = history.table(built, "MES"), history.table(built, "MES", rank=1)
    pairs = held.join(behind, on="day", suffix="_behind")
    assert pairs.height > 400
    later = {c: n for n, c in enumerate(small_store.QUARTERS)}
    ahead = [later[b] - later[a] for a, b in pairs.select("contract", "contract_behind").iter_rows()]
    assert set(ahead) == {1}
    assert history.calendar(built, "MES", rank=1)[0].rank == 1


def test_a_rank_that_a_chain_does_not_have_is_told(built):
    with pytest.raises(history.NotStored, match="ZC: the chain of pysystemtrade has no rank 1"):
        history.table(built, "ZC", rank=1)


def test_a_rule_that_there_is_none_of_is_refused_with_the_nearest(built):
    with pytest.raises(UnknownRule, match="did you mean 'volume:2'"):
        history.table(built, "MES", "volum:2")


def test_rules_that_mean_the_same_are_one_series(archive):
    assert history.table(archive, "MES", "Volume").equals(history.table(archive, "MES", "volume:1"))
    assert len(list((archive.cache / "series").glob("*.json"))) == 1


def test_a_stored_calendar_is_a_rule_by_its_tag(archive):
    roll_versions.save(archive, [history.calendar(archive, "MES", "last-trade-20")], "mine")
    found, source = history.calendar(archive, "MES", "mine")
    assert (found.rule, source) == ("mine", "barchart")
    planned = history.calendar(archive, "MES", "last-trade-20")[0].frame
    assert found.frame.select("day", "to_contract").equals(planned.select("day", "to_contract"))
    assert history.table(archive, "MES", "mine").equals(history.table(archive, "MES", "last-trade-20"))


def test_what_is_in_a_table_does_not_change_what_is_kept(built):
    first = history.table(built, "MES")
    first[0, "settle"] = -1.0
    first.drop_in_place("adjusted")
    assert history.table(built, "MES")["settle"][0] > 0.0
