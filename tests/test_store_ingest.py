"""The whole way in: each row accounted for, one commit, twice is once, overlaps are merged, what is bad is named."""

import gzip
import hashlib
from datetime import UTC, date, datetime

import polars as pl
import pytest

from store import decisions, ingest, open_archive
from store.archive import Conflict, Refused
from store.ingest import import_paths
from store.reading import Reading
from store.vendors import barchart
from tests.sample_files import JUNE, LINES, MARCH, NAME, SAMPLES, changed, counts, one, put, refused, zipped


def told(report):
    """What a report tells of its file, whichever import it came with."""
    return vars(report) | {"import_id": ""}


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


# ---- what goes in


FIVE = [MARCH, JUNE, SAMPLES / "pysystemtrade" / "CORN.csv", SAMPLES / "pysystemtrade" / "EURUSD.csv"]
FIVE += [SAMPLES / "contract-csv" / "ES-2024H.csv"]


def test_files_of_several_vendors_go_in_by_one_commit(archive):
    reports = import_paths(archive, FIVE)
    assert [r.error for r in reports] == [""] * 5
    assert archive.head().number == 1
    assert {r.file.rsplit("/", 1)[1]: (r.vendor, r.roots, r.accepted) for r in reports} == {
        "Day_SP500_micro_20240300.csv": ("barchart", ["MES"], 10),
        "Day_SP500_micro_20240600.csv": ("barchart", ["MES"], 7),
        "CORN.csv": ("pysystemtrade", ["ZC"], 6),
        "EURUSD.csv": ("pysystemtrade", ["EUR"], 5),
        "ES-2024H.csv": ("contract-csv", ["ES"], 5),
    }
    assert archive.read("contract_bars").height == 22
    assert archive.read("vendor_chains", root="ZC", source="pysystemtrade").height == 6
    assert archive.read("fx", currency="EUR")["source"].unique().to_list() == ["pysystemtrade"]


def test_rows_are_stored_in_the_order_of_their_key(archive):
    import_paths(archive, [JUNE, MARCH])
    rows = archive.read("contract_bars")
    assert rows.equals(rows.sort("source", "root", "contract", "time"))


def test_the_log_says_what_became_of_each_file(archive):
    path = put(archive.path.parent / "in", NAME, changed(3, Close="dear"))
    report = one(archive, path)
    [row] = archive.read("imports").to_dicts()
    assert (row["file"], row["vendor"], row["roots"], row["sha256"]) == (NAME, "barchart", "MES", report.sha256)
    assert (row["rows_read"], row["accepted"], row["warned"], row["quarantined"]) == counts(report) == (10, 9, 0, 1)
    assert row["reasons"] == '{"unparsed": 1}'
    assert archive.head().note == f"import {row['import_id']}: 1 files"


