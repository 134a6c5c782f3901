"""Contract codes and quotes, as vendors and traders write them."""

from datetime import date

import pytest

from store.codes import BadCode, BadQuote, code, letters_of, months_of, parse_code, quote


@pytest.mark.parametrize(
    ("text", "reference", "root", "contract"),
    [
        ("VXZ0", date(2010, 6, 1), "VX", 201012),
        ("NQZ99", date(1999, 6, 1), "NQ", 199912),
        ("NQZ99", date(2026, 6, 1), "NQ", 199912),
        ("CLZ36", date(2026, 6, 1), "CL", 203612),
        ("CLZ1", date(2021, 10, 1), "CL", 202112),
        ("ESH1", date(2020, 12, 1), "ES", 202103),
        ("PAH77", date(1976, 9, 1), "PA", 197703),
    ],
)
def test_t31_the_year_is_the_one_nearest_to_the_data(text, reference, root, contract):
    assert parse_code(text, reference) == (root, contract)


def test_letters_and_months_say_the_same():
    assert months_of("FGHJKMNQUVXZ") == tuple(range(1, 13)) and letters_of(range(1, 13)) == "FGHJKMNQUVXZ"
    assert months_of("") == () and letters_of(()) == ""


def test_t31_one_digit_moves_with_the_date_of_the_data():
    assert [parse_code("ESH1", date(year, 1, 15))[1] for year in (2001, 2010, 2020, 2026)] == [
        200103,
        201103,
        202103,
        202103,
    ]


def test_t31_of_two_equally_near_decades_the_later_is_meant():
    assert parse_code("ESM5", date(2020, 6, 1)) == ("ES", 202506)


def test_t31_two_digits_leave_only_the_century_open():
    for year in range(1978, 2050):
        assert parse_code(f"ZCZ{year % 100:02d}", date(year, 5, 1)) == ("ZC", year * 100 + 12)


@pytest.mark.parametrize(
    ("text", "root", "contract"),
    [
        ("ES-2020H", "ES", 202003),
        ("ES_2020_H", "ES", 202003),
        ("ES_2020H", "ES", 202003),
        ("ES 03-24", "ES", 202403),
        ("6E 03-2024", "6E", 202403),
        ("ESH2024", "ES", 202403),
        ("ES H24", "ES", 202403),
        ("202403", "", 202403),
        ("20240300", "", 202403),
        ("ES_202812", "ES", 202812),
        ("SP500_micro_20240300", "SP500_micro", 202403),
        ("JGB-SGX-mini_20240300", "JGB-SGX-mini", 202403),
        ("K (May 08)", "", 200805),
        ("F (Jan 2026)", "", 202601),
        ("6EH24", "6E", 202403),
        ("M6EH24", "M6E", 202403),
        ("NK225MH24", "NK225M", 202403),
        ("FDAX9-2023H", "FDAX9", 202303),
        ("ZZ24", "Z", 202412),
        (202403, "", 202403),
    ],
)
def test_each_vendors_spelling_is_read(text, root, contract):
    assert parse_code(text, date(2023, 1, 3)) == (root, contract)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ES",
        "ESA24",
        "ESH",
        "ESH202",
        "202413",
        "20240315",
        "ES 13-24",
        "K (Jun 08)",
        "ES-2020A",
        "ES.c.0",
        "H24",
        "ES-202454",
    ],
)
def test_what_is_no_code_is_refused_with_examples(text):
    with pytest.raises(BadCode, match="of csi is no contract code: write CLZ36"):
        parse_code(text, date(2023, 1, 3), vendor="csi")


def test_codes_are_written_short_and_read_back():
    assert code("MES", 202403) == "MESH24"
    for month in range(1, 13):
        assert parse_code(code("ZC", 202400 + month), date(2024, 1, 1)) == ("ZC", 202400 + month)
    with pytest.raises(BadCode, match="202413"):
        code("ZC", 202413)


@pytest.mark.parametrize(
    ("text", "unit", "price"),
    [
        ("110'165", "points, 32nds", 110.515625),
        ("110'16", "32nds", 110.5),
        ("110'162", "32nds", 110 + 16.25 / 32),
        ("110'167", "32nds", 110 + 16.75 / 32),
        ("103'203", "32nds", 103 + 20.375 / 32),
        ("450'2", "cents per bushel, eighths", 450.25),
        ("450’6", "eighths", 450.75),
        ("-1'2", "eighths", -1.25),
        ("4012.25", "index points", 4012.25),
        ("-37.63", "", -37.63),
        ("110.515625", "32nds", 110.515625),
        ("1e-3", "", 0.001),
        (450.25, "eighths", 450.25),
    ],
)
def test_t38_quotes_are_read_in_their_unit(text, unit, price):
    assert quote(text, unit) == price


@pytest.mark.parametrize(
    ("text", "unit"),
    [("110'165", "index points"), ("450'8", "eighths"), ("450'12", "eighths"), ("110'32", "32nds"),
     ("110'164", "32nds"), ("110'5", "32nds"), ("1,234.5", ""), ("", ""), ("nan", ""), ("inf", ""), ("12 3", "")],
)  # fmt: skip
def test_t38_what_is_no_price_in_the_unit_is_refused(text, unit):
    with pytest.raises(BadQuote, match="is no price in"):
        quote(text, unit)
