"""Where the files of a store lie: whatever holds for a folder holds for a bucket."""

import errno
import time
from hashlib import sha256

import pytest

from store.bucket import Bucket
from store.places import Folder

pytest_plugins = ("tests.s3_server",)
pytestmark = [pytest.mark.service, pytest.mark.usefixtures("quick")]


@pytest.fixture(params=["folder", "bucket"])
def place(request, tmp_path):
    """A place with nothing in it; whatever holds for one kind holds for the other."""
    return Folder(tmp_path / "store") if request.param == "folder" else Bucket(request.getfixturevalue("cloud"))


def test_a_place_is_empty_until_a_store_is_begun_there(place):
    assert not place.exists()
    assert (place.names("snapshots"), place.tree("data"), place.folders("runs")) == ([], [], [])
    for _ in range(2):
        place.begin()
        assert place.exists()
        assert place.names("snapshots") == place.tree("data") == place.folders("runs") == place.unfinished() == []
    assert place == type(place)(str(place)) and hash(place) == hash(type(place)(str(place)))
    place.remove_tree("snapshots")
    assert not place.exists()


def test_a_new_file_is_written_once_and_read_back(place):
    place.begin()
    before = place.now()
    place.write_new("data/fx/a.parquet", b"one")
    place.settle(["data/fx/a.parquet"])
    for again in (place.write_new, place.write_once):
        with pytest.raises(FileExistsError):
            again("data/fx/a.parquet", b"two")
    assert place.read("data/fx/a.parquet") == place.local("data/fx/a.parquet").read_bytes() == b"one"
    assert place.local("data/fx/a.parquet", sha256(b"one").hexdigest()).read_bytes() == b"one"
    assert place.digest("data/fx/a.parquet") == sha256(b"one").hexdigest()
    facts = place.facts("data/fx/a.parquet")
    assert facts.bytes == 3 and -2 < facts.changed - before < 60
    assert place.sizes(["data/fx/a.parquet", "data/fx/b.parquet"]) == [3, None]
    assert (place.has("data/fx/a.parquet"), place.has("data/fx/b.parquet"), place.has("data/fx")) == (
        True,
        False,
        False,
    )


def test_a_name_is_taken_by_one_writer_and_shown_whole(place):
    place.begin()
    assert place.atomic("snapshots")
    assert place.write_once("snapshots/0000000001.json", b"mine") is True
    with pytest.raises(FileExistsError):
        place.write_once("snapshots/0000000001.json", b"mine")  # the same bytes, but not by this call
    place.settle(["snapshots/0000000001.json"])
    assert place.read("snapshots/0000000001.json") == b"mine"


def test_what_is_not_there_is_not_found(place):
    place.begin()
    for look in (place.read, place.facts, place.digest, lambda name: place.local(name).read_bytes()):
        with pytest.raises(FileNotFoundError):
            look("data/fx/none.parquet")
    place.remove("data/fx/none.parquet")
    place.remove_tree("data/none")


def test_names_are_listed_in_order_and_after_one(place):
    place.begin()
    names = [f"snapshots/{number:010d}.json" for number in (3, 1, 2, 10)]
    for name in [*names, "data/fx/b", "data/fx/a", "data/rates/c", "runs/x/run.json", "runs/y/equity"]:
        place.write_new(name, b"")
    assert place.names("snapshots") == sorted(names)
    assert place.names("snapshots", names[2]) == [names[0], names[3]]
    assert place.names("snapshots", names[3]) == place.names("data") == []
    assert place.tree("data") == ["data/fx/a", "data/fx/b", "data/rates/c"]
    assert place.folders("data") == ["data/fx", "data/rates"]
    assert (place.folders("runs"), place.folders("runs", holding="run.json")) == (["runs/x", "runs/y"], ["runs/x"])


def test_a_hint_is_replaced_and_a_file_is_set_aside_or_removed(place):
    place.begin()
    for text in (b"1", b"22"):
        place.hint("snapshots/head", text)
        assert place.read("snapshots/head") == text == place.local("snapshots/head").read_bytes()
    place.set_aside("snapshots/head", ".torn-1")
    [name] = place.names("snapshots")
    assert name.startswith("snapshots/.tmp-") and name.endswith(".torn-1") and place.read(name) == b"22"
    place.remove(name)
    assert place.names("snapshots") == []


def test_a_staged_folder_is_published_once_and_removed_whole(place):
    place.begin()

    def staged(text):
        folder = place.stage()
        (folder / "equity.parquet").write_bytes(text)
        (folder / "run.json").write_bytes(b"{}")
        return folder

    folder = staged(b"first")
    place.publish(folder, "runs/abc")
    assert not folder.exists()
    assert place.tree("runs") == ["runs/abc/equity.parquet", "runs/abc/run.json"]
    with pytest.raises(FileExistsError):
        place.publish(staged(b"second"), "runs/abc")
    assert place.read("runs/abc/equity.parquet") == b"first"
    assert place.unfinished() == []
    place.remove_tree("runs/abc")
    assert "runs/abc" not in place.folders("runs", holding="run.json")
    place.publish(staged(b"second"), "runs/abc")
    assert place.local("runs/abc/equity.parquet").read_bytes() == b"second"


def test_a_file_beside_the_store_is_replaced_there_and_here(place):
    place.begin()
    place.bring_own()
    for text in (b"a,b\n", b"a,b\n1,2\n"):
        place.put_beside("contracts.csv", text)
        place.bring_own()
        assert (place.path / "contracts.csv").read_bytes() == text == place.read("contracts.csv")


def test_a_read_only_place_has_a_clock_too(tmp_path, monkeypatch):
    place = Folder(tmp_path)

    def refuse(path):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.touch", refuse)
    monkeypatch.setattr("os.unlink", refuse)
    assert abs(place.now() - time.time()) < 60
