"""Plain tables of one's own: what each kind gives, what decides the unit, what is refused and with which words."""

from datetime import date
from pathlib import Path

import pytest

from store import ingest, open_archive, raw
from store.raw import Part, RawFile
from store.vendors import VENDORS, plain
from tests.sample_files import SAMPLES, counts, one, put, refused

FOLDER = SAMPLES / "plain"


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.iterdir()))
def test_every_sample_is_known_by_its_name_and_header(name):
    file = raw.open_file(FOLDER / name)
    assert [vendor for vendor, reader in VENDORS.items() if reader.recognises(file)] == ["plain"]


def test_margins_are_stored_by_market_from_their_day_on(archive):
    report = one(archive, FOLDER / "margins.csv")
    assert (report.vendor, report.roots, report.accepted) == ("plain", ["ES", "CL"], 4)
    rows = archive.read("margins").select("source", "root", "day", "initial", "maintenance").rows()
    assert rows == [
        ("plain", "CL", date(2024, 1, 2), 6160.0, 5600.0),
        ("plain", "CL", date(2024, 2, 1), 6490.0, 5900.0),
        ("plain", "ES", date(2024, 1, 2), 12100.0, 11000.0),
        ("plain", "ES", date(2024, 3, 4), 12650.0, 11500.0),
    ]


def test_a_margin_file_may_be_named_after_its_market(archive, tmp_path):
    lines = ["date,initial,maintenance", "2024-01-02,12100,11000"]
    assert one(archive, put(tmp_path / "in", "ES.csv", lines), kind="margins").roots == ["ES"]
    assert "no column initial" in refused(archive, put(tmp_path / "in", "CL.csv", ["date,m", "x,1"]), kind="margins")


def test_margins_that_cannot_be_are_kept_apart(archive, tmp_path):
    lines = ["root,date,initial,maintenance", "ES,2024-01-02,9,10", ",2024-01-02,12,11", "ES,2024-01-03,0,0"]
    report = one(archive, put(tmp_path / "in", "m.csv", [*lines, "ES,2024-01-04,12,11"]))
    assert report.reasons == {"initial_below": 1, "not_positive": 1, "unparsed": 1}
    assert archive.read("quarantine").filter(rule="unparsed").select("line", "column", "reason").rows() == [
        (3, "root", "no market: ")
    ]


def test_a_pair_is_turned_into_dollars_per_unit(archive):
    report = one(archive, FOLDER / "USDJPY.csv")
    assert (report.roots, report.accepted) == (["JPY"], 4)
    assert archive.read("fx")["rate"].to_list() == [1 / 150.0, 1 / 150.4, 1 / 149.75, 1 / 149.2]


def test_a_cross_is_brought_into_dollars_by_the_stored_rate_of_its_other_leg(archive, tmp_path):
    cross = put(tmp_path / "in", "EURGBP.csv", ["date,rate", "2024-03-01,0.85", "2024-03-09,0.86"])
    assert "EURGBP is a cross: import EURUSD or GBPUSD before it" in refused(archive, cross, kind="fx")
    one(archive, put(tmp_path / "in", "GBPUSD.csv", ["date,rate", "2024-03-01,1.25"]))
    report = one(archive, cross, kind="fx")
    assert report.error == ""
    assert (report.roots, report.accepted, report.quarantined) == (["EUR"], 1, 1)
    assert archive.read("fx", currency="EUR")["rate"].to_list() == [pytest.approx(0.85 * 1.25)]
    assert "no rate of GBP on that day" in report.first


def test_a_wide_table_gives_each_currency_and_a_blank_cell_is_no_rate(archive):
    report = one(archive, FOLDER / "currencies.csv")
    assert (report.roots, report.accepted) == (["EUR", "GBP", "JPY"], 8)
    assert archive.read("fx", currency="GBP")["rate"].to_list() == [1.264, 1.269]


