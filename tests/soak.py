"""The battery with its long numbers: `python -m tests.soak [--kills 200 ...] [--only NAME] [--out FILE]`.

Every test file that says which guarantees it proves (`PROVES = (1, 2)`) is run by pytest in a process of its own, and
what its tests recorded comes into one table. The exit code is 1 if any failed. A failure is repeated with the seed that
stands in its row: FRONTMONTH_SEED=123 python -m pytest FILE --kills 200.
"""

import argparse
import ast
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from tests.conftest import NUMBERS, REPO

LONG = {
    "kills": 200,
    "faults": 300,
    "flips": 300,
    "tampers": 200,
    "sequences": 500,
    "steps": 50,
    "seconds": 60,
    "life": 600,
    "minutes": 100_000_000,
    "books": 2_000,
    "portfolios": 1_000,
    "cold": 1,
}
HEADINGS = ("test", "guarantees", "numbers", "seconds", "result")
MANY = 12  # cases of one test that are told as one row
MARK = "PROVES"


@dataclass(frozen=True)
class Row:
    """A test and what came of it."""

    test: str
    proves: tuple
    numbers: dict
    seconds: float
    result: str

    @property
    def failed(self):
        """Whether it failed."""
        return self.result.startswith("FAILED")

    def cells(self):
        """Texts in the order of HEADINGS."""
        numbers = ", ".join(f"{name} {value}" for name, value in self.numbers.items())
        proves = " ".join(map(str, self.proves))
        return self.test, proves, numbers, f"{self.seconds:.1f}", self.result


def proves(path):
    """Guarantees that a test file says it proves; None where it says nothing.

    >>> proves(REPO / "tests" / "test_battery_damage.py")
    (7,)
    """
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == [MARK]:
            return ast.literal_eval(node.value)
    return None


def battery(only=""):
    """The test files of the battery, in order of their names: those that say what they prove."""
    found = (path for path in sorted((REPO / "tests").glob("test_*.py")) if only in path.name)
    return [path for path in found if proves(path) is not None]


def run_file(path, numbers, tell):
    """Run a test file with such numbers: its rows."""
    options = [f"--{name}={value}" for name, value in numbers.items()]
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", str(path), "-v", "--tb=short", "-p", "no:cacheprovider"]
        command += ["-o", "addopts=", f"--junitxml={report}", *options]
        output = []
        with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as test:
            for line in test.stdout:
                output.append(line)
                if "::" in line and "%]" in line:
                    tell(line.partition("::")[2].rpartition(" [")[0].rstrip())
        if not report.exists():
            return [Row(path.stem, proves(path), {}, 0.0, f"FAILED to begin: {''.join(output)[-2000:]}")]
        rows = read(report, proves(path))
    if test.returncode not in (0, 5) or any(row.failed for row in rows):
        tell("".join(output[-200:]))
    if test.returncode not in (0, 1, 5) and not any(row.failed for row in rows):
        rows.append(Row(path.stem, proves(path), {}, 0.0, f"FAILED with exit code {test.returncode}"))
    return rows


def read(report, proved):
    """The rows of a report in JUnit's form."""
    rows = []
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        numbers = {one.get("name"): one.get("value") for one in case.iter("property")}
        result, skipped = "passed", case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            result = "FAILED"
        elif skipped is not None:
            result = f"skipped: {skipped.get('message')}"
        name = case.get("classname").removeprefix("tests.test_") + ": " + case.get("name").removeprefix("test_")
        rows.append(Row(name.replace("_", " "), proved, numbers, float(case.get("time")), result))
    return [row for alike in _alike(rows) for row in alike]


def _alike(rows):
    """The rows of each test; of one with many cases a single row, beside those that failed."""
    by_test = {}
    for row in rows:
        by_test.setdefault(row.test.partition("[")[0], []).append(row)
    for name, cases in by_test.items():
        good = [row for row in cases if not row.failed]
        if len(good) > MANY:
            results = Counter(row.result for row in good)
            told = ", ".join(f"{count} {result}" for result, count in results.most_common())
            seconds = sum(row.seconds for row in good)
            good = [Row(name, good[0].proves, {"cases": len(good)}, seconds, told)]
        yield [*good, *(row for row in cases if row.failed)]


def table(rows):
    """The rows as a table in Markdown.

    >>> print(table([Row("kill: a verb", (1, 2), {"kills": "200"}, 61.0, "passed")]))  # noqa: T201
    | test | guarantees | numbers | seconds | result |
    | --- | --- | --- | ---: | --- |
    | kill: a verb | 1 2 | kills 200 | 61.0 | passed |
    """
    lines = [HEADINGS, ("---", "---", "---", "---:", "---"), *(row.cells() for row in rows)]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in line) + " |" for line in lines
    )


def main(arguments=None):
    """Run the battery; the exit code."""
    parser = argparse.ArgumentParser(description="The battery with its long numbers.")
    for name, (usual, what) in NUMBERS.items():
        parser.add_argument(f"--{name}", type=int, default=LONG.get(name, usual), help=what)
    parser.add_argument("--only", default="", help="only test files whose name has this in it")
    parser.add_argument("--out", type=Path, help="write the table into this file, too")
    options = parser.parse_args(arguments)
    numbers = {name: getattr(options, name) for name in NUMBERS}
    files, rows, began = battery(options.only), [], time.monotonic()
    if not files:
        parser.error(f"no test file has {options.only} in its name and says what it proves")
    for done, path in enumerate(files):
        progress = Progress(began, done, len(files), path.stem)
        progress("begins")
        rows += run_file(path, numbers, progress)
    failed = sum(row.failed for row in rows)
    asked = " ".join(f"--{name} {value}" for name, value in numbers.items())
    took = f"{len(rows)} tests in {(time.monotonic() - began) / 60:.1f} minutes, {failed} failed; {asked}"
    sys.stdout.write(f"{table(rows)}\n\n{took}\n")
    if options.out:
        options.out.write_text(f"{table(rows)}\n\n{took}\n")
    return 1 if failed else 0


class Progress:
    """Tells on stderr what is done, and how long the rest takes if all files take as long as those before."""

    def __init__(self, began, done, of, name):
        self.began, self.done, self.of, self.name = began, done, of, name

    def __call__(self, text):
        spent = (time.monotonic() - self.began) / 60
        left = f"about {spent / self.done * (self.of - self.done):.0f} left" if self.done else "time left unknown"
        sys.stderr.write(f"[{self.done + 1}/{self.of}, {spent:.1f} minutes, {left}] {self.name}: {text}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
