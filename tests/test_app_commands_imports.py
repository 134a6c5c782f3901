"""Verbs that bring data in and out: what is counted, asked and refused, and the exit codes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.commands import imports
from store import open_archive
from tests import market_files
from tests.sample_files import zipped

COUNTS = {"rows_read", "accepted", "warned", "quarantined"}
TOLD = {"file", "vendor", "roots", "reasons", "skipped", "left_out", "first", "notes", "error", "import_id"}
OWN = """Symbol;Trade Day;O;H;L;Settlement;Vol;OI
ZCH24;15/01/2024;447.25;449.5;446.0;448.25;1200;5000
ZCH24;16/01/2024;448.25;451.5;447.0;450.25;1300;5100
"""


def test_import_counts_every_row_file_by_file(document, files, tmp_path):
    made = document("import", files / "prices", "--store", tmp_path / "new")
    assert set(made) == {"snapshot", "dry_run", "files", "totals"}
    assert made["snapshot"] == 1
    ids = open_archive(tmp_path / "new").read("imports")["import_id"].unique().to_list()
    assert ids == [made["files"][0]["import_id"]]
    assert set(made["totals"]) == COUNTS
    for file in made["files"]:
        assert set(file) == TOLD | COUNTS
        assert file["rows_read"] == file["accepted"] + file["warned"] + file["quarantined"] > 0
        assert file["vendor"] == "barchart"
    assert made["totals"] == {count: sum(f[count] for f in made["files"]) for count in COUNTS}
    zips = {Path(f["file"]).stem: f["roots"] for f in made["files"] if f["file"].endswith(".zip")}
    assert zips == {"SP500_micro": ["MES"], "CORN": ["ZC"], "BUND": ["FGBL"]}


def test_import_again_changes_nothing_and_says_so(call, document, files, store):
    before = open_archive(store).head()
    made = document("import", files / "prices", files / "fx", "--store", store)
    assert all(file["skipped"] and file["rows_read"] == 0 and not file["import_id"] for file in made["files"])
    assert made["snapshot"] == before.number
    assert open_archive(store).head().hash == before.hash
    assert "Nothing new" in call("import", files / "fx", "--store", store).out


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("absent.csv", None, "no such file"),
        ("Day_CORN_20240300.csv", "", "empty"),
        ("Day_CORN_20240300.csv", "Time,Open,High,Low,Volume\n", "column Close is not in the header"),
        ("letter.csv", "Dear Sir,\n", "no vendor recognises"),
        ("Day_CORN_20240300.csv", market_files.HEADER + "\n2024-01-02T06:00:00+0000,x,y,z,w,1\n", "no usable row"),
    ],
)
def test_a_file_that_cannot_be_read_exits_1_with_one_line_and_no_traceback(call, store, tmp_path, name, content, told):
    if content is not None:
        (tmp_path / name).write_text(content)
    before = open_archive(store).head().hash
    found = call("import", tmp_path / name, "--store", store, code=1)
    assert found.err.startswith("frontmonth: ") and found.err.count("\n") == 1
    assert told in found.err and name in found.err
    assert open_archive(store).head().hash == before


@pytest.mark.parametrize("words", [("",), ("x.csv", ""), ("x.csv", "--root", ""), ("--watch", ".", "--root", "")])
def test_an_empty_name_of_a_file_or_a_market_is_wrong_usage(call, tmp_path, words):
    found = call("import", *words, "--store", tmp_path / "new", code=2)
    assert "see `frontmonth import --help`" in found.err and not (tmp_path / "new").exists()


def test_a_dry_run_makes_no_store(document, files, tmp_path):
    made = document("import", files / "prices", "--store", tmp_path / "new", "--dry-run")
    assert made["dry_run"] and made["totals"]["accepted"] > 0
    assert not (tmp_path / "new").exists()


def test_a_layout_is_guessed_in_a_file_whose_path_has_a_line_end(call, document, tmp_path):
    path = tmp_path / "a\nb" / "corn.csv"
    path.parent.mkdir()
    path.write_text(OWN)
    found = call("import", path, "--store", tmp_path / "new", code=1)
    assert "a layout is guessed above" in found.err and "no such file" not in found.err
    document("import", path, "--store", tmp_path / "new", "--yes")


def test_a_store_in_the_folder_of_an_import_is_passed_by(document, call, files, tmp_path, monkeypatch):
    (tmp_path / "Day_CORN_20240300.csv").write_text(market_files.HEADER + "\n2024-01-02T06:00:00+0000,4,5,3,4,1\n")
    monkeypatch.chdir(tmp_path)
    for code, snapshot in ((0, 1), (0, 1)):
        assert document("import", ".", code=code)["snapshot"] == snapshot
    found = call("import", "frontmonth-store", code=1)
    assert found.err.count("\n") == 1 and "part of a store" in found.err and "export" in found.err


def test_the_good_files_beside_a_bad_one_are_imported_and_the_exit_code_is_1(document, files, tmp_path):
    made = document("import", files / "fx", tmp_path / "absent.csv", "--store", tmp_path / "new", code=1)
    good, bad = made["files"]
    assert (good["error"], good["accepted"] > 0) == (None, True)
    assert "absent.csv" in bad["error"] and bad["vendor"] is None


QUOTES = {
    "20131006_quote.zip": "20131006_es_minute_quote_201312.csv",
    "20131007_quote.zip": "20131007_es_minute_quote_201312.csv",
    "gc_quote.zip": "gc_quote_201312.csv",
}


@pytest.fixture
def mixed(tmp_path):
    """A folder of LEAN's with quotes, a licence and a day of trades."""
    folder = tmp_path / "lean"
    for name, entry in QUOTES.items():
        zipped(folder, name, {entry: "0,1,1,1,1,1,1,1,1,1,1\n"})
    zipped(folder, "es_trade.zip", {"es_trade_201312.csv": "20131007 00:00,1690,1700,1680,1690,10\n"})
    (folder / "LICENSE.txt").write_text("Apache License\n")
    return folder


