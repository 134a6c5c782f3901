"""Continuous series kept beside the store: made once of all that they depend on, and continued from where they ended.

1. **Kept** is the stitched table without `adjusted` (one vector operation on reading), the calendar with the opening
   prices of its legs, and where the calendar stands: a `rolls.Position` and the bars since then. It lies in the
   folder `series` of the store's cache (`kept`) and may be deleted at any time.
2. **The same inputs** give what is kept: hashes of the files read, of the facts, dates, holidays and rolls planned, of
   the rule as written, and of the code of this package. Nothing is looked up by a time or a name alone. What was made
   while somebody edited the holidays is not kept.
3. **Continued** is a series where all else is equal and files only came on, every row of them on a later day than any
   before: then these files alone are read. Rows before the position's day stand; the rest is made of its bars and the
   new ones, bit for bit as by a whole build. The kept rows lie in two pieces, `base` and the end, so that a day more
   writes only the shorter one, with legs and bars (`live`). In every other case all is made anew.
4. **Many** series that are to be made whole are made by processes of their own (`workers`). They only fill the cache:
   what they leave undone, or fail at, is made here, so that no result depends on them.
"""

import contextlib
import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property, partial
from itertools import count
from pathlib import Path

import numpy as np
import polars as pl

from store import chain as chains
from store import continuous, kept, rolls, workers
from store.ahead import Ahead
from store.code import code_hash
from store.held import priced
from store.legs import LEGS, opened
from store.roll_rules import parse_rule
from store.tables import TABLES

FORMAT = 2
PIECES = ("base", "live")  # of a state: the long one, and legs, end of the rows and recent bars
KEPT = 3  # states of one series, as of older snapshots
LARGE = 200_000  # stitched rows from which on they are read again when used, instead of held
END = 500  # rows of the shorter piece, from which on it is joined to the longer one
COLUMNS = tuple(name for name in TABLES["contract_bars"].columns if name != "known")
SCHEMA = {name: kind for name, kind in continuous.SCHEMA.items() if name != "adjusted"} | {"filled": pl.Boolean}


@dataclass(frozen=True)
class Request:
    """A series as it is wanted: `plan` tells where its bars come from, `given` the rolls of a stored calendar."""

    plan: object  # held.Bars
    rule: str  # canonical, see roll_rules
    rank: int = 0
    given: pl.DataFrame | None = None
    hand: dict = field(default_factory=dict, compare=False, repr=False)  # what `series` has for it: `ahead`, `later`

    @property
    def archive(self):
        """The store."""
        return self.plan.archive

    @cached_property
    def folder(self):
        """Where it is kept."""
        return self.archive.cache / "series"

    @cached_property
    def spec(self):
        """Facts of the market; None where nobody knows them."""
        return self.plan.desk.spec(self.plan.root)

    @property
    def exit(self):
        """Business days before first notice or last trade on which contracts are left; None: held through expiry."""
        return parse_rule(self.rule, [self.rule.partition(",")[0]]).exit

    @property
    def tradable(self):
        """Whether a run may follow it: not a rule that holds contracts through expiry."""
        return self.exit is not None

    @cached_property
    def name(self):
        """What it is kept under, one a market, source, rule and rank."""
        return _hash([self.plan.root, self.plan.source, self.rule, self.rank])[:16]

    @cached_property
    def facts(self):
        """Hash of the facts and holidays; of when it was first asked for."""
        return self.plan.desk.digest(self.plan.root)

    @cached_property
    def inputs(self):
        """Hash of all that it is made of, but for the files of bars."""
        plan = self.plan
        given = [] if self.given is None else self.given.rows()
        proxy = [plan.proxy, plan.proxy_source, plan.until]
        return _hash([FORMAT, self.name, proxy, given, self.facts, code_hash(_PACKAGE)])

    @cached_property
    def files(self):
        """Hashes of the files of bars, sorted."""
        return sorted(segment.sha256 for segment in self.plan.files())

    def bars(self):
        """The bars that it is made of, and the first day of the market's own: read ahead, or now."""
        return (self.hand and self.hand["ahead"].take(self.plan)) or self.plan.parts(COLUMNS)

    @property
    def rows(self):
        """How many bars it is made of."""
        return sum(segment.rows for segment in self.plan.files())

    @property
    def job(self):
        """What another process needs to make it."""
        told = {"root": self.plan.root, "source": self.plan.source, "rule": self.rule, "rank": self.rank}
        return told | {"store": str(self.archive.place), "snapshot": self.plan.snapshot.number, "rows": self.rows}


