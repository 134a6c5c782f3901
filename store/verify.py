"""Verify: everything that a store holds is read and compared with what was written; each fault is named.

    the chain   every snapshot's checksum, number and parent; of those that were dropped, what the ledger holds of them
    segments    of every snapshot that is kept: sha256
    runs        `run.json`: its checksum, and that the snapshot that it was made of was not dropped; its tables: sha256
                (programs before 0.4 wrote neither checksum nor sha256)
    tags        their checksums, and that they name a snapshot that is kept

Chain, `run.json` and tags are always read. Segments and tables of runs can be taken in n parts by their sha256, so that
n nights see all of them. What a `gc` removes meanwhile is no damage: what seems missing is looked for once more.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from store import recorded
from store.ledger import Dropped
from store.manifest import EMPTY, Manifests, Snapshot
from store.places import Folder
from store.sealed import Damaged, Problem, problem, unsealed

_WORKERS = 4  # files read side by side: hashing does not wait for the interpreter, and a network has its pauses
_LOST = "restore it from a backup"
_AGAIN = f"{_LOST}, or delete the run and make it again"


@dataclass(frozen=True)
class Held:
    """A file whose content is known."""

    name: str
    sha256: str
    bytes: int | None  # None where nobody wrote it down
    told: str = ""  # what is in it, where the manifest tells


def verify(archive, part=None, progress=None):
    """Read the store's files and compare them with what was written.

    Parameters
    ----------
    archive : Archive
    part : (int, int), optional
        `(2, 7)`: of the segments and the tables of runs only the second of seven parts. A file's part depends on its
        content alone.
    progress : callable(done, total, name), optional

    Returns
    -------
    dict
        snapshot, hash : the newest that can be read; checked, of : files that were read, and of how many; bytes : of
        segments and tables that were read; stray : files in `data` that no snapshot names, `gc` takes them when they
        are old; problems : a sentence each, beginning with the name of the file.

    Examples
    --------
    >>> import tempfile
    >>> from store import open_archive
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     verify(open_archive(folder, create=True))["problems"]
    []
    """
    document, problems = examined(archive.place, part, progress)
    return document | {"problems": [str(one) for one in problems]}


def examined(place, part=None, progress=None):
    """What `verify` returns but for its problems, and a list of Problem."""
    if part and not 1 <= part[0] <= part[1]:
        raise ValueError(f"part {part[0]} of {part[1]}: the first number is one of 1 to the second")
    lying, tags = place.tree("data"), _tags(place)  # read before the chain: it has what is committed meanwhile
    head, hashes, segments, problems = _chain(Manifests(place))
    problems += [wrong for name, tag in tags if (wrong := _misnamed(name, tag, hashes))]
    ids, tables = _runs(place, problems, hashes)
    files = [*segments.values(), *tables]
    chosen = [held for held in files if part is None or int(held.sha256[:15], 16) % part[1] == part[0] - 1]
    doubtful, size = [], 0
    for done, (held, (wrong, length)) in enumerate(side_by_side(lambda held: compared(place, held), chosen), 1):
        doubtful += [(held, wrong)] if wrong else []
        size += length
        if progress:
            progress(done, len(chosen), held.name)
    if doubtful:
        still = {*_chain(Manifests(place))[2].values(), *_runs(place, [], {})[1]}
        problems += [wrong for held, wrong in doubtful if held in still]
    always = sum(one is not None for one in hashes.values()) + ids + len(tags)
    told = {"snapshot": head.number, "hash": head.hash, "checked": always + len(chosen), "of": always + len(files)}
    stray = sum(name not in segments for name in lying)
    return told | {"bytes": size, "stray": stray}, list(dict.fromkeys(problems))


def side_by_side(work, items):
    """(item, work(item)) of each, in order, a few at a time; an error ends it, and what was not begun stays undone."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        try:
            yield from zip(items, pool.map(work, items), strict=True)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def run_files(place, run_id):
    """The bytes of a run's `run.json`, and its tables as a list of Held.

    Raises
    ------
    Damaged
        It is not as it was written.
    FileNotFoundError
        There is no such run.
    """
    name = f"runs/{run_id}/run.json"
    content = place.read(name)
    return content, _tables(run_id, _record(content, name))


def _record(content, name):
    try:
        return recorded.record(content, name)
    except Damaged as error:
        raise Damaged(f"{error}; {_AGAIN}") from error


def _tables(run_id, record):
    try:
        return [
            Held(f"runs/{run_id}/{table}", sha256, None) for table, sha256 in sorted(record.get("files", {}).items())
        ]
    except (AttributeError, TypeError) as error:
        raise Damaged(f"runs/{run_id}/run.json is damaged: it is no record of a run; {_AGAIN}") from error


