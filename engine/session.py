"""When markets close, and what of each market is known at a decision time (DOMAIN T43).

Markets end a trade date hours apart: what Tokyo did is known in Chicago on the same day, not the other way round.

1. The close of a trade date is the end of its session, half days and daylight saving included. A weekday without a
   session ends when the next session does, so many days earlier.
2. At a decision time X of row t a market's newest row is the last that closed at X or before. Where that is not row t,
   the market's rows come late: row t shows the last one known, once; a row on which nothing new is known is as a
   holiday (prices nan, no roll). Where two rows become known at once the newer one is shown.
3. An order of a decision can only trade in a session that opens at X or later; see `in_time`.

The hours themselves are the store's: `hours` is `store.days`, handed in, since the engine computes on arrays alone.
"""

import re
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from engine.settings import ConfigError

OWN = "own"  # decision time: each market's own close
CLOCK = re.compile(r"(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d) +(?P<zone>[A-Za-z_]+(?:/[A-Za-z_+-]+)*)")
AHEAD = 5  # trade dates after the last row, on one of which the market opens
KNOWN_BEFORE = (  # facts and rates that hold from the day's begin on
    "multiplier", "tick", "fx", "fx_age", "initial_margin", "maintenance_margin", "own_margin", "available",
)  # fmt: skip
KEPT = ("offset", "contract", "liquidity")  # hold until a newer row is known


def close_times(specs, days, hours):
    """The end of each market's session on each day.

    Parameters
    ----------
    specs : list of ContractSpec
        One a column; columns of one root may repeat it.
    days : array (time,) of datetime64[D]
        Trade dates, ascending; bars within the day repeat theirs.
    hours : module
        `store.days`, or what has its `timetable`.

    Returns
    -------
    array (time, market) of datetime64[m]
        UTC; never NaT (rule 1). Made once for all markets of the same hours, and kept in memory until a file of hours
        changes.

    Raises
    ------
    UnknownHours
        Of a market without a row of hours; the message names the file.

    The S&P 500 ends at 16:00 in Chicago, at 12:15 on the day after Thanksgiving:

    >>> from store import days as hours
    >>> from store.contracts import Master
    >>> days = np.array(["2025-11-26", "2025-11-28"], "datetime64[D]")
    >>> close_times([Master.load().spec("ES")], days, hours).ravel()
    array(['2025-11-26T22:00', '2025-11-28T18:15'], dtype='datetime64[m]')
    """
    return _columns(specs, days, hours, 0)


def next_opens(specs, days, hours):
    """The begin of each market's first session after each day, as `close_times`: what is decided may trade from then.

    Osaka's session of Monday begins on Friday afternoon:

    >>> from store import days as hours
    >>> from store.contracts import Master
    >>> next_opens([Master.load().spec("NK225")], np.array(["2025-11-28"], "datetime64[D]"), hours).ravel()
    array(['2025-11-28T08:00'], dtype='datetime64[m]')
    """
    return _columns(specs, days, hours, 1)


def decision_times(decision, days, close):
    """The moment of each row's decision (time,), UTC.

    Parameters
    ----------
    decision : str, int or array (time,) of datetime64[m]
        "HH:MM Area/City", a time of each trade date there; the column of a market: its own close; or the moments.
    days : array (time,) of datetime64[D]
    close : array (time, market) of datetime64[m]
        Of `close_times`.

    >>> day = np.array(["2025-07-01"], "datetime64[D]")
    >>> decision_times("16:00 Europe/London", day, None)
    array(['2025-07-01T15:00'], dtype='datetime64[m]')
    """
    if isinstance(decision, np.ndarray):
        return decision
    if isinstance(decision, int | np.integer):
        return close[:, decision]
    hour, minute, zone = clock_of(decision)
    each, back = np.unique(days, return_inverse=True)
    local = each.astype("datetime64[m]") + np.timedelta64(60 * hour + minute, "m")
    return _utc(local, zone)[back]


def clock_of(decision):
    """(hour, minute, time zone) of a decision time as a portfolio writes it.

    >>> clock_of("16:00 Europe/London")[:2]
    (16, 0)
    """
    found = CLOCK.fullmatch(str(decision).strip())
    try:
        if found:
            return int(found["hour"]), int(found["minute"]), ZoneInfo(found["zone"])
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones raises the last
        found = None
    raise ConfigError(
        f"[execution] decision = {decision!r} is not allowed; allowed: {OWN!r} (each market's own close), or a time of "
        f"day and a place such as '16:00 Europe/London'"
    )


def known_at(market, close, decision):
    """The market as it is known at each row's decision: what a strategy may read.

    Parameters
    ----------
    market : Market
    close : array (time, market) of datetime64[m]
        Of `close_times`; not read where `decision` is "own".
    decision : str, int or array (time,) of datetime64[m]
        "own": each market's own close, the market itself is returned; else as of `decision_times`.

    Returns
    -------
    Market
        Its prices, volume, contracts and rolls by rule 2; facts, margins and exchange rates as they were. What is
        `available` has a row that is known.
    """
    if isinstance(decision, str) and decision == OWN:
        return market
    rows = known_rows(close, decision_times(decision, market.days, close))
    fresh = (rows >= 0) & (rows != np.vstack([np.full((1, rows.shape[1]), -1), rows[:-1]]))
    known, place = rows >= 0, _places(rows)
    changed = {
        name: _late(values, place, known if name in KEPT else fresh)
        for name, values in vars(market).items()
        if np.shape(values) == rows.shape and name not in KNOWN_BEFORE
    }
    changed["available"] = market.available & (changed["contract"] > 0 if "contract" in changed else known)
    return type(market)(**(vars(market) | changed))


