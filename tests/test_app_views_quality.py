"""Data quality: what is shown is what the store holds; decisions are written whole or not at all, and can be undone."""

import json
import re
import time
from datetime import UTC, date, datetime

import polars as pl
import pytest

from app import first, page
from app.findings import ALL, NEAR, UNDONE, findings_of
from app.pages import views
from app.view import Board
from app.views import VIEWS
from store import decisions, open_archive, quality
from store.tables import TABLES
from tests import small_store
from tests.synthetic_run import EmptyRun, SyntheticRun

EVIL = '<img src=x onerror="alert(1)">'
SPIKE, SLIP, WHOLE, ROW, BROKEN = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc", "dddddddddddd", "eeeeeeeeeeee"
DAY, GONE = date(2021, 3, 3), date(2021, 3, 6)  # a Wednesday, and a Saturday, of which nothing is stored
MONTH = date(2021, 3, 1)


def finding(id_, rule, severity, day, **more):
    same = {"source": "barchart", "root": "MES", "contract": 202106, "field": "settle", "value": "1", "reason": EVIL}
    return {"id": id_, "rule": rule, "severity": severity, "day": day, "done": decisions.OPEN} | same | more


@pytest.fixture
def archive(tmp_path):
    """A store of two markets, three findings in one of them, two refused rows."""
    archive = small_store.build(tmp_path / "store")
    rows = [
        finding(SPIKE, "spike", "warn", DAY),
        finding(SLIP, "unit_slip", "refuse", GONE, field="day"),
        finding(WHOLE, "gap", "warn", None, contract=None, field=None, value=None),
    ]
    refused = [
        {"id": ROW, "rule": "range", "file": EVIL, "line": 7, "reason": "high below low", "raw": "1,2"},
        {"id": BROKEN, "rule": "unparsed", "file": "a.csv", "line": 8, "reason": "not a number", "raw": EVIL},
    ]
    refused = pl.DataFrame([row | {"column": "high"} for row in refused])
    archive.commit(
        [
            archive.write("findings", TABLES["findings"].conform(pl.DataFrame(rows)), root="MES"),
            archive.write("quarantine", TABLES["quarantine"].conform(refused)),
        ]
    )
    return archive


def shown_of(archive, run=None):
    """(board, {name: view}) of the page, everything computed."""
    board = Board(run or SyntheticRun(years=1), archive=archive)
    shown = {name: VIEWS[name](board=board) for name in views("quality")}
    board.sight(list(shown.values()))
    assert not board.alert.visible, board.alert.text
    return board, shown


