"""Any CSV of dated contracts, described by a section of `config/vendors.toml` instead of by code.

A user's own `vendors.toml` beside the store adds sections; the words of a section are explained in ours.
"""

import re
import tomllib
from dataclasses import dataclass, field, fields
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from store import days, raw
from store.codes import BadCode, parse_code
from store.reading import Reading, daily

CONFIG = Path(__file__).resolve().parents[2] / "config" / "vendors.toml"
PRICES = ("open", "high", "low", "last")
FIELDS = (*PRICES, "volume", "open_interest")
MISSING = ("", "-", "N/A")
NO_DAY = date(2000, 1, 1)  # of a file in which no date can be read: its rows are all at fault


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
    factors: dict = field(default_factory=dict)

    def __post_init__(self):
        here = f"vendors.toml: [{self.NAME}]"
        _allow(self.columns, ("time", *FIELDS), f"{here} columns")
        _allow([self.last_is], ("settle", "close"), f"{here} last_is")
        lacking = [name for name in ("time", "last") if name not in self.columns]
        if lacking:
            raise ValueError(f"{here} columns: {lacking[0]!r} is needed")
        taken = sorted({*self.columns.values(), self.symbol} & set(raw.OURS))
        if taken:
            raise ValueError(f"{here} columns: a column of the file cannot be called {taken[0]!r}")
        if len(self.separator) != 1:
            raise ValueError(f"{here} separator = {self.separator!r}: one character is wanted")
        _check_pattern(self.file, bool(self.symbol), here)
        _check_zone(self.timezone, here)

    def recognises(self, file):
        """Whether names and headers are this layout's."""
        return all(self._knows(part) for part in file.parts)

    def read(self, file):
        """The rows of `file` as a `Reading` a market."""
        wanted = [self.columns[key] for key in ("time", *FIELDS) if key in self.columns]
        frame = raw.table(file.parts, [*wanted, *([self.symbol] if self.symbol else [])], self.separator)
        ours = {key: self.last_is if key == "last" else key for key in FIELDS if key in self.columns}
        for key, name in ours.items():
            frame = raw.number(frame, self.columns[key], name, MISSING)
        frame = self._dates(raw.stamp(frame, self.columns["time"], self.date))
        frame = self._by_column(frame, file.parts) if self.symbol else self._by_name(frame, file.parts)
        frame = frame.with_columns(pl.lit(pl.Series([part.place for part in file.parts])).gather("part").alias("file"))
        headings = dict.fromkeys(("time", "day"), self.columns["time"]) | {n: self.columns[k] for k, n in ours.items()}
        headings["contract"] = self.symbol or "file name"
        prices = [name for key, name in ours.items() if key in PRICES]
        return [
            Reading("contract_bars", self.NAME, root, self._scaled(part, prices, root), headings)
            for (root,), part in frame.partition_by("name", as_dict=True, maintain_order=True).items()
        ]

    def _knows(self, part):
        named = re.fullmatch(self.file, part.name) or (self.symbol and part.name.lower().endswith(raw.TABLES))
        header = [name.strip(' "') for name in part.header().split(self.separator)]
        return bool(named) and {*self.columns.values()} <= set(header)

    def _scaled(self, frame, prices, root):
        return frame.with_columns(pl.col(prices) * self.factors[root]) if root in self.factors else frame

    def _dates(self, frame):
        text = self.columns["time"]
        frame = frame.with_columns(pl.col(text).alias("source_time"))
        if not self.timezone:
            return daily(frame.with_columns(pl.col("stamp").dt.date().alias("day")))
        local = pl.col("stamp").dt.replace_time_zone(self.timezone, ambiguous="earliest", non_existent="null")
        moment = local.dt.convert_time_zone("UTC").alias("time")
        absent = pl.col("stamp").is_not_null() & local.is_null()
        frame = raw.blame(frame, text, absent, f"no such moment in {self.timezone}").with_columns(moment)
        moments = frame["time"].drop_nulls().unique()
        dates = days.trade_date(moments.dt.replace_time_zone(None).to_numpy(), self.timezone, self.session_start)
        known = pl.DataFrame({"time": moments, "day": pl.Series(dates, dtype=pl.Date)})
        return frame.join(known, on="time", how="left", maintain_order="left")

    def _by_name(self, frame, parts):
        latest = dict(frame.group_by("part").agg(pl.col("day").max()).iter_rows())
        found = [self._named(part, latest.get(number)) for number, part in enumerate(parts)]
        roots, contracts = (pl.Series(column) for column in zip(*found, strict=True))
        return frame.with_columns(
            pl.lit(roots).gather("part").alias("name"),
            pl.lit(contracts.cast(pl.Int32)).gather("part").alias("contract"),
        )

    def _named(self, part, latest):
        """Root and contract of a file's name, read as of its last day."""
        match = re.fullmatch(self.file, part.name)
        if match is None:
            raise raw.Unreadable(f"{part.place}: the name does not fit [{self.NAME}] file = {self.file}")
        written = [f"X{between}{match['contract']}" for between in "_ "]  # X_202403, X_2024H; X H24, X 03-24
        contracts = [found for text in written if (found := _code(text, latest or NO_DAY)[1])]
        if not contracts:
            raise raw.Unreadable(f"{part.place}: {raw.plain(match['contract'], 40)!r} in the name is no contract")
        return match["root"], contracts[0]

    def _by_column(self, frame, parts):
        """Root and contract of the column of codes, read as of its row's year: ESH1 comes again after ten years."""
        year = pl.col("day").dt.year().alias("year")
        codes = frame.group_by(self.symbol, year).agg(pl.col("day").min()).drop_nulls().sort(self.symbol, "year")
        rows = [(text, year_, *_code(text, day)) for text, year_, day in codes.iter_rows()]
        schema = {self.symbol: pl.String, "year": pl.Int32, "name": pl.String, "contract": pl.Int32}
        known = pl.DataFrame(rows, schema, orient="row")
        frame = frame.with_columns(year).join(known, on=[self.symbol, "year"], how="left", maintain_order="left")
        frame = raw.blame(frame, self.symbol, pl.col("name").is_null(), "not a contract code")
        nearest = pl.col("name").fill_null(strategy="forward").fill_null(strategy="backward")  # whose line it is
        if frame["name"].null_count() == frame.height:
            raise raw.Unreadable(
                f"{parts[0].place}: line 2: column {self.symbol}: no row has a contract code and a date"
            )
        return frame.with_columns(nearest)


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
    return {name: Profile(NAME=name, **section) for name, section in sections.items()}


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


def _code(text, day):
    """Root and contract of a code; (None, None) of what is none."""
    try:
        return parse_code(text, day)
    except BadCode:
        return None, None


PROFILES = load()
