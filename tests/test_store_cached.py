"""Each file of a cache that is cut, altered or of another name is named; whole ones, and files of others, are not."""

import random

import pytest

from engine.market import load
from store import kept
from store.cached import torn
from tests.small_store import build


@pytest.fixture
def archive(tmp_path):
    archive = build(tmp_path / "store")
    load(archive, legs=True)
    return archive


def names(archive, ending):
    return sorted(path for path in archive.cache.glob("*/*") if path.suffix == ending)


def test_a_whole_cache_and_none_at_all_are_sound(archive, tmp_path):
    files = sum(len(names(archive, ending)) for ending in (".arrays", ".arrow", ".json"))
    assert torn(archive.cache) == {"checked": files, "torn": []} and files > 8
    assert torn(tmp_path / "nowhere") == {"checked": 0, "torn": []}


@pytest.mark.parametrize("ending", [".arrays", ".arrow", ".json"])
@pytest.mark.parametrize("how", ["flipped", "cut", "empty"])
def test_every_kind_of_file_is_named_when_it_is_altered(archive, ending, how):
    chance = random.Random(f"{ending} {how}")
    for path in names(archive, ending):
        content = path.read_bytes()
        place = chance.randrange(len(content))
        flipped = content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]
        path.write_bytes({"flipped": flipped, "cut": content[:place], "empty": b""}[how])
        assert torn(archive.cache)["torn"] == [f"cache/{path.parent.name}/{path.name}"]
        path.write_bytes(content)
    assert torn(archive.cache)["torn"] == []


def test_seven_parts_see_each_file_once(archive):
    whole = torn(archive.cache)["checked"]
    assert sum(torn(archive.cache, (k, 7))["checked"] for k in range(1, 8)) == whole
    for path in names(archive, ".arrow"):
        path.write_bytes(b"torn")
    found = [name for k in range(1, 8) for name in torn(archive.cache, (k, 7))["torn"]]
    assert sorted(found) == torn(archive.cache)["torn"] and len(found) == len(names(archive, ".arrow"))


def test_what_is_torn_is_made_anew_and_then_sound(archive):
    for path in archive.cache.glob("*/*"):
        path.write_bytes(path.read_bytes()[:-1])
    kept.memory.clear()
    assert torn(archive.cache)["torn"]
    load(archive, legs=True)
    left = {name.rpartition(".")[2] for name in torn(archive.cache)["torn"]}
    assert left <= {"arrow"}, "a document or an array of another name"