def test_files_of_a_folder_that_are_left_out_are_told_once_and_are_no_error(call, document, mixed, tmp_path):
    made = document("import", mixed, "--store", tmp_path / "new")
    told = {Path(f["file"]).name: f["left_out"] for f in made["files"]}
    assert told["es_trade.zip"] is None and told["LICENSE.txt"] == "a text for people to read, no prices"
    assert {told[name] for name in QUOTES} == {
        "quotes (bid and ask) are not imported; trade and openinterest zips are"
    }  # fmt: skip
    assert all((f["error"], f["rows_read"]) == (None, 0) for f in made["files"] if f["left_out"])
    out = call("import", mixed, "--store", tmp_path / "other").out
    assert out.count("quotes (bid and ask)") == 1
    assert "left out: 20131006_quote.zip and 2 other files: quotes (bid and ask) are not imported" in out
    assert "; 4 files left out" in out
    again = call("import", mixed, "--store", tmp_path / "other").out
    assert "Nothing new" in again


def test_a_file_that_was_named_and_is_left_out_exits_1(call, mixed, tmp_path):
    found = call("import", mixed / "gc_quote.zip", "--store", tmp_path / "new", code=1)
    assert found.err.count("\n") == 1 and "gc_quote_201312.csv: quotes (bid and ask) are not imported" in found.err
    assert "left out" not in found.out


def test_notes_that_count_are_summed_over_the_files():
    from app.commands.imports import _notes

    files = [{"notes": ["rows of quotes: 3", "ES is odd"]}, {"notes": ["rows of quotes: 1000", "ES is odd"]}]
    assert _notes(files) == ["rows of quotes: 1,003", "ES is odd"]


def test_an_unknown_vendor_is_refused_with_the_names_that_are_known(call, files, store):
    found = call("import", files / "fx", "--vendor", "barchat", "--store", store, code=1)
    assert "barchat" in found.err and "did you mean 'barchart'" in found.err


def test_the_help_of_import_names_every_vendor(call):
    from store.vendors import VENDORS

    text = " ".join(call("import", "--help").out.split())
    assert [name for name in VENDORS if name not in text] == []


def test_root_says_whose_prices_they_are(document, files, tmp_path):
    file = next((files / "prices").glob("Day_PLUTONIUM_*.csv"))
    made = document("import", file, "--root", "GC", "--store", tmp_path / "new")
    assert made["files"][0]["roots"] == ["GC"]


# what is stored


@pytest.fixture
def own(tmp_path):
    """A file of a layout that nobody knows."""
    path = tmp_path / "mine.csv"
    path.write_text(OWN)
    return path


def test_an_unknown_layout_is_guessed_and_shown_but_not_imported_unasked(call, own, tmp_path):
    found = call("import", own, "--store", tmp_path / "new", code=1)
    assert 'separator = ";"' in found.err and 'date = "%d/%m/%Y"' in found.err
    assert "root ZC, contract 202403, day 2024-01-15" in found.err
    assert "--yes saves it" in found.err
    assert not (tmp_path / "new" / "vendors.toml").exists()


