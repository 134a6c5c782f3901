"""Documents that tell whether they are whole: JSON below the sha256 of its bytes; and how damage is told.

Manifests, the ledgers of dropped snapshots and tags are such files.
"""

import json
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

from store.durable import StoreError

FORMAT = 1


class Damaged(StoreError):
    """A file of the store is missing, cut or altered; the text begins with its name."""


@dataclass(frozen=True)
class Problem:
    """A damaged file and what is wrong with it."""

    path: str
    reason: str

    def __str__(self):
        return f"{self.path} {self.reason}"


def problem(error):
    """A Damaged error as a Problem."""
    path, _, reason = str(error).partition(" ")
    return Problem(path, reason)


def sealed(fields):
    """A document as bytes: on line 1 the sha256 of the rest, which is JSON with the `format`."""
    fields = {"format": FORMAT} | fields
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), default=date.isoformat).encode("ascii")
    return sha256(text).hexdigest().encode("ascii") + b"\n" + text


def checksum(text):
    """What line 1 of such bytes says: the document's hash."""
    return text[:64].decode("ascii")


def unsealed(text, name):
    """The document in such bytes, which are of the file `name`.

    Raises
    ------
    Damaged
        The bytes are not those of the checksum.
    StoreError
        A newer program wrote them.

    Examples
    --------
    >>> unsealed(sealed({"number": 7}), "tags/a.json")
    {'format': 1, 'number': 7}
    """
    told, _, body = text.partition(b"\n")
    if sha256(body).hexdigest().encode("ascii") != told:
        raise Damaged(f"{name} is damaged: its checksum is wrong")
    try:
        fields = json.loads(body)
        found = fields["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{name} is damaged: it is no document of the store ({error})") from error
    if found != FORMAT:
        raise StoreError(f"{name} has format {found}; this program reads format {FORMAT}")
    return fields
