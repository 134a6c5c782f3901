"""Files as bytes: what is opened, what is refused and with which words, and how text becomes rows."""

import gzip
import io
import math
import os
import zipfile

import polars as pl
import pytest

from store import open_archive, raw
from store.raw import Part, Unreadable, open_file, plain, table

CSV = b"a,b\n1,2\n"


def packed(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def put(folder, name, data):
    (folder / name).write_bytes(data)
    return folder / name


def refused(path):
    with pytest.raises(Unreadable) as error:
        open_file(path)
    message = str(error.value)
    assert message.isprintable()
    return message


def rows(data, wanted=("a", "b"), separator=","):
    return table([Part("x.csv", "x.csv", data)], list(wanted), separator)


def test_a_plain_file_is_one_part_under_its_name(tmp_path):
    file = open_file(put(tmp_path, "x.csv", CSV))
    assert [(p.place, p.name, p.data) for p in file.parts] == [("x.csv", "x.csv", CSV)]


def test_the_same_bytes_have_the_same_hash_whatever_the_name(tmp_path):
    assert open_file(put(tmp_path, "x.csv", CSV)).sha256 == open_file(put(tmp_path, "y.csv", CSV)).sha256


def test_a_gz_is_unpacked_and_named_as_it_lies_on_disk(tmp_path):
    [part] = open_file(put(tmp_path, "x.csv.gz", gzip.compress(CSV))).parts
    assert (part.place, part.name, part.data) == ("x.csv.gz", "x.csv", CSV)


def test_a_zip_gives_its_tables_in_order_and_names_what_it_leaves_out(tmp_path):
    data = packed({"b.csv": CSV, "sub/a.CSV": CSV, "readme.md": b"hi", ".x.csv": CSV, "__MACOSX/b.csv": b"fork"})
    file = open_file(put(tmp_path, "m.zip", data))
    assert [part.place for part in file.parts] == ["m.zip/b.csv", "m.zip/sub/a.CSV"]
    assert file.left_out == (".x.csv", "__MACOSX/b.csv", "readme.md")


@pytest.mark.parametrize("name", ["../../evil.csv", "/etc/evil.csv", "..\\evil.csv", "C:\\evil.csv"])
def test_a_path_in_a_zip_leads_nowhere(tmp_path, name):
    path = put(tmp_path, "m.zip", packed({name: CSV}))
    before = sorted(os.listdir(tmp_path)), sorted(os.listdir(tmp_path.parent))
    assert [part.name for part in open_file(path).parts] == ["evil.csv"]
    assert before == (sorted(os.listdir(tmp_path)), sorted(os.listdir(tmp_path.parent)))


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path):
    assert refused(tmp_path / "no.csv") == f"{tmp_path / 'no.csv'}: no such file"
    os.mkfifo(tmp_path / "pipe.csv")
    assert refused(tmp_path / "pipe.csv").endswith("not a regular file")
    assert refused(tmp_path).endswith("not a regular file")


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    path = put(tmp_path, "x.csv", CSV)

    def denied(*arguments, **words):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", denied)  # the tests may run as root, whom no permission stops
    assert refused(path) == f"{path}: Permission denied"


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "x.csv").symlink_to("x.csv")
    assert "symbolic links" in refused(tmp_path / "x.csv")


def test_an_empty_file_is_refused(tmp_path):
    assert refused(put(tmp_path, "x.csv", b"")).endswith("x.csv: the file is empty (0 bytes)")


