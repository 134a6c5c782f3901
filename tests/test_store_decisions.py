"""Decisions: logged and never lost, a later one before an earlier, and what nobody decided about stays refused."""

import re
from datetime import date

import polars as pl
import pytest

from store import checks, decisions, open_archive, sample
from store.segments import Refused
from store.tables import TABLES

SLIP = {"id": "aaaaaaaaaaaa", "severity": "refuse", "rule": "unit_slip", "source": "barchart", "root": "SI"}
SPIKE = {"id": "bbbbbbbbbbbb", "severity": "warn", "rule": "spike", "source": "barchart", "root": "SI"}
OTHER = {"id": "cccccccccccc", "severity": "refuse", "rule": "unit_slip", "source": "sample", "root": "GC"}
ROW = "dddddddddddd"


@pytest.fixture
def archive(tmp_path):
    """A store with three findings in two markets, and a quarantined row."""
    archive = open_archive(tmp_path / "store", create=True)
    bar = pl.DataFrame({"contract": [202403], "day": [date(2024, 1, 2)], "settle": [23.5]})
    archive.commit(
        [
            *(archive.write("contract_bars", bar, source="barchart", root=root) for root in ("SI", "GC")),
            archive.write("findings", found(SLIP, SPIKE), root="SI"),
            archive.write("findings", found(OTHER), root="GC"),
            archive.write("quarantine", pl.DataFrame({"id": [ROW], "rule": ["high_below_low"]})),
        ]
    )
    return archive


def found(*rows):
    same = {
        "contract": 202403,
        "day": date(2024, 1, 2),
        "field": "settle",
        "value": "1",
        "reason": "",
        "done": "kept; decide",
    }
    return TABLES["findings"].conform(pl.DataFrame([row | same for row in rows]))


def refused(archive, **where):
    return sorted(decisions.refused(archive, **where)["id"])


def test_what_nobody_decided_about_is_refused_if_its_severity_says_so(archive):
    assert refused(archive) == [SLIP["id"], OTHER["id"]]
    assert refused(archive, roots=["SI"]) == [SLIP["id"]]
    assert refused(archive, roots=["ZC"]) == []
    assert decisions.undecided(archive, roots=["SI"])["id"].to_list() == [SLIP["id"], SPIKE["id"]]


def test_a_released_finding_is_refused_no_longer_and_says_who_let_it_stand(archive):
    [made] = decisions.release(archive, [SLIP["id"]], "checked against\nthe exchange", author="Ada").to_dicts()
    assert (made["action"], made["finding"], made["author"]) == ("release", SLIP["id"], "Ada")
    assert made["reason"] == "checked against the exchange"
    assert refused(archive) == [OTHER["id"]]
    done = dict(archive.read("findings").select("id", "done").iter_rows())
    assert re.fullmatch(r"released \d{4}-\d\d-\d\d by Ada: checked against the exchange", done[SLIP["id"]])
    assert done[SPIKE["id"]] == "kept; decide"


def test_a_released_row_of_the_quarantine_is_told_to_the_import(archive):
    assert decisions.released(archive, archive.head()) == set()
    before = archive.head()
    decisions.release(archive, [ROW], "the exchange's own figure")
    assert decisions.released(archive, archive.head()) == {ROW}
    assert decisions.released(archive, before) == set()  # a pinned snapshot keeps what it knew


def test_an_accepted_rule_settles_what_it_found_and_will_find_in_that_market_only(archive):
    decisions.accept(archive, "unit_slip", ["SI"], "cents until March", author="Ada")
    assert refused(archive) == [OTHER["id"]]
    later = found(SLIP | {"id": "eeeeeeeeeeee"}, OTHER)
    [si, gc] = decisions.settled(later, archive, archive.head())["done"]
    assert si.startswith("accepted ") and si.endswith(" by Ada: cents until March") and gc == "kept; decide"


def test_a_rule_may_be_accepted_in_all_markets_or_for_one_source(archive):
    decisions.accept(archive, "unit_slip", None, "planted", source="sample")
    assert refused(archive) == [SLIP["id"]]
    decisions.accept(archive, "unit_slip", None, "all of them")
    assert refused(archive) == []


def test_a_revoked_decision_counts_no_more_and_stays_in_the_log(archive):
    [made] = decisions.release(archive, [SLIP["id"]], "looks right")["id"]
    decisions.revoke(archive, [made], "it was not")
    assert refused(archive, roots=["SI"]) == [SLIP["id"]]
    assert set(archive.read("findings")["done"]) == {"kept; decide"}
    assert decisions.log(archive)["action"].to_list() == ["release", "revoke"]
    assert decisions.in_force(archive).is_empty()


def test_a_decision_may_be_revoked_by_the_id_of_what_it_released(archive):
    decisions.release(archive, [SLIP["id"], ROW], "looks right")
    decisions.revoke(archive, [SLIP["id"]], "it was not")
    assert decisions.released(archive) == {ROW}


