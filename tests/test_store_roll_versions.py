"""Stored roll calendars: versions that stay, tags that move, what each was made from, and calendars as rules."""

import getpass
import shutil
from datetime import date

import polars as pl
import pytest

from engine import load
from store import history, open_archive, roll_versions, rolls
from store.archive import Conflict
from store.ingest import import_paths
from store.roll_rules import UnknownRule
from store.segments import Refused
from store.tables import TABLES
from tests import small_store


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A store of two markets; a test takes a copy of it."""
    return small_store.build(tmp_path_factory.mktemp("source") / "store").path


@pytest.fixture
def archive(source, tmp_path):
    shutil.copytree(source, tmp_path / "store")
    return open_archive(tmp_path / "store")


def calendar(archive, rule="volume:1", root="MES"):
    """A calendar and the source of its prices, by the rule itself and no stored one."""
    rows = history.bars(archive, root).read()
    return rolls.calendar(rows, history.spec(archive, root), rule), "barchart"


def planned(archive, rule="lean:oi", day=date(2021, 3, 9)):
    """A calendar of a vendor's own, as an import stores it."""
    rows = {"day": [day], "from_contract": [202103], "to_contract": [202106], "rule": [rule]}
    source = rule.partition(":")[0]
    archive.commit([archive.write("roll_calendars", pl.DataFrame(rows), source=source, root="MES")])


def state(archive):
    """Number of the newest snapshot, and the files of the stored calendars."""
    head = archive.head()
    return head.number, [s.sha256 for s in head.files if s.table in ("roll_calendars", "roll_versions")]


def test_a_stored_calendar_comes_back_as_it_was(archive):
    made = calendar(archive, "oi:1,months=HZ,exit=2")
    roll_versions.save(archive, [made], tag="desk", note=" as  agreed ", author="ann")
    for name in ("desk", made[0].version, made[0].version[:4].upper()):
        found, source = roll_versions.load(archive, "MES", name)
        assert (found.root, found.rule, found.first, found.months, found.rank, source) == (
            "MES", "oi:1,months=HZ,exit=2", made[0].first, (3, 12), 0, "barchart",
        )  # fmt: skip
        assert found.frame.equals(made[0].frame) and found.frame.schema == made[0].frame.schema
        assert found.version == made[0].version


