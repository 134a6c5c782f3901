"""store/doors.py: bars, chains, series and SQL by the names that people use, and errors that say what there is."""

from datetime import date

import polars as pl
import pytest

from store import asof, doors, history, open_archive
from store.codes import BadCode
from store.contracts import UnknownRoot
from store.durable import StoreError
from store.history import NotStored
from store.names import BadName
from store.roll_rules import UnknownRule
from store.segments import Refused
from tests.stored_bars import bars, chain, days, store

FEBRUARY = days("2020-02-03", "2020-02-07")
OLD = days("2010-02-01", "2010-02-02")


@pytest.fixture
def archive(tmp_path):
    """Two markets with contracts, one known to nobody, a chain, and MES of a second source."""
    archive = open_archive(tmp_path / "store", create=True)
    store(archive, *(bars(c, FEBRUARY, c % 100 + 100.0, volume=1.0 * c) for c in (202006, 202003, 203003)))
    store(archive, bars(202003, FEBRUARY, 7.0), source="csi")
    store(archive, bars(201004, OLD, 1.0), bars(202004, FEBRUARY, 2.0), root="CL")
    store(archive, bars(202003, FEBRUARY[:1], 3.0), root="PLUTO")
    store(archive, chain(FEBRUARY, 4.0), source="pysystemtrade", root="SI")
    return archive


def contracts(frame):
    return sorted(frame["contract"].unique().to_list())


@pytest.mark.parametrize(
    "written",
    [202003, "202003", "2020-03", "2020H", "2020h", "MESH20", "MESH2020", "H20", "H2020", "MES-2020H", "MES 03-20",
     "20200300", " mesh20 ", "SP500_microH20", "SP500_micro_20200300"],
)  # fmt: skip
def test_a_contract_goes_by_every_way_to_write_it(archive, written):
    assert contracts(archive.bars("MES", written)) == [202003]


def test_a_market_goes_by_its_root_an_alias_or_a_continuous_name(archive):
    whole = archive.bars("MES")
    assert contracts(whole) == [202003, 202006, 203003] and whole.height == 15
    assert whole.equals(archive.read("contract_bars", root="MES", source="barchart").sort("contract", "time"))
    for name in ("SP500_micro", "barchart:SP500_micro", "MES.v.0", "mes"):
        assert archive.bars(name).equals(whole)
    assert archive.bars("PLUTO", "H20")["settle"].to_list() == [3.0]  # stored, and unknown to the master


def test_a_stored_market_that_the_master_does_not_know_goes_by_its_continuous_names_too(archive):
    store(archive, bars(202403, days("2024-03-04", "2024-03-08")), root="PLUTO")
    assert doors.root_of(archive, "PLUTO") == doors.root_of(archive, "PLUTO.v.1") == "PLUTO"
    assert archive.continuous("PLUTO.v.0")["settle"].to_list() == [100.0] * 5
    with pytest.raises(UnknownRoot, match=r"stored are .*PLUTO") as caught:
        doors.root_of(archive, "PLUT.v.1")
    near = str(caught.value).partition("near it: ")[2].partition(";")[0].split(", ")
    assert near and len(near) == len(set(near))


def test_several_contracts_come_together_in_their_order(archive):
    assert contracts(archive.bars("MES", ["MESM20", 202003])) == [202003, 202006]
    assert archive.bars("MES", ["MESM20", 202003])["contract"].is_sorted()
    assert contracts(archive.bars("MES", pl.Series([202003]))) == [202003]


def test_days_and_a_source_pick_rows(archive):
    two = archive.bars("MES", "H20", days=("2020-02-04", date(2020, 2, 5)))
    assert two["day"].to_list() == FEBRUARY[1:3] and two["settle"].to_list() == [103.0] * 2
    assert archive.bars("MES", 202003, days=("2020-02-07", None), source="csi")["settle"].to_list() == [7.0]
    assert archive.bars("MES", days=(None, "2019-12-31")).is_empty()


def test_a_pinned_snapshot_is_read_whatever_came_later(archive):
    before = archive.head()
    store(archive, bars(202003, FEBRUARY, 55.0))
    assert archive.bars("MES", "H20")["settle"][0] == 55.0
    for pin in (before, before.number):
        assert archive.bars("MES", "H20", snapshot=pin)["settle"][0] == 103.0
        assert archive.chain("MES", FEBRUARY[0], snapshot=pin)["settle"].to_list() == [103.0, 106.0, 103.0]
        assert archive.sql("select min(settle) from contract_bars where root = 'MES'", snapshot=pin).item() == 7.0


