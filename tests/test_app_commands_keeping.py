"""Verbs that keep and copy the store, as a user types them: what they say, what they refuse, what can be taken back."""

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from store import open_archive
from store.locks import hold
from tests.conftest import REPO

PROVES = (4,)  # guarantees


def rows(store, table="contract_bars", **labels):
    archive = open_archive(store)
    return archive.read(table, **labels).sort("source", "root", "contract", "time")


def aged(store, days):
    """The store as if its files were so many days older."""
    then = datetime.now(UTC).timestamp() - days * 86400
    for path in store.rglob("*"):
        os.utime(path, (then, then))


def test_verify_passes_a_whole_store_and_names_a_damaged_file(call, document, store):
    whole = document("verify", "--store", store)
    assert (whole["problems"], whole["checked"]) == ([], whole["of"])
    assert "all are as they were written" in call("verify", "--store", store).out
    file = next((store / "data" / "fx").glob("*.parquet"))
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    (problem,) = document("verify", "--store", store, code=1)["problems"]
    assert file.name in problem
    assert file.name in call("verify", "--store", store, code=1).out


def test_a_torn_file_of_the_cache_is_named_and_is_no_damage(call, document, store):
    from engine import load

    load(open_archive(store), ["MES"])
    whole = document("verify", "--store", store)["cache"]
    assert whole["checked"] > 4 and whole["torn"] == []
    (file,) = (store / "cache" / "markets").glob("*.arrays")
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    found = document("verify", "--store", store)
    assert (found["problems"], found["cache"]["torn"]) == ([], [f"cache/markets/{file.name}"])
    told = call("verify", "--store", store).out
    assert "all are as they were written" in told and f"cache/markets/{file.name} is cut or altered" in told
    load(open_archive(store), ["MES"])
    assert document("verify", "--store", store)["cache"]["torn"] == []


def test_seven_nights_read_every_file_once(document, built):
    parts = [document("verify", "--part", f"{k}/7", "--store", built) for k in range(1, 8)]
    chain = 6 * len(open_archive(built).history())  # the snapshots are read each night
    assert sum(part["checked"] for part in parts) == parts[0]["of"] + chain
    assert any(part["checked"] < part["of"] for part in parts)
    assert document("verify", "--tonight", "--store", built)["of"] == parts[0]["of"]


@pytest.mark.parametrize("part", ["0/7", "8/7", "x", "2", "2/"])
def test_a_part_that_is_none_says_how_it_is_written(call, built, part):
    assert "a part is written as 2/7" in call("verify", "--part", part, "--store", built, code=2).err


def test_undo_brings_back_what_was_dropped_and_is_undone_itself(call, document, store):
    before = open_archive(store).head().number
    corn, all_rows = rows(store, root="ZC"), rows(store)
    assert corn.height
    planned = document("drop", "ZC", "--dry-run", "--store", store)
    assert planned["dry_run"] and open_archive(store).head().number == before
    dropped = call("drop", "CORN", "--store", store).out  # an alias
    assert f"ZC is dropped; `frontmonth undo {before}` brings it back" in dropped
    assert rows(store, root="ZC").is_empty()
    assert rows(store).height == all_rows.height - corn.height
    back = document("undo", before, "--store", store)
    assert (back["snapshot"], back["equal_to"]) == (before + 2, before)
    assert rows(store).equals(all_rows)
    call("undo", before + 1, "--store", store)
    assert rows(store, root="ZC").is_empty()


def test_what_an_import_did_is_taken_back_and_its_files_come_in_again(call, document, store, tmp_path, files):
    (import_id,) = open_archive(store).read("imports")["import_id"].unique()
    before = rows(store).drop("known")
    assert f"import {import_id} would be dropped" in call("drop", import_id, "--dry-run", "--store", store).out
    assert document("drop", import_id, "--store", store)["dropped"]["import"] == import_id
    assert rows(store).is_empty()
    again = document("import", files / "prices", files / "fx", "--store", store)
    assert not any(file["skipped"] for file in again["files"])
    assert rows(store).drop("known").equals(before)


def test_snapshots_tags_and_gc_say_what_is_kept(call, document, store):
    assert "has a name yet" in call("tag", "--store", store).out
    for market in ("ZC", "MES"):
        document("drop", market, "--store", store)
    assert [row["name"] for row in document("tag", "clean", "1", "--note", "all markets", "--store", store)] == [
        "clean"
    ]
    shown = document("snapshots", "--store", store)
    assert [row["number"] for row in shown] == [3, 2, 1]
    assert shown[-1]["tags"] == ["clean"]
    kept = rows(store, root="FGBL")
    aged(store, 60)
    told = document("gc", "--keep-days", "0", "--dry-run", "--store", store)
    done = document("gc", "--keep-days", "0", "--store", store)
    assert (told["dry_run"], done["dry_run"]) == (True, False)
    assert told["files"] == done["files"]
    assert rows(store).equals(kept.vstack(rows(store).filter(pl.col("root") != "FGBL")))
    assert open_archive(store).read("contract_bars", 1, root="ZC").height  # the tag keeps it
    document("tag", "clean", "--remove", "--store", store)
    document("gc", "--keep-days", "0", "--older-than", "0", "--store", store)
    assert document("verify", "--store", store)["problems"] == []


def test_an_unknown_snapshot_tag_or_market_is_told_with_the_nearest(call, store):
    call("tag", "before-cleaning", "--store", store)
    assert "before-cleaning" in call("undo", "before-cleanin", "--store", store, code=1).err
    assert "snapshot 99" in call("undo", "99", "--store", store, code=1).err
    assert "stored are" in call("drop", "CL", "--store", store, code=1).err


