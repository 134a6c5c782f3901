"""A layout for a CSV that no vendor knows: proposed from its header and values, shown, and kept only if it is right.

1. Header words say what a column holds; without them the values do: highs are not below lows, volume is whole.
2. Whatever could be read in two ways is a doubt, told in words; what cannot be read at all is `Unreadable`.
3. A kept layout is a section of `vendors.toml` beside the store: the next import recognises such files by it.
"""

import json
import os
import re
import tomllib
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path, PurePath

import polars as pl

from store import bars, durable, guess_dates, lines, raw
from store.contracts import Master
from store.segments import NAME
from store.vendors import VENDORS, profile

SAMPLE = 200  # rows that are looked at, half from each end of the file
SHOWN = 1 << 20  # of the file that is read as a trial [bytes]
SEPARATORS = (";", "\t", "|", ",")  # a comma may be a decimal's, so it comes last
WORDS = {
    "time": "date time datetime timestamp day tradedate tradingday tradingdate bardate datum fecha data dat dt",
    "clock": "clock timeofday uhrzeit hora heure ora zeit",
    "open": "open o first eroeffnung eröffnung ouverture apertura abertura",
    "high": "high h hi hoch haut alto max maximum maximo maximum",
    "low": "low l lo tief bas bajo baixo min minimum minimo",
    "settle": "settle settlement settlementprice settleprice sett abrechnung abrechnungspreis",
    "close": "close c last latest final price px pxlast closeprice lastprice schluss schlusskurs kurs cloture clôture "
    "cierre chiusura fechamento ultimo ultimate",
    "volume": "volume vol v volumen volumes totalvolume tradedvolume umsatz volumeo contractvolume",
    "open_interest": "openinterest oi openint interest offeneposten offenesinteresse interesabierto",
    "symbol": "symbol contract ticker code instrument contractcode kontrakt contrato contrat delivery contractmonth "
    "deliverymonth expiry maturity",
    "market": "market root product commodity productcode underlying markt",
}
ROLE = {word: role for role, words in WORDS.items() for word in words.split()}
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
COMMA = re.compile(r"[-+]?\d{1,3}(\.?\d{3})*,\d+")
CODES = (r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:00)?", r"\d{4}[-_]?[FGHJKMNQUVXZ]", r"\d\d-\d\d", r"[FGHJKMNQUVXZ]\d{4}",
         r"[FGHJKMNQUVXZ]\d{1,2}")  # fmt: skip
SHAPES = {"(?:00)?": "", r"\d{4}[-_]?": r"\d{4}"}


@dataclass(frozen=True)
class Guess:
    """A proposed layout: `section` for vendors.toml, `rows` the first five as parsed, `doubts` what to look at."""

    name: str
    section: dict
    rows: list
    doubts: list = field(default_factory=list)


def guess(part, name):
    """Propose a layout for a CSV.

    Parameters
    ----------
    part : Part
    name : str
        Of the new section, and of the source that its rows will have.

    Returns
    -------
    Guess

    Raises
    ------
    Unreadable
        No table, no date, no price or no contract can be found; the sentence says which, and what would help.
    """
    if not NAME.fullmatch(name) or name in VENDORS:
        raise raw.Unreadable(
            f"{raw.plain(name, 40)!r} is no free name for a layout: letters, digits, - and _ are wanted"
        )
    part.header()
    doubts = []
    separator, skip, rows = _table(part)
    header = [] if _is_row(rows[0]) else [cell.strip(' "') for cell in rows.pop(0)]
    if not rows:
        raise raw.Unreadable(f"{part.place}: a header and no row")
    columns = list(zip(*rows, strict=True))
    names = header or [f"column{k}" for k in range(1, len(columns) + 1)]
    if len(set(names)) < len(names):
        raise raw.Unreadable(f"{part.place}: two columns have one name: {raw.plain(', '.join(names), 120)}")
    decimal = _decimal(columns, separator)
    roles = _roles(part, header, columns, decimal, doubts)
    section = {"separator": separator} | ({"skip": skip} if skip else {}) | ({} if header else {"header": names})
    section |= {"decimal": ","} if decimal == "," else {}
    section |= guess_dates.words(part, roles, columns, doubts)
    section |= _contract(part, roles, names, doubts)
    section |= _columns(roles, names, doubts)
    return _tried(part, name, section, doubts)


def renamed(folder, guessed):
    """The guess under a name that is free in `vendors.toml` of `folder`: its own, or with a number behind it where
    another layout has that. A layout that is there already keeps its name."""
    path = Path(folder) / "vendors.toml"
    sections = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    same = next((name for name, section in sections.items() if section == guessed.section), None)
    if same:
        return replace(guessed, name=same)
    names = chain([guessed.name], (f"{guessed.name[:60]}-{number}" for number in count(2)))
    return replace(guessed, name=next(name for name in names if name not in sections and name not in VENDORS))


