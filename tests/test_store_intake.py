"""What waits for a commit: rows by market, counted by file; what fails leaves nothing; much of it waits on disk."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from store import intake as module
from store import open_archive, raw
from store.contracts import Master
from store.intake import FileReport, Intake
from store.reading import Reading, daily

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


@pytest.fixture
def intake(archive):
    with Intake(archive, Master.load()) as made:
        yield made


def reading(name="ES", file="x.csv", settles=(5.0,), contract=202403, **words):
    rows = {"contract": contract, "settle": settles, "day": [date(2024, 3, 1 + k) for k in range(len(settles))]}
    frame = pl.DataFrame(rows, {"contract": pl.Int32, "settle": pl.Float64, "day": pl.Date}) if settles else None
    frame = daily(frame).with_columns(
        file=pl.lit(file), line=pl.int_range(2, pl.len() + 2), raw=pl.format("{},{}", "day", "settle"),
        column=pl.lit(None, pl.String), fault=pl.lit(None, pl.String),
    )  # fmt: skip
    return Reading("contract_bars", "v", name, frame, **words)


def test_rows_of_files_read_together_are_counted_file_by_file(intake):
    reports = [FileReport("a.csv"), FileReport("b.csv"), FileReport("c.csv")]
    tickets = {report.file: intake.ticket(report) for report in reports}
    given = [reading(file="a.csv", settles=(5.0, -1.0)), reading("CL", "b.csv", (7.0, 8.0)), reading(file="c.csv")]
    intake.take(given, tickets)
    assert [(r.rows_read, r.accepted, r.quarantined) for r in reports] == [(2, 1, 1), (2, 2, 0), (1, 1, 0)]
    assert [r.roots for r in reports] == [["ES"], ["CL"], ["ES"]]
    assert reports[0].reasons == {"not_positive": 1} and reports[0].first.startswith("a.csv: line 3: column settle")
    assert intake.groups() == [("contract_bars", "v", "CL"), ("contract_bars", "v", "ES")]


def test_the_same_key_in_two_files_is_no_duplicate_and_in_one_file_it_is(intake):
    report, other = FileReport("a.csv"), FileReport("b.csv")
    tickets = {"a.csv": intake.ticket(report), "b.csv": intake.ticket(other)}
    twice = reading(file="a.csv")
    twice = Reading("contract_bars", "v", "ES", pl.concat([twice.frame, reading(file="a.csv", settles=(6.0,)).frame]))
    intake.take([twice, reading(file="b.csv", settles=(7.0,))], tickets)
    assert (report.reasons, other.reasons) == ({"duplicate": 1}, {})
    assert intake.rows(("contract_bars", "v", "ES"), NOW)["settle"].to_list() == [5.0, 7.0]


def test_a_ticket_that_is_void_leaves_no_row(intake):
    report, other = FileReport("a.csv"), FileReport("b.csv")
    first, second = intake.ticket(report), intake.ticket(other)
    intake.take([reading(settles=(5.0, -1.0))], first)
    intake.take([reading(settles=(6.0, -2.0))], second)
    intake.void.add(first)
    assert intake.rows(("contract_bars", "v", "ES"), NOW)["settle"].to_list() == [6.0]
    assert intake.refused()["raw"].to_list() == ["2024-03-04,-2.0"]
    assert intake.live() == [(second, other)]


def test_much_waits_on_disk_and_is_gone_afterwards(archive, monkeypatch):
    monkeypatch.setattr(module, "HELD", 3)
    with Intake(archive, Master.load()) as intake:
        ticket = intake.ticket(FileReport("a.csv"))
        for k in range(5):
            intake.take(
                [reading(settles=(1.0 + k, 2.0 + k), contract=202403 + k), reading("CL", settles=(9.0,))], ticket
            )
        assert intake._held <= 3 and list((archive.path / "runs").iterdir())
        rows = intake.rows(("contract_bars", "v", "ES"), NOW)
        assert rows["settle"].to_list() == [1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0, 6.0]
        assert rows.select("source", "root", "known").unique().rows() == [("v", "ES", NOW)]
    assert not list((archive.path / "runs").iterdir())


def test_a_row_without_a_price_is_for_partial_readings_only(intake):
    report = FileReport("a.csv")
    ticket = intake.ticket(report)
    lacking = reading(settles=(None,))
    intake.take([lacking, Reading(**vars(lacking) | {"partial": True})], ticket)
    assert (report.accepted, report.reasons) == (1, {"no_price": 1})


def test_two_partial_rows_of_a_key_complete_each_other(intake):
    report = FileReport("a.csv")
    ticket = intake.ticket(report)
    frame = pl.concat([reading().frame, reading(settles=(None,)).frame])
    frame = frame.with_columns(open_interest=pl.Series([None, 8.0]))
    intake.take([Reading("contract_bars", "v", "ES", frame, partial=True)], ticket)
    assert (report.accepted, report.reasons) == (2, {})
    assert intake.rows(("contract_bars", "v", "ES"), NOW).select("settle", "open_interest").rows() == [
        (5.0, None), (None, 8.0),
    ]  # fmt: skip


def test_notes_of_a_reading_go_into_the_report_of_its_file(intake):
    reports = [FileReport("a.csv"), FileReport("b.csv")]
    tickets = {report.file: intake.ticket(report) for report in reports}
    intake.take([reading(file="a.csv", notes=("quotes were left out",)), reading(file="b.csv")], tickets)
    assert [report.notes for report in reports] == [["quotes were left out"], []]


def test_a_note_of_one_part_goes_to_its_file_alone(intake):
    reports = [FileReport("a.csv"), FileReport("b.csv")]
    tickets = {report.file: intake.ticket(report) for report in reports}
    both = reading(file="a.csv")
    frame = pl.concat([both.frame, reading(file="b.csv", contract=202406).frame])
    intake.take([Reading(**vars(both) | {"frame": frame, "notes": (("b.csv", "quotes: 3"), ("b.csv", "x"))})], tickets)
    assert [report.notes for report in reports] == [[], ["quotes: 3", "x"]]
    intake.take([reading(notes=(("a.csv", "quotes: 1"),))], tickets["a.csv"])
    assert reports[0].notes == ["quotes: 1"]


def test_unknown_markets_are_told_by_one_note_in_each_file_that_holds_one(intake):
    reports = [FileReport(name) for name in ("a.csv", "b.csv", "c.csv", "void.csv")]
    tickets = {report.file: intake.ticket(report) for report in reports}
    names = ("XX", "QQ"), ("ES",), ("QQ",), ("VV",)
    given = [reading(name, r.file) for r, markets in zip(reports, names, strict=True) for name in markets]
    intake.take(given, tickets)
    intake.void.add(tickets["void.csv"])
    intake.tell()
    note = "2 markets are unknown to the master, stored under their own names and in the vendor's units: QQ, XX"
    assert [report.notes for report in reports] == [[note], [], [note], []]


def test_rows_of_ours_keep_name_and_units_and_nothing_is_told_of_them(intake):
    report = FileReport("a.csv")
    ticket = intake.ticket(report)
    given = [
        Reading(**vars(reading(name, settles=(24.5,))) | {"vendor": "norgate", "ours": True}) for name in ("SI", "XX")
    ]
    intake.take(given, ticket)
    intake.tell()
    assert intake.groups() == [("contract_bars", "norgate", "SI"), ("contract_bars", "norgate", "XX")]
    assert intake.rows(intake.groups()[0], NOW)["settle"].to_list() == [24.5]
    assert report.notes == []


def test_derived_rows_count_only_where_they_are_bad(intake):
    report = FileReport("a.csv")
    ticket = intake.ticket(report)
    given = reading(settles=(5.0, -1.0))
    intake.take([reading(settles=(5.0, 6.0)), Reading(**vars(given) | {"derived": True})], ticket)
    assert (report.rows_read, report.accepted, report.warned, report.quarantined) == (3, 2, 0, 1)
    assert intake.rows(("contract_bars", "v", "ES"), NOW)["settle"].to_list() == [5.0, 6.0, 5.0]


def test_a_source_that_is_no_name_is_refused(intake):
    with pytest.raises(raw.Unreadable, match="source 'a b' is no name for the store"):
        intake.take([Reading(**vars(reading()) | {"vendor": "a b"})], intake.ticket(FileReport("a.csv")))


def test_rows_that_name_another_file_are_refused(intake):
    with pytest.raises(raw.Unreadable, match="name another file"):
        intake.take([reading(file="z.csv")], {"a.csv": intake.ticket(FileReport("a.csv"))})


def test_a_released_row_is_stored_with_a_warning_unless_it_has_no_key(archive):
    settles = (5.0, -1.0)
    with Intake(archive, Master.load()) as intake:
        intake.take([reading(settles=settles)], intake.ticket(FileReport("a.csv")))
        [found] = intake.refused()["id"]
    with Intake(archive, Master.load(), released={found: NOW}) as intake:
        report = FileReport("a.csv")
        ticket = intake.ticket(report)
        intake.take([reading(settles=settles)], ticket)
        assert (report.accepted, report.warned, report.quarantined) == (1, 1, 0)
        assert report.reasons == {"released": 1}
        assert intake.rows(("contract_bars", "v", "ES"), NOW)["settle"].to_list() == [5.0, -1.0]
