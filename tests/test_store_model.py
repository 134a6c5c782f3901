"""The store against a dict: whatever is done in whatever order, both hold the same, now and at every old snapshot.

Days pass by a clock of the test's, and the dict has rules of its own for what is kept. Nothing is flushed: what a power
cut does is not asked here. `--sequences` and `--steps` tell how much is tried.
"""

import json
import os
import tempfile
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from store import retention, tags, undo
from store.archive import Conflict, NotKept, Refused, open_archive
from store.backup import backup, restore
from store.compact import compact
from store.verify import verify
from tests.store_days import Clock, rates

PROVES = (6,)  # guarantees

SOURCES, NAMES, RUNS = ("a", "b", "c"), ("one", "two"), ("r1", "r2")
VALUES = st.lists(st.integers(0, 9), max_size=3)
DAYS = st.sampled_from([0, 1, 5, 20, 31, 50])
SEED = 11


class Store(RuleBasedStateMachine):
    """Any order of commits, merges, clean-ups, undone changes and restarts gives what a dict would give."""

    @initialize(past=st.lists(st.tuples(st.sampled_from(SOURCES), VALUES, DAYS), min_size=3, max_size=8))
    def begin(self, past):
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock("2031-01-05T12:00:00").__enter__()
        self.archive = open_archive(f"{self.folder.name}/store", create=True)
        self.model = [{source: [] for source in SOURCES}]  # of each snapshot: source -> values, sorted
        self.times, self.dropped = [None], set()
        self.tags, self.runs, self.backed_up = {}, {}, None
        for source, values, days in past:  # hypothesis leaves rules out of most sequences: none is without a past
            self.append(source, values)
            self.let_days_pass(days)

    def teardown(self):
        if hasattr(self, "folder"):
            assert verify(self.archive)["problems"] == []
            self.clock.__exit__()
            self.folder.cleanup()

    # ---- what is done

    def commit(self, add, remove=(), **changed):
        self.archive.commit(add, remove)
        self.made(self.model[-1] | {source: sorted(values) for source, values in changed.items()})

    def made(self, state):
        """There is a new snapshot."""
        self.model.append(state)
        self.times.append(self.clock.moment)

    def write(self, source, values):
        return self.archive.write("fx", rates(*values), source=source, currency="EUR")

    def number(self, data):
        return data.draw(st.integers(0, len(self.model) - 1))

    @rule(source=st.sampled_from(SOURCES), values=VALUES)
    def append(self, source, values):
        self.commit([self.write(source, values)], **{source: self.model[-1][source] + values})

    @rule(source=st.sampled_from(SOURCES), values=VALUES)
    def merge(self, source, values):
        """Rows of a source are written anew, those that come again but once."""
        stored = self.archive.read("fx", source=source)["rate"].to_list()
        both = sorted({*map(int, stored), *values})
        old = self.archive.files("fx", source=source)
        self.commit([self.write(source, both)], old, **{source: set(self.model[-1][source]) | set(values)})

    @rule(source=st.sampled_from(SOURCES))
    def delete(self, source):
        old = self.archive.files("fx", source=source)
        if old:
            self.commit([], old, **{source: []})

    @rule(whole=st.booleans())
    def compact(self, whole):
        before = self.archive.head().number
        if compact(self.archive, whole=whole)["snapshot"] > before:
            self.made(self.model[-1])

    @rule(data=st.data())
    def undo(self, data):
        number = self.number(data)
        if number in self.dropped:
            with pytest.raises(NotKept):
                undo.undo(self.archive, number)
        elif self.archive.snapshot(number).files == self.archive.head().files:
            with pytest.raises(Refused, match="already"):
                undo.undo(self.archive, number)
        else:
            undo.undo(self.archive, number)
            self.made(self.model[number])

    @rule()
    def abandon(self):
        self.write("a", [1])

    @rule(data=st.data())
    def remove_what_was_replaced(self, data):
        live = {segment.path for segment in self.archive.head().files}
        dead = sorted({s.path for one in self.archive.history() for s in one.files} - live)
        if dead:
            with pytest.raises(Conflict):
                self.archive.commit([], remove=[data.draw(st.sampled_from(dead))])

    # ---- what is named

    @rule(data=st.data(), name=st.sampled_from(NAMES), move=st.booleans())
    def tag(self, data, name, move):
        number = self.number(data)
        if number in self.dropped:
            with pytest.raises(NotKept):
                tags.tag(self.archive, name, number, move=move)
        elif number == 0 or (name in self.tags and self.tags[name] != number and not move):
            with pytest.raises(Refused):
                tags.tag(self.archive, name, number, move=move)
        else:
            tags.tag(self.archive, name, number, move=move)
            self.tags[name] = number

    @rule(name=st.sampled_from(NAMES))
    def untag(self, name):
        if name not in self.tags:
            with pytest.raises(Refused):
                tags.untag(self.archive, name)
        else:
            assert tags.untag(self.archive, name)["number"] == self.tags.pop(name)

    @rule(data=st.data(), run_id=st.sampled_from(RUNS))
    def run(self, data, run_id):
        number = self.number(data)
        if run_id in self.runs:
            self.archive.drop_run(run_id)
            del self.runs[run_id]
        elif number and number not in self.dropped:
            staged = self.archive.stage()
            (staged / "run.json").write_text(json.dumps({"summary": {"snapshot": {"number": number}}}))
            self.archive.publish(staged, run_id)
            self.runs[run_id] = number

    # ---- what time and others do

    @rule(days=DAYS)
    def let_days_pass(self, days):
        self.clock.on(days=days, minutes=1)

    @rule(keep_days=st.sampled_from([0, 7, 30]))
    def clear(self, keep_days):
        told = retention.gc(self.archive, timedelta(0), keep_days, dry_run=False, now=self.clock.moment)
        kept = self.kept(keep_days)
        gone = set(range(1, len(self.model))) - self.dropped - kept
        assert set(told["snapshots"]) == gone
        self.dropped |= gone
        assert {one.number for one in self.archive.history()} == kept
        named = {segment.path for one in self.archive.history() for segment in one.files}
        assert set(self.archive.place.tree("data")) == named

    def kept(self, keep_days):
        """By hand: the newest, those named, those of the last days, and the first of each month."""
        here = [number for number in range(1, len(self.model)) if number not in self.dropped]
        kept = {here[-1]} if here else set()
        for number in here:
            month = [n for n in range(1, len(self.model)) if self.month(n) == self.month(number)]
            young = self.clock.moment - self.times[number] <= timedelta(days=keep_days)
            if young or month[0] == number or number in (*self.tags.values(), *self.runs.values()):
                kept.add(number)
        return kept

    def month(self, number):
        return self.times[number].year, self.times[number].month

    @rule()
    def restart(self):
        self.archive = open_archive(self.archive.path)

    @precondition(lambda self: len(self.model) > 1)
    @rule(really=st.integers(0, 3))
    def back_up(self, really):
        if not really:
            told = backup(self.archive, f"{self.folder.name}/copy")
            assert told["hash"] == self.archive.head().hash
            self.backed_up = len(self.model) - 1

    @precondition(lambda self: self.backed_up)
    @rule(really=st.integers(0, 3))
    def restore(self, really):
        if not really:
            with tempfile.TemporaryDirectory() as folder:
                restore(f"{self.folder.name}/copy", f"{folder}/store")
                assert self.content(open_archive(f"{folder}/store")) == self.model[self.backed_up]

    # ---- what is read

    def content(self, archive, snapshot=None):
        found = {source: [] for source in SOURCES}
        for source, rate in archive.read("fx", snapshot, ["source", "rate"]).iter_rows():
            found[source].append(int(rate))
        return {source: sorted(values) for source, values in found.items()}

    @rule(data=st.data())
    def read_old(self, data):
        number = self.number(data)
        if number in self.dropped:
            with pytest.raises(NotKept, match=f"snapshot {number} of"):
                self.content(self.archive, number)
        else:
            assert self.content(self.archive, number) == self.model[number]

    @rule(days=st.integers(0, 60))
    def ask_what_was_known(self, days):
        day = (self.clock.moment - timedelta(days=days)).date()
        then = [n for n in range(1, len(self.model)) if self.times[n].date() <= day]
        if len(self.model) == 1:
            assert self.archive.as_known(day).number == 0
        elif not then:
            with pytest.raises(Refused, match="the store knew nothing"):
                self.archive.as_known(day)
        elif then[-1] in self.dropped:
            with pytest.raises(NotKept, match="the store as known on"):
                self.archive.as_known(day)
        else:
            assert self.archive.as_known(day).number == then[-1]

    @rule()
    def list_all(self):
        rows = retention.snapshots(self.archive, now=self.clock.moment)
        assert [row["number"] for row in rows] == list(range(len(self.model) - 1, 0, -1))
        for row in rows:
            number = row["number"]
            assert row["dropped"] == (number in self.dropped)
            assert row["tags"] == sorted(name for name, at in self.tags.items() if at == number)
            assert row["runs"] == list(self.runs.values()).count(number)
            assert row["dropped"] or row["rows"] == sum(map(len, self.model[number].values()))
        kept = self.kept(30)
        assert {row["number"] for row in rows if row["kept"]} == kept

    @invariant()
    def the_newest_is_as_the_model(self):
        if hasattr(self, "model"):
            assert self.archive.head().number == len(self.model) - 1
            assert self.content(self.archive) == self.model[-1]
            assert {one["name"]: one["number"] for one in tags.tags(self.archive)} == self.tags


def test_the_store_is_a_dict_with_a_memory(sequences, steps, record_property):
    record_property("sequences", sequences)
    record_property("seed", SEED)
    many = settings(max_examples=sequences, stateful_step_count=steps, deadline=None, database=None,
                    suppress_health_check=list(HealthCheck))  # fmt: skip
    with mock.patch.object(os, "fsync", lambda handle: None):
        run_state_machine_as_test(seed(SEED)(Store), settings=many)


def test_the_clock_of_the_test_is_that_of_snapshots(tmp_path):
    with Clock("2031-01-05T12:00:00"):
        archive = open_archive(tmp_path / "store", create=True)
        archive.commit([archive.write("fx", rates(1), source="a")])
    assert datetime.fromisoformat(archive.head().time) == datetime(2031, 1, 5, 12, tzinfo=UTC)