@dataclass(frozen=True)
class Series:
    """A market's calendar, the calendar's rolls with opening prices (`LEGS`), and the stitched rows, read when used."""

    calendar: rolls.RollCalendar
    legs: pl.DataFrame
    rows: object  # the stitched rows, or what gives them
    begin: date | None = None  # first day with a price of the market's own, before which another may stand in

    @property
    def frame(self):
        """The stitched rows (`SCHEMA`); not kept here: bars within the day of many markets would fill a memory."""
        return self.rows() if callable(self.rows) else self.rows


def series(requests, progress=None, processes=None):
    """The series that are asked for, from the cache or made.

    Parameters
    ----------
    requests : list of Request
    progress : callable, optional
        Called as `progress(done, total, root)` when one is there.
    processes : int, optional
        How many make series side by side; as many as there are processors, where that pays, if not given.

    Returns
    -------
    list of Series
        Without rows, and with a calendar that holds no contract (0), where no stored bar has a price.

    Raises
    ------
    ValueError
        Of a series that cannot be made; see `rolls.calendar`.
    """
    numbers, made, states = count(1), set(), [_state(request) for request in requests]

    def tell(request):
        if progress:
            progress(next(numbers), len(requests), request.plan.root)

    whole = [i for i, state in enumerate(states) if state is None]
    _bring([requests[i] for i in whole])
    jobs = [requests[i].job for i in whole]
    for job in workers.make(jobs, sum(requests[i].rows for i in whole), processes):
        made.add(whole[job])
        tell(requests[whole[job]])
    states = [_state(requests[i]) if i in made else state for i, state in enumerate(states)]
    new, found = _added(requests, states), []
    left = [request for request, state in zip(requests, states, strict=True) if state is None]
    later = []
    try:
        with Ahead([request.plan for request in left], COLUMNS) as ahead:
            for request in left:
                request.hand.update(ahead=ahead, later=later)
            for i, (request, state) in enumerate(zip(requests, states, strict=True)):
                found.append(_one(request, state, new.get((request.plan.desk, request.plan.root, request.plan.source))))
                request.hand.clear()
                if i not in made:
                    tell(request)
    finally:  # those that were made before one that cannot be, too
        for write in later:
            write()
    return found


# ---- looked up


def _bring(requests):
    """Have the bars at hand that are read market by market from here on."""
    for archive in {request.archive for request in requests}:
        archive.bring([s for request in requests if request.archive is archive for s in request.plan.files()])


def _state(request):
    """What is kept of the same files, else of those that these continue; None where there is nothing."""
    inputs, document = request.inputs, kept.read(request.folder, request.name)  # now: what they are before it is made
    states = [state for state in (document or {}).get("states", ()) if state["inputs"] == inputs]
    same = [state for state in states if state["files"] == request.files]
    return next(iter(same or [state for state in states if _goes_on(request, state)]), None)


def _goes_on(request, state):
    """Whether the files of a state are all there, and those that came to them hold later days alone."""
    old, plan = set(state["files"]), request.plan
    if state["position"] is None or not old < set(request.files) or (plan.proxy_source and state["begin"] is None):
        return False
    last = date.fromisoformat(state["last_day"])
    return all(s.first_day is None or s.first_day > last for s in plan.files() if s.sha256 not in old)


def _added(requests, states):
    """{(desk, root, source): rows of the files that came to those of a state}, all series of a snapshot together."""
    desks = {}
    for request, state in zip(requests, states, strict=True):
        if state is not None and state["files"] != request.files:
            old, plan = set(state["files"]), request.plan
            desks.setdefault(plan.desk, {}).update({s.path: s for s in plan.own() if s.sha256 not in old})
    found = {}
    for desk, segments in desks.items():
        rows = priced(desk.archive, desk.snapshot, segments.values(), COLUMNS)
        found |= {(desk, *market): part for market, part in rows.partition_by("root", "source", as_dict=True).items()}
    return found


def _one(request, state, new):
    """The series of a state, continued if it is of fewer files; made anew where a piece of it is gone."""
    if state is None:
        return _whole(request)
    same = state["files"] == request.files
    live = kept.get(request.folder, state["live"], 1 if same else None)
    if live is None:
        return _whole(request)
    if not same:
        return _continued(request, state, live, new)
    ended = state["ended"] and date.fromisoformat(state["ended"])
    calendar = _calendar(request, state, live[0], ended)
    return Series(calendar, live[0], partial(_rows, request, state), _begin(state))


