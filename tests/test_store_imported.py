"""What was imported before is skipped as long as it is what counts; released rows come in and undo nothing."""

import polars as pl
import pytest

from store import decisions, ingest, open_archive
from store.archive import Refused
from store.ingest import import_paths
from tests.sample_files import LINES, NAME, changed, counts, one, put, zipped


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


@pytest.fixture
def good(tmp_path):
    return put(tmp_path / "good", NAME, LINES)


@pytest.fixture
def bad(tmp_path):
    """The same file with prices a hundredfold."""
    rows = [line.split(",") for line in LINES]
    lines = [",".join([r[0], *(str(float(x) * 100) for x in r[1:5]), r[5]]) for r in rows[1:]]
    return put(tmp_path / "bad", NAME, [LINES[0], *lines])


def settles(archive, **labels):
    return archive.read("contract_bars", **labels)["settle"].to_list()


SETTLES = [float(line.split(",")[4]) for line in LINES[1:]]


def skipped(archive, *paths, **words):
    return [report.skipped for report in import_paths(archive, list(paths), **words)]


# ---- under another name


def test_a_zip_that_came_in_under_a_root_comes_in_under_its_own_market_too(archive, tmp_path):
    path = zipped(tmp_path, "Day_CORN.zip", {"Day_CORN_20240300.csv": "\n".join(LINES)})
    assert one(archive, path, root="zw").roots == ["ZW"]
    assert one(archive, path).roots == ["ZC"]
    assert skipped(archive, path) == skipped(archive, path, root="ZW") == [True]
    assert sorted(archive.read("contract_bars")["root"].unique()) == ["ZC", "ZW"]


def test_a_file_that_a_named_reader_read_is_read_by_the_one_that_knows_it_too(archive, tmp_path):
    own = archive.path / "vendors.toml"
    own.write_text("[mine]\nfile = 'x(?P<root>es).*'\nsymbol = 's'\ncolumns = {time = 't', last = 'c'}\n")
    lines = ["t,s,c", "2024-03-01,ESH24,5000", "2024-03-04,ESH24,5001"]
    path = put(tmp_path / "in", "xes.csv", lines)
    assert (one(archive, path).vendor, one(archive, path).skipped) == ("mine", True)
    own.write_text(own.read_text().replace("[mine]", "[yours]"))
    assert (one(archive, path).vendor, one(archive, path).skipped) == ("yours", True)


def test_a_file_that_only_a_named_reader_reads_is_skipped_without_the_name(archive, tmp_path):
    path = put(tmp_path / "in", "x.csv", ["date,initial,maintenance", "2024-01-02,1200,1100"])
    assert one(archive, path, kind="margins", root="ES").accepted == 1
    assert skipped(archive, path, kind="margins", root="ES") == [True]
    assert one(archive, path).error  # it would not be read as ES


# ---- replaced since


def test_a_content_that_was_replaced_by_another_of_its_name_comes_back(archive, good, bad):
    for path in (good, bad, good):
        assert not one(archive, path).skipped
    assert settles(archive) == SETTLES
    assert skipped(archive, good) == [True]
    assert not one(archive, bad).skipped and settles(archive)[0] == SETTLES[0] * 100


def test_a_folder_with_both_versions_is_read_once(archive, good, bad, tmp_path):
    for name in ("1", "2"):
        (tmp_path / "all" / name).mkdir(parents=True)
    put(tmp_path / "all" / "1", NAME, data=good.read_bytes())
    put(tmp_path / "all" / "2", NAME, data=changed(3, Close="5029")[0].encode() + b"\n" + "\n".join(
        changed(3, Close="5029")[1:]).encode())  # fmt: skip
    assert skipped(archive, tmp_path / "all") == [False, False]
    head = archive.head()
    assert skipped(archive, tmp_path / "all") == [True, True] and archive.head() == head
    (tmp_path / "all" / "3").mkdir()
    put(tmp_path / "all" / "3", NAME, changed(4, Close="5009"))
    assert skipped(archive, tmp_path / "all") == [True, True, False]
    rows = dict(enumerate(settles(archive)))
    assert (rows[1], rows[2]) == (SETTLES[1], 5009.0)
    assert skipped(archive, tmp_path / "all") == [True, True, True]