def test_the_central_bank_s_table_is_in_units_per_euro(archive, tmp_path):
    lines = ["Date,USD,JPY,BGN", "2024-03-04,1.085,163.2,N/A", "2024-03-01,1.0825,162.3,N/A"]
    report = one(archive, put(tmp_path / "in", "eurofxref-hist.csv", lines))
    assert (report.roots, report.warned) == (["EUR", "JPY"], 0)
    assert archive.read("fx", currency="EUR")["rate"].to_list() == [1.0825, 1.085]
    assert archive.read("fx", currency="JPY")["rate"].to_list() == [1.0825 / 162.3, 1.085 / 163.2]
    other = put(tmp_path / "in", "rates.csv", lines)
    assert "a column USD: rates of which currency?" in refused(archive, other, kind="fx")


@pytest.mark.parametrize(
    ("name", "lines", "rates"),
    [
        ("USD.csv", ["date,fraction", "2024-03-01,0.0533"], [0.0533]),
        ("USD.csv", ["date,Percent", "2024-03-01,0.09"], [0.0009]),
        ("USD.csv", ["date,rate", "2024-03-01,0"], [0.0]),
        ("usd_cash.csv", ["date,rate", "2024-03-01,0.9", "2024-03-04,1.25"], [0.009, 0.0125]),
        ("EUR.csv", ["Date;Rate (fraction)", "01.03.2024;-0.005"], [-0.005]),
        ("DFF.csv", ["observation_date,DFF", "2014-03-03,0.08", "2014-03-04,."], [0.0008]),
        ("USD.csv", ["date,rate %", "2014-03-03,0.08"], [0.0008]),
    ],
)
def test_interest_is_a_fraction_a_year_whatever_the_file_is_in(archive, tmp_path, name, lines, rates):
    one(archive, put(tmp_path / "in", name, lines), kind="rates")
    assert archive.read("rates")["rate"].to_list() == pytest.approx(rates)


@pytest.mark.parametrize("kind", [None, "rates"])
@pytest.mark.parametrize(
    ("rates", "told"), [(["0.09", "0.33"], "0.33 may be 33 % or 0.33 %"), (["-1", "."], "1 may be 100 % or 1 %")]
)
def test_a_rate_that_may_be_a_percentage_or_a_fraction_is_refused(archive, tmp_path, kind, rates, told):
    lines = ["date,rate", *(f"2024-03-0{k + 1},{rate}" for k, rate in enumerate(rates))]
    error = refused(archive, put(tmp_path / "in", "USD.csv", lines), kind=kind)
    assert error.endswith(
        f"USD.csv: line 1: no value of column rate is above 1, so that {told}: write percent or fraction for rate"
    )


@pytest.mark.parametrize(
    ("name", "header"),
    [("USD.csv", "date,percent"), ("cash_EUR.csv", "Date,Rate %"), ("x.csv", "date,currency,fraction")],
)
def test_the_word_in_the_header_tells_that_it_is_a_rate(name, header):
    assert plain.recognises(RawFile(Path(name), "", (Part(name, name, f"{header}\n".encode()),)))


def test_interest_of_several_currencies_stands_in_one_table(archive, tmp_path):
    lines = ["date,currency,rate", "2024-03-01,usd,5.3", "2024-03-01,EUR,3.9"]
    assert one(archive, put(tmp_path / "in", "cash.csv", lines)).roots == ["USD", "EUR"]
    assert archive.read("rates").select("currency", "rate").rows() == [("EUR", 0.039), ("USD", 0.053)]


def test_rates_of_no_known_currency_are_refused(archive, tmp_path):
    path = put(tmp_path / "in", "cash.csv", ["date,rate", "2024-03-01,5.3"])
    assert "the rate of which currency?" in refused(archive, path, kind="rates")
    assert "not named after a pair of currencies" in refused(archive, path, kind="fx")


def test_a_kind_keeps_other_tables_out(archive):
    assert "holds fx, not margins" in refused(archive, SAMPLES / "pysystemtrade" / "EURUSD.csv", kind="margins")
    assert one(archive, SAMPLES / "pysystemtrade" / "EURUSD.csv", kind="fx").vendor == "pysystemtrade"
    with pytest.raises(ValueError, match="kind 'prices' is not known; allowed are margins, fx, rates"):
        ingest.import_paths(archive, [FOLDER], kind="prices")