def test_a_zip_with_several_markets_gives_each_its_own(archive, tmp_path):
    text = MARCH.read_text()
    path = zipped(tmp_path / "in", "all.zip", {NAME: text, "x/Day_SILVER_20240300.csv": text, "liesmich.md": "hallo"})
    report = one(archive, path)
    assert (report.error, report.roots, report.accepted) == ("", ["MES", "SI"], 20)
    assert report.notes == ["left out, as no csv: liesmich.md"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CR LF", "CR"])
def test_line_ends_do_not_matter(archive, tmp_path, end):
    assert counts(one(archive, put(tmp_path / "in", NAME, LINES, end))) == (10, 10, 0, 0)


def test_a_byte_order_mark_does_not_matter(archive, tmp_path):
    data = b"\xef\xbb\xbf" + MARCH.read_bytes()
    assert counts(one(archive, put(tmp_path / "in", NAME, data=data))) == (10, 10, 0, 0)


def test_a_sunday_row_is_kept_beside_its_monday(archive, tmp_path):
    lines = [
        LINES[0],
        "2024-03-10T06:00:00+0000,5060,5066,5058,5063,900",
        "2024-03-11T05:00:00+0000,5063,5070,5050,5068,80000",
    ]
    assert counts(one(archive, put(tmp_path / "in", NAME, lines))) == (2, 2, 0, 0)
    assert archive.read("contract_bars")["day"].n_unique() == 1


def test_progress_is_told_by_file_and_at_the_commit(archive):
    told = []
    import_paths(archive, [MARCH, JUNE], progress=lambda *step: told.append(step))
    assert told == [(0, 2, MARCH.name), (1, 2, JUNE.name), (2, 2, "commit")]


# ---- twice, and again with something else in it


def test_the_same_file_again_is_skipped_and_commits_nothing(archive, tmp_path):
    import_paths(archive, [MARCH])
    before = archive.head()
    copy = put(tmp_path / "elsewhere", NAME, data=MARCH.read_bytes())
    for path in (MARCH, copy):
        report = one(archive, path)
        assert (report.skipped, report.error, counts(report)) == (True, "", (0, 0, 0, 0))
    assert archive.head() == before


def test_a_zip_is_known_by_its_content_under_any_name(archive, tmp_path):
    path = zipped(tmp_path / "in", "m.zip", {NAME: MARCH.read_text()})
    assert one(archive, path).accepted == 10
    assert one(archive, put(tmp_path / "in", "m (1).zip", data=path.read_bytes())).skipped


def test_two_contracts_with_the_same_rows_are_two_contracts(archive, tmp_path):
    for name in ("Day_SP500_micro_20240300.csv", "Day_SP500_micro_20240600.csv", "Day_SILVER_20240300.csv"):
        put(tmp_path / "in", name, LINES)
    assert [r.accepted for r in import_paths(archive, [tmp_path / "in"])] == [10, 10, 10]
    assert archive.read("contract_bars").select("root", "contract").n_unique() == 3


def test_the_same_file_twice_in_a_call_is_read_once(archive):
    assert [r.skipped for r in import_paths(archive, [MARCH, MARCH])] == [False, True]


def test_a_file_imported_under_another_name_of_the_market_is_not_skipped(archive):
    import_paths(archive, [MARCH])
    assert one(archive, MARCH, root="ES").accepted == 10
    assert one(archive, MARCH, root="ES").skipped
    assert sorted(archive.read("contract_bars")["root"].unique()) == ["ES", "MES"]


def test_rows_equal_to_stored_ones_are_accepted_and_change_nothing(archive, tmp_path):
    import_paths(archive, [MARCH])
    before = archive.read("contract_bars")
    longer = put(tmp_path / "in", NAME, [*LINES, "2024-03-11T05:00:00+0000,5060,5066,5044,5051,70100"])
    assert counts(one(archive, longer)) == (11, 11, 0, 0)
    after = archive.read("contract_bars")
    assert after.head(10).equals(before) and after.height == 11
    assert archive.read("revisions").is_empty()


def test_a_file_that_only_repeats_what_is_stored_writes_no_market_again(archive, tmp_path):
    import_paths(archive, [MARCH])
    before = archive.files("contract_bars")
    assert one(archive, put(tmp_path / "in", NAME, LINES[:5])).accepted == 4
    assert archive.files("contract_bars") == before


def test_a_changed_value_replaces_the_stored_one_and_both_are_kept_as_a_revision(archive, tmp_path):
    import_paths(archive, [MARCH])
    assert one(archive, put(tmp_path / "in", NAME, changed(3, Close="5029", Volume=""))).accepted == 10
    row = archive.read("contract_bars").row(1, named=True)
    assert (row["settle"], row["volume"]) == (5029.0, 77410.0)  # what the later file lacks stays
    revisions = archive.read("revisions").select("of_table", "root", "contract", "column", "old", "new").sort("column")
    assert revisions.rows() == [
        ("contract_bars", "MES", 202403, "settle", 5028.5, 5029.0),
    ]


def test_files_of_one_call_that_disagree_are_a_revision_too(archive, tmp_path):
    reports = import_paths(archive, [MARCH, put(tmp_path / "in", NAME, changed(3, Close="5029"))])
    assert [r.accepted for r in reports] == [10, 10]
    assert archive.read("contract_bars")["settle"][1] == 5029.0
    assert archive.read("revisions").select("old", "new").rows() == [(5028.5, 5029.0)]


def test_currencies_and_chains_have_revisions(archive, tmp_path):
    import_paths(archive, FIVE[2:4])
    for name, old, new in (("EURUSD.csv", "1.0901", "1.0911"), ("CORN.csv", "668.5,20221200", "668.75,20230300")):
        text = (SAMPLES / "pysystemtrade" / name).read_text()
        put(tmp_path / "in", name, data=text.replace(old, new).encode())
    import_paths(archive, [tmp_path / "in"])
    found = (
        archive.read("revisions").select("of_table", "root", "contract", "column", "old", "new").sort("root", "column")
    )
    assert found.rows() == [
        ("fx", "EUR", None, "rate", 1.0901, 1.0911),
        ("vendor_chains", "ZC", None, "price", 668.5, 668.75),
        ("vendor_chains", "ZC", None, "price_contract", 202212.0, 202303.0),
    ]


# ---- bad rows


@pytest.mark.parametrize(
    ("cells", "column", "reason"),
    [
        ({"Close": "5O28.5"}, "Close", "not a number: 5O28.5"),
        ({"Time": "2024-02-30T06:00:00+0000"}, "Time", "not a date: 2024-02-30T06:00:00+0000"),
        ({"High": "1e999"}, "High", "not a finite number"),
        ({"Low": "nan"}, "Low", "not a finite number"),
        ({"Volume": "inf"}, "Volume", "not a finite number"),
        ({"Volume": "-5"}, "Volume", "below zero"),
        ({"Close": ""}, "Close", "neither close nor settlement"),
        ({"Close": "5028.5,1"}, "Volume", "7 fields instead of 6"),
        ({"High": "5011.25", "Low": "5030"}, "High", "high below low, or open or close outside high-low"),
        (
            {"Close": "77410", "Volume": "5028.5"},
            "Close",
            "settlement far outside high-low: another column, or another unit",
        ),
        ({"Open": "50155"}, "Open", "high below low, or open or close outside high-low"),
        ({"Close": "0"}, "Close", "at or below zero in a market that never is"),
        ({"Low": "50\x0011.25"}, "Low", "not a number: 50\x0011.25"),
        ({"Time": "2004-02-27T06:00:00+0000"}, "Time", "more than 15 years before or 2 months after delivery"),
    ],
)
def test_a_bad_row_is_kept_apart_with_its_line_column_reason_and_text(archive, tmp_path, cells, column, reason):
    lines = changed(3, **cells)
    report = one(archive, put(tmp_path / "in", NAME, lines))
    assert counts(report) == (10, 9, 0, 1)
    row = archive.read("quarantine").row(0, named=True)
    assert (row["file"], row["line"], row["column"], row["reason"], row["raw"]) == (NAME, 3, column, reason, lines[2])
    assert (row["vendor"], row["severity"]) == ("barchart", "quarantine")
    assert report.first.startswith(f"{NAME}: line 3: column {column}: ") and report.first.isprintable()
    assert archive.read("contract_bars").height == 9


def test_a_row_that_was_cut_is_kept_apart(archive, tmp_path):
    lines = [*LINES[:-1], LINES[-1][:40]]
    assert (
        one(archive, put(tmp_path / "in", NAME, lines)).first == f"{NAME}: line 11: column Close: 4 fields instead of 6"
    )


def test_a_quarantined_row_of_a_zip_names_archive_and_member(archive, tmp_path):
    path = zipped(tmp_path / "in", "m.zip", {f"deep/{NAME}": "\n".join(changed(4, Open="?"))})
    one(archive, path)
    assert archive.read("quarantine").select("file", "line").row(0) == (f"m.zip/deep/{NAME}", 4)


def test_doubled_and_unsorted_rows_are_told_apart(archive, tmp_path):
    lines = [*LINES, LINES[2], changed(4, Close="5008")[3], LINES[1]]
    report = one(archive, put(tmp_path / "in", NAME, lines))
    assert counts(report) == (13, 10, 2, 1)
    assert report.reasons == {"duplicate": 1, "repeated": 2}
    backwards = one(archive, put(tmp_path / "in", JUNE.name, [LINES[0], *reversed(JUNE.read_text().splitlines()[1:])]))
    assert (counts(backwards), backwards.reasons) == ((7, 1, 6, 0), {"unsorted": 6})
    assert archive.read("contract_bars", root="MES").height == 17


def test_columns_in_another_order_are_read_by_their_names(archive, tmp_path):
    rows = [line.split(",") for line in LINES]
    path = put(tmp_path / "in", NAME, [",".join([r[0], r[5], r[4], r[3], r[2], r[1]]) for r in rows])
    assert one(archive, path).accepted == 10
    import_paths(archive, [MARCH])
    assert archive.read("revisions").is_empty()


@pytest.mark.parametrize(("a", "b"), [("High", "Low"), ("Close", "Volume"), ("Time", "Close")])
def test_columns_whose_names_were_exchanged_are_noticed(archive, tmp_path, a, b):
    header = LINES[0].replace(a, "x").replace(b, a).replace("x", b)
    assert "no usable row among 10: " in refused(archive, put(tmp_path / "in", NAME, [header, *LINES[1:]]))


# ---- files that are refused whole


def bad_files():
    """What is wrong -> bytes of the file, and what the error has to say."""
    whole = MARCH.read_bytes()
    return {
        "empty": (b"", f"{NAME}: the file is empty (0 bytes)"),
        "header only": (LINES[0].encode(), f"{NAME}: no usable row among 0"),
        "blank header": (b"\n" + whole, f"{NAME}: line 1: no header"),
        "column renamed": (
            whole.replace(b"Open", b"First"),
            "line 1: column Open is not in the header, which has Time",
        ),
        "column twice": (whole.replace(b"Volume", b"High"), f"{NAME}: line 1: column High is twice"),
        "separator": (whole.replace(b",", b";"), "line 1: column Time is not in the header"),
        "all text": (
            whole.replace(b"50", b"x"),
            f"no usable row among 10: {NAME}: line 2: column Open: not a number: x1",
        ),
        "utf-16": (whole.decode().encode("utf-16"), f"{NAME}: line 1: UTF-16 text; save it as UTF-8"),
        "utf-16 unmarked": (whole.decode().encode("utf-16-le"), r"column Time is not in the header, which has T\x00i"),
        "error page": (b"<!DOCTYPE html>\n<p>Too many requests</p>", "which has <!DOCTYPE html>"),
        "hourly": (whole.replace(b"T06:00", b"T15:00"), "column Time: not midnight in Chicago"),
    }


@pytest.mark.parametrize("how", bad_files())
def test_a_useless_file_is_refused_in_one_line_and_leaves_nothing(archive, tmp_path, how):
    data, message = bad_files()[how]
    assert message in refused(archive, put(tmp_path / "in", NAME, data=data))


def test_a_missing_file_is_refused(archive, tmp_path):
    assert refused(archive, tmp_path / "no.csv") == f"{tmp_path / 'no.csv'}: no such file"


def test_a_gz_that_was_cut_is_refused(archive, tmp_path):
    path = put(tmp_path / "in", f"{NAME}.gz", data=gzip.compress(MARCH.read_bytes())[:-20])
    assert "cannot be unpacked: " in refused(archive, path)


def test_a_damaged_member_spoils_its_zip_and_is_named(archive, tmp_path):
    path = zipped(tmp_path / "in", "m.zip", {NAME: MARCH.read_text(), JUNE.name: "<html>\n"})
    assert refused(archive, path).startswith(f"{path}/{JUNE.name}: line 1: ")


def test_a_file_that_nobody_knows_shows_its_first_line_and_the_vendors(archive, tmp_path):
    error = refused(archive, put(tmp_path / "in", "x.csv", ["a;b\x1b[2J", "1;2"]))
    assert "no vendor recognises this file; its first line is 'a;b\\\\x1b[2J'" in error
    assert "--vendor (barchart, " in error and "pysystemtrade" in error and "contract-csv)" in error


def test_a_vendor_is_forced_on_a_file_that_is_not_his(archive):
    assert "not named <MARKET>_<YYYYMM00>.csv" in refused(archive, MARCH, vendor="pysystemtrade")
    assert "not named Day_<MARKET>_<YYYYMM00>.csv" in refused(
        archive, SAMPLES / "contract-csv" / "ES-2024H.csv", vendor="barchart"
    )


def test_an_unknown_vendor_is_refused_with_the_nearest(archive):
    with pytest.raises(
        ValueError, match=r"unknown vendor 'barchat': allowed are barchart, .*; did you mean 'barchart'\?"
    ):
        import_paths(archive, [MARCH], vendor="barchat")
    assert archive.head().number == 0


LEFT_OUT = {
    "LICENSE.txt": ["Apache License"],
    "ES.Specs.txt": ["Symbol: ES"],
    "security-database.csv": ["# x", "XYZ R735QTJ8XC9X,1"],
}


def test_what_is_of_no_use_is_left_out_of_a_folder_and_an_error_where_it_was_asked_for(archive, tmp_path):
    folder = tmp_path / "in"
    for name, lines in (LEFT_OUT | {NAME: LINES}).items():
        put(folder, name, lines)
    for words in ({}, {"dry_run": True}):
        reports = {r.file.rsplit("/", 1)[1]: r for r in import_paths(archive, [folder], **words)}
        assert {name: r.left_out for name, r in reports.items() if r.left_out} == {
            "LICENSE.txt": "a text for people to read, no prices",
            "ES.Specs.txt": "CSI's description of a file, no prices",
            "security-database.csv": "LEAN's security identifiers, not imported: they are of shares",
        }
        assert not [r.error for r in reports.values() if r.error] and counts(reports["LICENSE.txt"]) == (0, 0, 0, 0)
    assert archive.head().number == 1 and archive.read("imports")["file"].to_list() == [NAME]
    for name in LEFT_OUT:
        assert f"/{name}: " in refused(archive, folder / name)
        [found] = import_paths(archive, [folder / name], asked_for=False)
        assert (found.error, bool(found.left_out)) == ("", True)


def test_files_read_together_with_one_that_is_left_out_come_in(archive, tmp_path):
    folder = tmp_path / "in"
    lines = ["date,initial,maintenance", "20240102,1200,1100"]
    for root in ("ES", "CL", "GC"):
        put(folder, f"{root}.csv", lines)
    put(folder, "VX.csv", ["# we don't have historical information", lines[0], "19900101,9,8"])
    reports = import_paths(archive, [folder], vendor="lean")
    assert [(r.accepted, bool(r.left_out), r.error) for r in reports] == [
        (1, False, ""), (1, False, ""), (1, False, ""), (0, True, ""),
    ]  # fmt: skip
    assert archive.read("margins")["root"].unique().sort().to_list() == ["CL", "ES", "GC"]
    assert archive.read("quarantine").is_empty()


def test_a_bad_file_does_not_keep_the_others_out(archive, tmp_path):
    put(tmp_path / "in", NAME, LINES)
    put(tmp_path / "in", JUNE.name, data=b"")
    (tmp_path / "in" / "gone.csv").symlink_to("nowhere.csv")
    errors = [r.error for r in import_paths(archive, [tmp_path / "in", tmp_path / "none"])]
    assert [bool(error) for error in errors] == [False, True, True, True]
    assert archive.read("contract_bars").height == 10
    assert archive.head().number == 1


def test_a_file_without_a_usable_row_may_come_again(archive, tmp_path):
    path = put(tmp_path / "in", NAME, data=bad_files()["all text"][0])
    assert refused(archive, path) == refused(archive, path)


def test_a_csv_that_nobody_knows_may_be_guessed(archive, tmp_path):
    unknown = [put(tmp_path / "in", "x.csv", ["a;b", "1;2"]), zipped(tmp_path / "in", "x.zip", {"x.csv": "a;b\n1;2\n"})]
    assert [report.guess for report in import_paths(archive, [*unknown, MARCH])] == [True, False, False]


# ---- many small files


@pytest.fixture
def piled(tmp_path):
    """Files of one folder, among them a useless one, one that repeats another's content, and one of another vendor."""
    folder = tmp_path / "in"
    for market in ("CORN", "SILVER", "SP500_micro"):
        for month in (3, 6, 9):
            put(folder, f"Day_{market}_2024{month:02d}00.csv", changed(3, Open="?") if month == 6 else LINES)
    put(folder, "Day_CORN_20241200.csv", data=bad_files()["all text"][0])
    put(folder, "Day_CORN_20250300.csv", [LINES[0].replace("Open", "First"), *LINES[1:]])
    put(folder, "Day_CORN_20250600.csv", data=b"")
    put(folder, "EURUSD.csv", data=(SAMPLES / "pysystemtrade" / "EURUSD.csv").read_bytes())
    return folder


def outcome(archive, reports):
    """All that an import leaves, but for what tells one import from another."""
    rows = archive.read("contract_bars").drop("known")
    bad = archive.read("quarantine").drop("import_id").sort("file", "line")
    log = archive.read("imports").drop("import_id", "time").sort("file")
    return [told(report) for report in reports], rows.rows(), bad.rows(), log.rows()


def test_files_read_together_come_in_as_if_read_one_by_one(archive, tmp_path, piled, monkeypatch):
    together = outcome(archive, import_paths(archive, [piled]))
    monkeypatch.setattr(ingest, "PILE", 0)
    other = open_archive(tmp_path / "other", create=True)
    assert outcome(other, import_paths(other, [piled])) == together
    reports = together[0]
    errors = {report["file"].rsplit("_", 1)[-1]: report["error"] for report in reports if report["error"]}
    assert sorted(errors) == ["20241200.csv", "20250300.csv", "20250600.csv"]
    assert "no usable row among 10: Day_CORN_20241200.csv: line 2: column Open: not a number" in errors["20241200.csv"]
    assert sum(report["quarantined"] for report in reports if not report["error"]) == 3 == len(together[2])
    assert [report["vendor"] for report in reports][-1] == "pysystemtrade"


def test_files_of_one_folder_are_read_together(archive, piled, monkeypatch):
    calls = []
    read = barchart.read
    monkeypatch.setattr(barchart, "read", lambda file: calls.append(len(file.parts)) or read(file))
    import_paths(archive, [piled])
    assert calls[0] == 11  # all that could be opened; then halves, down to the one with another header
    assert len(calls) <= 9


# ---- a look before, and from when it is known


def test_a_dry_run_tells_the_same_and_changes_nothing(archive, tmp_path, piled):
    import_paths(archive, [MARCH])
    before = sorted(path for path in archive.path.rglob("*"))
    dry = import_paths(archive, [piled, MARCH], dry_run=True)
    assert sorted(path for path in archive.path.rglob("*")) == before
    assert dry[-1].skipped
    assert [told(r) for r in import_paths(archive, [piled, MARCH])] == [told(r) for r in dry]


def test_a_row_is_known_from_the_import_that_brought_or_changed_it(archive, tmp_path):
    began = datetime.now(UTC)
    import_paths(archive, [MARCH])
    first = archive.read("contract_bars")["known"].unique().to_list()
    assert len(first) == 1 and began <= first[0] <= datetime.now(UTC)
    assert archive.read("imports")["time"].to_list() == first
    import_paths(archive, [put(tmp_path / "in", NAME, changed(3, Close="5029"))])
    assert archive.read("contract_bars").filter(pl.col("known") > first[0])["settle"].to_list() == [5029.0]


# ---- rows that somebody let in


def test_a_released_row_comes_in_with_the_file_s_next_import_and_only_once(archive, tmp_path):
    path = put(tmp_path / "in", NAME, [*changed(3, Close="0"), "2024-03-11T05:00:00+0000,1,2,3,4,5"])
    assert counts(one(archive, path)) == (11, 9, 0, 2)
    released = archive.read("quarantine").filter(rule="not_positive")
    text = f"barchart|{NAME}|{released['raw'][0]}|not_positive"
    assert released["id"].to_list() == [hashlib.sha256(text.encode()).hexdigest()[:12]]
    decisions.release(archive, released["id"].to_list(), "a give-away", "somebody")
    again = one(archive, path)
    assert (counts(again), again.reasons) == ((11, 9, 1, 1), {"range": 1, "released": 1})
    assert archive.read("contract_bars")["settle"].to_list().count(0.0) == 1
    assert archive.read("quarantine")["rule"].to_list() == ["range"]  # nothing is told twice, nor what came in
    assert one(archive, path).skipped


def test_a_row_that_could_not_be_read_is_not_let_in(archive, tmp_path):
    path = put(tmp_path / "in", NAME, changed(3, Close="?"))
    one(archive, path)
    told = rf"mend the file \({NAME}, line 3, column Close: not a number: \?\)"
    with pytest.raises(Refused, match=told):
        decisions.release(archive, archive.read("quarantine")["id"].to_list(), "why not", "somebody")
    assert one(archive, path).skipped


# ---- markets that are not to be run


def slipped():
    """The March file with cents for dollars in its second half."""
    rows = [line.split(",") for line in LINES]
    return [",".join([r[0], *(f"{float(x) / 100:g}" for x in r[1:5]), r[5]]) if k > 5 else ",".join(r)
            for k, r in enumerate(rows)]  # fmt: skip


def test_a_market_with_a_slip_of_units_is_stored_and_refused(archive, tmp_path):
    report = one(archive, put(tmp_path / "in", NAME, slipped()))
    assert report.accepted == 10 and archive.read("contract_bars").height == 10
    found = archive.read("findings").filter(severity="refuse")
    assert found["rule"].unique().to_list() == ["unit_slip"] and found["root"].unique().to_list() == ["MES"]
    assert "MES is not run until somebody decides: unit_slip 202403" in report.notes[0]
    assert decisions.refused(archive).height == found.height


def test_mended_rows_end_the_refusal_and_other_findings_stay(archive, tmp_path):
    one(archive, put(tmp_path / "in", NAME, slipped()))
    kept = archive.read("findings").head(1).with_columns(id=pl.lit("other"), severity=pl.lit("warn"))
    archive.commit([archive.write("findings", kept, root="MES")])
    report = one(archive, MARCH)
    left = archive.read("findings")
    assert "unit_slip" not in left.filter(severity="refuse")["rule"].to_list()
    assert "other" in left["id"].to_list()
    assert not any("unit_slip" in note for note in report.notes)


def test_a_file_that_restates_much_is_told(archive, tmp_path):
    import_paths(archive, [MARCH])
    lines = [LINES[0]] + [
        ",".join([*line.split(",")[:4], str(float(line.split(",")[4]) + 0.25), "7"]) for line in LINES[1:]
    ]
    one(archive, put(tmp_path / "in", NAME, lines))
    stored = len(archive.read("contract_bars"))
    assert stored == 10
    assert archive.read("revisions").height == 20


# ---- what a generator makes


def made(table, name, **columns):
    height = len(next(iter(columns.values())))
    lines = {"line": range(2, height + 2), "raw": [""] * height, "file": ["x"] * height}
    nothing = {"column": pl.lit(None, pl.String), "fault": pl.lit(None, pl.String)}
    return Reading(table, "sample", name, pl.DataFrame(columns | lines).with_columns(**nothing))


def test_interest_rates_are_accepted_from_a_generator_once(archive):
    days = [date(2024, 3, 1), date(2024, 3, 4)]
    readings = [made("rates", currency, day=days, rate=[0.05, 5.0]) for currency in ("USD", "EUR")]
    report = ingest.accept(archive, iter(readings), "made-1", "hash")
    assert (report.roots, report.vendor, counts(report)) == (["USD", "EUR"], "sample", (4, 2, 0, 2))
    assert archive.read("rates").rows() == [
        ("sample", "EUR", days[0], 0.05, None), ("sample", "USD", days[0], 0.05, None)
    ]  # fmt: skip
    assert archive.read("quarantine")["reason"].unique().to_list() == ["no rate, or more than 100 % a year"]
    again = ingest.accept(archive, iter(readings), "made-1", "hash")
    assert (again.skipped, archive.head().number) == (True, 1)


def test_readings_of_a_database_are_imported_once_and_known_from_then(archive):
    days = [date(2024, 3, 1), date(2024, 3, 4)]
    readings = [made("rates", "USD", day=days, rate=[0.05, 5.0])]
    report = ingest.import_readings(archive, iter(readings), "public.rates", "hash")
    assert (report.error, report.roots, counts(report)) == ("", ["USD"], (2, 1, 0, 1))
    assert archive.read("rates")["known"].null_count() == 0
    assert ingest.import_readings(archive, iter(readings), "public.rates", "hash").skipped
    assert archive.head().number == 1


def test_readings_without_a_usable_row_leave_nothing(archive):
    readings = [made("rates", "USD", day=[date(2024, 3, 1)], rate=[5.0])]
    report = ingest.import_readings(archive, iter(readings), "public.rates", "hash")
    assert "no usable row among 1" in report.error and archive.head().number == 0
    assert ingest.import_readings(archive, iter([]), "empty", "other", root="MES").error
    dry = ingest.import_readings(archive, iter([made("rates", "USD", day=[date(2024, 3, 1)], rate=[0.05])]),
                                 "public.rates", "hash", dry_run=True)  # fmt: skip
    assert dry.accepted == 1 and archive.head().number == 0


# ---- several writers


def test_a_writer_who_was_quicker_in_the_same_market_is_merged_with(archive, monkeypatch):
    commit, calls = archive.commit, []

    def late(*arguments, **words):
        if not calls:
            calls.append(1)
            import_paths(open_archive(archive.path), [JUNE])
        return commit(*arguments, **words)

    monkeypatch.setattr(archive, "commit", late)
    import_paths(archive, [MARCH])
    assert archive.read("contract_bars").height == 17
    assert archive.head().number == 2


def test_a_file_that_another_process_has_just_imported_is_skipped(archive, monkeypatch):
    commit, calls = archive.commit, []

    def late(*arguments, **words):
        if not calls:
            calls.append(1)
            import_paths(open_archive(archive.path), [MARCH])
        return commit(*arguments, **words)

    monkeypatch.setattr(archive, "commit", late)
    report = one(archive, MARCH)
    assert (report.skipped, archive.head().number, archive.read("imports").height) == (True, 1, 1)


def test_an_import_that_is_always_overtaken_gives_up_and_changes_nothing(archive, monkeypatch):
    def overtaken(*arguments, **words):
        raise Conflict("another writer was first")

    monkeypatch.setattr(archive, "commit", overtaken)
    with pytest.raises(Conflict):
        import_paths(archive, [MARCH])
    assert archive.head().number == 0


# ---- the real files


def test_the_real_files_add_up_and_under_one_percent_is_quarantined(real):
    reports = [r for r in real.reports if r.vendor == "barchart"]
    read, accepted, warned, quarantined = (sum(getattr(r, count) for r in reports) for count in ingest.COUNTS)
    assert read == 743_035 == accepted + warned + quarantined
    assert real.read("contract_bars").height == accepted + warned
    assert 0 < quarantined < 0.001 * read
    assert real.read("contract_bars").select("root", "contract").n_unique() == 3205
    assert not [note for r in reports for note in r.notes]


def test_the_real_folder_again_is_a_no_op(real, shared):
    before = real.head()
    assert all(r.skipped for r in import_paths(real, [shared / "barchart" / "daily"]))
    assert real.head() == before


def test_loose_files_of_a_market_equal_its_zip(archive, shared):
    import_paths(archive, [shared / "barchart" / "daily" / "Day_SP500_micro.zip"])
    before = archive.read("contract_bars")
    reports = import_paths(archive, [shared / "barchart" / "daily_loose"])
    assert sum(r.accepted + r.warned for r in reports) == before.height == 7249
    assert archive.read("contract_bars").equals(before)
