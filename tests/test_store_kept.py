"""Frames under the hash of their content: memory is bounded, and a torn file is as if it were absent."""

import polars as pl

from store import kept

FRAME = pl.DataFrame({"day": [1, 2, None], "text": ["a", None, "c"]})


def test_a_frame_comes_back_as_it_was(tmp_path):
    name = kept.put(tmp_path / "new" / "folder", "mine", FRAME)
    kept.memory.clear()
    assert kept.get(tmp_path / "new" / "folder", name).equals(FRAME)


def test_a_file_under_another_s_name_is_no_frame(tmp_path):
    names = [kept.put(tmp_path, "mine", frame) for frame in (FRAME, FRAME.head(1))]
    paths = [tmp_path / f"{name}.arrow" for name in names]
    paths[0].write_bytes(paths[1].read_bytes())
    kept.memory.clear()
    assert kept.get(tmp_path, names[0]) is None and kept.get(tmp_path, names[1]).height == 1


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
