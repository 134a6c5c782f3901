"""Any CSV of dated contracts, described by a section of `config/vendors.toml` instead of by code.

A user's own `vendors.toml` beside the store adds sections; the words of a section are explained in ours.
"""

import re
import tomllib
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from store import bars, days, guess_dates, lines, raw
from store.reading import About, Reading, daily

CONFIG = Path(__file__).resolve().parents[2] / "config" / "vendors.toml"
PRICES = ("open", "high", "low", "last")
FIELDS = (*PRICES, "volume", "open_interest")
COLUMNS = ("time", "clock", *FIELDS)
MISSING = ("", "-", "N/A")
DECIMALS = (".", ",")
SAMPLED = 64  # lines of a part, spread over it, whose dates are tried before a layout is said to be its own


@dataclass(frozen=True)
class Profile:
    """A layout: what a section of `vendors.toml` says about one kind of CSV."""

    NAME: str
    columns: dict
    file: str = r"(?P<root>.+)_(?P<contract>\w+)\.csv"
    separator: str = ","
    date: str = "%Y-%m-%d"
    timezone: str = ""
    session_start: str = "00:00"
    last_is: str = "settle"
    symbol: str = ""
    market: str = ""
    factors: dict = field(default_factory=dict)
    header: tuple = ()
    skip: int = 0
    decimal: str = "."
    bar_minutes: int = 0

    def __post_init__(self):
        here = f"vendors.toml: [{self.NAME}]"
        _allow(self.columns, COLUMNS, f"{here} columns")
        _allow([self.last_is], ("settle", "close"), f"{here} last_is")
        _allow([self.decimal], DECIMALS, f"{here} decimal")
        lacking = [name for name in ("time", "last") if name not in self.columns]
        if lacking:
            raise ValueError(f"{here} columns: {lacking[0]!r} is needed")
        taken = sorted({*self._wanted()} & set(raw.OURS))
        if taken:
            raise ValueError(f"{here} columns: a column of the file cannot be called {taken[0]!r}")
        absent = [name for name in self._wanted() if self.header and name not in self.header]
        if absent:
            raise ValueError(f"{here} header: {absent[0]!r} is not among its names")
        if len(self.separator) != 1 or self.separator == self.decimal:
            raise ValueError(
                f"{here} separator = {self.separator!r}: one character is wanted, other than the decimal's"
            )
        for word in ("skip", "bar_minutes"):
            if not isinstance(getattr(self, word), int) or getattr(self, word) < 0:
                raise ValueError(f"{here} {word} = {getattr(self, word)!r}: a whole number from 0 is wanted")
        _check_pattern(self.file, bool(self.symbol), here)
        _check_zone(self.timezone, here)

    @property
    def ABOUT(self):
        """What the section says of itself."""
        known = [name for name in (*PRICES[:3], "volume", "open_interest") if name in self.columns]
        last = "the settlement" if self.last_is == "settle" else "the last trade"
        return About(
            title=f"{self.NAME}: a layout of vendors.toml",
            files=f"CSV with {', '.join(self._wanted())}"
            + ("" if self.symbol else ", market and contract in the name"),
            gives=", ".join([*known, last]),
            export=f"separator {self.separator!r}, date {self.date}, time zone {self.timezone or 'none: daily'}",
            lacks="columns of the file that the section does not name are not read",
        )

    def recognises(self, file):
        """Whether names, headers and a sample of the dates are this layout's."""
        return all(self._knows(part) for part in file.parts)

    def in_pieces(self, file):
        """Whether it may be read in pieces (`pieces`): every layout may."""
        return True

    def read(self, file):
        """The rows of `file` as a `Reading` a market."""
        before = (lambda _: self.skip) if self.skip else None
        frame = raw.table(file.parts, self._wanted(), self.separator, list(self.header) or None, before)
        ours = {key: self.last_is if key == "last" else key for key in FIELDS if key in self.columns}
        for key, name in ours.items():
            frame = raw.number(self._decimals(frame, self.columns[key]), self.columns[key], name, MISSING)
        frame = self._dates(frame, file.parts)
        frame = self._by_column(frame, file.parts) if self.symbol else self._by_name(frame, file.parts)
        headings = dict.fromkeys(("time", "day"), self.columns["time"]) | {n: self.columns[k] for k, n in ours.items()}
        headings["contract"] = self.symbol or "file name"
        prices = [name for key, name in ours.items() if key in PRICES]
        return [
            Reading("contract_bars", self._source(part), root, self._scaled(part, prices, root), headings)
            for (root,), part in frame.partition_by("name", as_dict=True, maintain_order=True).items()
        ]

    def _wanted(self):
        return [self.columns[key] for key in COLUMNS if key in self.columns] + [
            name for name in (self.symbol, self.market) if name
        ]

    def _knows(self, part):
        named = re.fullmatch(self.file, part.name) or (self.symbol and part.name.lower().endswith(raw.TABLES))
        if not named:
            return False
        first = [name.strip(' "') for name in self._first(part).split(self.separator)]
        if not self.header:
            return {*self._wanted()} <= set(first) and self._dated(part, first)
        if len(first) != len(self.header):
            return False
        row = pl.Series([self._written(first, self.header)])
        return guess_dates.any_fits(row, self.date) and self._dated(part, self.header)

    def _dated(self, part, header):
        """Whether the dates of a sample of lines are written as the section says."""
        data = lines.normal(part.data)
        body = data[lines.after(data, self.skip + (not self.header)) :].strip(b"\n")
        rows = [lines.fields(lines.text(line), self.separator) for line in _spread(body)]
        cells = pl.Series([self._written(row, header) for row in rows if len(row) == len(header)], dtype=pl.String)
        return guess_dates.any_fits(cells, self.date) and guess_dates.other_order(cells, self.date) is None

    def _written(self, row, header):
        """The moment of a row as text."""
        named = [self.columns[key] for key in ("time", "clock") if key in self.columns]
        return " ".join(row[list(header).index(name)].strip(raw.BLANK) for name in named)

    def _first(self, part):
        """The header, or the first row of a file without one."""
        rows = part.data[:65536].decode("utf-8-sig", "replace").splitlines() if self.skip else [part.header()]
        return rows[self.skip] if self.skip < len(rows) else ""

    def _decimals(self, frame, text):
        if self.decimal == ".":
            return frame
        points = pl.col(text).str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        return frame.with_columns(points.alias(text))

    def _scaled(self, frame, prices, root):
        return frame.with_columns(pl.col(prices) * self.factors[root]) if root in self.factors else frame

    def _source(self, frame):
        """The section's name; of bars within the day with their length, so that they do not mix with daily ones."""
        if not self.timezone:
            return self.NAME
        ends, dates = (frame.select("contract", name).drop_nulls().n_unique() for name in ("time", "day"))
        if ends == dates:
            return self.NAME
        return bars.source(self.NAME, self.bar_minutes or bars.minutes(frame))

    def _moments(self, frame):
        """The frame with `stamp`, from the column of dates and, if there is one, that of clock times."""
        text, clock = self.columns["time"], self.columns.get("clock")
        if clock:
            frame = frame.with_columns(pl.concat_str(text, clock, separator=" ").alias(text))
        return raw.stamp(frame, text, self.date)

    def _dates(self, frame, parts):
        text = self.columns["time"]
        frame = self._moments(frame).with_columns(pl.col(text).alias("source_time"))
        self._refuse_swapped(frame, parts)
        if not self.timezone:
            return daily(frame.with_columns(pl.col("stamp").dt.date().alias("day")))
        frame = bars.moment(frame, text, self.timezone)
        frame = frame.with_columns(pl.col("time") + pl.duration(minutes=self.bar_minutes))
        moments = frame["time"].drop_nulls().unique()
        dates = days.trade_date(moments.dt.replace_time_zone(None).to_numpy(), self.timezone, self.session_start)
        known = pl.DataFrame({"time": moments, "day": pl.Series(dates, dtype=pl.Date)})
        return frame.join(known, on="time", how="left", maintain_order="left")

    def _refuse_swapped(self, frame, parts):
        """A part whose dates have day and month the other way round would be taken, in part, on wrong days."""
        if guess_dates.swapped(self.date) is None:
            return
        doubtful = frame.filter(~(pl.col("stamp").dt.day() > 12).any().over("part"))  # a day above 12 leaves no doubt
        for rows in doubtful.partition_by("part", maintain_order=True):
            other = guess_dates.other_order(rows[self.columns["time"]], self.date)
            if other:
                raise raw.Unreadable(
                    f"{parts[rows['part'][0]].place}: its dates are written {other}, not {self.date} as [{self.NAME}] "
                    "of vendors.toml says; it needs a layout of its own"
                )

    def _by_name(self, frame, parts):
        matches = [re.fullmatch(self.file, part.name) for part in parts]
        for part, match in zip(parts, matches, strict=True):
            if match is None:
                raise raw.Unreadable(f"{part.place}: the name does not fit [{self.NAME}] file = {self.file}")
        frame = bars.by_name(frame, parts, [match["contract"] for match in matches])
        return bars.placed(frame, parts, name=[match["root"] for match in matches])

    def _by_column(self, frame, parts):
        """Contract, and root where it is there, of the column of codes; a root may have a column of its own."""
        frame = bars.placed(bars.coded(frame, self.symbol), parts)
        whose = [pl.col(self.market).replace("", None)] if self.market else []
        frame = frame.with_columns(pl.coalesce(*whose, "coded", pl.lit(_stems(parts)).gather("part")).alias("name"))
        if frame["contract"].null_count() == frame.height:
            raise raw.Unreadable(
                f"{parts[0].place}: line {2 + self.skip - bool(self.header)}: column {self.symbol}: no row has a "
                "contract code and a date"
            )
        failed = pl.col("contract").is_null() & pl.col("fault").is_not_null()  # whose line it is: its neighbour's
        name = pl.when(~failed).then("name").forward_fill().backward_fill()
        return frame.with_columns(name.alias("name"))