def test_compact_changes_no_row(document, store, files, tmp_path):
    late = tmp_path / "late"
    late.mkdir()
    for path in sorted((files / "prices").rglob("*.csv"))[:3]:
        lines = path.read_text().splitlines()
        (late / path.name).write_text("\n".join([*lines[:-1], lines[-1].replace("1", "2", 1)]) + "\n")
    document("import", late, "--store", store)
    before = {table: open_archive(store).read(table) for table in ("contract_bars", "fx", "imports", "revisions")}
    planned = document("compact", "--dry-run", "--store", store)
    made = document("compact", "--store", store)
    assert planned["files_after"] == made["files_after"] <= made["files_before"]
    after = open_archive(store)
    for table, frame in before.items():
        assert after.read(table).sort(pl.all()).equals(frame.sort(pl.all())), table


def test_a_backup_makes_the_store_again(call, document, ran, tmp_path):
    store, run = ran
    first = document("backup", tmp_path / "copy", "--store", store)
    assert document("backup", tmp_path / "copy", "--store", store)["files_copied"] < first["files_copied"]
    assert "is whole" in call("restore", tmp_path / "copy", "--check").out
    assert "is a backup" in call("markets", "--store", tmp_path / "copy", code=1).err
    made = document("restore", tmp_path / "copy", "--store", tmp_path / "again")
    assert made["hash"] == open_archive(store).head().hash
    assert rows(tmp_path / "again").equals(rows(store))
    assert document("replay", run, "--store", tmp_path / "again")["same"] is True
    assert "again" in call("restore", tmp_path / "copy", "--store", tmp_path / "again", code=1).err


def test_what_a_store_lost_is_taken_from_the_backup(call, document, store, tmp_path):
    call("tag", "then", "--store", store)
    call("backup", tmp_path / "copy", "--store", store)
    assert "nothing to mend" in call("restore", tmp_path / "copy", "--repair", "--store", store).out
    before = rows(store)
    lost, flipped = sorted((store / "data" / "contract_bars").glob("*.parquet"))[:2]
    content = flipped.read_bytes()
    lost.unlink()
    flipped.chmod(0o644)
    flipped.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    named = " ".join(document("verify", "--store", store, code=1)["problems"])
    assert lost.name in named and flipped.name in named
    made = document("restore", tmp_path / "copy", "--repair", "--store", store)
    assert sorted(made["mended"]) == sorted(f"data/contract_bars/{path.name}" for path in (lost, flipped))
    assert document("verify", "--store", store)["problems"] == []
    assert rows(store).equals(before)
    assert document("restore", tmp_path / "copy", "--as-of", "then", "--store", tmp_path / "x")["snapshot"] == 1


def test_verify_goes_on_past_a_damaged_snapshot(call, document, store):
    head = max((store / "snapshots").glob("0*.json"))
    head.chmod(0o644)
    head.write_bytes(head.read_bytes()[:-1])
    assert any(head.name in problem for problem in document("verify", "--store", store, code=1)["problems"])


def test_a_damaged_copy_is_copied_again(call, document, store, tmp_path):
    call("backup", tmp_path / "copy", "--store", store)
    file = next((tmp_path / "copy" / "data" / "fx").glob("*.parquet"))
    content = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    assert document("backup", tmp_path / "copy", "--check-all", "--store", store)["mended"] == [f"data/fx/{file.name}"]
    assert file.read_bytes() == content


def test_a_cut_backup_is_refused_by_name(call, store, tmp_path):
    call("backup", tmp_path / "copy", "--store", store)
    file = next((tmp_path / "copy" / "data" / "fx").glob("*.parquet"))
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-4])
    assert file.name in call("restore", tmp_path / "copy", "--check", code=1).out
    assert file.name in call("restore", tmp_path / "copy", "--store", tmp_path / "again", code=1).err
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("name", ["parquet", "csv", "delta"])
def test_tables_are_exported_into_a_folder(document, call, built, tmp_path, name):
    made = document("export", "--to", tmp_path / "out", "--format", name, "--store", built)
    told = {row["table"]: row["rows"] for row in made["tables"]}
    assert told["contract_bars"] == rows(built).height
    assert "not empty" in call("export", "--to", tmp_path / "out", "--store", built, code=1).err


def test_export_says_what_goes_where(call, built, tmp_path):
    assert "where to?" in call("export", "--store", built, code=2).err
    assert "parquet, csv, delta" in call("export", "--to", tmp_path, "--format", "xls", "--store", built, code=2).err
    assert (
        "goes with a folder"
        in call("export", "--to", "postgresql://h/d", "--format", "csv", "--store", built, code=2).err
    )


@pytest.mark.service
def test_a_second_writer_waits_or_says_who_holds_what(store, files):
    archive = open_archive(store)
    words = ["import", str(files / "prices"), "--store", str(store), "--json"]
    with hold(archive, "writing", "compact"):
        refused = subprocess.run(command(*words, "--wait", "0"), cwd=REPO, capture_output=True, text=True)
        assert refused.returncode == 1
        assert f"process {os.getpid()}" in refused.stderr and "compact" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        waiting = subprocess.Popen(command(*words), cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "waiting for compact" in waiting.stderr.readline()
    out, _ = waiting.communicate()
    assert (waiting.returncode, json.loads(out)["totals"]["accepted"]) == (0, 0)  # all were imported before


def command(*words):
    return [sys.executable, "-m", "app.cli", *words]


def test_a_day_names_the_snapshot_of_that_evening(document, call, store):
    number = open_archive(store).head().number
    document("drop", "ZC", "--store", store)
    today = date.today()
    document("tag", "today", today.isoformat(), "--store", store)
    assert document("tag", "--store", store)[0]["number"] == number + 1
    early = (today - timedelta(days=3)).isoformat()
    assert "knew nothing" in call("undo", early, "--store", store, code=1).err
