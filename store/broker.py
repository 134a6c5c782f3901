"""The master against a broker's list of contracts or margins; what is accepted becomes dated facts of one's own.

1. The list is a CSV file with a header: a column that names the market (symbol, root, market, contract, ticker) and any
   of multiplier, tick, currency, exchange, initial, maintenance; a column date or valid_from dates a row.
2. Names are read as of the row's day, `vendor` names whose they are ("ib", "tradestation", ...); his prices x
   `price_factor` of symbols.csv are ours, so multiplier and tick are compared in our units. A column price magnifier
   divides the multiplier (Interactive Brokers: 5000 bushels of cents are 50 dollars).
3. A fact that the master does not know (a margin) is a disagreement: ours is then empty.
4. `accept` writes into `contracts.csv` beside the store, all rows or none; the rows that stand there stay.
"""

import csv
import io
import math
import os
import re
from datetime import date
from pathlib import Path

import polars as pl

from store import durable
from store.contracts import FACT_COLUMNS, NUMBERS, Master, UnknownRoot

COLUMNS = {  # our field: words of a header, without spaces and signs
    "root": ("root", "symbol", "market", "ticker", "underlying", "contract", "product", "ibsymbol", "instrument"),
    "multiplier": ("multiplier", "pointvalue", "bigpointvalue", "ibmultiplier", "fullpointvalue"),
    "tick": ("tick", "ticksize", "mintick", "minimumtick", "minimumincrement"),
    "currency": ("currency", "ccy", "ibcurrency"),
    "exchange": ("exchange", "venue", "ibexchange"),
    "initial_margin": ("initial", "initialmargin", "overnightinitial", "margin", "initialovernight"),
    "maintenance_margin": ("maintenance", "maintenancemargin", "overnightmaintenance", "maintenanceovernight"),
    "magnifier": ("pricemagnifier", "magnifier"),
    "valid": ("validfrom", "date", "day", "asof"),
}
EXCHANGES = {  # how brokers and vendors write the exchanges of the master
    "CME": ("GLOBEX", "CMEGLOBEX", "CMECRYPTO", "XCME"),
    "CBOT": ("ECBOT", "CBT", "XCBT"),
    "NYMEX": ("NYM", "XNYM"),
    "COMEX": ("CMX", "XCEC", "NYMEX"),
    "ICE US": ("NYBOT", "ICEUS", "IFUS", "NYFE", "ICE"),
    "ICE Europe": ("IPE", "ICEEU", "ICEEUSOFT", "IFEU", "ICE"),
    "Eurex": ("DTB", "SOFFEX", "XEUR"),
    "CFE": ("CBOE", "XCBF"),
    "OSE": ("OSE.JPN", "OSEJPN", "XOSE"),
    "HKEX": ("HKFE", "HKF", "XHKF"),
    "ASX 24": ("SNFE", "SFE", "ASX"),
    "Montreal": ("CDE", "ME", "MX"),
    "KRX": ("KSE", "XKRX"),
    "SGX": ("SGXDT", "XSES"),
}
FIELDS = tuple(field for field in COLUMNS if field not in ("root", "valid", "magnifier"))
OUT = {"root": pl.String, "field": pl.String, "ours": pl.String, "theirs": pl.String}
SCHEMA = OUT | {"valid": pl.Date, "row": pl.Int64}


class NoList(ValueError):
    """A file that is no list of contracts."""


def against(path, master, vendor="", day=None):
    """Where a broker's list and the master do not agree.

    Parameters
    ----------
    path : path
    master : Master
    vendor : str
        Whose names the list uses, as in symbols.csv; '' roots, and names that are one market's only.
    day : date, optional
        Of rows that carry none; None the newest facts.

    Returns
    -------
    DataFrame
        root, field, ours ('' where the master knows nothing), theirs (in our units), valid, row of the file. Names that
        the master does not know are told by `strangers`.
    """
    rows, known, found = _rows(path), 0, []
    for number, row in rows:
        valid = _day(row.get("valid", ""), number, path) or day
        market = _market(row["root"], master, vendor, valid)
        if market is None:
            continue
        known += 1
        root, factor = market
        spec = master.spec(root, valid)
        for field in (name for name in FIELDS if row.get(name)):
            unit = factor * float(row.get("magnifier") or 1) if field == "multiplier" else factor
            theirs, ours = _in_our_units(field, row[field], unit, number, path), getattr(spec, field)
            if not _same(field, ours, theirs):
                found.append((root, field, _text(ours), _text(theirs), valid, number))
    if not known:
        names = ", ".join(list(dict.fromkeys(row["root"] for _, row in rows))[:3])
        raise NoList(
            f"{Path(path).name}: none of its names is a market of the master ({names}, ...); say whose they are"
        )
    return pl.DataFrame(found, SCHEMA, orient="row")