def _spread(body):
    """Some lines of a text, as bytes, spread over it; all where there are few."""
    if body.count(b"\n", 0, SAMPLED << 10) < SAMPLED and len(body) <= SAMPLED << 10:
        return body.split(b"\n") if body else []
    body += b"\n"
    starts = {body.rfind(b"\n", 0, (len(body) - 1) * k // SAMPLED) + 1 for k in range(1, SAMPLED + 1)}
    return [body[start : body.find(b"\n", start)] for start in sorted(starts)]


def _stems(parts):
    """Names of files without what stands after the first dot: the market where no column tells it."""
    return pl.Series([part.name.split(".")[0] for part in parts])


def load(path=CONFIG):
    """Profiles of a TOML file: name -> Profile."""
    try:
        with open(path, "rb") as file:
            sections = tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from error
    words = [f.name for f in fields(Profile) if f.name != "NAME"]
    for name, section in sections.items():
        if not isinstance(section, dict):
            raise ValueError(f"{path}: {name!r} stands outside a section; write [{name}] and below it its words")
        _allow(section, words, f"vendors.toml: [{name}]")
        if "columns" not in section:
            raise ValueError(f"vendors.toml: [{name}] needs [{name}.columns]")
    return {name: Profile(NAME=name, **section | _header(section)) for name, section in sections.items()}


def _header(section):
    """A section's list of names as what a Profile can hold."""
    return {"header": tuple(section["header"])} if "header" in section else {}


def _allow(words, allowed, where):
    for word in words:
        if word not in allowed:
            near = get_close_matches(str(word), allowed, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{where}: {word!r} is not known, allowed are {', '.join(allowed)}{hint}")


def _check_pattern(pattern, by_column, here):
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise ValueError(f"{here} file = {pattern!r}: no regular expression ({error})") from error
    if not by_column and not {"root", "contract"} <= set(groups):
        raise ValueError(f"{here} file = {pattern!r}: the groups (?P<root>…) and (?P<contract>…) are wanted")


def _check_zone(zone, here):
    try:
        _ = zone and ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{here} timezone = {zone!r}: not a time zone such as America/Chicago") from error


PROFILES = load()