def test_a_calendar_says_who_made_it_when_and_from_what(archive, tmp_path):
    before = archive.head()
    (tmp_path / "mine.csv").write_bytes(b"abc")
    roll_versions.save(archive, [calendar(archive)], tag="desk", note="as agreed", author="ann")
    roll_versions.save(archive, [calendar(archive, "last-trade-9")], snapshot=1, file=tmp_path / "mine.csv")
    one, other = roll_versions.listed(archive, "MES").sort("rule", descending=True).to_dicts()
    assert (one["rule"], one["tag"], one["note"], one["author"]) == ("volume:1", "desk", "as agreed", "ann")
    assert (one["snapshot"], one["snapshot_hash"], one["file"]) == (before.number, before.hash, None)
    assert (one["rolls"], one["first_day"]) == (calendar(archive)[0].frame.height, calendar(archive)[0].frame["day"][0])
    assert one["time"].tzinfo is not None and one["made_from"] == "snapshot 1"
    assert other["author"] == getpass.getuser() and other["made_from"] == "file mine.csv"
    assert other["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180: "abc"
    told = roll_versions.describe(one)
    assert told.startswith(f"volume:1 of barchart, version {one['version']} (desk), made by ann on 20")
    assert told.endswith(" from snapshot 1: as agreed")


def test_versions_stay_beside_each_other_and_the_same_one_again_changes_nothing(archive):
    first, second = calendar(archive), calendar(archive, "volume:2")
    assert roll_versions.save(archive, [first], author="ann")["done"].to_list() == ["saved"]
    before, written = roll_versions.listed(archive), state(archive)
    assert roll_versions.save(archive, [first], author="bob")["done"].to_list() == ["stored before"]
    assert state(archive) == written and roll_versions.listed(archive).equals(before)
    roll_versions.save(archive, [second, calendar(archive, root="FGBL")])
    stored = archive.read("roll_calendars", root="MES")
    assert stored.height == first[0].frame.height + second[0].frame.height
    assert roll_versions.load(archive, "MES", first[0].version)[0].frame.equals(first[0].frame)
    assert roll_versions.listed(archive).filter(rule="volume:1", root="MES")["author"].to_list() == ["ann"]


def test_the_same_rule_on_longer_data_is_another_version(archive):
    old = calendar(archive)
    roll_versions.save(archive, [old])
    short = history.bars(archive, "MES").read().filter(pl.col("day") < date(2022, 1, 1))
    new = rolls.calendar(short, history.spec(archive, "MES"))
    roll_versions.save(archive, [(new, "barchart")])
    assert sorted(roll_versions.listed(archive, "MES")["rolls"]) == [new.frame.height, old[0].frame.height]
    assert roll_versions.load(archive, "MES", old[0].version)[0].frame.equals(old[0].frame)


def test_a_tag_moves_to_another_version_and_says_so(archive):
    first, second = calendar(archive), calendar(archive, "volume:2")
    roll_versions.save(archive, [first], tag="desk")
    assert roll_versions.save(archive, [second], tag="desk")["done"].to_list() == [
        f"saved; desk is now {second[0].version}, and {first[0].version} no longer"
    ]
    assert roll_versions.load(archive, "MES", "desk")[0].version == second[0].version
    assert roll_versions.tag(archive, "MES", first[0].version[:6], "desk") == (
        f"MES: desk is now {first[0].version}, and {second[0].version} no longer"
    )
    assert roll_versions.tag(archive, "MES", "desk", "paper") == f"MES: paper is now {first[0].version}"
    written = state(archive)
    assert roll_versions.tag(archive, "MES", "paper", "desk").endswith("already")
    assert state(archive) == written
    tags = dict(roll_versions.listed(archive, "MES").select("rule", "tag").iter_rows())
    assert tags == {"volume:1": "desk,paper", "volume:2": None}


def test_a_tag_is_of_one_market(archive):
    roll_versions.save(archive, [calendar(archive), calendar(archive, root="FGBL")], tag="desk")
    for root in ("MES", "FGBL"):
        assert roll_versions.load(archive, root, "desk")[0].root == root
    with pytest.raises(Refused, match="MES: tag desk for 2 calendars; it names one"):
        roll_versions.save(archive, [calendar(archive), calendar(archive, "oi:2")], tag="desk")


def test_a_name_that_is_not_stored_is_refused_with_what_there_is(archive):
    with pytest.raises(Refused, match="MES: no stored roll calendar has the tag or version 'desk'; none is stored"):
        roll_versions.load(archive, "MES", "desk")
    version = calendar(archive)[0].version
    roll_versions.save(archive, [calendar(archive)], tag="desk")
    told = rf"'dek'; did you mean desk\? There are {version} \(volume:1, desk\)"
    for action in (roll_versions.load, roll_versions.remove, lambda *at: roll_versions.tag(*at, "paper")):
        with pytest.raises(Refused, match=told):
            action(archive, "MES", "dek")
    with pytest.raises(Refused, match=f"has the tag or version '{version[:3]}'"):  # too short to tell a version
        roll_versions.load(archive, "MES", version[:3])


def test_the_beginning_of_several_versions_is_refused(archive):
    heads = [
        {
            "source": "x",
            "root": "MES",
            "rule": f"volume:{k}",
            "version": f"abcd0000000{k}",
            "first": 202103,
            "months": "H",
        }
        for k in (1, 2)
    ]
    archive.commit([archive.write("roll_versions", TABLES["roll_versions"].conform(pl.DataFrame(heads)), root="MES")])
    with pytest.raises(Refused, match="MES: abcd is the beginning of several versions, write more of it: abcd00000001"):
        roll_versions.load(archive, "MES", "abcd")


def test_a_text_means_a_tag_a_version_or_a_rule(archive):
    stored = calendar(archive, "volume:2")
    roll_versions.save(archive, [stored], tag="desk")
    for text in ("desk", stored[0].version[:5]):
        found, source = roll_versions.made(archive, "MES", text)
        assert (found.version, source) == (stored[0].version, "barchart")
    assert roll_versions.made(archive, "MES", "last-trade-9")[0].rule == "last-trade-9"
    with pytest.raises(
        UnknownRule, match=r"^MES: roll rule 'deks' is not known; did you mean 'desk'\? Allowed: .* \| desk \|"
    ):
        roll_versions.made(archive, "MES", "deks")
    with pytest.raises(Refused, match="'abcdef'; there are"):
        roll_versions.made(archive, "MES", "abcdef")


def test_removing_a_calendar_leaves_the_others(archive):
    one, other = calendar(archive), calendar(archive, "volume:2")
    planned(archive)
    roll_versions.save(archive, [one, other], author="ann")
    roll_versions.tag(archive, "MES", one[0].version, "desk")
    assert roll_versions.remove(archive, "MES", "desk") == [f"{one[0].version} (volume:1, desk)"]
    assert roll_versions.listed(archive)["rule"].to_list() == ["lean:oi", "volume:2"]
    assert roll_versions.load(archive, "MES", other[0].version)[0].frame.equals(other[0].frame)
    roll_versions.remove(archive, "MES", other[0].version)
    assert archive.read("roll_versions").is_empty() and archive.read("roll_calendars")["rule"].to_list() == ["lean:oi"]


def test_a_calendar_that_came_with_the_data_stands_beside_one_made_by_it(archive):
    planned(archive)
    before = archive.read("roll_calendars", source="lean")
    made = rolls.calendar(
        history.bars(archive, "MES").read(), history.spec(archive, "MES"), "lean:oi",
        roll_versions.plan(archive, "MES", "lean:oi"),
    )  # fmt: skip
    roll_versions.save(archive, [(made, "barchart"), (made, "lean")], tag=None)
    assert archive.read("roll_calendars", source="lean").filter(pl.col("version").is_null()).equals(before)
    assert roll_versions.plan(archive, "MES", "lean:oi").equals(before)
    theirs = roll_versions.listed(archive).filter(pl.col("version").is_null()).to_dicts()
    assert [(row["rule"], row["source"], row["rolls"], row["made_from"]) for row in theirs] == [
        ("lean:oi", "lean", 1, "data of lean")
    ]
    assert roll_versions.describe(theirs[0]) == "lean:oi of lean, as it came with the data"


def test_what_an_older_program_stored_is_found_by_its_version(archive):
    made, _ = calendar(archive)
    same = {"rule": made.rule, "version": made.version}
    rows = made.frame.with_columns(pl.lit(value).alias(name) for name, value in same.items())
    archive.commit([archive.write("roll_calendars", rows, source="barchart", root="MES")])
    found, _ = roll_versions.load(archive, "MES", made.version[:4])
    assert found.frame.equals(made.frame) and found.first == made.first and found.months == (3, 6, 9, 12)
    [head] = roll_versions.listed(archive).to_dicts()
    assert (head["time"], head["author"], head["made_from"], head["rolls"]) == (None, None, None, made.frame.height)
    assert roll_versions.describe(head) == f"volume:1 of barchart, version {made.version}"
    roll_versions.tag(archive, "MES", made.version, "desk")
    assert roll_versions.load(archive, "MES", "desk")[0].version == made.version
    assert roll_versions.save(archive, [(made, "barchart")], author="ann")["done"].to_list() == ["stored before"]
    assert archive.read("roll_calendars").height == made.frame.height


def test_versions_that_were_exported_come_back_beside_those_there_are(archive, tmp_path):
    made, other = calendar(archive), calendar(archive, "volume:2")
    planned(archive)
    roll_versions.save(archive, [made])
    archive.read("roll_calendars").write_parquet(tmp_path / "roll_calendars.parquet")
    back = open_archive(tmp_path / "back", create=True)
    roll_versions.save(back, [other], tag="desk")
    [report] = import_paths(back, [tmp_path / "roll_calendars.parquet"])
    assert (report.error, report.quarantined, report.rows_read) == ("", 0, made[0].frame.height + 1)
    for name, one in (("desk", other), (made[0].version, made)):
        assert roll_versions.load(back, "MES", name)[0].frame.equals(one[0].frame)
    assert roll_versions.plan(back, "MES", "lean:oi").equals(roll_versions.plan(archive, "MES", "lean:oi"))


def test_rolls_that_are_not_those_of_their_version_are_refused(archive):
    made = calendar(archive)
    roll_versions.save(archive, [made])
    short = archive.read("roll_calendars")[1:]
    archive.commit(
        [archive.write("roll_calendars", short, source="barchart", root="MES")], archive.files("roll_calendars")
    )
    with pytest.raises(Refused, match=f"MES: the rolls stored as version {made[0].version} are not those"):
        roll_versions.load(archive, "MES", made[0].version)


def test_a_calendar_without_a_roll_is_kept_but_is_no_rule(archive):
    rows = history.bars(archive, "MES").read().filter(pl.col("day") < date(2021, 2, 1))
    made = rolls.calendar(rows, history.spec(archive, "MES"))
    assert made.frame.is_empty()
    roll_versions.save(archive, [(made, "barchart")], tag="short")
    assert roll_versions.load(archive, "MES", "short")[0].version == made.version
    assert roll_versions.listed(archive)["rolls"].to_list() == [0]
    with pytest.raises(Refused, match="MES: the roll calendar short has no roll, and so is no rule"):
        roll_versions.plan(archive, "MES", "short")


def first_another(archive, monkeypatch, action):
    """Another writer does something after this one has read the store, and before it writes."""
    write, calls = archive.write, []

    def late(*arguments, **labels):
        if not calls:
            calls.append(action(open_archive(archive.path)))
        return write(*arguments, **labels)

    monkeypatch.setattr(archive, "write", late)


@pytest.mark.parametrize(
    "action",
    [
        lambda archive: roll_versions.save(archive, [calendar(archive)], tag="mine"),
        lambda archive: roll_versions.tag(archive, "MES", "theirs", "mine"),
        lambda archive: roll_versions.remove(archive, "MES", "theirs"),
    ],
    ids=["save", "tag", "remove"],
)
def test_what_another_writer_did_to_a_market_meanwhile_is_not_lost(archive, monkeypatch, action):
    roll_versions.save(archive, [calendar(archive, "last-trade-20")], tag="theirs")
    roll_versions.save(archive, [calendar(archive, "oi:2")])
    first_another(archive, monkeypatch, lambda other: roll_versions.tag(other, "MES", "theirs", "too"))
    with pytest.raises(Conflict):
        action(archive)
    assert roll_versions.listed(archive)["tag"].to_list() == ["theirs,too", None]


def test_of_two_writers_of_two_markets_both_are_kept(archive, monkeypatch):
    theirs = calendar(archive, root="FGBL")
    first_another(archive, monkeypatch, lambda other: roll_versions.save(other, [theirs], tag="theirs"))
    roll_versions.save(archive, [calendar(archive)], tag="mine")
    assert roll_versions.listed(archive)["tag"].to_list() == ["theirs", "mine"]


# ---- as rules


def test_names_that_are_rules_are_those_of_vendors_and_tags(archive):
    planned(archive)
    planned(archive, "lean:first-month")
    roll_versions.save(archive, [calendar(archive)], tag="desk")
    roll_versions.tag(archive, "MES", "desk", "august")
    assert roll_versions.named(archive, "MES") == ["lean:first-month", "lean:oi", "august", "desk"]
    assert roll_versions.named(archive, "FGBL") == []


def by(archive, rule, until=None):
    """The rolls by a rule on the bars up to a day."""
    rows = history.bars(archive, "MES").read()
    rows = rows if until is None else rows.filter(pl.col("day") <= until)
    given = roll_versions.plan(archive, "MES", rule)
    return rolls.calendar(rows, history.spec(archive, "MES"), rule, given).frame


@pytest.mark.parametrize("option", ["", ",exit=2"])
def test_a_tag_and_a_version_roll_as_their_calendar_did(archive, option):
    made, _ = calendar(archive, "last-trade-20")
    roll_versions.save(archive, [(made, "barchart")], tag="desk")
    for name in ("desk", made.version):
        found = by(archive, name + option)
        assert found.drop("reason", "decided").equals(made.frame.drop("reason", "decided"))
        assert found["reason"].unique().to_list() == [name]


def test_after_its_last_roll_a_tag_falls_back(archive):
    early, _ = calendar(archive, "last-trade-30")
    cut = rolls.RollCalendar("MES", "last-trade-30", early.first, early.frame[:2], early.months)
    roll_versions.save(archive, [(cut, "barchart")], tag="desk")
    found = by(archive, "desk")
    assert found["day"].to_list()[:2] == cut.frame["day"].to_list()
    assert found["reason"].to_list()[:3] == ["desk", "desk", "fallback: not in desk"]
    assert found.height == early.frame.height
    ends = [date(2021, 9, 17), date(2021, 12, 17)]  # third Fridays, on which MES has its last trade
    assert all((end - day).days in (3, 4, 5) for end, day in zip(ends, found["day"][2:4], strict=True))


def test_what_goes_by_activity_or_date_has_no_plan_and_reads_nothing(archive, monkeypatch):
    monkeypatch.setattr(archive, "read", None)
    for rule in (None, "volume:1", "oi@3:2/last-trade-3,exit=2", "month-end-2"):
        assert roll_versions.plan(archive, "MES", rule) is None


def test_a_plan_that_there_is_none_of_is_told_with_those_there_are(archive):
    planned(archive)
    roll_versions.save(archive, [calendar(archive)], tag="desk")
    with pytest.raises(history.NotStored, match="MES: no roll calendar 'lean:last' is stored; there are lean:oi, desk"):
        roll_versions.plan(archive, "MES", "lean:last")
    with pytest.raises(UnknownRule, match=r"^MES: .* did you mean 'desk'\?"):
        roll_versions.plan(archive, "MES", "dsk")


def test_a_tag_is_read_as_of_the_snapshot(archive):
    before = archive.head()
    roll_versions.save(archive, [calendar(archive)], tag="desk")
    assert roll_versions.named(archive, "MES", before) == []
    with pytest.raises(UnknownRule):
        roll_versions.plan(archive, "MES", "desk", before)
    assert roll_versions.listed(archive, snapshot=before).is_empty()
    assert roll_versions.listed(archive, snapshot=before).columns == roll_versions.listed(archive).columns


def test_a_tag_is_removed_without_the_calendar_that_others_go_by(archive):
    made = history.calendar(archive, "MES")
    for tag in ("desk", "home"):
        roll_versions.save(archive, [made], tag=tag)
    assert roll_versions.remove(archive, "MES", "desk") == [f"desk, a tag of {made[0].version}, which stays as home"]
    assert roll_versions.load(archive, "MES", "home")[0].version == made[0].version
    roll_versions.remove(archive, "MES", "home")
    assert roll_versions.listed(archive, "MES").is_empty()


def test_a_tag_is_left_as_its_rule_leaves_contracts(archive):
    made = history.calendar(archive, "MES", "volume,exit=expiry")
    roll_versions.save(archive, [made], tag="through")
    again, _ = history.calendar(archive, "MES", "through")
    columns = ["day", "from_contract", "to_contract", "from_price", "to_price"]
    assert again.frame.select(columns).equals(made[0].frame.select(columns))
    assert again.rule == "through,exit=expiry"
    with pytest.raises(ValueError, match="expiry"):
        load(archive, ["MES"], rule="through")