def _rows(request, state):
    """The stitched rows of a state; made anew where a piece of them is gone."""
    base, live = kept.get(request.folder, state["base"]), kept.get(request.folder, state["live"], 2)
    return _whole(request).frame if base is None or live is None else base[0].vstack(live[1])


def _begin(state):
    return state["begin"] and date.fromisoformat(state["begin"])


def _calendar(request, state, legs, ended):
    frame, months = pl.DataFrame([legs[name] for name in rolls.SCHEMA]), tuple(state["months"])
    return rolls.RollCalendar(request.plan.root, request.rule, state["first"], frame, months, request.rank, ended)


# ---- made


def _whole(request):
    """The series made of all its bars, and kept."""
    bars, begin = request.bars()
    if bars.is_empty():
        calendar = rolls.RollCalendar(request.plan.root, request.rule, 0, pl.DataFrame(schema=rolls.SCHEMA))
        calendar = replace(calendar, rank=request.rank)
        found = Series(calendar, pl.DataFrame(schema=LEGS), pl.DataFrame(schema=SCHEMA), begin)
        return _kept(request, found, None, found.frame, [found.frame])
    months = rolls.held_months(request.spec, request.rule, request.given)
    chain = chains.load(bars, months)
    calendar = rolls.calendar(chain, request.spec, request.rule, request.given)
    goes_on = request.spec is not None and not request.rank  # else it may look back, or behind another rank
    position = rolls.last_position(chain, calendar) if goes_on else None
    if request.rank:
        from store import ranks

        calendar = ranks.ranked(chain, calendar, request.rank, request.spec)
    frame = _stitched(request, chain, calendar, bars)
    found = Series(calendar, opened(calendar.frame, bars), frame, begin)
    if position is None or not frame["day"].is_sorted():
        return _kept(request, found, None, frame, [frame.clear()])
    recent = _recent(bars, calendar, months)
    base, end = _parted(frame, position.since)
    return _kept(request, found, _pruned(position, recent, calendar), base, [end, recent])


