"""Names of snapshots: they last, move at once, tell damage and mistakes by name, and mean one snapshot."""

import os

import pytest

from store import durable, open_archive, tags
from store.archive import Conflict, Damaged, NotWritten, Refused, StateUnknown, StoreError
from store.tags import number_of, tag, untag
from tests.killing import without_links
from tests.store_days import Clock, rates


@pytest.fixture
def archive(tmp_path):
    """A store of three snapshots, of 2024-03-01, 2024-03-02 and 2024-03-03."""
    archive = open_archive(tmp_path / "store", create=True)
    with Clock() as clock:
        for value in (1, 2, 3):
            clock.at(f"2024-03-0{value}T12:00:00")
            archive.commit([archive.write("fx", rates(value), source="ecb")], note=f"day {value}")
    return archive


def named(archive):
    return {one["name"]: one["number"] for one in tags.tags(archive)}


@pytest.mark.folder
def test_a_tag_tells_what_it_was_made_of_and_by_whom_and_lasts(archive):
    made = tag(archive, "paper", 2, note=" as   published ")
    [one] = tags.tags(open_archive(archive.path))
    assert made == one | {"before": None}
    assert (one["number"], one["hash"], one["note"]) == (2, archive.snapshot(2).hash, "as published")
    assert one["author"] and one["time"].endswith("Z")
    assert sorted(path.name for path in (archive.path / "tags").iterdir()) == ["paper.json"]


def test_a_text_means_a_number_a_tag_the_head_or_what_was_known_on_a_day(archive):
    tag(archive, "v1.2", 2)
    means = {"3": 3, "v1.2": 2, "head": 3, "head~0": 3, "head~2": 1, "2024-03-02": 2, "2024-05-01": 3, " 1 ": 1, "0": 0}
    assert {text: number_of(archive, text) for text in means} == means
    assert number_of(archive, 2) == 2
    assert tag(archive, "other", "head~1")["number"] == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pap", "there is no snapshot or tag 'pap': did you mean paper?; a snapshot goes by its number, a tag, head"),
        ("heat", "did you mean head"),
        ("9", "there is no snapshot 9: the store has 0 to 3"),
        ("head~4", "the store has 3 snapshots"),
        ("2024-02-30", "is no day"),
        ("2024-02-01", "the store knew nothing on 2024-02-01"),
        ("", "there is no snapshot or tag ''"),
        ("../head", "there is no snapshot or tag"),
    ],
)
def test_a_text_that_means_nothing_is_told_with_the_nearest_name(archive, text, said):
    tag(archive, "paper", 1)
    with pytest.raises(StoreError) as caught:
        number_of(archive, text)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["12", "head", "head~1", "2024-03-01", "", ".x", "a b", "a/b", "../x", "a" * 65, "é"])
def test_a_name_that_means_a_snapshot_or_is_none_is_refused(archive, name):
    with pytest.raises(Refused, match="is no name of a tag"):
        tag(archive, name, 1)
    assert not (archive.path / "tags").exists()


@pytest.mark.parametrize("name", ["con", "NUL", "aux.x", "Com1", "lpt9.2024", "prn"])
def test_a_name_that_is_a_device_on_some_system_is_refused_as_a_backup_could_not_hold_it(archive, name):
    with pytest.raises(Refused, match=f"'{name}' is no name of a tag, as Windows keeps it for a device"):
        tag(archive, name, 1)
    assert not (archive.path / "tags").exists()


def test_names_that_differ_in_case_only_are_refused(archive):
    tag(archive, "Paper", 1)
    for move in (False, True):
        with pytest.raises(Refused, match="there is a tag Paper, and paper differs in case only"):
            tag(archive, "paper", 2, move=move)
    assert named(archive) == {"Paper": 1}
    untag(archive, "Paper")
    assert tag(archive, "paper", 2)["number"] == 2
    assert tag(archive, "console", 1)["number"] == 1


@pytest.mark.folder
def test_a_tag_is_taken_until_it_is_moved_or_removed(archive):
    tag(archive, "paper", 1)
    assert tag(archive, "paper", 1)["before"] == 1  # the same again changes nothing
    with pytest.raises(Refused, match="tag paper is taken by snapshot 1"):
        tag(archive, "paper", 2)
    assert tag(archive, "paper", 2, move=True)["before"] == 1
    assert tag(archive, "paper", note="better", move=True)["number"] == 3
    assert named(archive) == {"paper": 3} and len(list((archive.path / "tags").iterdir())) == 1
    with pytest.raises(Refused, match="did you mean paper"):
        untag(archive, "papers")
    assert untag(archive, "paper")["number"] == 3
    assert named(archive) == {} and not list((archive.path / "tags").iterdir())
    assert tag(archive, "paper", 1)["before"] is None