def test_a_file_longer_than_the_limit_is_refused_without_reading_it(tmp_path):
    path = put(tmp_path, "x.csv", b"")
    os.truncate(path, 5 << 30)  # sparse
    assert refused(path).endswith("longer than 1024 MiB; split it")


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: packed({"x.csv": data})], ids=["gz", "zip"])
def test_a_bomb_is_refused(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(raw, "LIMIT", 1 << 20)
    assert "longer than 1 MiB" in refused(put(tmp_path, "x.gz", pack(b"0" * (2 << 20))))


def test_a_zip_with_too_many_members_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(raw, "MEMBERS", 2)
    path = put(tmp_path, "m.zip", packed({f"{n}.csv": CSV for n in range(3)}))
    assert "more than 2 members" in refused(path)


def damaged():
    whole, text = packed({"x.csv": CSV * 50}), gzip.compress(CSV * 50)
    flipped = bytearray(whole)
    flipped[60] ^= 255
    locked = bytearray(whole)
    locked[6] |= 1  # the flag of an encrypted member, in its own header and in the directory
    locked[whole.index(b"PK\x01\x02") + 8] |= 1
    return {
        "gz cut": text[:-9],
        "gz with a broken middle": text[:15] + b"\x00\xff\x00" + text[18:],
        "zip cut": whole[:-30],
        "zip with a flipped byte": bytes(flipped),
        "zip encrypted": bytes(locked),
    }


@pytest.mark.parametrize("how", damaged())
def test_a_damaged_archive_is_refused(tmp_path, how):
    assert "x.csv: cannot be unpacked: " in refused(put(tmp_path, "x.csv", damaged()[how]))


@pytest.mark.parametrize("members", [{}, {"book.xml": b"<x/>"}])
def test_a_zip_without_a_table_is_refused(tmp_path, members):
    assert "no csv among its members" in refused(put(tmp_path, "x.xlsx", packed(members)))


def test_names_are_shown_on_one_line(tmp_path):
    path = tmp_path / "a\nb\x1b[2J.csv"
    assert refused(path) == f"{tmp_path}/a\\nb\\x1b[2J.csv: no such file"
    assert plain("x" * 100, 10) == "x" * 10 + "…"


# ---- folders


def test_a_folder_is_searched_in_order_with_its_subfolders(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("z.csv", "b/a.zip", "b/notes.md", ".hidden.csv", "c.txt", "d.csv.gz", "e.dbn.zst", "z.Specs.txt"):
        put(tmp_path, name, CSV)
    names = ("b/a.zip", "c.txt", "d.csv.gz", "e.dbn.zst", "z.Specs.txt", "z.csv")
    assert raw.files([tmp_path]) == [(tmp_path / name, None) for name in names]


def test_a_description_in_a_zip_is_no_table(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name in ("z.Specs.txt", "z.csv"):
            packed.writestr(name, CSV)
    found = raw.open_file(path)
    assert ([part.name for part in found.parts], found.left_out) == (["z.csv"], ("z.Specs.txt",))


def test_texts_for_people_are_known_by_their_names():
    assert [raw.is_text(n) for n in ("LICENSE.txt", "Readme.TXT", "readme.csv", "README_ES.txt", "ESH24.txt")] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_a_loop_of_links_ends_and_a_linked_folder_is_read_once(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    put(outside, "x.csv", CSV)
    (inside / "loop").symlink_to(inside)
    (inside / "one").symlink_to(outside)
    (inside / "two").symlink_to(outside)
    assert raw.files([inside]) == [(inside / "one" / "x.csv", None)]


@pytest.fixture
def stored(tmp_path):
    """A folder with a file, and a store beside it that has a file of each kind."""
    archive = open_archive(tmp_path / "in" / "mine", create=True)
    archive.commit([archive.write("fx", pl.DataFrame({"currency": ["EUR"], "rate": [1.0]}), source="x")])
    for name in ("in/a.csv", "in/mine/contracts.csv", "in/mine/downloads/databento/b.dbn"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        put(tmp_path, name, CSV)
    return archive


@pytest.mark.folder
def test_a_store_in_a_folder_is_passed_by(stored, tmp_path):
    assert raw.files([tmp_path / "in"]) == [(tmp_path / "in" / "a.csv", None)]
    empty = open_archive(tmp_path / "other" / "new", create=True)
    put(empty.path, "holidays.csv", CSV)
    put(tmp_path / "other", "c.csv", CSV)
    assert raw.files([tmp_path / "other"]) == [(tmp_path / "other" / "c.csv", None)]


@pytest.mark.folder
def test_a_store_that_is_named_and_a_file_of_one_are_refused_and_its_downloads_are_not(stored, tmp_path, monkeypatch):
    [segment] = stored.files("fx")
    for place in (stored.path, stored.path / "data", stored.path / segment.path, stored.path / "contracts.csv"):
        [(path, wrong)] = raw.files([place])
        assert path == place and wrong.startswith(f"{place}: part of a store") and "export" in wrong
    (tmp_path / "link").symlink_to(stored.path)
    assert raw.files([tmp_path / "link"])[0][1]
    monkeypatch.chdir(stored.path)
    assert raw.files(["."])[0][1]
    held = stored.path / "downloads" / "databento" / "b.dbn"
    assert raw.files([held]) == [(held, None)]


def test_a_folder_named_snapshots_makes_no_store(tmp_path):
    (tmp_path / "in" / "snapshots").mkdir(parents=True)
    put(tmp_path / "in" / "snapshots", "a.csv", CSV)
    assert raw.files([tmp_path / "in"]) == [(tmp_path / "in" / "snapshots" / "a.csv", None)]


def test_a_folder_without_a_file_to_take_says_so(tmp_path):
    [(path, wrong)] = raw.files([tmp_path])
    endings = ".csv, .txt, .dat, .parquet, .dbn, .zst, .zip, .gz"
    assert (path, wrong) == (tmp_path, f"{tmp_path}: no file in it ends in {endings}")


def test_a_folder_that_may_not_be_listed_is_told_beside_the_files(tmp_path, monkeypatch):
    (tmp_path / "shut").mkdir()
    put(tmp_path, "x.csv", CSV)
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    shut = tmp_path / "shut"
    assert raw.files([tmp_path]) == [(shut, f"{shut}: Permission denied"), (tmp_path / "x.csv", None)]


# ---- rows


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CR LF", "CR"])
def test_lines_end_in_three_ways(end):
    found = rows(end.join([b"a,b", b"1,2", b"", b"3,4", b""]))
    assert found.select("line", "a", "b").rows() == [(2, "1", "2"), (4, "3", "4")]


@pytest.mark.parametrize("odd", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_no_other_character_ends_a_line(odd):
    found = rows(f"a,b\n1{odd},2\n3,4\n".encode())
    assert found.select("line", "a", "b").rows() == [(2, f"1{odd}", "2"), (3, "3", "4")]
    assert found["raw"].to_list() == [f"1{odd},2", "3,4"]


def test_a_byte_order_mark_is_no_part_of_the_header():
    assert rows(b"\xef\xbb\xbfa,b\n1,2\n")["a"].to_list() == ["1"]


@pytest.mark.parametrize("code", ["utf-16", "utf-16-be"])
def test_utf_16_is_refused(code):
    data = "\ufeffa,b\n1,2\n".encode(code) if code.endswith("be") else "a,b\n".encode(code)
    with pytest.raises(Unreadable, match=r"x\.csv: line 1: UTF-16 text; save it as UTF-8"):
        rows(data)


def test_bytes_that_are_not_utf_8_stay_visible_and_fail_as_numbers():
    found = raw.number(rows(b"a,b\n1\xe9,2\n"), "a", "x")
    assert found.select("raw", "column", "fault").row(0) == ("1\\xe9,2", "a", "not a number: 1\\xe9")


@pytest.mark.parametrize("data", [b"\n1,2\n", b"  \t\n1,2\n"])
def test_a_file_without_a_header_is_refused(data):
    with pytest.raises(Unreadable, match=r"x\.csv: line 1: no header"):
        rows(data)


def test_a_header_without_rows_has_none():
    assert rows(b"a,b\n").height == rows(b"a,b").height == 0


def test_a_missing_and_a_doubled_column_are_named():
    with pytest.raises(Unreadable, match=r"x\.csv: line 1: column b is not in the header, which has a, c"):
        rows(b"a,c\n1,2\n")
    with pytest.raises(Unreadable, match=r"x\.csv: line 1: column b is twice"):
        rows(b"a,b,b\n1,2,3\n")


def test_columns_are_picked_by_name_wherever_they_stand():
    assert rows(b"c,b ,a\n9,2, 1\t\n").select("a", "b").row(0) == ("1", "2")


def test_a_row_with_another_number_of_fields_is_at_fault_where_it_ends():
    found = rows(b"a,b,c\n1,2\n1,2,3,4\n1,2,3\n")
    assert found.select("column", "fault").rows() == [
        ("c", "2 fields instead of 3"), ("c", "4 fields instead of 3"), (None, None),
    ]  # fmt: skip
    assert found["a"].to_list() == [None, None, "1"]


def test_quotes_hold_separators_and_one_left_open_spoils_its_own_line_only():
    found = rows(b'"a","b"\n"1,5",2\n"1,2\n3,4\n')
    assert found.select("a", "b", "fault").rows() == [
        ("1,5", "2", None), (None, None, "1 fields instead of 2"), ("3", "4", None),
    ]  # fmt: skip


def test_a_field_longer_than_the_csv_module_takes_is_read():
    assert rows(b'a,b\n"1",' + b"9" * 200_000 + b"\n")["b"][0] == "9" * 200_000


def test_parts_with_other_headers_are_read_side_by_side():
    parts = [Part(f"{k}.csv", f"{k}.csv", data) for k, data in enumerate((b"a,b\n1,2\n", b"b,a\n3,4\n", b"a,b\n5,6\n"))]
    assert table(parts, ["a"]).select("part", "line", "a").rows() == [(0, 2, "1"), (1, 2, "4"), (2, 2, "5")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4000.25", 4000.25),
        ("+5", 5.0),
        ("-3", -3.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1e999", math.inf),
        ("", None),
    ],
)
def test_numbers(text, value):
    found = raw.number(rows(f"a,b\n{text},2\n".encode()), "a", "x")
    assert found.select("x", "fault").row(0) == (value, None)


@pytest.mark.parametrize("text", ["1_000", "0x10", "12a", "--5", "5\x00", "1.2.3", "٣", "N/A", "1 000", "#REF!"])
def test_what_is_no_number_keeps_its_text(text):
    found = raw.number(rows(f"a,b\n{text},2\n".encode()), "a", "x")
    assert found.select("x", "column", "fault").row(0) == (None, "a", f"not a number: {text}")


def test_a_missing_number_may_be_written_in_several_ways():
    found = raw.number(rows(b"a,b\n-,2\nN/A,2\n"), "a", "x", ("", "-", "N/A"))
    assert found.select("x", "fault").rows() == [(None, None)] * 2


@pytest.mark.parametrize("text", ["2024-02-30", "24-02-01", "01.02.2024", "2024-13-01", "", "tomorrow"])
def test_what_is_no_date_keeps_its_text(text):
    found = raw.stamp(rows(f"a,b\n{text},2\n".encode()), "a", "%Y-%m-%d")
    assert found.select("stamp", "column", "fault").row(0) == (None, "a", f"not a date: {text}")


def test_the_first_fault_of_a_row_stays():
    found = raw.number(raw.stamp(rows(b"a,b\nx,y\n"), "a", "%Y"), "b", "v")
    assert found.select("column", "fault").row(0) == ("a", "not a date: x")


@pytest.mark.parametrize(("text", "contract"), [("20240300", 202403), ("202412", 202412), ("20240300.0", 202403)])
def test_contracts_are_months(text, contract):
    assert raw.month(rows(f"a,b\n{text},2\n".encode()), "a", "c").select("c", "fault").row(0) == (contract, None)


@pytest.mark.parametrize("text", ["20241300", "20240000", "202", "inf", "1e999", "x"])
def test_what_is_no_month_keeps_its_text(text):
    found = raw.month(rows(f"a,b\n{text},2\n".encode()), "a", "c")
    assert found.select("c", "fault").row(0) == (None, f"not a contract YYYYMM00: {text}")


# ---- parts without a header, or with lines before it


def test_fields_of_a_file_without_a_header_are_named_by_the_caller():
    part = Part("x.csv", "x.csv", b"1,2\n\n3,4\n")
    assert table([part], ["b"], header=["a", "b"]).select("line", "b").rows() == [(1, "2"), (3, "4")]


def test_lines_before_the_header_are_told_from_the_first_lines():
    part = Part("x.csv", "x.csv", b"\nno warranty\na,b\n1,2\n")
    found = table([part], ["b"], skip=lambda first: first.index("a,b"))
    assert found.select("line", "b").rows() == [(4, "2")]
    bare = table([Part("x.csv", "x.csv", b"no warranty\n1,2\n")], ["a"], header=["a", "b"], skip=lambda first: 1)
    assert bare.select("line", "a").rows() == [(2, "1")]
    with pytest.raises(Unreadable, match=r"x\.csv: line 3: no header"):
        table([Part("x.csv", "x.csv", b"1\n2\n\n")], ["a"], skip=lambda first: 2)


def test_the_first_line_of_a_part_is_read_once():
    part = Part("x.csv", "x.csv", b"\xef\xbb\xbf a,b \r1,2\r")
    assert part.header() == "a,b"
    assert part.header() is part.header()
    assert Part("x.csv", "x.csv", b"\n1").header() == ""


def test_a_column_in_a_header_line_below_others_is_missed_on_that_line():
    with pytest.raises(Unreadable, match=r"x\.csv: line 2: column c is not in the header, which has a, b"):
        table([Part("x.csv", "x.csv", b"hello\na,b\n1,2\n")], ["c"], skip=lambda first: 1)


def test_files_read_together_are_one_file_of_many_parts(tmp_path):
    files = [open_file(put(tmp_path, name, CSV)) for name in ("x.csv", "y.csv")]
    assert raw.joined(files[:1]) is files[0]
    together = raw.joined(files)
    assert [part.place for part in together.parts] == ["x.csv", "y.csv"] and not together.packed