def text(view, name):
    """What a view says, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", view.models[name].text).split())


def wish(board, **asked):
    """Ask as the browser does."""
    board.fulfil(json.dumps(asked))
    assert not board.alert.visible, board.alert.text


def milliseconds(day):
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000.0


# ---- what is there


def test_the_calendar_counts_findings_by_market_and_month(archive):
    _, shown = shown_of(archive)
    data = shown["finding_calendar"].models["calendar"].data
    assert (data["market"].tolist(), data["count"].tolist(), data["undecided"].tolist()) == (["MES"], [2], [2])
    assert data["left"].tolist() == [milliseconds(MONTH)]
    assert shown["finding_calendar"].models["calendar_y"].factors == ["MES", "FGBL"]
    told = text(shown["finding_calendar"], "calendar_text")
    assert "3 findings, 3 of them undecided" in told and "Not run until somebody decides: MES" in told
    assert {len(column) for column in data.values()} == {1}


def test_a_tap_shows_the_findings_of_the_cell_and_another_one_all(archive):
    board, shown = shown_of(archive)
    wish(board, do="finding_cell", market="MES", day=milliseconds(date(2021, 3, 20)))
    assert findings_of(board).cell == ("MES", MONTH)
    assert text(shown["finding_list"], "findings").startswith("2 undecided findings in MES, 2021-03")
    assert findings_of(board).picked == SLIP  # the worst one
    wish(board, do="finding_cell", market="MES", day=milliseconds(date(2021, 3, 20)))
    assert text(shown["finding_list"], "findings").startswith("3 undecided findings in all markets")
    wish(board, do="finding_cell", market="nowhere", day=0)
    assert findings_of(board).cell is None


def test_a_rule_narrows_both(archive):
    _, shown = shown_of(archive)
    shown["finding_calendar"].pick.value = "spike"
    assert shown["finding_calendar"].models["calendar"].data["count"].tolist() == [1]
    assert "1 undecided finding in all markets" in text(shown["finding_list"], "findings")
    shown["finding_calendar"].pick.value = ALL
    assert shown["finding_calendar"].models["calendar"].data["count"].tolist() == [2]


def test_a_selection_narrows_calendar_and_list_to_its_markets_and_days(archive):
    board, shown = shown_of(archive)
    board.selection.pick(markets=["MES"])
    assert shown["finding_calendar"].models["calendar_y"].factors == ["MES"]
    board.selection.pick(markets=["MES"], days=(DAY, DAY))
    assert text(shown["finding_list"], "findings").startswith("1 undecided finding in MES")
    span = shown["finding_calendar"].models["calendar_x"]
    assert (span.start, span.end) == (milliseconds(DAY), milliseconds(DAY) + 86_400_000)
    board.selection.reset()
    assert text(shown["finding_list"], "findings").startswith("3 undecided findings in all markets")


def test_the_row_stands_between_five_rows_before_and_after_with_its_cell_marked(archive):
    board, shown = shown_of(archive)
    wish(board, do="finding", value=SPIKE)
    rows = archive.read("contract_bars", root="MES").filter(pl.col("contract") == 202106).sort("day")
    at = rows["day"].to_list().index(DAY)
    html = shown["bad_row"].models["row_text"].text
    days = re.findall(r"\d{4}-\d\d-\d\d", html.split("<tbody>")[1])
    assert days == [str(day) for day in rows["day"][at - NEAR : at + NEAR + 1]]
    assert len(re.findall("at-fault", html)) == 1
    marked = re.search(r'at-fault" title="at fault">([\d,.]+)<', html)[1]
    assert float(marked.replace(",", "")) == rows["settle"][at]


def test_a_day_that_is_not_stored_has_its_place(archive):
    board, shown = shown_of(archive)
    wish(board, do="finding", value=SLIP)
    html = shown["bad_row"].models["row_text"].text
    assert re.search(r'at-fault" title="at fault">2021-03-06<', html)
    assert html.split("<tbody>")[1].count("<tr>") == 2 * NEAR + 1


def test_names_and_texts_of_the_store_are_escaped(archive):
    board, shown = shown_of(archive)
    for kind in ("open", "all", "refused"):
        wish(board, do="finding_kind", value=kind)
        for id_ in (SPIKE, WHOLE, ROW, BROKEN):
            wish(board, do="finding", value=id_)
            for view in shown.values():
                for model in view.models.values():
                    assert EVIL not in str(getattr(model, "text", ""))


def test_scores_are_those_of_the_store(archive):
    _, shown = shown_of(archive)
    scores = quality.score(archive, ["MES", "FGBL"])
    assert scores["MES"].score == 0.0 and scores["FGBL"].score is None
    told = text(shown["scores"], "scores")
    assert re.search(r"MES 0\.00 100\.00", told) and "Not checked yet: FGBL" in told


def test_a_finding_that_is_none_is_not_picked(archive):
    board, _ = shown_of(archive)
    wish(board, do="finding", value="nonsense")
    assert findings_of(board).picked is None


# ---- decisions


def test_without_a_reason_nothing_is_decided(archive):
    board, shown = shown_of(archive)
    before = archive.head().number
    wish(board, do="finding", value=SPIKE)
    for reason in ("", "   "):
        shown["bad_row"].reason.value = reason
        shown["bad_row"]._decide("release")
        assert "needs its reason" in text(shown["bad_row"], "row_said")
    assert archive.head().number == before


def test_a_release_is_written_with_its_reason_said_and_undone(archive):
    board, shown = shown_of(archive)
    wish(board, do="finding", value=SLIP)
    shown["bad_row"].reason.value = f"the exchange's own figure {EVIL}"
    shown["bad_row"]._decide("release")
    assert f"released {SLIP}: the finding stands" in text(shown["bad_row"], "row_said")
    [made] = decisions.log(archive).to_dicts()
    assert (made["action"], made["finding"]) == ("release", SLIP) and made["reason"].startswith("the exchange's own")
    assert decisions.refused(archive).is_empty()
    assert "All markets may be run" in text(shown["finding_calendar"], "calendar_text")
    assert EVIL not in shown["decisions"].models["decisions"].text
    wish(board, do="decision_undo")
    assert decisions.refused(archive)["id"].to_list() == [SLIP]
    assert decisions.log(archive)["reason"][-1] == UNDONE
    assert "1 taken back" in text(shown["bad_row"], "row_said")
    wish(board, do="decision_undo")  # there is no more to undo
    assert len(decisions.log(archive)) == 2


def test_a_rule_is_accepted_in_its_market_and_taken_back_with_a_reason(archive):
    board, shown = shown_of(archive)
    wish(board, do="finding", value=SPIKE)
    assert shown["bad_row"].accept.label == "Accept the rule spike in MES"
    shown["bad_row"].reason.value = "thin market"
    shown["bad_row"]._decide("accept")
    [made] = decisions.in_force(archive).to_dicts()
    assert (made["action"], made["rule"], made["root"]) == ("accept", "spike", "MES")
    wish(board, do="decision_revoke", value="nonsense")
    assert len(decisions.in_force(archive)) == 1
    shown["bad_row"].reason.value = ""
    wish(board, do="decision_revoke", value=made["id"])
    assert len(decisions.in_force(archive)) == 1  # no reason
    shown["bad_row"].reason.value = "it was not thin"
    wish(board, do="decision_revoke", value=made["id"])
    assert decisions.in_force(archive).is_empty()


def test_a_refused_row_is_released_one_that_cannot_be_read_is_not(archive):
    board, shown = shown_of(archive)
    wish(board, do="finding_kind", value="refused")
    shown["bad_row"].reason.value = "right"
    wish(board, do="finding", value=BROKEN)
    assert shown["bad_row"].release.disabled and "mend the file" in text(shown["bad_row"], "row_text")
    before = archive.head().number
    shown["bad_row"]._decide("release")
    assert "Nothing was changed" in text(shown["bad_row"], "row_said") and archive.head().number == before
    wish(board, do="finding", value=ROW)
    shown["bad_row"]._decide("release")
    assert decisions.released(archive) == {ROW}


def test_another_writer_s_commit_changes_nothing_here(archive, monkeypatch):
    from store.manifest import Conflict

    board, shown = shown_of(archive)
    wish(board, do="finding", value=SPIKE)
    shown["bad_row"].reason.value = "right"

    def conflict(*_, **__):
        raise Conflict("another writer came first")

    monkeypatch.setattr(type(archive), "commit", conflict)
    shown["bad_row"]._decide("release")
    assert "Nothing was changed: another writer came first" in text(shown["bad_row"], "row_said")
    assert not findings_of(board).busy and decisions.log(archive).is_empty()


def test_without_a_store_and_without_findings_the_page_says_so(tmp_path):
    _, shown = shown_of(None)
    assert "is not at hand" in text(shown["finding_list"], "findings")
    _, shown = shown_of(small_store.build(tmp_path / "store"), EmptyRun(years=1))
    assert "found nothing, or were not made yet" in text(shown["finding_calendar"], "calendar_text")
    assert "Nothing was decided yet" in text(shown["decisions"], "decisions")


# ---- the first visit


def test_an_empty_store_offers_the_sample_and_the_import(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "_argument", {}.get)
    for store in (tmp_path / "nowhere", open_archive(tmp_path / "store", create=True).path):
        made = page.create(store)
        assert "Look around with simulated prices" in made.body and "frontmonth import FOLDER" in made.body
        assert "embed(roots.first)" in made.body and list(made.roots) == ["first"]


def test_the_button_makes_the_store_and_says_how_far_it_is(tmp_path, monkeypatch):
    said = [{"stage": "sample", "done": 3, "total": 29}, {"stage": "done"}]
    lines = "; ".join(f"print({json.dumps(json.dumps(line))}, flush=True)" for line in said)
    monkeypatch.setattr(first, "_COMMAND", lines)  # another process, as always, that says what the real one says
    visit = first.FirstVisit(tmp_path / "store")
    assert not visit.button.disabled and visit.said.text == ""
    visit.begin()
    until(lambda: visit.work.state == "done")
    visit.look()
    assert visit.button.disabled and "open the dashboard" in visit.said.text
    visit.begin()
    assert visit.work.state == "done"  # once


def test_how_far_it_is_in_words(tmp_path):
    work = first.Work(tmp_path)
    work.state, work.told = "running", {"stage": "sample", "done": 3, "total": 29}
    assert "Making simulated prices: 3 of 29" in work.words()
    work.told = {}
    assert "Starting" in work.words()


def test_what_went_wrong_is_told_and_it_can_be_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(first, "_COMMAND", f"import sys; sys.exit({EVIL!r})")
    visit = first.FirstVisit(tmp_path / "store")
    visit.begin()
    until(lambda: visit.work.state == "failed")
    visit.look()
    assert "could not be made" in visit.said.text and EVIL not in visit.said.text
    assert not visit.button.disabled


def test_the_sample_is_not_mixed_with_other_prices(archive):
    with pytest.raises(ValueError, match="holds prices of barchart: the sample is for a store of its own"):
        first.make(archive.path, lambda stage: lambda *_: None)


def until(holds, seconds=60.0):
    """Wait for another process."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)
