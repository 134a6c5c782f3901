"""Commits of other days: a clock that tests set, and rows that tell which commit they are of."""

from datetime import UTC, datetime, timedelta
from unittest import mock

import polars as pl

from store import manifest


class Clock:
    """While it is open, snapshots are made at its moment."""

    def __init__(self, moment="2024-01-01T00:00:00"):
        self.at(moment)

    def at(self, moment):
        """Set it; without a zone UTC is meant."""
        moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        self.moment = moment.replace(tzinfo=UTC)

    def on(self, **words):
        """Let time pass."""
        self.moment += timedelta(**words)

    def __enter__(self):
        clock = self

        class Told(datetime):
            @classmethod
            def now(cls, tz=None):
                return clock.moment

        self._patch = mock.patch.object(manifest, "datetime", Told)
        self._patch.start()
        return self

    def __exit__(self, *failure):
        self._patch.stop()


def rates(*values):
    """Rates of exchange that are these numbers."""
    return pl.DataFrame({"rate": [float(value) for value in values]})