def save(folder, guessed):
    """Add the section to `vendors.toml` in `folder`, the store's, under a name that is free; all or nothing.

    One that is there already is not added again. Returns the file's path.
    """
    path = Path(folder) / "vendors.toml"
    guessed = renamed(folder, guessed)
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    if guessed.name in tomllib.loads(before):
        return path
    text = f"{before.rstrip()}\n\n" if before.strip() else ""
    temporary = durable.temporary_name(path.parent)
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(text + toml(guessed))
            file.flush()
            os.fsync(file.fileno())
        profile.load(temporary)
        os.replace(temporary, path)
        durable.sync_folder(path.parent)
    finally:
        durable.remove(temporary)
    return path


def toml(guessed):
    """The section as it stands in vendors.toml."""
    values = {word: value for word, value in guessed.section.items() if word != "columns"}
    text = [f"[{guessed.name}]", *(f"{word} = {_value(value)}" for word, value in values.items())]
    text += [f"[{guessed.name}.columns]", *(f"{k} = {_value(v)}" for k, v in guessed.section["columns"].items())]
    return "\n".join(text) + "\n"


def _value(value):
    return json.dumps(value, ensure_ascii=False)  # what JSON writes of texts, numbers and lists of them is TOML


def _table(part):
    """Separator, lines before the table, and its first and last rows as lists of cells."""
    every = lines.text(lines.normal(part.data)).split("\n")
    text = [line for line in every if line.strip(lines.BLANK)]
    text = text if len(text) <= SAMPLE else text[: SAMPLE // 2] + text[-SAMPLE // 2 :]
    best = max(SEPARATORS, key=lambda separator: _fit(text, separator))
    widths = [len(lines.fields(line, best)) for line in text]
    width = max(set(widths), key=widths.count)
    if width < 2 or widths.count(width) < 0.5 * len(text):
        raise raw.Unreadable(
            f"{part.place}: no table: its lines do not have the same number of fields by any of ; tab | ,"
        )
    skip = widths.index(width)
    rows = [[cell.strip() for cell in lines.fields(line, best)] for line in text[skip:]]
    return best, every.index(text[skip]), [row for row in rows if len(row) == width]


def _fit(text, separator):
    """Share of the lines that have the commonest number of fields, 0 where that is one."""
    counts = [len(lines.fields(line, separator)) for line in text]
    width = max(set(counts), key=counts.count)
    return counts.count(width) / len(counts) if width > 1 else 0


def _is_row(cells):
    """Whether a first line is a row: it has numbers, and a header has none."""
    return sum(bool(NUMBER.fullmatch(cell) or COMMA.fullmatch(cell)) for cell in cells) >= 2


def _decimal(columns, separator):
    cells = [cell for column in columns for cell in column]
    commas, points = (sum(bool(shape.fullmatch(cell)) for cell in cells) for shape in (COMMA, re.compile(r"\d+\.\d+")))
    return "," if separator != "," and commas > points else "."


def _numeric(column, decimal):
    shape = COMMA if decimal == "," else NUMBER
    told = [cell for cell in column if cell not in profile.MISSING]
    return bool(told) and sum(bool(NUMBER.fullmatch(c) or shape.fullmatch(c)) for c in told) >= 0.9 * len(told)


def _roles(part, header, columns, decimal, doubts):
    """Role -> number of the column."""
    roles = {}
    told = [ROLE.get(re.sub(r"[^\w]|_", "", word.lower())) for word in header]
    for k, role in enumerate(told):
        if role == "time" and "time" in roles:
            late, roles["time"] = (roles["time"], k) if header[roles["time"]].lower() == "time" else (k, roles["time"])
            roles["clock"] = late
        elif role and role not in ("symbol", "market"):
            roles.setdefault(role, k)
    if "time" not in roles:
        roles["time"] = guess_dates.column(part, columns)
    roles |= _codes(header, told, columns, roles)
    if not {"close", "settle"} & set(roles):
        numbers = [k for k, column in enumerate(columns) if _numeric(column, decimal) and k not in roles.values()]
        roles |= _by_values(part, numbers, columns, decimal)
        doubts.append("no header word names the price: columns are told apart by their values")
    return roles


def _codes(header, told, columns, roles):
    """The column of contract codes, and that of the market beside it."""
    may = [k for k, role in enumerate(told) if role in ("symbol", "market")] if header else range(len(columns))
    may = [k for k in may if k not in roles.values()]
    coded = [k for k in may if all(cell == "" or bars.contract_of(cell, bars.NO_DAY)[1] for cell in columns[k])]
    market = [k for k in may if k not in coded] if header else []
    return ({"symbol": coded[0]} if coded else {}) | ({"market": market[0]} if market else {})


def _by_values(part, numbers, columns, decimal):
    """Open, high, low, close where four columns behave so, then volume and open interest; or one price."""
    values = {k: [_real(cell, decimal) for cell in columns[k]] for k in numbers}
    for at in range(len(numbers) - 3):
        four = [values[k] for k in numbers[at : at + 4]]
        rows = [row for row in zip(*four, strict=True) if None not in row]
        if rows and sum(h >= max(o, c) and low <= min(o, c) for o, h, low, c in rows) >= 0.95 * len(rows):
            roles = dict(zip(("open", "high", "low", "close"), numbers[at : at + 4], strict=True))
            whole = [k for k in numbers[at + 4 :] if all(v is None or (v >= 0 and v == int(v)) for v in values[k])]
            return roles | dict(zip(("volume", "open_interest"), whole, strict=False))
    if not numbers:
        raise raw.Unreadable(f"{part.place}: no price: no column is called close or settle, and none holds numbers")
    return {"close": numbers[0]}


def _real(cell, decimal):
    text = cell.replace(".", "").replace(",", ".") if decimal == "," else cell
    return float(text) if NUMBER.fullmatch(text) else None


def _contract(part, roles, names, doubts):
    """Words of the section that say where the contract stands: a column, or the file's name."""
    if "symbol" in roles:
        words = {"symbol": names[roles["symbol"]]} | ({"market": names[roles["market"]]} if "market" in roles else {})
        return words | {"file": r".+\.(?:csv|txt)"}
    name = PurePath(part.name)
    for code in CODES:
        match = re.fullmatch(
            rf"(?P<root>[A-Za-z0-9.&_-]*?[A-Za-z0-9])(?P<between>[-_ ]?)(?P<contract>{code})(?P<rest>\D.*)?", name.stem
        )
        if match and any(bars.contract_of(f"{x}{match['contract']}", bars.NO_DAY)[1] for x in ("", "X_", "X ")):
            before, root = _market(match["root"])
            doubts.append(f"the file's name is taken for market {root}, contract {match['contract']}")
            around = [re.escape(text) for text in (before, match["between"], (match["rest"] or "") + name.suffix)]
            return {"file": rf"{around[0]}(?P<root>[A-Za-z0-9.&_-]+?){around[1]}(?P<contract>{code}){around[2]}"}
    raise raw.Unreadable(
        f"{part.place}: no contract: no column of codes is called symbol or contract, and the file's name holds none; "
        "name it like ESH24.csv or ES_202403.csv"
    )


def _market(text):
    """What stands before a market in a file's name, and the market: `prices_ES` is ES, SP500_micro is as it is."""
    before, root = re.fullmatch(r"(.*[_.-])?(.+?)", text).groups()
    known = Master.load().roots
    return (before, root) if before and root in known and text not in known else ("", text)


def _columns(roles, names, doubts):
    """The columns, and what the price is."""
    last = "settle" if "settle" in roles else "close"
    if last == "settle" and "close" in roles:
        doubts.append(f"the settlement is taken; {names[roles['close']]} is left out")
    if last == "close":
        doubts.append(
            f'{names[roles["close"]]} is taken for the last trade; if it is the settlement, last_is has to be "settle"'
        )
    kept = {key: names[roles[key]] for key in profile.COLUMNS if key in roles}
    used = {*kept.values(), *(names[roles[key]] for key in ("close", "settle", "symbol", "market") if key in roles)}
    left = [name for name in names if name not in used]
    if left:
        doubts.append(f"left out: {raw.plain(', '.join(left), 120)}")
    return {"last_is": last, "columns": kept | {"last": names[roles[last]]}}


def _beginning(part):
    """The part's first lines; enough to show, and no more than can be read at once."""
    data = lines.normal(part.data)
    return part if len(data) <= SHOWN else raw.Part(part.place, part.name, data[: data.rfind(b"\n", 0, SHOWN) + 1])


def _tried(part, name, section, doubts):
    """The guess, with the first rows as its layout reads them; what it cannot read is a doubt."""
    words = dict(section) | ({"header": tuple(section["header"])} if "header" in section else {})
    try:
        layout = profile.Profile(NAME=name, **words)
    except ValueError as error:
        raise raw.Unreadable(f"{part.place}: {error}") from error
    readings = layout.read(raw.RawFile(Path(part.name), "", (_beginning(part),)))
    frame = pl.concat([r.frame.with_columns(pl.lit(r.name).alias("root")) for r in readings], how="diagonal").sort(
        "line"
    )
    wrong = frame.filter(pl.col("fault").is_not_null())
    if wrong.height == frame.height:
        raise raw.Unreadable(f"{part.place}: no row can be read: line {wrong['line'][0]}: {wrong['fault'][0]}")
    if wrong.height:
        doubts.append(
            f"{wrong.height} of {frame.height} rows cannot be read; the first is line {wrong['line'][0]}, column "
            f"{wrong['column'][0]}: {wrong['fault'][0]}"
        )
    shown = ("root", "contract", "day", "time", *profile.PRICES[:3], section["last_is"], "volume", "open_interest")
    kept = [name for name in shown if name in frame.columns and (name != "time" or section["timezone"])]
    return Guess(name, section, frame.select(kept).head(5).to_dicts(), doubts)
