"""Kernels that only others call: they compute and raise as written, and have no machine code of their own."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from numba.core import codegen

from engine import parts
from engine.kernel import bare, fused, inner, kernel, opened
from tests.conftest import REPO

TOLD = """
import json
import numpy as np
from engine import compiled
from tests.test_engine_parts import spread
print(json.dumps([spread(np.array([1.0, 4.0, 2.5])), len(compiled.made) + len(compiled.found)]))
"""


@fused
def widest(values):
    """Largest value."""
    most = -np.inf
    for value in values:
        most = max(most, value)
    return most


@inner
def narrowest(values):
    """Smallest value: a part that calls a part."""
    if values.shape[0] == 0:
        raise ValueError("no values")
    for k in range(values.shape[0]):
        values[k] = -values[k]
    least = -widest(values)
    for k in range(values.shape[0]):
        values[k] = -values[k]
    return least


@bare
def spread(values):
    """From the smallest to the largest."""
    return widest(values) - narrowest(values)


@kernel
def spreads(values):
    """`spread` of each row: another kernel with the same parts."""
    out = np.empty(len(values))
    for k in range(len(values)):
        out[k] = widest(values[k]) - narrowest(values[k])
    return out


def test_kernels_made_of_parts_compute_what_is_written():
    values = np.array([[1.0, 4.0, 2.5], [-1.0, -1.0, 0.25]])
    assert [spread(row) for row in values] == [3.0, 1.25] == spreads(values).tolist()


def test_a_part_raises_as_it_is_written():
    with pytest.raises(ValueError, match="no values"):
        spread(np.empty(0))


def test_a_part_has_neither_machine_code_nor_an_address():
    called = opened(narrowest)  # which is not kept on the disk
    assert called(np.array([3.0, 2.0])) == 2.0
    made = next(iter(narrowest.overloads.values())).library
    assert isinstance(made, parts.Part)
    names = [one.name for one in made.get_defined_functions()]
    assert names and not any(made.get_pointer_to_function(name) for name in names)
    whole = next(iter(called.overloads.values())).library
    assert not isinstance(whole, parts.Part)


@pytest.mark.service
def test_a_kernel_made_of_parts_tells_the_same_from_the_disk(tmp_path):
    around = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (
        json.loads(subprocess.check_output([sys.executable, "-c", TOLD], cwd=REPO, env=around, text=True))
        for _ in range(2)
    )
    assert first == second
    assert first[0] == 3.0


@pytest.mark.parametrize("name", ["_optimize_final_module", "_finalize_final_module", "_finalize_dynamic_globals"])
def test_where_numba_has_other_names_its_own_compiler_is_taken(monkeypatch, name):
    monkeypatch.delattr(codegen.CPUCodeLibrary, name)
    found = importlib.util.spec_from_file_location("parts_elsewhere", parts.__file__)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    assert module.SETTINGS == {} and parts.SETTINGS != {}
