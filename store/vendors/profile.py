"""Any CSV of dated contracts, described by a section of `config/vendors.toml` instead of by code."""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from store import raw
from store.codes import parse_code
from store.reading import Reading, daily, on_session

CONFIG = Path(__file__).resolve().parents[2] / "config" / "vendors.toml"
FIELDS = ("open", "high", "low", "last", "volume", "open_interest")


@dataclass(frozen=True)
class Profile:
    """A layout: what `config/vendors.toml` says about one kind of CSV."""

    NAME: str
    columns: dict
    file: str = r"(?P<root>.+)_(?P<contract>\w+)\.csv"
    separator: str = ","
    date: str = "%Y-%m-%d"
    timezone: str = ""
    last_is: str = "settle"
    symbol: str = ""
    factors: dict = field(default_factory=dict)

    def __post_init__(self):
        allowed = ("time", *FIELDS)
        unknown = [name for name in self.columns if name not in allowed]
        if unknown:
            raise ValueError(f"{CONFIG.name}: [{self.NAME}.columns] {unknown[0]!r}: allowed are {', '.join(allowed)}")
        lacking = [name for name in ("time", "last") if name not in self.columns]
        if lacking:
            raise ValueError(f"{CONFIG.name}: [{self.NAME}.columns] needs {lacking[0]!r}")
        if self.last_is not in ("settle", "close"):
            raise ValueError(f"{CONFIG.name}: [{self.NAME}] last_is = {self.last_is!r}: allowed are 'settle', 'close'")

    def recognises(self, file):
        """Whether names and header are this layout's."""
        header = file.first_line().split(self.separator)
        return all(self._match(name) for name, _ in file.parts) and set(self.columns.values()) <= set(header)

    def read(self, file):
        """The rows of `file` as a `Reading` a market."""
        frames = [self._part(name, data) for name, data in file.parts]
        frame = pl.concat(frames)
        return [
            Reading("contract_bars", self.NAME, root, part, settles=self.last_is == "settle")
            for (root,), part in frame.partition_by("name", as_dict=True, maintain_order=True).items()
        ]

    def _match(self, name):
        return re.fullmatch(self.file, name) or (bool(self.symbol) and name.endswith(".csv"))

    def _part(self, name, data):
        header, rows = raw.rows(name, data, self.separator)
        wanted = [self.columns[key] for key in ("time", *FIELDS) if key in self.columns]
        frame = raw.columns(name, header, rows, [*wanted, *([self.symbol] if self.symbol else [])])
        for key in FIELDS:
            if key in self.columns:
                frame = raw.number(frame, self.columns[key], self.last_is if key == "last" else key, ("", "-", "N/A"))
        frame = raw.stamp(frame, self.columns["time"], self.date)
        frame = self._dates(frame).with_columns(pl.lit(name).alias("file"))
        return self._contract(name, frame)

    def _dates(self, frame):
        source = pl.col(self.columns["time"]).alias("source_time")
        if not self.timezone:
            return daily(frame.with_columns(pl.col("stamp").dt.date().alias("day"), source))
        local = pl.col("stamp").dt.replace_time_zone(self.timezone, ambiguous="earliest", non_existent="null")
        day = on_session(pl.col("stamp").dt.date()).alias("day")
        return frame.with_columns(local.dt.convert_time_zone("UTC").alias("time"), day, source)

    def _contract(self, name, frame):
        reference = frame["day"].drop_nulls().max()
        if reference is None:
            raise raw.Unreadable(f"{name}: no row with a date like {self.date}")
        if not self.symbol:
            match = re.fullmatch(self.file, name)
            contract = parse_code(match["root"] + match["contract"], reference)[1]
            return frame.with_columns(pl.lit(match["root"]).alias("name"), pl.lit(contract, pl.Int32).alias("contract"))
        codes = {text: parse_code(text, reference) for text in frame[self.symbol].drop_nulls().unique()}
        return frame.with_columns(
            pl.col(self.symbol).replace_strict({k: v[0] for k, v in codes.items()}, default=None).alias("name"),
            pl.col(self.symbol)
            .replace_strict({k: v[1] for k, v in codes.items()}, default=None, return_dtype=pl.Int32)
            .alias("contract"),
        )


def load(path=CONFIG):
    """Profiles of a TOML file: name -> Profile."""
    with open(path, "rb") as file:
        return {name: Profile(NAME=name, **section) for name, section in tomllib.load(file).items()}


PROFILES = load()