@pytest.mark.parametrize(
    ("name", "contract", "kind", "said"),
    [
        ("MES", "Z20", NotStored, r"^MES: contract 202012 is not stored by barchart; nearest 202003, 202006; "
         "stored are 3 contracts, 202003 to 203003$"),
        ("MES", 203001, NotStored, "nearest 202006, 203003"),
        ("MES", "H0", BadCode, "'H0' may be 202003, 203003: write four digits of the year"),
        ("MES", "2020-13", BadCode, "'2020-13' is no delivery month: write 202003, 2020-03, 2020H, MESH20 or H20"),
        ("MES", "CLJ20", Refused, "'CLJ20' is a contract of CL, not of MES"),
        ("MES", "spring", BadCode, "'spring' is no contract code"),
        ("CL", "J1", NotStored, "contract 202104 is not stored"),  # the year nearest to the last one stored
        ("SI", None, NotStored, "^SI: no dated contracts are stored, but the chain of pysystemtrade$"),
        ("NQ", None, NotStored, "^NQ is not stored; stored are CL, MES, PLUTO, SI$"),
        ("NASDAQ", None, NotStored, r"^NASDAQ \(NQ\) is not stored; stored are CL, MES, PLUTO, SI$"),
        ("MESS", None, UnknownRoot, "no market 'MESS' .*; stored are CL, MES, PLUTO, SI$"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told_with_what_is(archive, name, contract, kind, said):
    with pytest.raises(kind, match=said) as caught:
        archive.bars(name, contract)
    assert "\n" not in str(caught.value)


def test_a_source_that_the_market_lacks_is_told_with_those_it_has(archive):
    with pytest.raises(Refused, match=r"no source of MES \(it has barchart, csi\): 'cs'"):
        archive.bars("MES", source="cs")


def test_a_market_of_which_only_the_full_size_contract_is_stored_says_so(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    store(archive, bars(202003, FEBRUARY), root="ES")
    with pytest.raises(NotStored, match="MES: no dated contracts are stored, but those of ES, which stand in"):
        archive.bars("MES")


def test_the_chain_of_a_day_is_that_of_asof_by_any_name_and_a_day_in_text(archive):
    expected = asof.chain(archive, "MES", date(2020, 2, 5), source="csi", rule="oi:1")
    assert archive.chain("SP500_micro", "2020-02-05", source="csi", rule="oi:1").equals(expected)
    assert archive.chain("MES", "2020-02-05")["held"].to_list() == [False, True, False]  # busier on the 3rd
    with pytest.raises(NotStored, match="stored are"):
        archive.chain("NQ", "2020-02-05")


@pytest.fixture
def rolled(tmp_path):
    """MES and NQ of three contracts each; by volume March gives way on the 5th, by open interest on the 6th."""
    archive = open_archive(tmp_path / "rolled", create=True)
    for root, level in (("MES", 100.0), ("NQ", 200.0)):
        busy = [(9.0, 9.0), (9.0, 9.0), (1.0, 1.0), (1.0, 1.0), (1.0, 1.0)]
        frames = [
            bars(contract, FEBRUARY, level + n, volume=[a if n == 0 else 5.0 - n for a, _ in busy],
                 open_interest=[b if n == 0 else 5.0 - n for _, b in busy])
            for n, contract in enumerate((202003, 202006, 202009))
        ]  # fmt: skip
        store(archive, *frames, root=root)
    return archive


def held(frame):
    return frame["contract"].to_list()


def test_a_series_goes_by_a_name_with_rule_and_rank_or_by_a_bare_one(rolled):
    by_volume = rolled.continuous("MES.v.0")
    assert held(by_volume) == [202003] * 4 + [202006]
    assert by_volume["adjusted"].to_list() == [101.0] * 5 and by_volume["settle"].to_list() == [100.0] * 4 + [101.0]
    assert by_volume.equals(history.table(rolled, "MES", "volume:1"))
    assert held(rolled.continuous("MES.v.1")) == [202006] * 4 + [202009]
    assert held(rolled.continuous("MES.n.0")) == [202003] * 5
    assert held(rolled.continuous("MES", rule="oi@1")) == [202003] * 4 + [202006]
    assert rolled.continuous("SP500_micro").equals(by_volume) and rolled.continuous("SP500_micro.v.0").equals(by_volume)
    assert rolled.continuous("MES", adjust="none")["adjusted"].to_list() == [100.0] * 4 + [101.0]


def test_several_series_come_in_one_table_in_the_order_in_which_they_were_asked_for(rolled):
    names = ["NQ.v.1", "MES.n.0", "MES.v.0", "NQ"]
    found = rolled.continuous(names)
    assert found["name"].unique(maintain_order=True).to_list() == names
    assert found["root"].unique(maintain_order=True).to_list() == ["NQ", "MES"]
    for name in names:
        assert found.filter(pl.col("name") == name).drop("name", "root").equals(rolled.continuous(name))


def test_the_days_of_a_series_are_picked_after_it_was_adjusted(rolled):
    early = rolled.continuous("MES.v.0", start="2020-02-04", end=date(2020, 2, 5))
    assert early["day"].to_list() == FEBRUARY[1:3] and early["adjusted"].to_list() == [101.0] * 2


@pytest.mark.parametrize(
    ("names", "words", "kind", "said"),
    [
        ("MES.x.0", {}, BadName, "'MES.x.0' is no name of a series"),
        (
            "MES.v.0",
            {"rule": "oi:1"},
            Refused,
            "MES.v.0 tells its rule, volume:1: leave out rule='oi:1', or ask for MES",
        ),
        ("ES.v.0", {}, NotStored, "^ES is not stored; stored are MES, NQ$"),
        ("MES", {"rule": "volum:1"}, UnknownRule, "did you mean 'volume"),
        ("MES", {"adjust": "differences"}, ValueError, "adjustment 'differences' is not known"),
        ([], {}, Refused, "no series was asked for"),
    ],
)
def test_a_series_that_cannot_be_told_is_refused_with_the_reason(rolled, names, words, kind, said):
    with pytest.raises(kind, match=said):
        rolled.continuous(names, **words)


def test_sql_reads_only(archive):
    assert archive.sql("select count(*) from contract_bars where root = ?", ["MES"]).item() == 20
    for text in ("delete from contract_bars", "copy contract_bars to 'x.csv'", "select 1; select 2"):
        with pytest.raises(StoreError):
            archive.sql(text)
    assert not hasattr(archive, "query")