def test_a_folder_from_which_an_old_version_was_taken_away_changes_nothing_back(archive, tmp_path):
    for k, close in enumerate(("5028.5", "5029", "5030"), 1):
        (tmp_path / "all" / str(k)).mkdir(parents=True)
        put(tmp_path / "all" / str(k), NAME, changed(3, Close=close))
        import_paths(archive, [tmp_path / "all"])
    (tmp_path / "all" / "2" / NAME).unlink()
    assert skipped(archive, tmp_path / "all") == [True, True]
    assert settles(archive)[1] == 5030.0


def test_files_of_one_name_in_other_tables_do_not_replace_each_other(archive, tmp_path):
    chain = ["DATETIME,CARRY,CARRY_CONTRACT,PRICE,PRICE_CONTRACT,FORWARD,FORWARD_CONTRACT"]
    chain += ["2024-03-01 23:00:00,400,20240500,410,20240700,420,20240900"]
    rolls = [
        "DATE_TIME,current_contract,next_contract,carry_contract",
        "2024-03-01 23:00:00,20240500,20240700,20240900",
    ]
    paths = [put(tmp_path / "a", "CORN.csv", chain), put(tmp_path / "b", "CORN.csv", rolls)]
    for path in paths:
        assert one(archive, path).error == ""
    assert [skipped(archive, path) for path in paths] == [[True], [True]]


def test_the_tables_of_a_database_come_back_too(archive):
    from tests.test_store_ingest import date, made

    def take(rate, sha256):
        readings = [made("rates", "USD", day=[date(2024, 3, 1)], rate=[rate])]
        return ingest.import_readings(archive, iter(readings), "public.rates", sha256).skipped

    assert [take(0.05, "one"), take(0.06, "two"), take(0.05, "one"), take(0.05, "one")] == [False, False, False, True]
    assert archive.read("rates")["rate"].to_list() == [0.05]


# ---- released rows


def released(archive, reason="a give-away"):
    ids = decisions.quarantined(archive)["id"].to_list()
    decisions.release(archive, ids, reason, "somebody")
    return ids


def test_a_release_does_not_undo_a_correction_that_came_later(archive, tmp_path):
    first = put(tmp_path / "a", NAME, changed(3, Close="0"))
    one(archive, first)
    correction = put(tmp_path / "b", NAME, [LINES[0], changed(5, Close="5077")[4]])
    one(archive, correction)
    released(archive)
    report = one(archive, first)
    assert report.reasons == {"released": 1} and "other rows stay as they are stored" in report.notes[0]
    assert settles(archive) == [SETTLES[0], 0.0, SETTLES[2], 5077.0, *SETTLES[4:]]
    assert archive.read("revisions")["new"].to_list() == [5077.0]
    before = archive.head()
    assert skipped(archive, first) == skipped(archive, correction) == [True]
    assert archive.head() == before


def test_a_row_that_is_not_stored_comes_in_with_the_released_one(archive, tmp_path):
    first = put(tmp_path / "a", NAME, changed(3, Close="0"))
    one(archive, first)
    [old] = archive.files("contract_bars")
    rows = archive.read("contract_bars")
    archive.commit([archive.write("contract_bars", rows[1:], **old.labels)], [old])
    released(archive)
    one(archive, first)
    assert settles(archive) == [SETTLES[0], 0.0, *SETTLES[2:]]


def test_a_second_row_of_a_key_that_was_released_replaces_the_first(archive, tmp_path):
    path = put(tmp_path / "a", NAME, [*LINES, changed(3, Close="5029")[2]])
    one(archive, path)
    released(archive)
    one(archive, path)
    assert settles(archive)[1] == 5029.0