def _chain(manifests):
    """The newest snapshot, {number: hash, None where it was dropped}, {path: Held} of all segments, problems."""
    head, hashes, segments, problems = EMPTY, {}, {}, []
    for step in manifests.chain():
        if isinstance(step, Problem):
            problems.append(_advised(step))
            continue
        hashes[step.number] = None if isinstance(step, Dropped) else step.hash
        if isinstance(step, Snapshot):
            head = step
            for segment in step.files:
                if segment.path not in segments:
                    segments[segment.path] = Held(segment.path, segment.sha256, segment.bytes, _content(segment))
    return head, hashes, segments, problems


def _runs(place, problems, hashes):
    """How many runs there are, and their tables; `hashes` are those of the snapshots that they were made of."""
    ids, tables = [name.rpartition("/")[2] for name in place.folders("runs")], []
    ids = [run_id for run_id in ids if not run_id.startswith(".")]
    if not isinstance(place, Folder):  # in a bucket such files are on their way in
        ids = [run_id for run_id in ids if place.has(f"runs/{run_id}/run.json")]
    for run_id in ids:
        name = f"runs/{run_id}/run.json"
        try:
            record = _record(place.read(name), name)
            tables += _tables(run_id, record)
            problems += _unmade(name, record, hashes)
        except FileNotFoundError:
            if f"runs/{run_id}" in place.folders("runs"):  # else it was deleted since it was listed
                problems.append(Problem(name, f"is missing: {_AGAIN}"))
        except Damaged as error:
            problems.append(problem(error))
        except OSError as error:
            problems.append(Problem(name, f"cannot be read ({error.strerror}); {_AGAIN}"))
    return len(ids), tables


def _unmade(name, record, hashes):
    """A Problem of a run whose snapshot the store does not hold any more, else nothing."""
    number, hash_ = recorded.made_of(record, name)
    if number not in hashes or (hashes[number] is not None and hash_ in (None, hashes[number])):
        return []  # one that is not in `hashes` is newer than this reading, or damaged and told already
    why = "was dropped" if hashes[number] is None else "is another one now"
    return [Problem(name, f"was made of snapshot {number}, which {why}: it cannot be made again; {_AGAIN}")]


def _tags(place):
    """(name, what it holds, or a Problem) of each tag."""
    found = []
    for name in place.names("tags"):
        try:
            if name.endswith(".json") and "/." not in name:
                found.append((name, unsealed(place.read(name), name)))
        except FileNotFoundError:
            continue  # taken away since it was listed
        except Damaged as error:
            found.append((name, _advised(problem(error))))
        except OSError as error:
            found.append((name, Problem(name, f"cannot be read ({error.strerror}); {_LOST}")))
    return found


def _misnamed(name, tag, hashes):
    """What is wrong with a tag, None if nothing is."""
    if isinstance(tag, Problem):
        return tag
    if tag.get("name") != name.removeprefix("tags/").removesuffix(".json").partition("~")[0]:
        return Problem(name, f"is the tag {tag.get('name')!r} under another name; {_LOST}")
    number = tag.get("number")
    known = hashes.get(number)
    if known is None or tag.get("hash", known) != known:
        return Problem(
            name, f"names snapshot {number}, which the store does not hold as it was then: move the tag, or {_LOST}"
        )
    return None


def _content(segment):
    """Table, market, source and years of a file, as its manifest tells them: a part of a sentence."""
    labels = segment.labels
    market, source = labels.get("root") or labels.get("currency"), labels.get("source")
    told = segment.table + (f" of {market}" if market else "") + (f" from {source}" if source else "")
    years = sorted({day.year for day in (segment.first_day, segment.last_day) if day})
    return told + (f", {' to '.join(map(str, years))}" if years else "")


def compared(place, held):
    """What is wrong with a file, None if nothing is; and its size."""
    advice = _AGAIN if held.name.startswith("runs/") else _LOST
    advice += f"; it holds {held.told}" if held.told else ""
    try:
        if isinstance(place, Folder) and not place.has(held.name):  # asked first: a pipe would be waited for
            return Problem(held.name, f"is missing: {advice}"), 0
        if place.digest(held.name) != held.sha256:
            return Problem(held.name, f"is damaged: its sha256 is not the one that was committed; {advice}"), 0
        return None, place.facts(held.name).bytes if held.bytes is None else held.bytes
    except FileNotFoundError:
        return Problem(held.name, f"is missing: {advice}"), 0
    except OSError as error:
        return Problem(held.name, f"cannot be read ({error.strerror}): {advice}"), 0


def _advised(one):
    """A problem of chain, ledger or tag that also says what to do."""
    return one if _LOST in one.reason else Problem(one.path, f"{one.reason}; {_LOST}")