def test_nothing_is_tagged_in_an_empty_store(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    assert tags.tags(archive) == []
    with pytest.raises(Refused, match="nothing is stored yet"):
        tag(archive, "paper")


# ---- killed, at once with others, damaged


class Killed(BaseException):
    """As if the process ended here."""


@pytest.mark.folder
@pytest.mark.parametrize("call", ["open", "write", "fsync", "link", "unlink"])
def test_a_move_that_is_killed_anywhere_leaves_the_tag_where_it_was_or_is_to_go(archive, monkeypatch, call):
    tag(archive, "paper", 1)
    original, seen = getattr(os, call), set()
    for nth in range(1, 12):
        count = [0]

        def die(*args, count=count, nth=nth, **named):
            count[0] += 1
            if count[0] >= nth:
                raise Killed
            return original(*args, **named)

        before = named(archive)["paper"]
        to = before % 3 + 1
        with monkeypatch.context() as patch:
            patch.setattr(os, call, die)
            try:
                tag(archive, "paper", to, move=True)
            except Killed:
                seen.add(named(archive)["paper"] == to)
        if count[0] < nth:
            assert named(archive)["paper"] == to and seen
            return
        assert named(archive)["paper"] in (before, to)
        tag(archive, "other", 1, move=True)  # the next command works
        tag(archive, "paper", before, move=True)
    pytest.fail("the call never stopped being made")


@pytest.mark.folder
def test_a_removal_that_is_killed_does_not_bring_an_older_place_back(archive, monkeypatch):
    tag(archive, "paper", 1)
    remove = durable.remove

    def die(path):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(durable, "remove", die)
        tag(archive, "paper", 2, move=True)
    calls = []

    def second(path):
        calls.append(path)
        if len(calls) == 2:
            raise Killed
        remove(path)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(durable, "remove", second)
        untag(archive, "paper")
    assert named(archive) == {"paper": 2}
    untag(archive, "paper")
    assert named(archive) == {}


def test_of_two_that_write_a_tag_at_once_one_is_told(archive, monkeypatch):
    write = archive.place.write_once

    def late(name, data):
        monkeypatch.setattr(archive.place, "write_once", write)
        tag(archive, "paper", 1)
        return write(name, data)

    monkeypatch.setattr(archive.place, "write_once", late)
    with pytest.raises(Conflict, match="tag paper was written by another process"):
        tag(archive, "paper", 2)
    assert named(archive) == {"paper": 1}


@pytest.mark.folder
def test_a_move_that_others_overtook_is_told(archive, monkeypatch):
    tags.tag(archive, "paper", 1)
    other, write = open_archive(archive.path), archive.place.write_once

    def late(name, data):  # two whole moves come between the look and the writing
        tags.tag(other, "paper", 2, move=True)
        tags.tag(other, "paper", 3, move=True)
        return write(name, data)

    monkeypatch.setattr(archive.place, "write_once", late)
    with pytest.raises(Conflict, match="was moved by another process"):
        tags.tag(archive, "paper", 2, note="mine", move=True)
    monkeypatch.undo()
    assert tags.number_of(archive, "paper") == 3
    assert archive.place.names("tags") == ["tags/paper~3.json"]


def test_a_disk_that_fails_is_told_in_one_sentence(archive, monkeypatch):
    def fail(*args):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch, pytest.raises(StateUnknown, match=r"tags/paper\.json is written but"):
        patch.setattr(archive.place, "settle", fail)
        tag(archive, "paper", 1)
    with monkeypatch.context() as patch, pytest.raises(NotWritten, match="could not be removed"):
        patch.setattr(archive.place, "remove", fail)
        untag(archive, "paper")


@pytest.mark.folder
@pytest.mark.parametrize("fault", ["cut", "flipped", "swapped", "empty"])
def test_a_damaged_tag_is_told_by_name_and_can_be_removed_or_written_anew(archive, fault):
    tag(archive, "paper", 1)
    tag(archive, "other", 2)
    path = archive.path / "tags" / "paper.json"
    content = path.read_bytes()
    durable.remove(path)
    flipped = bytearray(content)
    flipped[80] ^= 1
    other = (archive.path / "tags" / "other.json").read_bytes()
    path.write_bytes({"cut": content[:70], "flipped": bytes(flipped), "swapped": other, "empty": b""}[fault])
    for ask in (tags.tags, lambda archive: number_of(archive, "paper"), lambda archive: tag(archive, "paper", 1)):
        with pytest.raises(Damaged, match=r"^tags/paper\.json is damaged"):
            ask(archive)
    assert number_of(archive, "other") == 2
    assert untag(archive, "paper") == {"name": "paper", "number": None}
    assert named(archive) == {"other": 2}


@pytest.mark.folder
def test_without_hard_links_a_torn_tag_was_never_there(archive, monkeypatch):
    monkeypatch.setattr(os, "link", without_links)
    tag(archive, "paper", 1)
    (archive.path / "tags" / "paper~2.json").write_bytes(b"torn")
    (archive.path / "tags" / "new.json").write_bytes(b"")
    assert named(archive) == {"paper": 1}
    with pytest.raises(Refused, match="no snapshot or tag 'new'"):
        number_of(archive, "new")
    assert tag(archive, "paper", 3, move=True)["before"] == 1
    assert tag(archive, "new", 2)["number"] == 2
    assert named(archive) == {"paper": 3, "new": 2}


@pytest.mark.folder
def test_a_tag_of_another_store_is_not_used(archive, tmp_path):
    other = open_archive(tmp_path / "other", create=True)
    other.commit([other.write("fx", rates(9), source="ecb")])
    tag(other, "paper", 1)
    (archive.path / "tags").mkdir()
    (archive.path / "tags" / "paper.json").write_bytes((other.path / "tags" / "paper.json").read_bytes())
    with pytest.raises(Damaged, match="names another snapshot 1"):
        number_of(archive, "paper")
