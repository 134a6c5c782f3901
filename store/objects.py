"""Objects of an S3 service: what `bucket` needs of one, with every failure as one sentence and no secret in any.

Region, address of the service and credentials come from the environment only: AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL; also the roles that a
machine or a container of Amazon has. Names and profiles in ~/.aws are not read. Plain http is for a service on this
machine, elsewhere only with AWS_ALLOW_HTTP=true.

Rules of a conditional put: (1) the service takes it only if the name is free (`If-None-Match: *`) or the object is the
one that was read (`If-Match`); (2) whether a try was taken whose answer was lost cannot be known, so it is tried again,
and if the name is taken now, the object tells by its content, and by the word `writer` that was put with it, whether it
is ours; (3) where that cannot be found out the state is unknown, and said to be.
"""

import contextlib
import os
import random
import re
import time
from datetime import timedelta
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from store.durable import NotWritten, StateUnknown, StoreError

CONNECT, SILENCE = 5.0, 30.0  # how long a connection may take, and an answer that says nothing [s]
PAUSES = (0.1, 0.4, 1.6, 3.2)  # before each further try [s]
RATE = 100_000  # an upload may be as slow as that [bytes/s]
CHUNK = 4 << 20  # of what is read from a stream [bytes]
_WRITER = "writer"
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_FAILURES = (BaseError, OSError, ValueError, RuntimeError)
_KEYS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, if they are temporary)"
_SAID = {  # what a service calls its reason -> what to tell
    "NoSuchBucket": "there is no such bucket: make it, or mend its name or AWS_ENDPOINT_URL",
    "AccessDenied": f"access was denied: these credentials may not do that; {_KEYS}",
    "InvalidAccessKeyId": f"the access key is not known there: {_KEYS}",
    "SignatureDoesNotMatch": f"the secret key does not belong to the access key: {_KEYS}",
    "ExpiredToken": f"the credentials have expired: {_KEYS}",
    "InvalidToken": f"the session token is not valid: {_KEYS}",
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it, and try again",
    "NotImplemented": "the service cannot do that: frontmonth needs one with conditional puts (If-None-Match)",
    "QuotaExceeded": "the service has no room left",
    "EntityTooLarge": "the file is too large for the service",
}
_AGAIN = (408, 409, 425, 429)  # answers that ask to try again
_REGIONS = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}


class Unreachable(StoreError):
    """An S3 service that did not answer, or refused; nothing was changed."""


