"""Listings of a backup: whatever stands in one, nothing is read or written outside."""

import json
import re
import shutil
from hashlib import sha256

import pytest

from store import listing
from store.backup import backup, check, restore
from store.manifest import Damaged
from store.places import Folder
from store.sealed import sealed, unsealed
from tests.backups import files, made, rewrite

PROVES = (9,)  # guarantees

pytestmark = pytest.mark.folder
LEADS_AWAY = (
    "../x.csv",
    "/x.csv",
    "//host/share/x.csv",
    "strategies/../../x.py",
    "strategies/./x.py",
    "strategies//x.py",
    "strategies/",
    "runs/../x/run.json",
    "runs/../../x.csv",
    "tags/../x.json",
    "C:x.csv",
    "C:/x.csv",
    "strategies/C:x.py",
    "strategies\\x.py",
    "..\\x.csv",
    "x\0.csv",
    "x\n.csv",
    "strategies/\x7f.py",
    "strategies/x\u202e.py",
    "strategies/\udcff.py",
    "con.csv",
    "strategies/NUL",
    "strategies/com1.py",
    "strategies/x.py.",
    "strategies/x.py ",
    "strategies/.x.py",
    ".x.csv",
    "strategies/x.py:stream",
    "strategies/" + "x" * 300,
    "strategies/" + "x/" * 600 + "x",
    "",
)
NOT_ITS_OWN = (
    "data/fx/" + "0" * 32 + ".parquet",
    "snapshots/0000000001.json",
    "snapshots/head",
    "locks/x",
    "cache/x",
    "x.py",
    "bin/x",
    "tags/x",
    "tags/x/y.json",
    "runs/x",
    "runs/.staged-x/run.json",
    "strategies",
)


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A backup, not to be changed."""
    folder = tmp_path_factory.mktemp("ready")
    backup(made(folder), folder / "copy")
    return folder / "copy"


@pytest.fixture
def copy(ready, tmp_path):
    """A backup to be altered, alone in a folder of its own."""
    return shutil.copytree(ready, tmp_path / "inner" / "copy")


def forge(copy, change):
    """Change the newest listing, and give it and the hint the right checksums."""
    path = copy / "backups" / "0000000001.json"
    fields = unsealed(path.read_bytes(), "")
    change(fields)
    body = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    rewrite(path, sha256(body).hexdigest().encode() + b"\n" + body)
    rewrite(copy / "backups" / "head", f"1 {sha256(body).hexdigest()}\n".encode())


def refused(copy, tmp_path):
    """The text of the refusal; nothing may have been written anywhere."""
    before = files(tmp_path)
    with pytest.raises(Damaged) as caught:
        restore(copy, tmp_path / "inner" / "again")
    assert files(tmp_path) == before and not (tmp_path / "inner" / "again").exists()
    assert check(copy) != []
    return str(caught.value)


@pytest.mark.parametrize("name", [*LEADS_AWAY, *NOT_ITS_OWN], ids=lambda name: ascii(name)[:40])
def test_a_name_that_leads_elsewhere_is_refused_though_its_checksum_is_right(copy, tmp_path, name):
    def change(fields):
        fields["files"][name] = fields["files"]["contracts.csv"]

    forge(copy, change)
    assert "backups/0000000001.json is damaged: it names" in refused(copy, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields["files"].update({"strategies/mine.py/x": fields["files"]["contracts.csv"]}),
        lambda fields: fields["files"].update({"contracts.csv": ["../" * 5 + "etc/passwd", 1000]}),
        lambda fields: fields["files"].update({"contracts.csv": ["0" * 64, -1]}),
        lambda fields: fields["files"].update({"contracts.csv": ["0" * 64, 1e9]}),
        lambda fields: fields["files"].update({"contracts.csv": ["0" * 64, "9"]}),
        lambda fields: fields["files"].update({"contracts.csv": [7, 7]}),
        lambda fields: fields["files"].update({"contracts.csv": 7}),
        lambda fields: fields.update(files=["contracts.csv"]),
        lambda fields: fields.update(head="../6"),
        lambda fields: fields.update(head=-6),
        lambda fields: fields.update(hash="../" * 20),
        lambda fields: fields.update(number=7),
        lambda fields: fields.update(dropped=[{"number": 1}]),
        lambda fields: fields.pop("files"),
    ],
)
def test_a_listing_that_no_backup_would_have_written_is_refused(copy, tmp_path, change):
    forge(copy, change)
    assert "backups/0000000001.json is damaged: " in refused(copy, tmp_path)


def test_more_or_fewer_bytes_than_listed_are_refused(copy, tmp_path):
    for size, said in [
        (1, "is longer than the 1 bytes"),
        (10**15, "the content of contracts.csv.* is damaged: its size"),
    ]:
        forge(copy, lambda fields, size=size: fields["files"]["contracts.csv"].__setitem__(1, size))
        assert re.search(said, refused(copy, tmp_path))


@pytest.mark.parametrize("path", ["../../x.parquet", "/etc/passwd", "data/fx/../../../x.parquet", "data/fx/x.parquet"])
def test_a_manifest_that_names_a_foreign_file_is_refused_though_all_checksums_are_right(copy, tmp_path, path):
    manifest = copy / "snapshots" / "0000000006.json"
    fields = unsealed(manifest.read_bytes(), "")
    fields["files"][0]["path"] = path
    rewrite(manifest, sealed(fields))
    forge(copy, lambda listed: listed.update(hash=manifest.read_bytes()[:64].decode()))
    assert f"snapshots/0000000006.json is damaged: it names {path!r}" in refused(copy, tmp_path)


def test_a_hint_that_names_a_lost_listing_tells_it(copy, tmp_path):
    (copy / "backups" / "0000000001.json").unlink()
    assert "backups/0000000001.json is missing, though backups/head names it" in refused(copy, tmp_path)


def test_what_is_written_is_read_again_and_a_number_is_taken_once(tmp_path):
    place = Folder(tmp_path)
    one = listing.Listing(1, 0, "0" * 64, "2024-01-01T00:00:00Z", {"strategies/ä b.py": ("1" * 64, 3)}, {})
    listing.write(place, one)
    found = listing.newest(listing.Untrusted(place))
    assert found.files == one.files and (found.number, found.head, found.dropped) == (1, 0, {})
    with pytest.raises(FileExistsError):
        listing.write(place, one)


def test_names_of_the_users_files_may_be_of_any_language(tmp_path):
    (tmp_path / "strategies" / "Ordner mit Raum").mkdir(parents=True)
    (tmp_path / "strategies" / "__pycache__").mkdir()
    kept = ["costs.toml", "strategies/Ordner mit Raum/Öl & Gas.py", "strategies/戦略.py"]
    for name in [*kept, "strategies/__pycache__/x.pyc", "strategies/a:b.py", "strategies/.git", "plan.xlsx"]:
        (tmp_path / name).write_text("x")
    assert listing.own_files(tmp_path) == (kept, ["plan.xlsx", "strategies/.git", "strategies/a:b.py"])
