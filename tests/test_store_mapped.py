"""Arrays come back as they were, mapped; what is not as it was written is as if it were absent; a folder is bounded."""

import json
import os
import subprocess
import sys
import threading
from hashlib import sha256

import numpy as np
import pytest

from store import durable, mapped
from tests.conftest import REPO

ARRAYS = {
    "mark": np.array([[1.5, np.nan], [-0.0, np.inf]]),
    "days": np.array(["2024-03-01", "NaT"], "datetime64[D]"),
    "contract": np.arange(3000, dtype=np.int32).reshape(1500, 2),
    "roll": np.array([[True], [False]]),
    "none": np.empty((0, 4)),
}


def put(folder, name="mine", arrays=ARRAYS):
    mapped.write(folder, name, "key", arrays, {"names": ["CL"], "share": 0.1})
    return folder / f"{name}{mapped.ENDING}"


def test_arrays_come_back_bit_by_bit(tmp_path):
    put(tmp_path / "new")
    arrays, document = mapped.read(tmp_path / "new", "mine", "key")
    assert document == {"names": ["CL"], "share": 0.1} and list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        found = arrays[name]
        assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
        assert type(found) is np.ndarray and found.flags.c_contiguous and found.flags.aligned
        assert found.ctypes.data % 64 == 0 or not found.size


def test_an_array_of_two_names_lies_there_once(tmp_path):
    one = np.arange(4096.0)
    sizes = [put(tmp_path, str(len(arrays)), arrays).stat().st_size for arrays in ({"a": one}, {"a": one, "b": one})]
    assert sizes[0] == sizes[1] == 4096 + one.nbytes
    arrays, _ = mapped.read(tmp_path, "2", "key")
    assert np.array_equal(arrays["b"], one)


def test_the_file_is_as_its_page_says(tmp_path):
    """Read by hand, with nothing of ours."""
    content = put(tmp_path).read_bytes()
    length = int.from_bytes(content[8:16], "little")
    header = content[48 : 48 + length]
    assert content[:8] == b"FMARRAYS" and content[16:48] == sha256(header).digest() and (48 + length) % 4096 == 0
    fields, body = json.loads(header), content[48 + length :]
    assert fields["key"] == "key" and fields["size"] == len(body)
    for name, dtype, shape, place in fields["arrays"]:
        found = np.frombuffer(body, dtype, int(np.prod(shape)), place) if np.prod(shape) else np.empty(0, dtype)
        assert place % 4096 == 0 and found.tobytes() == ARRAYS[name].tobytes()
    pages = [body[k : k + 4096] for k in range(0, len(body), 4096)]
    words = [[int.from_bytes(page[k : k + 8], "little") for k in range(0, 4096, 8)] for page in pages]
    total = [sum(page) % 2**64 for page in words]
    parity = [0] * len(words)
    for number, page in enumerate(words):
        for word in page:
            parity[number] ^= word
    told = b"".join(word.to_bytes(8, "little") for word in [*parity, *total])
    assert fields["digest"] == sha256(told).hexdigest()


def test_who_writes_into_an_array_changes_his_own_only(tmp_path):
    put(tmp_path)
    arrays, _ = mapped.read(tmp_path, "mine", "key")
    arrays["mark"][:] = 7.0
    again, _ = mapped.read(tmp_path, "mine", "key")
    assert again["mark"].tobytes() == ARRAYS["mark"].tobytes()


