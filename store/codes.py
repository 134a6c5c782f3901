"""Contract codes and price quotes: how vendors and traders write them, read into our numbers.

A contract is the number of its delivery month, `YYYYMM`. Rules of reading (DOMAIN T31, T38):

1. A code with one or two digits of year says nothing without the day it was written: the delivery nearest to the
   data's date is meant (of two equally near ones the later, as a contract trades before it is delivered).
2. The delivery month is not the month of the last trade: CLZ1 ends in November 2021 (store/expiry.py).
3. `00` at the place of a day (`20240300`) is Barchart's and pysystemtrade's way to say "the month".
"""

import re
from datetime import date

MONTHS = "FGHJKMNQUVXZ"  # January to December

_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LETTER = rf"(?P<letter>[{MONTHS}])"
_YEAR = r"(?P<year>\d{4}|\d{1,2})"
_ROOT = r"(?P<root>[A-Z0-9][A-Za-z0-9 ._&-]*?)"
_SHAPES = tuple(
    re.compile(shape)
    for shape in (
        rf"(?:{_ROOT}[_ ])?(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?:00)?",  # 202403, 20240300, SP500_micro_20240300
        rf"{_ROOT}[-_](?P<year>\d{{4}})_?{_LETTER}",  # ES-2020H Norgate, ES_2020_H CSI
        rf"{_ROOT} (?P<month>\d\d)-(?P<year>\d{{4}}|\d\d)",  # ES 03-24 NinjaTrader
        rf"{_LETTER} \((?P<name>[A-Za-z]{{3}}) (?P<year>\d{{4}}|\d\d)\)",  # K (May 08) Cboe
        rf"{_ROOT} ?{_LETTER}{_YEAR}",  # CLZ36, ESH1, ESH2024
    )
)
_FRACTIONS = {"": 0.0, "0": 0.0, "1": 0.125, "2": 0.25, "3": 0.375, "5": 0.5, "6": 0.625, "7": 0.75, "8": 0.875}


class BadCode(ValueError):
    """A text that is no contract code."""


class BadQuote(ValueError):
    """A text that is no price in its unit."""


def parse_code(text, reference: date, vendor=None):
    """Root and contract of a code, read as of `reference`, the date of the data it stands in.

    `vendor` only names the sender in the error. The root is given as it was written ('' where there is none).

    >>> parse_code("CLZ36", date(2026, 7, 1)), parse_code("ESH1", date(2020, 12, 1))
    (('CL', 203612), ('ES', 202103))
    >>> parse_code("ES-2020H", date(2020, 1, 2)), parse_code("ES 03-24", date(2024, 1, 2))
    (('ES', 202003), ('ES', 202403))
    """
    written = str(text).strip()
    for shape in _SHAPES:
        match = shape.fullmatch(written)
        if match:
            found = match.groupdict()
            month = _month(found)
            if 1 <= month <= 12:
                return (found.get("root") or ""), _year(found["year"], month, reference) * 100 + month
            break
    sender = f" of {vendor}" if vendor else ""
    raise BadCode(
        f"{written!r}{sender} is no contract code: write CLZ36, ESH1, ES-2020H, 'ES 03-24', 202403 or 20240300"
    )


def code(root, contract):
    """Short name of a contract for pages and tables.

    >>> code("MES", 202403)
    'MESH24'
    """
    year, month = divmod(int(contract), 100)
    if not 1 <= month <= 12:
        raise BadCode(f"contract {contract} is no delivery month YYYYMM")
    return f"{root}{MONTHS[month - 1]}{year % 100:02d}"


def months_of(letters):
    """Delivery months (1 to 12) of their letters.

    >>> months_of("HMUZ")
    (3, 6, 9, 12)
    """
    return tuple(MONTHS.index(letter) + 1 for letter in letters)


def letters_of(months):
    """The letters of delivery months.

    >>> letters_of((3, 6, 9, 12))
    'HMUZ'
    """
    return "".join(MONTHS[month - 1] for month in months)


def quote(text, unit=""):
    """Price of a quote as traders write it. `unit` is a spec's `price_unit`, or `32nds` or `eighths`.

    `110'165` is 110 and 16.5 thirty-seconds: the third digit 2, 5, 7 is a quarter, a half, three quarters of one
    (1, 3, 6, 8 the odd eighths of it). `450'2` is 450 and two eighths. Source: CME Group, "Understanding tick
    movements and fractional pricing".

    >>> quote("110'165", "32nds"), quote("450'2", "eighths"), quote("4012.25")
    (110.515625, 450.25, 4012.25)
    """
    written = str(text).strip()
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", written):
        return float(written)
    match = re.fullmatch(r"(?P<sign>[+-]?)(?P<whole>\d+)['’](?P<part>\d{1,3})", written)
    if match:
        part = _eighths(match["part"]) if "eighth" in unit else _thirty_seconds(match["part"]) if "32" in unit else None
        if part is not None:
            return (int(match["whole"]) + part) * (-1.0 if match["sign"] == "-" else 1.0)
    raise BadQuote(
        f"{written!r} is no price in {unit or 'decimals'}: write 4012.25, 110'165 (32nds) or 450'2 (eighths)"
    )


def _month(found):
    if found.get("letter"):
        month = MONTHS.index(found["letter"]) + 1
        spelled = found.get("name")
        return month if not spelled or _NAMES[month - 1] == spelled.lower() else 0
    return int(found["month"])


def _year(digits, month, reference):
    """Year of the delivery nearest to the reference date."""
    if len(digits) == 4:
        return int(digits)
    cycle = 10 ** len(digits)
    here = reference.year * 12 + reference.month
    first = reference.year - reference.year % cycle + int(digits)
    return min((first + cycle, first, first - cycle), key=lambda year: abs(year * 12 + month - here))


def _eighths(part):
    return int(part) / 8 if len(part) == 1 and int(part) < 8 else None


def _thirty_seconds(part):
    whole, third = int(part[:2]), part[2:]
    return (whole + _FRACTIONS[third]) / 32 if len(part) > 1 and whole < 32 and third in _FRACTIONS else None
