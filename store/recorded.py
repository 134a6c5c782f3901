"""What `runs/<id>/run.json` says, as far as the store needs it, and whether it is as it was written.

`files` holds the sha256 of each table, `checksum` that of the rest of the record. Programs before 0.4 wrote neither.
"""

import contextlib
import json
from hashlib import sha256

from store.places import STAGED
from store.sealed import Damaged


def checksum(record):
    """Sha256 of a record without its `checksum`, in hex."""
    return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def record(content, name):
    """The record in the bytes of a `run.json`, without its checksum; Damaged unless it is as it was written.

    >>> record(b'{"summary": {"run": "7"}}', "runs/7/run.json")
    {'summary': {'run': '7'}}
    """
    try:
        found = json.loads(content)
        told = found.pop("checksum", None)
        if told is None and "files" in found:
            raise ValueError("it lacks its checksum")
        if told is not None and told != checksum(found):
            raise ValueError("its checksum is wrong")
    except (ValueError, AttributeError, TypeError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is no record of a run"
        raise Damaged(f"{name} is damaged: {reason}") from error
    return found


def made_of(found, name):
    """(number, hash) of the snapshot that a run was made of; (None, None) of a record that does not say."""
    try:
        told = found["summary"].get("snapshot")
        return (None, None) if told is None else (int(told["number"]), told.get("hash"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damaged(f"{name} is damaged: it is no record of a run") from error


def needed(archive, strict):
    """{number of a snapshot: ids of the runs that were made of it}, runs on their way in or out too.

    `strict`: Damaged where one cannot be read; else it does not count.
    """
    found = {}
    for run_id in archive.run_ids():
        name = f"runs/{run_id}/run.json"
        try:
            found.setdefault(made_of(record(archive.place.read(name), name), name)[0], []).append(run_id)
        except FileNotFoundError:
            continue  # it was dropped just now
        except Damaged as error:
            if strict:
                raise Damaged(
                    f"{error}: nobody knows which snapshot it needs; restore it from a backup, or drop that run"
                ) from error
    for folder in staged(archive):
        with contextlib.suppress(OSError, Damaged):  # not written to its end: no run yet
            content = (folder / "run.json").read_bytes()
            found.setdefault(made_of(record(content, folder.name), folder.name)[0], []).append("on its way")
    found.pop(None, None)
    return found


def staged(archive):
    """Folders of this machine in which runs are written, or were."""
    return [*(archive.path / "runs").glob(f"{STAGED}*"), *(archive.path / "staged").glob("*")]