def changed(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


HARM = {
    "empty": lambda text: b"",
    "cut": lambda text: text[:-1],
    "longer": lambda text: text + b"\0",
    "cut in the header": lambda text: text[:1000],
    "another file": lambda text: b"PAR1" + text[4:],
    "bit of the header": lambda text: changed(text, 100),
    "bit of the length": lambda text: changed(text, 9),
    "bit of the first array": lambda text: changed(text, 4096),
    "bit of the last page": lambda text: changed(text, len(text) - 4096),
    "torn page": lambda text: text[:-4096] + bytes(4096),
    "pages swapped": lambda text: text[:12288] + text[16384:20480] + text[12288:16384] + text[20480:],
}


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("seen", [False, True])
def test_what_is_not_as_it_was_written_is_as_if_it_were_absent(tmp_path, harm, seen):
    path = put(tmp_path)
    assert path.stat().st_size == 4096 * 7
    if seen:
        assert mapped.read(tmp_path, "mine", "key")
    spoiled = HARM[harm](path.read_bytes())
    assert spoiled != path.read_bytes()
    path.write_bytes(spoiled)
    assert mapped.read(tmp_path, "mine", "key") is None
    put(tmp_path)
    assert mapped.read(tmp_path, "mine", "key")


def test_every_flipped_bit_of_a_thousand_is_seen(tmp_path):
    path, rng = put(tmp_path), np.random.default_rng(3)
    content = path.read_bytes()
    for place, bit in zip(rng.integers(0, len(content), 1000).tolist(), rng.integers(0, 8, 1000).tolist(), strict=True):
        path.unlink()
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :])
        assert mapped.read(tmp_path, "mine", "key") is None, (place, bit)


def test_a_file_of_another_key_or_under_another_name_is_none(tmp_path):
    path = put(tmp_path)
    assert mapped.read(tmp_path, "mine", "another") is None and mapped.read(tmp_path, "none", "key") is None
    path.unlink()
    path.mkdir()
    assert mapped.read(tmp_path, "mine", "key") is None


def test_those_used_longest_ago_give_way_and_what_is_too_large_is_not_kept(tmp_path, monkeypatch):
    one = {"a": np.zeros(4096)}  # nine pages with its header
    monkeypatch.setattr(mapped, "MOST", 30 * 4096)
    for number in range(3):
        os.utime(put(tmp_path, str(number), one), (1000.0 + number, 1000.0 + number))
    assert mapped.read(tmp_path, "0", "key")  # used now
    other = tmp_path / "note.txt"
    other.write_text("mine")
    put(tmp_path, "3", one)
    assert sorted(path.stem for path in tmp_path.glob("*.arrays")) == ["0", "2", "3"] and other.exists()
    assert not mapped.write(tmp_path, "large", "key", {"a": np.zeros(16 * 512)}, {})
    assert mapped.write(tmp_path, "half", "key", {"a": np.zeros(15 * 512)}, {})
    assert not (tmp_path / "large.arrays").exists() and not list(tmp_path.glob(f"{durable.TEMPORARY}*"))


WRITE = """
import sys
import numpy as np
from pathlib import Path
from store import mapped
for number in range(60):
    mapped.write(Path(sys.argv[1]), "mine", "key", {"a": np.full(50_000, float(sys.argv[2]))}, {})
"""


@pytest.mark.service
def test_two_processes_that_write_one_file_at_once_leave_a_whole_one(tmp_path):
    command = [sys.executable, "-c", WRITE, str(tmp_path)]
    writers = [subprocess.Popen([*command, text], cwd=REPO) for text in ("1", "2")]
    seen = set()
    while any(one.poll() is None for one in writers):
        found = mapped.read(tmp_path, "mine", "key")
        if found is not None:
            values = found[0]["a"]
            assert (values == values[0]).all()
            seen.add(float(values[0]))
    assert [one.returncode for one in writers] == [0, 0] and seen == {1.0, 2.0}
    assert mapped.read(tmp_path, "mine", "key") and not list(tmp_path.glob(f"{durable.TEMPORARY}*"))


def test_threads_read_side_by_side(tmp_path):
    put(tmp_path)
    found = []
    threads = [threading.Thread(target=lambda: found.append(mapped.read(tmp_path, "mine", "key"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and all(one[0]["mark"].tobytes() == ARRAYS["mark"].tobytes() for one in found)