class Objects:
    """The objects of a bucket whose names begin with a prefix; messages call it `address`, and the service `place`."""

    def __init__(self, bucket, prefix, address):
        self.bucket, self.prefix, self.address = bucket, prefix, address
        self.endpoint = endpoint()
        self.place = urlsplit(self.endpoint).netloc or "Amazon S3"

    # ---- looking

    def read(self, name, known=None):
        """(bytes, tag, writer) of an object; None if it is still that of the tag `known`; FileNotFoundError."""
        with self._told(f"read {name}"):
            try:
                found = obstore.get(self._reader, name, options={"if_none_match": known} if known else None)
            except obstore.exceptions.NotModifiedError:
                return None
            return found.bytes().to_bytes(), found.meta["e_tag"], found.attributes.get(_WRITER)

    def stream(self, name, known=None):
        """(chunks of bytes, tag) of an object, as of `read`; the chunks raise `Unreachable` too."""
        with self._told(f"read {name}"):
            try:
                found = obstore.get(self._reader, name, options={"if_none_match": known} if known else None)
            except obstore.exceptions.NotModifiedError:
                return None
        return self._chunks(found, name), found.meta["e_tag"]

    def head(self, name):
        """Facts of an object: `size`, `last_modified`, `e_tag`; FileNotFoundError."""
        with self._told(f"look at {name}"):
            return obstore.head(self._reader, name)

    def list(self, under="", after="", most=None):
        """Facts of all objects below `under`, by name; of those after a name only, and not more than `most`."""
        out = []
        with self._told("list it"):
            for part in obstore.list(self._reader, under or None, offset=after or None, chunk_size=1000):
                out += part
                if most and len(out) >= most:
                    break
        return sorted(out, key=lambda facts: facts["path"])

    def level(self, under=""):
        """(names of the folders, facts of the objects) directly below `under`."""
        with self._told("list it"):
            found = obstore.list_with_delimiter(self._reader, under or None)
        return sorted(found["common_prefixes"]), sorted(found["objects"], key=lambda facts: facts["path"])

    # ---- writing

    def put(self, name, data):
        """Write an object, replacing what was there; its tag.

        Raises
        ------
        NotWritten
            It may have been written all the same.
        """
        with self._told(f"write {name}", NotWritten):
            return obstore.put(self._writer(len(data)), name, bytes(data), use_multipart=False)["e_tag"]

    def create(self, name, data):
        """Write an object whose name must be free; its tag. See the rules above.

        Raises
        ------
        FileExistsError
            It is taken, by another writer.
        NotWritten
            Nothing was written.
        StateUnknown
            The service did not say whether it was.
        """
        return self._put_if(name, data, "create")

    def update(self, name, data, tag):
        """Replace the object that has this tag; the new one. FileExistsError if another has taken its place."""
        return self._put_if(name, data, {"e_tag": tag})

    def delete(self, name):
        """Remove an object; one that is gone already is no error."""
        with self._told(f"remove {name}", NotWritten), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._reader, name)

    # ---- inside

    def _put_if(self, name, data, mode):
        writer, unsure, client = uuid4().hex, False, self._writer(len(data), once=True)
        deadline = time.monotonic() + 2 * SILENCE
        for pause in (*PAUSES, None):
            try:
                options = {"mode": mode, "use_multipart": False, "attributes": {_WRITER: writer}}
                return obstore.put(client, name, bytes(data), **options)["e_tag"]
            except _FAILURES as error:
                answer = Answer(error)
            if answer.taken:
                tag = self._ours(name, data, writer) if unsure else None
                if tag is None:
                    raise FileExistsError(f"{name} is taken in {self.address}")
                return tag
            unsure = unsure or answer.unsure
            if answer.final or pause is None or time.monotonic() > deadline:
                break
            time.sleep(pause * random.uniform(0.5, 1.0))
        why = f"{self.address}: {answer.reason(self)}"
        if unsure:
            raise StateUnknown(f"{why}; {name} may be written or not: look at the store before repeating the command")
        raise NotWritten(f"{why}; {name} could not be written, nothing was changed")

    def _ours(self, name, data, writer):
        """The tag of an object if it is what this writer put there in a try whose answer was lost; else None."""
        try:
            content, tag, found = self.read(name)
        except FileNotFoundError:
            return None
        except StoreError as error:
            raise StateUnknown(
                f"{error}; {name} may be written or not: look at the store before repeating the command"
            ) from None
        return tag if content == bytes(data) and found in (writer, None) else None  # None: metadata is not kept there

    def _chunks(self, found, name):
        with self._told(f"read {name}"):
            yield from found.stream(min_chunk_size=CHUNK)

    @property
    def _reader(self):
        return _client(self.bucket, self.prefix, self.endpoint, None, False)

    def _writer(self, size, once=False):
        seconds = SILENCE
        while seconds < size / RATE:  # few different ones: each has connections of its own
            seconds *= 4
        return _client(self.bucket, self.prefix, self.endpoint, seconds, once)

    @contextlib.contextmanager
    def _told(self, what, kind=Unreachable):
        """A failure of the service as a sentence; FileNotFoundError where it says that there is no such object."""
        try:
            yield
        except _FAILURES as error:
            answer = Answer(error)
            if answer.absent:
                raise FileNotFoundError(2, "No such object", f"{self.address}/{what.rpartition(' ')[2]}") from None
            raise kind(f"{self.address}: could not {what}: {answer.reason(self)}") from None  # its text may tell a key


