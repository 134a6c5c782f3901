"""Every table once: columns with meanings, keys that are columns."""

import polars as pl
import pytest

from store.tables import TABLES


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_a_key_is_made_of_columns_and_the_empty_table_has_them_all(table):
    assert set(table.key) <= set(table.columns)
    assert table.empty().schema == table.schema
    assert table.doc.endswith(".")


def test_a_frame_is_brought_into_the_table_s_form():
    found = TABLES["rates"].conform(pl.DataFrame({"rate": [1], "currency": ["EUR"], "note": ["x"]}))
    assert found.schema == TABLES["rates"].schema
    assert found.row(0) == (None, "EUR", None, 1.0, None)


def test_what_does_not_fit_a_column_raises():
    with pytest.raises(pl.exceptions.InvalidOperationError):
        TABLES["rates"].conform(pl.DataFrame({"rate": ["much"]}))


def test_versions_of_a_roll_calendar_stand_beside_each_other():
    assert TABLES["roll_calendars"].key == ("source", "root", "rule", "version", "day")
    assert TABLES["roll_versions"].key == ("source", "root", "version")
    assert all(doc for _, doc in TABLES["roll_versions"].columns.values())
