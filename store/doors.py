"""Doors for a notebook: stored bars of a market, its chain on a day, its continuous series, by the names people use.

`Archive` has them as methods. A market goes by its root, an alias (`SP500_micro`) or a continuous name (`ES.v.1`), as
in the command. A contract goes by `202003`, `2020-03`, `2020H`, `ESH20`, `H20` or any code that `codes` reads; a year
of one or two digits is the one that is stored.
"""

import re
from datetime import date

import polars as pl

from store import asof, history
from store.codes import MONTHS, BadCode, code, months_of, parse_code
from store.contracts import Master, UnknownRoot
from store.held import desk
from store.names import CONTINUOUS, parse_name
from store.segments import Refused, choose
from store.tables import TABLES

_MARKETS = ("contract_bars", "vendor_chains")
_LETTER = rf"(?P<letter>[{MONTHS}])"
_CODES = tuple(
    re.compile(shape, re.IGNORECASE)
    for shape in (
        r"(?P<year>\d{4})[-/]?(?P<month>\d\d)",  # 202003, 2020-03
        rf"(?P<year>\d{{4}})[- ]?{_LETTER}",  # 2020H
        rf"{_LETTER}(?P<year>\d{{4}}|\d{{1,2}})",  # H20, H2020
        rf"(?P<root>.+?)[ _]?{_LETTER}(?P<year>\d{{4}}|\d{{1,2}})",  # ESH20
    )
)


def root_of(archive, name, snapshot=None, stored=None):
    """The stored market that a name means: its root, an alias or a continuous name.

    A market that is stored goes by its own names although the master does not know it.

    Raises
    ------
    NotStored
        Nothing is stored of it; says what is.
    UnknownRoot
        The master does not know the name either; says the nearest.
    """
    stored = _stored_roots(archive, snapshot) if stored is None else stored
    continuous = CONTINUOUS.fullmatch(str(name).strip())
    own = next((root for root in (name, continuous and continuous["root"]) if root in stored), None)
    if own is not None:
        return own
    try:
        root = Master.load(archive.path).resolve(name)
    except UnknownRoot as error:
        raise UnknownRoot(f"{error}; {_listed(stored)}") from None
    full = history.bars(archive, root, snapshot=snapshot) if root not in stored else None
    if root not in stored and full is None:
        raise history.NotStored(f"{name if name == root else f'{name} ({root})'} is not stored; {_listed(stored)}")
    return root


def bars(archive, name, contract=None, days=None, source=None, snapshot=None):
    """The stored rows of a market's contracts, by contract and time.

    Parameters
    ----------
    archive : Archive
    name : str
        Of the market: root, alias or continuous name.
    contract : int or str, or list of such, optional
        Delivery months, as the module's docstring has them; all, if not given.
    days : (date, date), optional
        First and last day, as text or date; each may be None.
    source : str, optional
        The one that is read first, if not given.
    snapshot : Snapshot or int, optional

    Returns
    -------
    DataFrame
        Columns of `contract_bars`: the market's own rows as stored, without those of a full-size contract that stand in
        before it was listed. No rows where none is of such `days`.

    Raises
    ------
    NotStored
        No dated contracts of the market are stored, or not this one; says what is stored and the nearest.
    BadCode
        A text that is no contract.
    Refused
        No such source.

    Examples
    --------
    >>> import tempfile
    >>> from store import open_archive
    >>> frame = pl.DataFrame({"contract": [202003, 202006], "day": [date(2020, 2, 3)] * 2, "settle": [3248.5, 3247.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive = open_archive(folder, create=True)
    ...     segment = archive.write("contract_bars", frame, source="barchart", root="MES")
    ...     number = archive.commit([segment]).number
    ...     archive.bars("SP500_micro", "2020H").select("root", "contract", "settle").rows()
    ...     archive.bars("MES", ["H20", "MESM0"], days=("2020-02-01", None))["settle"].to_list()
    [('MES', 202003, 3248.5)]
    [3248.5, 3247.0]
    """
    root = root_of(archive, name, snapshot)
    found = [source_ for table, source_ in history.sources(archive, root, snapshot) if table == "contract_bars"]
    if not found:
        raise history.NotStored(f"{root}: no dated contracts are stored{_instead(archive, root, snapshot)}")
    source = choose(source or found[0], found, f"source of {root} (it has {', '.join(found)}):")
    rows = archive.scan("contract_bars", snapshot, days, root=root, source=source)
    if contract is not None:
        held = archive.read("contract_bars", snapshot, ["contract"], root=root, source=source)
        held = sorted(held["contract"].unique().to_list())
        several = hasattr(contract, "__iter__") and not isinstance(contract, str)
        asked = contract if several else [contract]
        wanted = [_stored(_meant(archive, root, one, held), root, source, held) for one in asked]
        rows = rows.filter(pl.col("contract").is_in(wanted))
    return rows.collect(engine="in-memory").sort(TABLES["contract_bars"].key)