def test_a_row_that_came_in_is_in_quarantine_no_longer(archive, tmp_path):
    path = put(tmp_path / "a", NAME, [*changed(3, Close="0"), "2024-03-11T05:00:00+0000,1,2,3,4,5"])
    one(archive, path)
    [row] = decisions.quarantined(archive).filter(rule="not_positive")["id"]
    decisions.release(archive, [row], "a give-away", "somebody")
    assert decisions.quarantined(archive).height == 2  # not in yet
    dry = import_paths(archive, [path], dry_run=True)
    assert dry[0].reasons == {"range": 1, "released": 1} and decisions.quarantined(archive).height == 2
    one(archive, path)
    assert decisions.quarantined(archive)["rule"].to_list() == ["range"]
    assert decisions.quarantined(archive, 1).height == 2 and not archive.verify()


def test_a_row_that_came_in_stays_when_its_release_is_revoked_and_the_log_says_so(archive, tmp_path):
    path = put(tmp_path / "a", NAME, changed(3, Close="0"))
    one(archive, path)
    [row] = released(archive)
    decisions.revoke(archive, [row], "too quick")
    assert decisions.log(archive)["reason"].to_list() == ["a give-away", "too quick"]
    released(archive)
    one(archive, path)
    decisions.revoke(archive, [row], "it was none")
    assert decisions.log(archive)["reason"][-1] == "it was none (the row came in and stays)"
    assert settles(archive)[1] == 0.0
    assert skipped(archive, path) == [True]
    again = one(archive, put(tmp_path / "b", NAME, [*changed(3, Close="0"), "2024-03-11T05:00:00+0000,9,9,9,9,5"]))
    assert counts(again) == (11, 10, 0, 1) and settles(archive)[1] == 0.0


# ---- one root for all


@pytest.mark.parametrize("size", [0, 1 << 24], ids=["one by one", "together"])
def test_files_of_several_markets_are_not_made_one(archive, tmp_path, monkeypatch, size):
    monkeypatch.setattr(ingest, "PILE", size)
    for market in ("CORN", "WHEAT"):
        for month in (3, 6):
            put(tmp_path / "in", f"Day_{market}_2024{month:02d}00.csv", LINES)
    told = "--root ZW: the files hold several markets of barchart, CORN, WHEAT: import them one by one"
    with pytest.raises(Refused, match=told):
        import_paths(archive, [tmp_path / "in"], root="ZW")
    assert archive.head().number == 0
    assert [r.roots for r in import_paths(archive, sorted((tmp_path / "in").glob("*WHEAT*")), root="ZW")] == [
        ["ZW"]
    ] * 2


# ---- exchange rates of one call


def rates(folder, **pairs):
    return [put(folder, f"{pair}.csv", ["date,rate", f"2024-03-01,{rate}"]) for pair, rate in pairs.items()]


@pytest.mark.parametrize("kind", ["fx", None])
def test_a_cross_finds_the_dollar_rate_of_the_same_call(archive, tmp_path, kind):
    paths = rates(tmp_path / "in", EURGBP=0.8, EURUSD=1.2)
    reports = import_paths(archive, paths, kind=kind)
    assert [(r.file.rsplit("/", 1)[1], r.error, r.accepted) for r in reports] == [
        ("EURGBP.csv", "", 1), ("EURUSD.csv", "", 1),
    ]  # fmt: skip
    found = dict(archive.read("fx").select("currency", "rate").iter_rows())
    assert found == {"EUR": 1.2, "GBP": pytest.approx(1.5)}


def test_a_cross_finds_the_dollar_rate_of_the_same_zip_and_of_the_store(archive, tmp_path):
    members = {path.name: path.read_text() for path in rates(tmp_path / "in", EURGBP=0.8, EURUSD=1.2)}
    assert one(archive, zipped(tmp_path, "fx.zip", members), kind="fx").accepted == 2
    [path] = rates(tmp_path / "in", EURCHF=0.96)
    assert one(archive, path, kind="fx").accepted == 1
    found = dict(archive.read("fx").select(pl.col("currency"), "rate").iter_rows())
    assert found["GBP"] == pytest.approx(1.5) and found["CHF"] == pytest.approx(1.25)


# ---- odd names


def test_a_file_whose_name_has_a_line_end_is_known_by_its_path(archive, tmp_path):
    path = put(tmp_path / "in", "a\nb.csv", ["a;b", "1;2"])
    [report] = import_paths(archive, [path])
    assert report.guess and report.path == path and report.file.endswith("a\\nb.csv")
