"""Requests to Databento's historical HTTP API: one host, one key, patience.

1. The key comes from the environment (DATABENTO_API_KEY) or the caller. It goes into the header of requests to one
   host, is never stored, and is taken out of whatever the host answers before that is shown. Redirects are errors.
2. 429 and 503 are waited for as `Retry-After` says; a connection that is lost is tried again a few times.
"""

import base64
import json
import os
import re
import urllib.error
import urllib.request
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from urllib.parse import urlencode, urlsplit

from store import raw
from store.durable import StoreError

BASE = "https://hist.databento.com/v0"
KEY = "DATABENTO_API_KEY"
TIMEOUT = 100  # without a byte [s]
TRIES = 5  # of a request that is turned away or breaks off
PATIENCE = 300  # longest time to wait before the next try [s]
BLOCK = 1 << 18  # [bytes]
BUSY = (429, 503)


class ApiError(StoreError):
    """Databento's API refused, or could not be reached; the text is one sentence for the user."""


class Service:
    """Requests to one address with one key.

    Parameters
    ----------
    base : str
        https, or http on this machine (a test's server).
    key : str or None
        None: the environment's.
    pause : callable(seconds)
    """

    def __init__(self, base, key, pause):
        self._base, self._key, self._pause = _address(base), _key(key), pause
        self._open = urllib.request.build_opener(_NoRedirect).open

    def cost(self, wanted):
        """What Databento would charge [USD]."""
        text = self._tried("metadata.get_cost", wanted, lambda answer: answer.read(BLOCK))
        try:
            cost = float(json.loads(text))
        except (ValueError, TypeError):
            raise ApiError(
                f"databento: no cost in its answer: {raw.plain(self._hidden(text.decode('utf-8', 'replace')), 100)}"
            ) from None
        if not 0 <= cost < float("inf"):
            raise ApiError(f"databento: a cost of {cost} in its answer")
        return cost

    def save(self, wanted, path):
        """Stream records to a file."""

        def written(answer):
            with open(path, "wb") as out:
                while block := answer.read(BLOCK):
                    out.write(block)
                length = answer.headers.get("Content-Length")
                if length is not None and out.tell() != int(length):
                    raise HTTPException("the answer was cut short")
                out.flush()
                os.fsync(out.fileno())

        self._tried("timeseries.get_range", wanted, written)

    def _tried(self, method, wanted, use):
        """What `use` makes of the answer; waits where Databento says so, tries again where the connection broke."""
        for left in reversed(range(TRIES)):
            try:
                with self._open(self._request(method, wanted), timeout=TIMEOUT) as answer:
                    return use(answer)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in BUSY or not left:
                        raise ApiError(self._refusal(error)) from None
                    wait = _wait(error.headers.get("Retry-After"), TRIES - left)
                if wait > PATIENCE:
                    raise ApiError(
                        f"databento: asks to wait {wait:.0f} s ({error.code}): repeat the command later"
                    ) from None
                self._pause(wait)
            except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
                if not left:
                    told = raw.plain(
                        self._hidden(str(getattr(error, "reason", "") or error or type(error).__name__)), 100
                    )
                    raise ApiError(f"databento: {urlsplit(self._base).hostname} cannot be reached: {told}") from None
                self._pause(_wait(None, TRIES - left))
        raise AssertionError("the last try returns or raises")

    def _request(self, method, wanted):
        token = base64.b64encode(f"{self._key}:".encode()).decode()
        return urllib.request.Request(
            f"{self._base}/{method}", urlencode(wanted).encode(), method="POST",
            headers={"Authorization": f"Basic {token}", "Accept": "application/json", "User-Agent": "frontmonth"},
        )  # fmt: skip

    def _refusal(self, error):
        """One sentence of an answer that says no."""
        text = error.read(BLOCK).decode("utf-8", "replace")
        try:
            detail = json.loads(text)["detail"]
            text = detail.get("message") or detail.get("case") or text if isinstance(detail, dict) else str(detail)
        except (ValueError, KeyError, TypeError):
            pass
        hint = f"; is the key in {KEY} right?" if error.code in (401, 403) else ""
        return f"databento: {error.code} {raw.plain(self._hidden(text.strip()), 200) or error.reason}{hint}"

    def _hidden(self, text):
        return text.replace(self._key, "***")


def _wait(told, number):
    """Seconds to wait: as told, in seconds or as a date, else longer each time."""
    if told and told.strip().isdecimal():
        return float(told)
    try:
        moment = parsedate_to_datetime(told) if told else None
    except ValueError:
        moment = None
    if moment is None:
        return float(2**number)
    return max((moment - datetime.now(moment.tzinfo or UTC)).total_seconds(), 0.0)


def _address(base):
    parts = urlsplit(base)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ApiError(f"databento: {raw.plain(base, 80)} is not https: the key would be readable on its way")
    return base.rstrip("/")


def _key(key):
    key = key or os.environ.get(KEY, "")
    if not key:
        raise ApiError(f"databento: no API key: set the environment variable {KEY} (it is not stored)")
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise ApiError(f"databento: the API key in {KEY} has a blank or another character that no key has")
    return key


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None  # then the answer is an error: the key must not go elsewhere
