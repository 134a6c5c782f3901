"""One engine in a process of its own, which runs the portfolio whenever it is told to.

    python -m bench.peers.worker ENGINE FOLDER FILL      # run, told: words on stdin, a JSON line each

Runs in that engine's own environment: of this project it needs the files of this folder, and numpy.
"""

import importlib
import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from bench.peers import workload


def main(engine, folder, fill):
    """Answer until stdin ends; whatever the engine prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module = importlib.import_module(f"bench.peers.on_{engine}")
    given = workload.read(folder)
    run, told = module.prepare(given, fill)
    outcome = None
    for line in sys.stdin:
        began = time.perf_counter()
        if line.strip() == "run":
            outcome = run()
            answer = {"seconds": time.perf_counter() - began}
        else:
            equity, fills = told(outcome)
            fills = workload.netted(fills)
            if fill == "same_close" and module.BOOKS_AT_THE_NEXT_BAR:
                equity = workload.costs_of_the_bar_before(equity, fills, given)
            np.save(Path(folder) / f"{engine}-{fill}-equity.npy", np.asarray(equity, float))
            np.save(Path(folder) / f"{engine}-{fill}-fills.npy", fills)
            answer = {"version": version(module.PACKAGE), "python": ".".join(map(str, sys.version_info[:3]))}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