def _continued(request, state, live, new):
    """The series with the rows of later days: before the position's day as it was, from there on made anew."""
    before, months, (legs, end, bars) = _position(state["position"]), tuple(state["months"]), live
    if new is not None:  # with days, maybe, that came to an older state of another series of this market
        last = date.fromisoformat(state["last_day"])
        bars = pl.concat([bars, new if new["day"].min() > last else new.filter(pl.col("day") > last)])
    chain = chains.load(bars, months, before.listed, before.known)
    later = rolls.calendar(chain, request.spec, request.rule, request.given, before)
    rolled = len(later.frame) > 0
    legs = pl.concat([legs, opened(later.frame, bars)]) if rolled else legs
    calendar = _calendar(request, state, legs, later.end)
    rows = _stitched(request, chain, calendar, bars)
    if not rows["day"].is_sorted():
        return _whole(request)
    base, end = state["base"], pl.concat([_parted(end, before.since)[0], rows])
    position = rolls.last_position(chain, calendar, before)
    bars = _recent(bars, calendar, months) if rolled else bars
    if len(end) > max(END, state["rows"] // 16):
        whole = _joined(request, base, end)
        base, end = _parted(whole, calendar.frame["day"][-1])
    made = Series(calendar, legs, partial(_joined, request, base, end), _begin(state))
    return _kept(request, made, _pruned(position, bars, calendar), base, [end, bars], state)


def _joined(request, base, end):
    """The rows of a series that was continued; the long piece, where it is a name, is not read before it is wanted."""
    found = kept.get(request.folder, base) if isinstance(base, str) else [base]
    return _whole(request).frame if found is None else found[0].vstack(end)


def _stitched(request, chain, calendar, bars):
    """The stitched rows with `filled`: whether they were filled in from another source."""
    frame = continuous.held_rows(chain, calendar, request.spec)
    if bars["filled_from"].null_count() == len(bars):
        return frame.insert_column(frame.width, pl.Series("filled", np.zeros(len(frame), bool)))
    taken = bars.filter(pl.col("filled_from").is_not_null()).select("day", "contract", filled=True).unique()
    frame = frame.join(taken, on=["day", "contract"], how="left", maintain_order="left")
    return frame.with_columns(pl.col("filled").fill_null(False))


def _recent(bars, calendar, months):
    """The bars from the last roll on, of what may be held."""
    rows = np.flatnonzero(bars["day"].to_numpy() >= np.datetime64(calendar.frame["day"][-1]))
    return bars[rows[chains.in_months(months)[bars["contract"].to_numpy()[rows] % 100]]]


def _parted(frame, day):
    """The rows before a day, and those from it on; of rows in the order of their days."""
    first = int(frame["day"].to_numpy().searchsorted(np.datetime64(day)))
    return frame[:first], frame[first:]


def _pruned(position, recent, calendar):
    """The position without contracts that nothing asks for any more: earlier than those held, and without a bar."""
    if position is None:
        return None
    recent, held = set(recent["contract"].to_list()), calendar.frame["from_contract"][-1]
    listed = tuple((contract, day) for contract, day in position.listed if contract > held or contract in recent)
    return replace(position, listed=listed)


# ---- kept


def _kept(request, found, position, base, live, instead=None):
    """Keep a series and its state, in place of the state `instead` that it continues; where that fails, go on.

    What `series` makes anew it writes when all are made: a thread that writes beside the work takes longer, as every
    call of numpy would hand it Python's lock and wait for it. Only what is so long that it is read again when used is
    written now.

    `base` is a frame, or the name of one that is kept already; `live` are the shorter pieces: the end of the rows, and
    the bars to go on from, if it can.
    """
    if request.facts != request.plan.desk.digest(request.plan.root):
        return found
    days = [segment.last_day for segment in request.plan.files() if segment.last_day]
    state = {
        "inputs": request.inputs,
        "files": request.files,
        "last_day": max(days, default=None),
        "begin": found.begin,
    }
    state |= {"first": found.calendar.first, "months": found.calendar.months, "ended": found.calendar.end}
    state["position"] = _told(position)
    state["rows"] = instead["rows"] if isinstance(base, str) else len(base)
    write = partial(_write, request, state, base, [found.legs, *live], instead)
    if not callable(found.rows) and len(found.rows) > LARGE:
        return replace(found, rows=partial(_rows, request, state)) if write() else found
    if request.hand:
        request.hand["later"].append(write)
    else:
        write()
    return found


def _write(request, state, base, live, instead):
    """Write the pieces of a state, but a base that is kept already, and the document with it; false if it fails."""
    try:
        state["base"] = base if isinstance(base, str) else kept.put(request.folder, request.name, base)
        state["live"] = kept.put(request.folder, request.name, *live)
        old = (kept.read(request.folder, request.name) or {}).get("states", [])
        again = request.inputs, request.files
        left = [one for one in old if one != instead and (one["inputs"], one["files"]) != again]
        states = [state, *left][:KEPT]
        kept.write(request.folder, request.name, {"states": states})
        kept.drop(request.folder, _pieces(old) - _pieces(states))
    except OSError:
        return False
    return True


def joined(archive, pairs):
    """Keep cached series although their files were joined into others of the same rows: [(new, parts)] of segments."""
    folder, pairs = archive.cache / "series", [(new.sha256, {part.sha256 for part in parts}) for new, parts in pairs]
    for path in sorted(folder.glob("*.json")):
        states, more = (kept.read(folder, path.stem) or {}).get("states", []), []
        for state in states:
            files = set(state["files"])
            for new, parts in pairs:
                files = files - parts | {new} if parts <= files else files
            more += [state | {"files": sorted(files)}] if files != set(state["files"]) else []
        if more:
            with contextlib.suppress(OSError):  # then they are made anew
                left = [*more, *states][:KEPT]
                kept.write(folder, path.stem, {"states": left})
                kept.drop(folder, _pieces(states) - _pieces(left))


def _pieces(states):
    return {state[name] for state in states for name in PIECES if name in state}


def _told(position):
    """A position as a document has it."""
    if position is None:
        return None
    listed = [(contract, day.isoformat()) for contract, day in position.listed]
    known = [(name, day and day.isoformat()) for name, day in position.known]
    return {"contract": position.contract, "since": position.since.isoformat(), "listed": listed, "known": known}


def _position(told):
    """A position as a document told it."""
    listed = tuple((contract, date.fromisoformat(day)) for contract, day in told["listed"])
    known = tuple((name, day and date.fromisoformat(day)) for name, day in told["known"])
    return rolls.Position(told["contract"], date.fromisoformat(told["since"]), listed, known)


def _hash(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


_PACKAGE = Path(__file__).parent
