"""The store against a dict: whatever is done in whatever order, both hold the same, now and at every old snapshot."""

import tempfile
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from store.archive import Conflict, open_archive


class Store(RuleBasedStateMachine):
    """Any order of commits, replacements, abandoned writes, clean-ups and restarts gives what a dict would give."""

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.archive = open_archive(self.folder.name, create=True)
        self.model = [{}]  # of each snapshot: path -> (source, rates)

    def teardown(self):
        self.folder.cleanup()

    def rates(self, snapshot=None, **labels):
        return self.archive.read("fx", snapshot, **labels)["rate"].to_list()

    def write(self, source, numbers):
        return self.archive.write("fx", pl.DataFrame({"rate": numbers}), source=source)

    @rule(source=st.sampled_from("abc"), numbers=st.lists(st.integers(0, 9), max_size=3))
    def add(self, source, numbers):
        segment = self.write(source, numbers)
        self.archive.commit([segment])
        self.model.append(self.model[-1] | {segment.path: (source, numbers)})

    @rule(data=st.data(), source=st.sampled_from("abc"), numbers=st.lists(st.integers(0, 9), max_size=3))
    def replace(self, data, source, numbers):
        live = self.model[-1]
        gone = data.draw(st.sets(st.sampled_from(sorted(live)))) if live else set()
        segment = self.write(source, numbers)
        self.archive.commit([segment], remove=gone)
        self.model.append({p: rows for p, rows in live.items() if p not in gone} | {segment.path: (source, numbers)})

    @rule(data=st.data())
    def remove_what_was_replaced(self, data):
        dead = sorted({path for files in self.model for path in files} - self.model[-1].keys())
        if dead:
            with pytest.raises(Conflict):
                self.archive.commit([], remove=[data.draw(st.sampled_from(dead))])

    @rule()
    def abandon(self):
        self.write("a", [1])

    @rule()
    def restart_and_clean_up(self):
        self.archive = open_archive(self.folder.name)
        self.archive.gc(timedelta(seconds=-10), dry_run=False)

    @rule(data=st.data())
    def read_old(self, data):
        number = data.draw(st.integers(0, len(self.model) - 1))
        for source in "abc":
            expected = [x for owner, numbers in self.model[number].values() if owner == source for x in numbers]
            assert self.rates(number, source=source) == expected

    @invariant()
    def the_newest_is_as_the_model(self):
        if hasattr(self, "model"):
            assert self.archive.head().number == len(self.model) - 1
            assert self.rates() == [x for _, numbers in self.model[-1].values() for x in numbers]


TestStore = Store.TestCase
TestStore.settings = settings(max_examples=12, stateful_step_count=12, deadline=None, database=None)
