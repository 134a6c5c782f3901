"""Where the sweeps of a store lie: `sweeps/<id>/`, put there whole; `sweeps/.<id>/` while one goes on.

They are results that can be computed again from what they were made of: on this machine only (of a bucket, in its
working copy), and in no backup. One that nobody has gone on with for a month is taken by `gc`.
"""

import re

from store import durable
from store.segments import Refused

_ID = re.compile(r"[0-9a-f]{12}")


def ids(archive):
    """Ids of the sweeps that are done, sorted."""
    found = (archive.path / "sweeps").glob("*/sweep.json")
    return sorted(path.parent.name for path in found if _ID.fullmatch(path.parent.name))


def drafts(archive):
    """Ids of the sweeps that go on, or were interrupted, sorted."""
    found = (archive.path / "sweeps").glob(".*/plan.json")
    return sorted(path.parent.name[1:] for path in found if _ID.fullmatch(path.parent.name[1:]))


def folder(archive, sweep_id):
    """The folder of a sweep that is done."""
    return archive.path / "sweeps" / _checked(sweep_id)


def draft(archive, sweep_id):
    """The folder of one that goes on; it is made by whoever writes there."""
    return archive.path / "sweeps" / f".{_checked(sweep_id)}"


def publish(archive, sweep_id):
    """Put a draft in its place, flushed and whole."""
    durable.move_folder(draft(archive, sweep_id), folder(archive, sweep_id))


def drop(archive, sweep_id):
    """Take a sweep out of the store, and what is half done of it."""
    there, going = folder(archive, sweep_id), draft(archive, sweep_id)
    if going.is_dir():
        durable.remove_tree(going)
    if there.is_dir():
        there.rename(going)
        durable.remove_tree(going)


def _checked(sweep_id):
    if not _ID.fullmatch(sweep_id):
        raise Refused(f"{sweep_id!r} is no id of a sweep: 12 letters and digits, see `frontmonth sweeps`")
    return sweep_id