def test_the_last_of_several_decisions_is_told(archive):
    decisions.accept(archive, "unit_slip", ["SI"], "first", author="Ada")
    [made] = decisions.release(archive, [SLIP["id"]], "second", author="Bob")["id"]
    told = archive.read("findings", root="SI").filter(pl.col("id") == SLIP["id"])["done"]
    assert told[0].endswith("by Bob: second")
    decisions.revoke(archive, [made], "no")
    told = archive.read("findings", root="SI").filter(pl.col("id") == SLIP["id"])["done"]
    assert told[0].endswith("by Ada: first")


def test_an_unknown_id_or_rule_or_market_is_refused_with_the_nearest(archive):
    head = archive.head().number
    with pytest.raises(Refused, match=r"no finding or quarantined row 'aaaaaaaaaaab': did you mean aaaaaaaaaaaa\?"):
        decisions.release(archive, [SPIKE["id"], "aaaaaaaaaaab"], "why not")
    with pytest.raises(Refused, match=r"no rule of a finding 'unit_slp': did you mean unit_slip\?"):
        decisions.accept(archive, "unit_slp", ["SI"], "why not")
    with pytest.raises(Refused, match="no stored market 'SII': did you mean SI"):
        decisions.accept(archive, "unit_slip", ["SII"], "why not")
    with pytest.raises(Refused, match="no decision in force 'aaaaaaaaaaaa'"):
        decisions.revoke(archive, [SLIP["id"]], "why not")
    assert archive.head().number == head


def test_a_row_that_could_not_be_read_cannot_be_released(archive):
    row = {
        "id": "eeeeeeeeeeee",
        "rule": "unparsed",
        "file": "a.csv",
        "line": 3,
        "column": "Close",
        "reason": "no\nnumber",
    }
    archive.commit([archive.write("quarantine", pl.DataFrame([row]))])
    told = r"eeeeeeeeeeee could not be read .* mend the file \(a.csv, line 3, column Close: no\\nnumber\)"
    with pytest.raises(Refused, match=told):
        decisions.release(archive, [ROW, "eeeeeeeeeeee"], "why not")
    assert decisions.released(archive) == set()


def test_the_release_of_a_row_tells_the_rule_that_it_broke(archive):
    made = decisions.release(archive, [ROW, SLIP["id"]], "both are right")
    assert made["rule"].to_list() == ["high_below_low", None]


def test_a_decision_without_a_reason_is_refused(archive):
    for reason in ("", "  \n", None):
        with pytest.raises(Refused, match="needs a reason"):
            decisions.release(archive, [SLIP["id"]], reason)


def test_a_decision_is_one_commit_and_one_about_nothing_is_none(archive):
    before = archive.head().number
    decisions.release(archive, [SLIP["id"], SPIKE["id"]], "both are right")
    assert archive.head().number == before + 1
    assert decisions.release(archive, [], "nothing").is_empty()
    assert archive.head().number == before + 1


def test_who_decides_is_the_user_of_the_process_unless_told(archive, monkeypatch):
    monkeypatch.setenv("LOGNAME", "grace")
    assert decisions.release(archive, [ROW], "right")["author"].to_list() == ["grace"]

    def nobody():
        raise OSError("no name")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert decisions.release(archive, [SLIP["id"]], "right")["author"].to_list() == ["unknown"]


def test_a_text_that_only_looks_like_a_decision_decides_nothing(archive):
    head = archive.head()
    fake = found(SLIP).with_columns(done=pl.lit("accepted 2026-01-01 by Eve: trust me"))
    archive.commit([archive.write("findings", fake, root="SI")], archive.files("findings", head, root="SI"), base=head)
    assert SLIP["id"] in refused(archive)


def test_a_file_of_findings_keeps_its_labels(archive):
    head = archive.head()
    checked = archive.write("findings", found(SLIP), root="SI", checked="yes")
    archive.commit([checked], archive.files("findings", head, root="SI"), base=head)
    decisions.release(archive, [SLIP["id"]], "looks right")
    assert {"root": "SI", "checked": "yes"} in [segment.labels for segment in archive.files("findings")]


def test_the_markets_of_the_sample_with_a_planted_slip_of_units_are_run(tmp_path):
    archive = open_archive(tmp_path / "sample", create=True)
    sample.build(archive)
    log = decisions.log(archive)
    assert set(log["rule"]) == {"unit_slip"} and set(log["source"]) == {"sample"}
    assert set(log["root"]) == {fault.root for fault in sample.planted() if fault.kind == "unit_slip"}
    checks.run(archive, log["root"].to_list())
    assert decisions.refused(archive).is_empty()
    assert archive.read("findings").filter(pl.col("rule") == "unit_slip")["done"].str.starts_with("accepted ").all()