def test_a_guess_that_was_agreed_to_is_kept_for_the_next_file(call, document, own, tmp_path):
    made = document("import", own, "--store", tmp_path / "new", "--yes")
    assert [(f["vendor"], f["roots"], f["accepted"]) for f in made["files"]] == [("mine", ["ZC"], 2)]
    rows = open_archive(tmp_path / "new").read("contract_bars")
    assert rows["settle"].to_list() == [448.25, 450.25] and rows["open_interest"].to_list() == [5000.0, 5100.0]
    own.with_name("next.csv").write_text(OWN.replace("01/2024", "02/2024"))
    (file,) = document("import", own.with_name("next.csv"), "--store", tmp_path / "new")["files"]
    assert (file["vendor"], file["accepted"]) == ("mine", 2)


def test_a_dry_run_shows_a_guess_and_saves_none(call, own, store):
    found = call("import", own, "--store", store, "--dry-run", "--yes", code=1)
    assert 'separator = ";"' in found.err and "without --dry-run" in found.err
    assert not (store / "vendors.toml").exists()


def test_a_dry_run_tells_everything_and_stores_nothing(call, document, files, store, tmp_path):
    path = tmp_path / "Day_CORN_20250300.csv"
    path.write_text("\n".join([market_files.HEADER, market_files.row(market_files.END, 480.0, 900), ""]))
    before = open_archive(store).head().hash
    made = document("import", path, "--store", store, "--dry-run")
    assert made["dry_run"] and made["totals"]["accepted"] == 1
    assert "nothing was stored" in call("import", path, "--store", store, "--dry-run").out
    assert open_archive(store).head().hash == before
    assert document("import", path, "--store", store)["totals"]["accepted"] == 1


def test_a_margin_table_is_announced_by_its_kind(document, files, store):
    made = document("import", "margins", files / "broker-margins.csv", "--store", store)
    assert [(f["roots"], f["accepted"], f["error"]) for f in made["files"]] == [(["MES"], 1, None)]
    rows = open_archive(store).read("margins")
    assert rows.select("root", "initial", "maintenance").row(0) == ("MES", 1500.0, 1350.0)


def test_rates_come_in_by_the_same_verb(document, files, store):
    document("import", "--kind", "rates", files / "usd" / "USD.csv", "--store", store)
    document("import", "--kind", "fx", files / "usd" / "EURUSD.csv", "--store", store)
    archive = open_archive(store)
    assert archive.read("rates").select("currency", "rate").row(0) == ("USD", pytest.approx(0.0009))  # percent
    assert 1.07 in archive.read("fx", currency="EUR")["rate"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "what shall be imported"),
        (["--kind", "prices", "x.csv"], "margins, fx, rates are known"),
        (["postgresql://me:secret@localhost/x", "--table", "bars"], "password"),
        (["databento:ES"], "--from DAY"),
        (["databento:ES", "--from", "yesterday"], "write a day as 2001-01-31"),
        (["postgresql://localhost/x", "--table", "t", "--map", "time"], "write OURS=THEIRS"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(call, tmp_path, words, told, monkeypatch):
    monkeypatch.delenv("DATABENTO_API_KEY", raising=False)
    code = 1 if "password" in told else 2
    found = call("import", *words, "--store", tmp_path / "new", code=code)
    assert told in found.err and found.err.count("\n") == 1
    assert "secret" not in found.err


def test_an_export_needs_an_address_of_a_database(call, built):
    assert "postgresql://" in call("export", "--store", built, code=2).err


@pytest.mark.service
def test_a_watched_folder_is_imported_as_files_come(tmp_path):
    folder = tmp_path / "drop"
    folder.mkdir()
    words = [Path(sys.executable).with_name("frontmonth"), "import", "--watch", folder, "--store", tmp_path / "store"]
    watcher = subprocess.Popen([*map(str, words), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert "watching" in watcher.stderr.readline()
        name, text = next((f"Day_CORN_{c}00.csv", t) for c, t in market_files.contracts("CORN"))
        (folder / name).write_text(text)
        deadline = time.monotonic() + 60
        archive = None
        while archive is None or archive.head().number == 0:
            assert time.monotonic() < deadline and watcher.poll() is None
            time.sleep(0.2)
            archive = open_archive(tmp_path / "store") if (tmp_path / "store").exists() else None
        watcher.send_signal(signal.SIGINT)
        out, _ = watcher.communicate(timeout=30)
    finally:
        watcher.kill()
    assert watcher.returncode == 130
    assert '"ZC"' in out and archive.read("contract_bars").height == text.count("\n") - 1


def test_who_interrupts_after_the_commit_is_told_what_stands(call, files, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(imports, "emit", interrupted)
    told = call("import", files / "prices", "--store", tmp_path / "new", code=130).err
    assert told == "frontmonth: interrupted; snapshot 1 was made and stands; `frontmonth undo 0` takes that back\n"
    assert open_archive(tmp_path / "new").head().number == 1
