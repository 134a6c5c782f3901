"""Names for snapshots: what has one stays readable until the name is removed.

    tags/<name>.json, tags/<name>~2.json, ...     number and hash of the snapshot, note, time, author; written once
    tags/.hold-<32 hex>.json                      numbers that some process needs for a while

1. A tag is moved by writing its next generation; then the ones before it are removed. The newest counts, so that a kill
   leaves the tag where it was or where it was to go. Of one that is removed the oldest goes first, for the same reason.
2. Who writes a tag or a hold looks into the ledger afterwards, and takes it back if the snapshot was dropped;
   `retention` writes the ledger, looks for tags and holds afterwards, and takes the ledger back. So one of the two
   gives way.
3. A hold is of a process that is gone when it is older than `HELD`, or cannot be read: it is not flushed, so that a
   power cut may leave it torn; then nobody holds.
"""

import contextlib
import re
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from uuid import uuid4

from store import listing
from store.durable import NotWritten, StateUnknown, not_written
from store.manifest import Conflict, NotKept
from store.sealed import Damaged, sealed, unsealed
from store.segments import NAME, Refused, choose
from store.system import user

HELD = timedelta(hours=24)
_FILE = re.compile(rf"tags/({NAME.pattern})(?:~([1-9][0-9]{{0,8}}))?\.json")
_HOLD = re.compile(r"tags/\.hold-[0-9a-f]{32}\.json")
_NUMBER, _HEAD = re.compile(r"[0-9]{1,10}"), re.compile(r"head(?:~([0-9]{1,10}))?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FIELDS = ("name", "number", "hash", "note", "time", "author")
_WAYS = "a snapshot goes by its number, a tag, head, head~2, or a day such as 2024-03-01 (as the store was known then)"


def tag(archive, name, number=None, note="", move=False):
    """Give a snapshot a name; it is kept from then on.

    Parameters
    ----------
    archive : Archive
    name : str
        1 to 64 letters, digits, dots, dashes and underscores; nothing that means a snapshot already, that is no file
        name on some system (`con`, `nul.x`), or that differs from another tag in case only.
    number : int or str, optional
        See `number_of`; the newest, if not given.
    note : str
    move : bool
        Take the name from the snapshot that has it.

    Returns
    -------
    dict
        name, number, hash, note, time, author, and `before`: the number that the name stood for, or None.

    Raises
    ------
    Refused
        The name is none, or taken.
    NotKept
        The snapshot was dropped.
    Conflict
        Another process wrote this tag at the same time; nothing was changed.

    Examples
    --------
    >>> import tempfile
    >>> from store import open_archive
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive = open_archive(folder, create=True)
    ...     segment = archive.write("fx", archive.read("fx"), source="ecb")
    ...     snapshot = archive.commit([segment], note="first")
    ...     made = tag(archive, "paper", note="as published")
    ...     (made["number"], number_of(archive, "paper"), [one["name"] for one in tags(archive)])
    (1, 1, ['paper'])
    """
    name, found = _checked(name), _found(archive.place)
    _refuse_alike(name, found)
    snapshot = archive.snapshot(number_of(archive, "head" if number is None else number))
    before = _one(archive.place, name, found[name]) if name in found else None
    if before and before["number"] == snapshot.number and note in ("", before["note"]):
        return before | {"before": before["number"]}
    if before and not move:
        raise Refused(f"tag {name} is taken by snapshot {before['number']}: choose another name, or move it (--move)")
    if snapshot.number == 0:
        raise Refused("nothing is stored yet: there is no snapshot to be tagged")
    stamp = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    fields = {"name": name, "number": snapshot.number, "hash": snapshot.hash}
    fields |= {"note": " ".join(str(note).split()), "time": stamp, "author": user()}
    new = _file(name, max(found.get(name, [0])) + 1)
    try:
        _written(archive, new, fields, [snapshot.number])
    except FileExistsError:
        raise Conflict(f"tag {name} was written by another process, or by a name that differs in case only") from None
    if _file(name, max(_found(archive.place).get(name, [0]))) != new:  # moved on since it was read: that one counts
        _remove(archive.place, [new])
        raise Conflict(f"tag {name} was moved by another process meanwhile; look at it before repeating the command")
    _remove(archive.place, [_file(name, generation) for generation in sorted(found.get(name, ()))])
    return fields | {"before": before and before["number"]}


def tags(archive):
    """The tags in the order of their names: a list of dict with name, number, hash, note, time, author.

    Raises
    ------
    Damaged
        A tag's file was altered or cut; `untag` removes it.
    """
    found = ((name, _one(archive.place, name, numbers)) for name, numbers in sorted(_found(archive.place).items()))
    return [one for _, one in found if one is not None]


def untag(archive, name):
    """Remove a tag; what it was, with `number` None where its file was damaged. The nearest name is told."""
    found = _found(archive.place)
    choose(name, found, "tag")
    try:
        one = _one(archive.place, name, found[name])
    except Damaged:
        one = None
    _remove(archive.place, [_file(name, generation) for generation in sorted(found[name])])
    return one or {"name": name, "number": None}


def number_of(archive, text):
    """The number of the snapshot that a text means.

    Parameters
    ----------
    archive : Archive
    text : str or int
        "12", a tag, "head", "head~2" (the one two before the newest), or a day: as the store was known then.

    Raises
    ------
    Refused
        It means none; the nearest tag is told.
    NotKept
        The snapshot was dropped.
    StoreError
        There never was one of that number.
    """
    text = str(text).strip()
    if _NUMBER.fullmatch(text):
        return archive.snapshot(int(text)).number
    if found := _HEAD.fullmatch(text):
        head = archive.head().number
        back = int(found[1] or 0)
        if back > head:
            raise Refused(f"{text}: the store has {head} snapshots")
        return archive.snapshot(head - back).number
    if _DAY.fullmatch(text):
        return archive.as_known(_day(text)).number
    return _tagged(archive, text)


@contextlib.contextmanager
def hold(archive, numbers, why):
    """Keep snapshots while the block runs, for at most `HELD`: whatever else happens, `retention` does not drop them.

    Raises
    ------
    NotKept
        One of them was dropped.
    """
    name, numbers = f"tags/.hold-{uuid4().hex}.json", [number for number in numbers if number]
    if numbers:
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        fields = {"numbers": numbers, "why": why, "time": stamp, "author": user()}
        try:
            archive.place.hint(name, sealed(fields))
        except OSError as error:
            raise not_written(name, error) from error
    try:
        _refuse_dropped(archive, name, numbers)
        yield
    finally:
        if numbers:
            archive.place.remove(name)


def needed(archive):
    """What keeps snapshots: ({number: names of tags}, numbers that are held, or were tagged before a tag was moved)."""
    named, held, place = {}, set(), archive.place
    for one in tags(archive):
        named.setdefault(one["number"], []).append(one["name"])
    for name in place.names("tags"):
        with contextlib.suppress(FileNotFoundError, Damaged):  # it has just ended, or was torn: rule 3
            if is_hold(name) and not ended(place, name):
                held.update(_opened(place, name, ("numbers",))["numbers"])
    for name, generations in _found(place).items():
        for generation in sorted(generations)[:-1]:  # a move was killed, or goes on
            with contextlib.suppress(FileNotFoundError, Damaged):
                held.add(_opened(place, _file(name, generation), _FIELDS)["number"])
    return named, held


def ended(place, name):
    """Whether a hold was given up, or is so old that its process is gone."""
    try:
        return place.facts(name).changed < place.now() - HELD.total_seconds()
    except FileNotFoundError:
        return True


def is_hold(name):
    """Whether a file is a hold."""
    return bool(_HOLD.fullmatch(name))


def leftovers(place):
    """Files in `tags` that are of no use: temporary ones, holds that ended, and generations that a kill left behind."""
    loose = [name for name in place.names("tags") if name.startswith("tags/.")]
    loose = [name for name in loose if not is_hold(name) or ended(place, name)]
    for name, generations in _found(place).items():
        if _readable(place, name, max(generations)):
            loose += [_file(name, generation) for generation in sorted(generations)[:-1]]
    return loose


def _tagged(archive, text):
    """Number of a tagged snapshot; Damaged if it is not the one that was tagged."""
    found = _found(archive.place)
    if text not in found:
        near = get_close_matches(text, [*found, "head"], 1)
        raise Refused(f"there is no snapshot or tag {text!r}{f': did you mean {near[0]}?' if near else ''}; {_WAYS}")
    one = _one(archive.place, text, found[text])
    if one is None:
        raise Refused(f"there is no snapshot or tag {text!r}; {_WAYS}")
    if archive.snapshot(one["number"]).hash != one["hash"]:
        raise Damaged(f"{_file(text, max(found[text]))} names another snapshot {one['number']} than this store has")
    return one["number"]


def _checked(name):
    name = str(name)
    if not NAME.fullmatch(name):
        raise Refused(
            f"{name!r} is no name of a tag: 1 to 64 letters, digits, dots, dashes and underscores, no dot first"
        )
    if any(kind.fullmatch(name) for kind in (_NUMBER, _HEAD, _DAY)):
        raise Refused(f"{name!r} is no name of a tag, as it means a snapshot already: {_WAYS}")
    if not listing.allowed(_file(name, 1)):
        raise Refused(f"{name!r} is no name of a tag, as Windows keeps it for a device: choose another name")
    return name


def _refuse_alike(name, found):
    """On a disk that ignores case two such names would be one."""
    for other in sorted(found):
        if other != name and other.casefold() == name.casefold():
            raise Refused(f"there is a tag {other}, and {name} differs in case only: choose another name")


def _day(text):
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(f"{text} is no day; {_WAYS}") from None


def _file(name, generation):
    return f"tags/{name}.json" if generation == 1 else f"tags/{name}~{generation}.json"


def _found(place):
    """{name: generations} of the files of tags."""
    found = {}
    for match in filter(None, map(_FILE.fullmatch, place.names("tags"))):
        found.setdefault(match[1], []).append(int(match[2] or 1))
    return found


def _one(place, name, generations):
    """The tag, of its newest generation; None if it has just been removed, or was never whole."""
    for generation in sorted(generations, reverse=True):
        try:
            one = _opened(place, _file(name, generation), _FIELDS)
        except FileNotFoundError:
            continue  # it was moved or removed since the names were listed
        except Damaged:
            if place.atomic("tags"):
                raise
            continue  # torn by a kill: it was never told to be there
        if one["name"] != name:
            raise Damaged(f"{_file(name, generation)} is damaged: it is tag {one['name']} under another name")
        return one
    again = _found(place).get(name, ())
    return _one(place, name, again) if set(again) - set(generations) else None


def _opened(place, name, wanted):
    fields = unsealed(place.read(name), name)
    try:
        return {field: fields[field] for field in wanted}
    except KeyError as error:
        raise Damaged(f"{name} is damaged: it lacks {error}") from error


def _readable(place, name, generation):
    try:
        return bool(_opened(place, _file(name, generation), _FIELDS))
    except (Damaged, FileNotFoundError):
        return False


def _written(archive, name, fields, numbers):
    """Write a file that keeps snapshots; taken back, if one of them was dropped."""
    archive.place.write_once(name, sealed(fields))
    try:
        archive.place.settle([name])
    except OSError as error:
        raise StateUnknown(f"{name} is written but the disk did not confirm it ({error.strerror})") from error
    _refuse_dropped(archive, name, numbers)


def _refuse_dropped(archive, name, numbers):
    """Take a file back and raise NotKept, if one of the snapshots that it keeps was dropped before it was there."""
    dropped = archive.manifests.ledger.dropped() if numbers else {}
    for number in numbers:
        if number in dropped:
            _remove(archive.place, [name])
            archive.snapshot(number)
            raise NotKept(f"snapshot {number} was being dropped; it is kept now: repeat the command")


def _remove(place, names):
    try:
        for name in names:
            place.remove(name)
    except OSError as error:
        raise NotWritten(f"{name} could not be removed ({error.strerror}); repeat the command") from error