class Answer:
    """What an error of obstore says of the service's answer.

    taken: the name is; absent: there is no such object; final: another try would end alike; unsure: the request may
    have been carried out.
    """

    def __init__(self, error):
        text = str(error)
        status = re.search(r"status code: (\d{3})", text)
        code = re.search(r"<Code>(\w{1,64})</Code>", text)
        region = re.search(r"(?:<Region>|expecting '|expecting &apos;)([a-z0-9-]{1,32})", text)
        self.status, self.code = int(status[1]) if status else 0, code[1] if code else ""
        self.region = region[1] if region else ""
        self.connects = "kind: Connect" not in text
        first = text.partition("Debug source")[0]
        asked = re.search(r"https?://(\S+)", first)
        said = re.sub(r"https?://\S+", "", first).lower()  # an object's name may hold any word
        role = asked is not None and asked[1].startswith(("169.254.", "[fd00:ec2"))  # it was asked for the machine's
        self.credentials = role or ("credential" in said and not self.status)
        redirect = "redirect without location" in said  # Amazon's word for another region, where it does not tell which
        self.code = self.code or ("PermanentRedirect" if redirect else "")
        self.absent = isinstance(error, FileNotFoundError) and self.code != "NoSuchBucket"
        self.taken = self.status in (412, 304)
        self.final = self.credentials or redirect or self.status == 501
        self.final = self.final or (300 <= self.status < 500 and self.status not in _AGAIN)
        self.unsure = self.connects and not self.final and self.status not in (409, 425, 429)

    def reason(self, objects):
        """Why, and what to do."""
        if self.credentials:
            return f"there are no credentials: {_KEYS}"
        if self.code in _SAID:
            return _SAID[self.code]
        if self.code in _REGIONS or self.status == 301:
            return f"the bucket is in another region{self.region and ', ' + self.region}: set AWS_REGION to it"
        if self.status in (401, 403):
            return _SAID["AccessDenied"]
        if self.status == 501:
            return _SAID["NotImplemented"]
        if self.status:
            told = f"{self.status} {self.code}".strip()
            return f"the service {'is busy or broken' if self.status >= 429 else 'refused'} ({told})"
        if not self.connects:
            return f"{objects.place} cannot be reached: look at the network and at AWS_ENDPOINT_URL"
        return f"{objects.place} did not answer, or its answer broke off: look at the network, and try again"


def endpoint():
    """Address of the service, as the environment says; '' means Amazon's.

    Raises
    ------
    StoreError
        It is plain http to another machine.
    """
    found = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "").rstrip("/")
    parts = urlsplit(found)
    if found and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username):
        raise StoreError(
            "AWS_ENDPOINT_URL is no address of a service: it has the form https://host or https://host:port"
        )
    if parts.scheme == "http" and not _open(parts.hostname):
        raise StoreError(
            f"AWS_ENDPOINT_URL is plain http to {parts.hostname}, where anybody on the way can read and alter all: use "
            "https, or set AWS_ALLOW_HTTP=true"
        )
    return found


def _open(host):
    """Whether plain http may be spoken to a host."""
    if os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "yes", "on"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _client(bucket, prefix, endpoint, seconds, once):
    """A client; `seconds` for a whole request, None for one that may take as long as something comes in."""
    secrets = tuple(os.environ.get(name) for name in sorted(os.environ) if name.startswith("AWS_"))
    return _made(bucket, prefix, endpoint, seconds, once, CONNECT, SILENCE, hash(secrets), os.getpid())


@lru_cache(maxsize=32)
def _made(bucket, prefix, endpoint, seconds, once, connect, silence, environment, process):
    options = {"connect_timeout": f"{connect}s", "timeout": f"{seconds or 86400}s", "allow_http": True}
    if seconds is None:
        options["read_timeout"] = f"{silence}s"
    backoff = {"init_backoff": timedelta(seconds=PAUSES[0]), "max_backoff": timedelta(seconds=PAUSES[-1]), "base": 3}
    retry = {"max_retries": 0 if once else len(PAUSES), "retry_timeout": timedelta(seconds=60), "backoff": backoff}
    words = {"prefix": prefix or None, "client_options": options, "retry_config": retry, "disable_bulk_delete": True}
    if bool(os.environ.get("AWS_ACCESS_KEY_ID")) != bool(os.environ.get("AWS_SECRET_ACCESS_KEY")):
        raise StoreError(f"of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY one is not set: {_KEYS}")
    try:
        return S3Store(bucket, **({"endpoint": endpoint} if endpoint else {}), **words)
    except _FAILURES as error:
        what = type(error).__name__  # not its text: that may hold a value of the environment
        raise StoreError(f"the S3 service cannot be used: a setting of AWS_... is not as it must be ({what})") from None