def known_rows(close, moment):
    """Of each market the newest row that had closed at each row's moment; -1 where none had.

    Parameters
    ----------
    close : array (time, market) of datetime64[m]
    moment : array (time,) of datetime64[m]

    Returns
    -------
    array (time, market) of int
        Row t names rows 0..t.

    Tokyo (closes 6:00) and Chicago (22:00), decided at Tokyo's close:

    >>> close = np.array([["2025-01-06T06", "2025-01-06T22"], ["2025-01-07T06", "2025-01-07T22"]], "datetime64[m]")
    >>> known_rows(close, close[:, 0])
    array([[ 0, -1],
           [ 1,  0]])
    """
    each = np.arange(len(moment))
    found = [np.searchsorted(column, moment, side="right") - 1 for column in np.ascontiguousarray(close.T)]
    return np.minimum(np.array(found).reshape(len(found), len(each)), each).T


def in_time(opens, moment):
    """Which decision each market can still trade (rule 3): the row of the newest one made before it opens again.

    Parameters
    ----------
    opens : array (time, market) of datetime64[m]
        Of `next_opens`.
    moment : array (time,) of datetime64[m]
        Of the decisions, ascending.

    Returns
    -------
    array (time, market) of int
        Row t names rows 0..t; -1 where no decision was made in time. See `of_rows`.

    Osaka's night session opens at 8:00 UTC, before a decision at 15:00: it trades the decision of the day before.

    >>> opens = np.array([["2025-01-06T08"], ["2025-01-07T08"]], "datetime64[m]")
    >>> moment = np.array(["2025-01-06T15", "2025-01-07T15"], "datetime64[m]")
    >>> in_time(opens, moment).ravel()
    array([-1,  0])
    """
    rows = np.searchsorted(moment, opens, side="right") - 1
    return np.minimum(rows, np.arange(len(opens))[:, None])


def of_rows(values, rows, nothing=np.nan):
    """The values (time, market) of other rows; `nothing`, false or 0 where the row is -1.

    >>> of_rows(np.array([[1.0], [2.0], [3.0]]), np.array([[-1], [0], [2]]), 0.0).ravel()
    array([0., 1., 3.])
    """
    return _late(values, _places(rows), rows >= 0, nothing)


def _places(rows):
    """Where the values of other rows (time, market) stand in an array that is laid flat; row 0 in place of none."""
    return np.maximum(rows, 0) * rows.shape[1] + np.arange(rows.shape[1])


def _late(values, places, shown, nothing=np.nan):
    """`values` of other rows where they are `shown`; else nan, false or 0."""
    found = values.take(places)
    empty = nothing if np.issubdtype(values.dtype, np.floating) else np.zeros((), values.dtype)
    np.copyto(found, empty, where=~shown)
    return found


# ---- hours


def _columns(specs, days, hours, which):
    """One column a spec of what `_moments` tells."""
    each, back = np.unique(np.asarray(days, "datetime64[D]"), return_inverse=True)
    if not len(each) or not specs:
        return np.empty((len(back), len(specs)), "datetime64[m]")
    whole = each.tobytes()
    columns = [_moments(hours.timetable(spec), whole)[which] for spec in specs]
    return np.stack(columns, axis=1)[back]


@lru_cache(maxsize=256)
def _moments(table, whole):
    """(closes of the days whose bytes are `whole`, opens of the first sessions after them), UTC."""
    days = np.frombuffer(whole, "datetime64[D]")
    last = np.busday_offset(days[-1], AHEAD, roll="backward", busdaycal=table.calendar)
    sessions, opens, closes = table.sessions(days[0], last)
    row = np.searchsorted(sessions, days)  # of a day without a session: that of the next one, of which it has the hours
    closes = closes[row] + (days - sessions[row])
    opens = opens[np.searchsorted(sessions, days, side="right")]
    return _utc(np.array([closes, opens], "datetime64[m]"), ZoneInfo(table.timezone))


def _utc(local, zone):
    """Local moments as UTC, minutes.

    Offsets are looked up at the turns of weeks, and one by one in weeks at whose ends they differ: no place changes its
    clock and back within a week.
    """
    week = local.astype("datetime64[W]")
    first = week.min()
    turns = _turns(zone, first, week.max())
    row = (week - first).astype(int)
    shifts = turns[row]
    changes = shifts != turns[row + 1]
    shifts[changes] = _offsets(local[changes], zone)
    made = local - shifts
    made.setflags(write=False)
    return made


@lru_cache(maxsize=64)
def _turns(zone, first, last):
    """Offsets from UTC at the begin of each week, and at the end of the last."""
    return _offsets(np.arange(first, last + 2), zone)


def _offsets(local, zone):
    """Offsets from UTC of local moments."""
    moments = local.astype("datetime64[s]").astype(object)
    return np.array([moment.replace(tzinfo=zone).utcoffset() for moment in moments], "timedelta64[m]")
