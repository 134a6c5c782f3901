"""Machine code from the disk: the same as compiled anew, counted, looked for again when its file was changed."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from engine import compiled, indicators
from tests.conftest import REPO

TOLD = """
import json, sys
import numpy as np
from engine import compiled, indicators
clock = compiled.Clock()
made = indicators.volatility(np.array([[1.0], [-1.0], [3.0]]), 10.0).tolist()
modules = [name for name in ("scipy.linalg", "numba.np.random.generator_core") if name in sys.modules]
print(json.dumps([made, compiled.found, compiled.made, clock.stop() > 0.0, modules]))
"""


def told(folder):
    """What a process tells that has its machine code in a folder."""
    around = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
    return json.loads(subprocess.check_output([sys.executable, "-c", TOLD], cwd=REPO, env=around, text=True))


@pytest.mark.service
def test_code_from_the_disk_tells_the_same_and_loads_nothing_of_the_compiler(tmp_path):
    first, second = told(tmp_path), told(tmp_path)
    assert first[0] == second[0] == indicators.volatility(np.array([[1.0], [-1.0], [3.0]]), 10.0).tolist()
    assert first[1:4] == [[], ["engine.indicators.volatility"], True]
    assert second[1:] == [["engine.indicators.volatility"], [], False, []]


def test_a_kernel_is_looked_at_when_it_is_first_called_and_a_users_when_it_is_written():
    def of(module):
        def function(x):
            return x

        function.__module__ = module
        return vars(compiled.Kept(function))

    assert "_cache" not in of("engine.measures")
    assert "_cache" in of("frontmonth_user_strategies.mine")


def test_only_our_own_kernels_are_kept_this_way():
    def function(x):
        return x

    assert not isinstance(compiled._kept(function), compiled.Kept)
    function.__module__ = "engine.measures"
    assert isinstance(compiled._kept(function), compiled.Kept)


def test_a_clock_that_was_stopped_counts_no_more():
    clock = compiled.Clock()
    assert clock.stop() == 0.0
    with pytest.raises(ValueError, match="not in list"):
        clock.stop()
