"""Stages of a run: their seconds follow each other without a gap, their memory is that of the stage alone."""

import mmap
import time
from pathlib import Path

import numpy as np
import pytest

from engine.stages import Stages, nothing
from store import system


def test_seconds_of_stages_add_up_and_a_stage_that_comes_again_is_added():
    began = time.perf_counter() - 5.0
    stages = Stages(system, began)
    for stage in ("a", "b", "a"):
        stages(stage)
    found = stages.told()
    assert list(found["seconds"]) == ["a", "b", "total"]
    assert found["seconds"]["total"] == pytest.approx(found["seconds"]["a"] + found["seconds"]["b"])
    assert 5.0 <= found["seconds"]["a"] < 60.0
    assert found["kernels"] == {"from_cache": 0, "compiled": 0, "seconds": 0.0}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux begins a peak anew")
def test_the_most_memory_is_that_of_the_stage_alone():
    stages = Stages(system)
    large = mmap.mmap(-1, 100_000_000)  # pages of its own: an array may lie in what the heap of a long run holds free
    np.frombuffer(large, dtype=np.uint8)[:] = 1
    stages("large")
    large.close()
    stages("small")
    stages("none")
    found = stages.told()["memory"]
    assert found["large"] - found["none"] > 90e6
    assert found["total"] == max(found["large"], found["small"], found["none"])


def test_the_age_of_a_process_grows_with_the_clock():
    before, clock = system.age(), time.perf_counter()
    while time.perf_counter() - clock < 0.05:
        pass
    assert 0.02 < system.age() - before < 5.0
    assert system.peak_memory() > 10e6 and nothing("x") is None