def test_the_reader_can_be_named(archive):
    assert one(archive, FOLDER / "DFF.csv", vendor="plain").vendor == "plain"
    assert "no table of margins" in refused(
        archive, SAMPLES / "barchart" / "Day_SP500_micro_20240300.csv", vendor=plain.NAME
    )


@pytest.mark.parametrize(
    ("rates", "line", "told"),
    [
        (["0.0533", "5.33", "0.0533"], 3, "5.33 beside 0.0533"),
        (["5.33", "5.33", "0.0533", "5.33"], 4, "0.0533 beside 5.33"),
        (["0.06", "0.06", "0.9", "0.06", "1.1"], 6, "1.1 beside 0.06"),
    ],
)
def test_a_rate_that_leaps_between_percent_and_fraction_is_refused(archive, tmp_path, rates, line, told):
    lines = ["date,rate", *(f"2024-03-0{k + 1},{rate}" for k, rate in enumerate(rates))]
    assert refused(archive, put(tmp_path / "in", "USD.csv", lines), kind="rates").endswith(
        f"USD.csv: line {line}: column rate has {told}: one of them is mistyped, or percent and fractions are mixed; "
        "write percent or fraction for rate"
    )


def test_percent_may_fall_far_below_one_step_by_step(archive, tmp_path):
    rates = (1.58, 1.09, 0.25, 0.1, 0.05, 0, 0.09)
    lines = ["date,rate", *(f"2020-03-0{k + 1},{rate}" for k, rate in enumerate(rates))]
    one(archive, put(tmp_path / "in", "USD.csv", lines))
    assert archive.read("rates")["rate"].to_list() == pytest.approx([0.0158, 0.0109, 0.0025, 0.001, 0.0005, 0, 0.0009])


def test_a_leap_is_one_of_the_same_currency(archive, tmp_path):
    lines = ["date,currency,rate", "2024-03-01,USD,5.3", "2024-03-01,JPY,0.1", "2024-03-04,USD,5.3"]
    assert one(archive, put(tmp_path / "in", "cash.csv", lines)).accepted == 3


def test_a_fraction_above_one_is_kept_apart(archive, tmp_path):
    lines = ["date,fraction", "2024-03-01,0.0533", "2024-03-04,5.33", "2024-03-05,0.0533"]
    report = one(archive, put(tmp_path / "in", "USD.csv", lines))
    assert (report.accepted, report.reasons) == (2, {"no_rate": 1})
    assert archive.read("rates")["rate"].to_list() == [0.0533, 0.0533]


@pytest.mark.parametrize(
    ("name", "header", "table"), [("DFF.csv", "observation_date,DFF", "rates"), ("EURUSD.csv", "date,rate", "fx")]
)
def test_days_without_a_value_are_counted_and_told(archive, tmp_path, name, header, table):
    lines = [header, "2014-03-03,0.08", "2014-03-04,.", "2014-03-05,", "2014-03-06,x", "2014-03-07,0.09"]
    report = one(archive, put(tmp_path / "in", name, lines))
    assert counts(report) == (5, 2, 2, 1)
    assert report.reasons == {"no_value": 2, "unparsed": 1}
    assert report.notes == ["days without a value, counted and not stored: 2"]
    assert archive.read(table).height == 2


def test_a_file_without_any_value_is_refused(archive, tmp_path):
    path = put(tmp_path / "in", "DFF.csv", ["observation_date,DFF", "2014-03-03,."])
    assert "DFF.csv: no value in column DFF" in refused(archive, path)


def test_a_column_that_is_no_currency_is_named(archive, tmp_path):
    path = put(tmp_path / "in", "wide.csv", ["date,EUR,JPY,XXX", "2024-03-01,1.08,0.0067,1"])
    error = refused(archive, path, kind="fx")
    assert "wide.csv: line 1: column XXX is no currency that is known here" in error
    assert "has columns of AED, AUD, BGN" in error and "EUR" in error
