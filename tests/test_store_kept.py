"""Frames under the hash of their content: memory is bounded, and a torn file is as if it were absent."""

import itertools
import threading
from datetime import timedelta

import polars as pl

from store import derived, durable, history, kept
from tests import small_store

FRAME = pl.DataFrame({"day": [1, 2, None], "text": ["a", None, "c"]})


def test_a_frame_comes_back_as_it_was(tmp_path):
    name = kept.put(tmp_path / "new" / "folder", "mine", FRAME)
    kept.memory.clear()
    assert kept.get(tmp_path / "new" / "folder", name)[0].equals(FRAME)


def test_frames_of_one_file_come_back_in_their_order_all_or_the_first_of_them(tmp_path):
    frames = [FRAME, FRAME.clear(), pl.DataFrame({"mark": [1.5]})]
    name = kept.put(tmp_path, "mine", *frames)
    for _ in ("from memory", "from the file"):
        for count in (1, 2, None):
            found = kept.get(tmp_path, name, count)
            assert len(found) == (count or 3) and all(a.equals(b) for a, b in zip(found, frames, strict=False))
        kept.memory.clear()


def test_a_file_under_another_s_name_is_no_frame(tmp_path):
    names = [kept.put(tmp_path, "mine", frame) for frame in (FRAME, FRAME.head(1))]
    paths = [tmp_path / f"{name}.arrow" for name in names]
    paths[0].write_bytes(paths[1].read_bytes())
    kept.memory.clear()
    assert kept.get(tmp_path, names[0]) is None and kept.get(tmp_path, names[1])[0].height == 1


def test_a_file_that_another_program_wrote_is_no_frame(tmp_path):
    content = b"not an Arrow stream at all"
    name = f"mine-{kept.sha256(content).hexdigest()}"
    (tmp_path / f"{name}.arrow").write_bytes(content)
    assert kept.get(tmp_path, name) is None


def test_what_was_dropped_is_written_again(tmp_path):
    name = kept.put(tmp_path, "mine", FRAME)
    kept.drop(tmp_path, [name, "mine-none"])
    assert kept.put(tmp_path, "mine", FRAME) == name and (tmp_path / f"{name}.arrow").exists()


def test_memory_forgets_what_was_used_longest_ago():
    memory = kept.Memory(most=30)
    for name in "abc":
        memory.keep(name, FRAME, 10)
    memory.find("a")
    memory.keep("d", FRAME, 10)
    assert [name for name in "abcd" if memory.find(name) is not None] == ["a", "c", "d"]
    memory.keep("a", FRAME, 25)
    assert memory.bytes == 25 and memory.find("d") is None
    memory.keep("huge", FRAME, 31)
    assert memory.bytes == 0


def test_a_document_comes_back_or_none(tmp_path):
    kept.write(tmp_path, "mine", {"states": [1, None, "x"]})
    assert kept.read(tmp_path, "mine") == {"states": [1, None, "x"]}
    path = tmp_path / "mine.json"
    path.write_bytes(path.read_bytes().replace(b"null", b"true"))
    assert kept.read(tmp_path, "mine") is None and kept.read(tmp_path, "other") is None


def test_gc_takes_what_is_of_no_use_in_the_cache_and_nothing_else(tmp_path):
    archive = small_store.build(tmp_path / "store")
    ask = lambda: derived.series([history.request(history.bars(archive, root)) for root in ("MES", "FGBL")])  # noqa: E731
    ask()
    folder = archive.cache / "series"
    there = sorted(folder.iterdir())
    [torn, whole] = sorted(folder.glob("*.json"))
    torn.write_bytes(b"torn")  # then nothing names its frames
    lost = [path for path in there if path.suffix == ".arrow" and path.name.startswith(torn.stem)]
    lost += [durable.temporary_name(folder), durable.temporary_name(archive.cache)]
    for path in lost[-2:]:
        path.touch()
    lost.append(folder / f"{kept.put(folder, 'nobody', FRAME)}.arrow")
    lost.append(folder / f"{kept.put(folder, whole.stem, FRAME)}.arrow")  # of an owner whose document has another
    told = sorted(path.relative_to(archive.path).as_posix() for path in lost)
    assert len(told) == 6 and archive.gc() == []  # too young
    assert archive.gc(timedelta(seconds=-10)) == told and all(path.exists() for path in lost)
    assert archive.gc(timedelta(seconds=-10), dry_run=False) == told
    assert sorted(folder.iterdir()) == [path for path in there if path not in lost]
    kept.memory.clear()
    assert [one.frame.height > 300 for one in ask()] == [True, True] and sorted(folder.iterdir()) == there
    assert archive.gc(timedelta(seconds=-10)) == []


def test_a_store_without_a_cache_has_nothing_loose(tmp_path):
    assert kept.loose(tmp_path / "none") == []
    (tmp_path / "cache").write_text("no folder")
    assert kept.loose(tmp_path / "cache") == []


def test_folders_that_come_and_go_meanwhile_are_nobodys_fault(tmp_path):
    (tmp_path / "sql").mkdir()
    left, stop = tmp_path / "series" / f"{durable.TEMPORARY}left", threading.Event()
    left.parent.mkdir()
    left.touch()

    def ask():  # as queries do, in folders of their own
        for number in itertools.count():
            (tmp_path / "sql" / str(number)).mkdir()
            (tmp_path / "sql" / str(number)).rmdir()
            if stop.is_set():
                return

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        assert all(kept.loose(tmp_path) == [left] for _ in range(2000))
    finally:
        stop.set()
        asking.join()
