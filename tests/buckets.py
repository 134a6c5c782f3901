"""What tests of stores in buckets share: rows, rules for what stands between, and another machine."""

import polars as pl

RATES = pl.DataFrame({"currency": ["EUR"] * 3, "rate": [1.0, 2.0, 3.0]})


def stored(archive, source="ecb"):
    """Commit three rates; the snapshot."""
    return archive.commit([archive.write("fx", RATES, source=source)])


def once(method, part, told):
    """A rule: the first such request meets that, all others pass."""
    left = [told]
    return lambda request, number: left.pop() if left and request.command == method and part in request.path else None


def always(method, part, told):
    """A rule: every such request meets that."""
    return lambda request, number: told if request.command == method and part in request.path else None


def another_machine(monkeypatch, folder):
    """From now on this process has another cache, as on another machine."""
    monkeypatch.setenv("FRONTMONTH_CACHE", str(folder))