def strangers(path, master, vendor="", day=None):
    """[(row, name)] of a broker's list whose market the master does not know."""
    known = lambda row, number: _market(row["root"], master, vendor, _day(row.get("valid", ""), number, path) or day)  # noqa: E731
    return [(number, row["root"]) for number, row in _rows(path) if known(row, number) is None]


def accept(folder, rows, source, day):
    """Write disagreements as dated facts into `contracts.csv` in `folder`, the store's: all or none.

    Parameters
    ----------
    folder : path
    rows : DataFrame or list of dict
        Rows of `against`.
    source : str
        Where the values come from, for the master's column `source`.
    day : date
        Valid from, of rows without a day of their own.

    Returns
    -------
    Path
        Of the file.
    """
    path = Path(folder) / "contracts.csv"
    rows = rows.to_dicts() if isinstance(rows, pl.DataFrame) else list(rows)
    text = path.read_text(encoding="utf-8") if path.is_file() else ",".join(FACT_COLUMNS) + "\n"
    order = next(csv.reader(io.StringIO(text)))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        valid = row.get("valid") or day
        facts = dict(
            zip(FACT_COLUMNS, (row["root"], row["field"], row["theirs"], valid.isoformat(), source), strict=True)
        )
        writer.writerow([facts.get(name, "") for name in order])
    _replace(path, text.rstrip("\n") + "\n" + out.getvalue())
    return path


def _replace(path, text):
    """Put the text under its name once the master has read it as its own."""
    folder = durable.temporary_name(path.parent)
    folder.mkdir()
    try:
        temporary = folder / path.name
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _checked(Master.load(folder))
        os.replace(temporary, path)
        durable.sync_folder(path.parent)
    finally:
        durable.remove_tree(folder)


def _checked(master):
    """Refuse facts of which a market makes no sense: an initial margin below the maintenance margin."""
    for root in master.roots:
        days = {fact.valid_from for field in FIELDS[-2:] for fact in master.facts(root, field)}
        for day in days:
            initial, maintenance = (_margin(master.facts(root, field), day) for field in FIELDS[-2:])
            if initial < maintenance:
                raise ValueError(
                    f"{root}: an initial margin of {initial:g} is below its maintenance of {maintenance:g}"
                )


def _margin(facts, day):
    known = [fact for fact in facts if day is None or fact.valid_from is None or fact.valid_from <= day]
    return float(known[-1].value) if known else math.nan


def _rows(path):
    """[(line, {our field: text})] of the list."""
    path = Path(path)
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    reader = csv.reader(io.StringIO(text))
    header = [re.sub(r"[^a-z.]", "", cell.lower()) for cell in next(reader, [])]
    places = {field: next((header.index(w) for w in words if w in header), None) for field, words in COLUMNS.items()}
    if places["root"] is None or not any(places[field] is not None for field in FIELDS):
        raise NoList(
            f"{path.name} is no list of contracts: wanted a column symbol and one of {', '.join(FIELDS)};"
            f" it has {', '.join(header)[:120] or 'none'}"
        )
    picks = {field: place for field, place in places.items() if place is not None}
    cell = lambda row, place: row[place].strip() if place < len(row) else ""  # noqa: E731
    rows = [(reader.line_num, {field: cell(row, place) for field, place in picks.items()}) for row in reader]
    return [(number, row) for number, row in rows if row["root"]]


def _market(name, master, vendor, day):
    """(root, factor) of a name, or None."""
    alias = master.alias(vendor, name, day) if vendor else None
    if alias is not None:
        return alias.root, alias.factor
    try:
        return master.resolve(f"{vendor}:{name}" if vendor and name not in master.roots else name), 1.0
    except UnknownRoot:
        return None


def _in_our_units(field, text, factor, number, path):
    """Their value in our units: a price x factor is ours, so a multiplier is divided by it."""
    if field not in NUMBERS:
        return text
    try:
        value = float(text.replace(",", "").lstrip("$€£ "))
    except ValueError:
        raise NoList(f"{Path(path).name} line {number}: {field} is {text!r}, no number") from None
    return value / factor if field == "multiplier" else value * factor if field == "tick" else value


def _same(field, ours, theirs):
    if field in NUMBERS:
        return math.isclose(ours, theirs, rel_tol=1e-9)
    plain = theirs.upper().replace(" ", "")
    same = (ours.upper().replace(" ", ""), *(EXCHANGES.get(ours, ()) if field == "exchange" else ()))
    return plain in same


def _text(value):
    """A value as contracts.csv writes it; unknown is ''."""
    if isinstance(value, str):
        return value
    return "" if math.isnan(value) else f"{value:.15g}"


def _day(text, number, path):
    for cut in (text, f"{text[:4]}-{text[4:6]}-{text[6:]}"):
        try:
            return date.fromisoformat(cut) if text else None
        except ValueError:
            continue
    raise NoList(f"{Path(path).name} line {number}: {text!r} is no day, write 2024-03-15")