def chain(archive, name, day, source=None, snapshot=None, rule=history.DEFAULT):
    """The contracts of a market at the close of a day: `asof.chain`, by any name of the market.

    `day` is a date, or text as 2020-02-03; the other parameters, what is returned and raised as there.

    Examples
    --------
    >>> import tempfile
    >>> from store import open_archive
    >>> frame = pl.DataFrame({"contract": [202003, 202006], "day": [date(2020, 2, 3)] * 2, "settle": [3248.5, 3247.0]})
    >>> frame = frame.with_columns(time=pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive = open_archive(folder, create=True)
    ...     segment = archive.write("contract_bars", frame, source="barchart", root="MES")
    ...     number = archive.commit([segment]).number
    ...     archive.chain("MES", "2020-02-03").select("code", "settle", "days_to_last_allowed", "held").rows()
    [('MESH20', 3248.5, 32, True), ('MESM20', 3247.0, 95, False)]
    """
    day = date.fromisoformat(day) if isinstance(day, str) else day
    return asof.chain(archive, root_of(archive, name, snapshot), day, source, snapshot, rule)


def continuous(archive, names, adjust="difference", rule=None, start=None, end=None, snapshot=None):
    """The continuous table of a market, or of several.

    Parameters
    ----------
    archive : Archive
    names : str or list of str
        `ES.v.1`: the market ES by the rule of the letter (c calendar, v volume, n open interest), rank 1; a bare name
        is rank 0 by `rule`.
    adjust : str
        What `adjusted` holds: difference, ratio, forward or none.
    rule : str, optional
        Of the names that tell none; see `roll_rules`.
    start, end : date or str, optional
        First and last day that is told; the series is adjusted as a whole.
    snapshot : Snapshot or int, optional

    Returns
    -------
    DataFrame
        As `history.table` has it; of a list of names with `name`, as it was asked for, and `root` before it.

    Raises
    ------
    Refused
        A name that tells its rule and another `rule` beside it, or no name at all.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import UTC, datetime
    >>> from store import open_archive
    >>> days = [date(2020, 3, day) for day in (9, 10, 11, 12)]
    >>> rows = [(c, day, datetime(2020, 3, day.day, 22, tzinfo=UTC), p, v)
    ...         for c, p, volumes in ((202003, 100.0, (9, 4, 1, 1)), (202006, 98.0, (1, 5, 8, 8)))
    ...         for day, v in zip(days, volumes)]
    >>> frame = pl.DataFrame(rows, ["contract", "day", "time", "settle", "volume"], orient="row")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive = open_archive(folder, create=True)
    ...     segment = archive.write("contract_bars", frame, source="barchart", root="MES")
    ...     number = archive.commit([segment]).number
    ...     archive.continuous("MES.v.0").select("contract", "settle", "adjusted", "roll").rows()
    [(202003, 100.0, 98.0, False), (202003, 100.0, 98.0, False), (202003, 100.0, 98.0, True),
     (202006, 98.0, 98.0, False)]
    """
    single = isinstance(names, str)
    asked = [names] if single else list(dict.fromkeys(names))
    if not asked:
        raise Refused("no series was asked for: write ES, or ES.v.0")
    start, end = (date.fromisoformat(day) if isinstance(day, str) else day for day in (start, end))
    stored, groups, parts = _stored_roots(archive, snapshot), {}, {}
    for text in asked:
        name = parse_name(text)
        if name.rule is not None and rule is not None:
            raise Refused(f"{text} tells its rule, {name.rule}: leave out rule={rule!r}, or ask for {name.root}")
        groups.setdefault((name.rule or rule, name.rank), {})[text] = root_of(archive, name.root, snapshot, stored)
    for (by, rank), roots in groups.items():
        frame = history.tables(archive, list(dict.fromkeys(roots.values())), by, adjust, start, end, snapshot, rank)
        places = _places(frame)
        for text, root in roots.items():
            parts[text] = frame[places.get(root, slice(0))].select(pl.lit(text).alias("name"), pl.all())
    whole = pl.concat([parts[text] for text in asked])
    return whole.drop("name", "root") if single else whole


