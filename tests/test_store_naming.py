"""Whose rows they are: aliases, unknown markets, --root, units that change on a day."""

import pytest

from store import open_archive
from store.ingest import import_paths
from tests.sample_files import LINES, MARCH, NAME, SAMPLES, one, put, refused, zipped


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


def test_an_unknown_market_is_stored_under_its_vendor_s_name_and_told(archive, tmp_path):
    report = one(archive, put(tmp_path / "in", "Day_PLUTONIUM_20240300.csv", LINES))
    assert (report.error, report.roots) == ("", ["PLUTONIUM"])
    assert report.notes == ["PLUTONIUM is no market of the master: stored under that name, in the vendor's units"]


def test_a_name_near_a_known_one_is_told_and_not_guessed(archive, tmp_path):
    report = one(archive, put(tmp_path / "in", "Day_SP500_mirco_20240300.csv", LINES))
    assert report.roots == ["SP500_mirco"]
    assert "near it is SP500_micro (MES)" in report.notes[0]


def test_a_name_that_cannot_be_stored_needs_a_root(archive, tmp_path):
    path = put(tmp_path / "in", "Day_S&P 500_20240300.csv", LINES)
    assert "market 'S&P 500' is no name for the store" in refused(archive, path)
    assert one(archive, path, root="MES").roots == ["MES"]


def test_root_goes_before_the_vendor_s_name_and_may_be_an_alias(archive, tmp_path):
    path = put(tmp_path / "in", "Day_PLUTONIUM_20240300.csv", LINES)
    assert one(archive, path, root="barchart:SP500_micro").roots == ["MES"]
    assert one(archive, path, root="PLUT").roots == ["PLUT"]


def test_a_root_that_is_no_name_is_refused(archive):
    with pytest.raises(LookupError, match="no market 'a b/c'"):
        import_paths(archive, [MARCH], root="a b/c")


def test_root_is_for_one_market(archive, tmp_path):
    path = zipped(tmp_path / "in", "all.zip", {NAME: MARCH.read_text(), "Day_SILVER_20240300.csv": MARCH.read_text()})
    assert "--root MES: this file holds 2 markets, SILVER, SP500_micro" in refused(archive, path, root="MES")
    assert "--root MES: this file holds no market but EUR" in refused(
        archive, SAMPLES / "pysystemtrade" / "EURUSD.csv", root="MES"
    )


def test_a_user_s_alias_brings_prices_into_our_unit_from_its_day_on(archive, tmp_path):  # DOMAIN T37
    rows = ["PLUT,PLUT,1,,,", "PLUT,PLUT,0.1,,2024-03-01,"]
    header = "vendor,name,root,price_factor,history_from,valid_from,note"
    (archive.path / "symbols.csv").write_text("\n".join([header, *(f"barchart,{row}" for row in rows), ""]))
    one(archive, put(tmp_path / "in", "Day_PLUT_20240300.csv", LINES))
    stored = archive.read("contract_bars")["settle"].to_list()
    assert stored[:5] == [5015.75, 5028.5, 5007.0, 5040.5, pytest.approx(505.525)]


def test_a_user_s_own_layout_beside_the_store_is_read(archive, tmp_path):
    layout = """
        [mine]
        file = '(?P<root>\\w+)_(?P<contract>\\w+)[.]txt'
        columns = {time = 'D', last = 'P'}
    """
    (archive.path / "vendors.toml").write_text(layout)
    report = one(archive, put(tmp_path / "in", "ES_H24.txt", ["D,P", "2024-03-01,5055.25"]))
    assert (report.error, report.vendor, report.roots) == ("", "mine", ["ES"])
