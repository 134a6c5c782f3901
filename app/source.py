"""What a page needs beside a run's tables: its market, and what of it takes long, made once for all visitors.

Each is made by whoever asks first, one at a time; the reason why there is none is kept as well.
"""

import threading

from app.columns import Columns

NO_STORE = "it is read from the store of the run, and none is open"
_LOCK = threading.RLock()


class NoSource(ValueError):
    """The market of a run cannot be had; the message says why."""


def market_of(columns: Columns):
    """The market of a run, with its history; may take seconds."""
    return _once(columns, "market", lambda: columns.market())


def given_of(columns: Columns):
    """What a run was given: `engine.analysis.source.Given`; may take seconds."""
    from engine.analysis.source import given

    return _once(columns, "given", lambda: given(market_of(columns), columns.run))


def excursions_of(columns: Columns):
    """Excursions of every trade, in the order of `columns.table`: columns EXCURSIONS of engine.analysis.excursions."""
    from engine.analysis.excursions import excursions

    def make():
        found = excursions(columns.run, market_of(columns))
        return columns.table.select("trade").join(found, on="trade", how="left", maintain_order="left")

    return _once(columns, "excursions", make)


def _once(columns, name, make):
    if columns.market is None:
        raise NoSource(NO_STORE)
    with _LOCK:
        if name not in columns.made:
            try:
                columns.made[name] = make()
            except (ValueError, OSError) as error:  # not run here, or the data are not there any more as it used them
                raise NoSource(str(error)) from None
        return columns.made[name]
