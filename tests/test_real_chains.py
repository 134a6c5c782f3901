"""pysystemtrade's adjusted prices from its multiple prices, through import, store and stitching."""

import polars as pl
import pytest

from store import history, ingest, open_archive
from store.contracts import Master


@pytest.fixture(scope="module")
def chains(shared, tmp_path_factory):
    archive = open_archive(tmp_path_factory.mktemp("chains") / "store", create=True)
    reports = ingest.import_paths(archive, [shared / "pysystemtrade" / "multiple_prices_csv"])
    assert sum(r.rows_read for r in reports) == sum(r.accepted for r in reports) == 1_749_223
    return archive


def test_t54_all_38_markets_are_rebuilt_row_by_row(chains, shared):
    files = sorted((shared / "pysystemtrade" / "adjusted_prices_csv").glob("*.csv.gz"))
    assert len(files) == 38
    for path in files:
        name = path.name.removesuffix(".csv.gz")
        root = Master.load().alias("pysystemtrade", name).root
        ours = history.table(chains, root, "pysystemtrade").select("source_time", "adjusted")
        published = pl.read_csv(path).join(ours, left_on="DATETIME", right_on="source_time", how="left")
        assert published["price"].is_null().equals(published["adjusted"].is_null()), name
        assert (published["price"] - published["adjusted"]).abs().max() < 1e-9, name


def test_the_vendor_s_rolls_are_a_rule_of_its_name(chains):
    calendar, source = history.calendar(chains, "ZC", "pysystemtrade")
    assert (calendar.rule, source) == ("pysystemtrade", "pysystemtrade")
    months = (calendar.frame["to_contract"] % 100).unique().to_list()
    assert months == [12]  # this chain holds December corn only


def test_a_chain_cannot_be_rolled_by_volume(chains):
    with pytest.raises(history.NotStored, match="needs dated contracts"):
        history.calendar(chains, "ZC", "volume:1")