def _stored_roots(archive, snapshot):
    known = desk(archive, snapshot)
    return {root for table in _MARKETS for root in known.roots(table)}


def _places(frame):
    """{root: its rows} of a frame that has one market after the other."""
    found, first = {}, 0
    for rows, root in frame["root"].rle().struct.unnest().rows():
        found[root] = slice(first, first + rows)
        first += rows
    return found


def _meant(archive, root, written, held):
    """The contract that somebody means, of those `held` where its year has one or two digits."""
    if isinstance(written, int):
        return written
    text = str(written).strip()
    match = next((match for match in (shape.fullmatch(text) for shape in _CODES) if match), None)
    told = match.groupdict() if match else {}
    if told.get("root"):
        _of_this_market(archive, root, told["root"].strip("-_ "), text)
    if not told:
        name, contract = parse_code(text, date.today())
        if name:
            _of_this_market(archive, root, name, text)
        return contract
    month = int(told["month"]) if told.get("month") else months_of(told["letter"].upper())[0]
    if not 1 <= month <= 12:
        raise BadCode(f"{text!r} is no delivery month: write 202003, 2020-03, 2020H, {code(root, 202003)} or H20")
    year, cycle = int(told["year"]), 10 ** len(told["year"])
    near = sorted({c // 100 for c in held if c // 100 % cycle == year and c % 100 == month})
    if len(near) > 1:
        which = ", ".join(str(y * 100 + month) for y in near)
        raise BadCode(f"{text!r} may be {which}: write four digits of the year")
    if not near and cycle < 10_000:  # none is stored: the year nearest to those that are
        middle = held[-1] // 100
        near = [min((y for y in range(middle - 99, middle + 100) if y % cycle == year), key=lambda y: abs(y - middle))]
    return (near[0] if near else year) * 100 + month


def _of_this_market(archive, root, name, written):
    """Refuse a code that names another market."""
    if name.upper() == root.upper():
        return
    try:
        other = Master.load(archive.path).resolve(name)
    except UnknownRoot:
        other = name
    if other != root:
        raise Refused(f"{written!r} is a contract of {other}, not of {root}")


def _stored(contract, root, source, held):
    """The contract, if it is among those `held`."""
    if contract in held:
        return contract
    month = lambda c: c // 100 * 12 + c % 100  # noqa: E731
    near = sorted(sorted(held, key=lambda c: abs(month(c) - month(contract)))[:2])
    raise history.NotStored(
        f"{root}: contract {contract} is not stored by {source}; nearest {', '.join(map(str, near))}; "
        f"stored are {len(held)} contracts, {held[0]} to {held[-1]}"
    )


def _instead(archive, root, snapshot):
    """What is stored where no dated contracts are."""
    chains = [source for table, source in history.sources(archive, root, snapshot) if table == "vendor_chains"]
    full = history.bars(archive, root, snapshot=snapshot)
    told = [f"the chain of {', '.join(chains)}"] if chains else []
    told += [f"those of {full.proxy}, which stand in for it"] if full else []
    return f", but {' and '.join(told)}" if told else ""


def _listed(stored):
    return f"stored are {', '.join(sorted(stored)) or 'no markets'}"
