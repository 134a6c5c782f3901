"""The one command: frontmonth VERB.

Exit code 0 done; 1 the work failed, its reason in one line on stderr; 2 wrong usage; 130 interrupted.
`--store`, `--wait`, `--json` and `--debug` work before or after the verb. Results go to stdout, progress and reasons to
stderr. Each verb imports what it needs when it runs, so that `--help` is quick.
"""

import atexit
import contextlib
import gc
import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import Annotated

import typer

from app.commands import (
    attribution,
    comparing,
    copies,
    data,
    imports,
    keeping,
    new,
    reports,
    rolls,
    runs,
    scenarios,
    series,
    sweeps,
    trust,
)
from app.words import Command, Group

app = typer.Typer(
    cls=Group,
    name="frontmonth",
    help="Backtests portfolios of futures as they are really traded: dated contracts, rolls, margin, currencies.",
    epilog="Begin with `frontmonth demo`: simulated prices, one run, its report, the dashboard. "
    "`frontmonth VERB --help` has an example of each verb.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    imports,
    trust,
    data,
    rolls,
    series,
    runs,
    reports,
    attribution,
    comparing,
    scenarios,
    sweeps,
    new,
    keeping,
    copies,
):
    for verb, (function, short, example) in group.VERBS.items():
        kind = imports.ImportCommand if verb == "import" else Command
        app.command(verb, cls=kind, short_help=short, epilog=f"Example: {example}")(function)

ANYWHERE = {"--store": True, "--wait": True, "--json": False, "--debug": False}  # option -> takes a value
INTERRUPTED = 130
FEW = 100_000  # new objects after which those that nobody needs are looked for: of a command, all are of use
OURS = ("app", "engine", "store")  # packages whose exceptions are whole sentences


@dataclass(frozen=True)
class Settings:
    """What the options before or after any verb say."""

    store: str
    json: bool = False
    debug: bool = False
    wait: float = 600.0
    began: float | None = None  # when the command began, by `time.perf_counter`; None: when the process did


def _version(wanted):
    if wanted:
        from importlib.metadata import version

        typer.echo(f"frontmonth {version('frontmonth')}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def settings(
    context: typer.Context,
    store: Annotated[
        str, typer.Option(envvar="FRONTMONTH_STORE", help="Folder of the store, or s3://bucket/prefix.")
    ] = "frontmonth-store",
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for another command that writes.")
    ] = 600.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
):
    context.obj = Settings(store, json, debug, wait, context.obj)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def hoisted(arguments):
    """Arguments with the options of every verb moved to the front.

    >>> hoisted(["run", "trend.toml", "--json", "--store", "s", "--set", "a=1"])
    ['--json', '--store', 's', 'run', 'trend.toml', '--set', 'a=1']
    """
    front, rest = [], []
    words = iter(arguments)
    for word in words:
        name, equals, _ = word.partition("=")
        if word == "--":
            rest += [word, *words]
        elif name in ANYWHERE and (equals or not ANYWHERE[name]):
            front.append(word)
        elif word in ANYWHERE:
            value = next(words, None)
            if value is None:
                return [word]  # the parser says what is wrong with it
            front += [word, value]
        else:
            rest.append(word)
    return front + rest


def repeated(arguments, option="--compare"):
    """Arguments in which an option that takes several words stands before each of them.

    >>> repeated(["roll", "ES", "--compare", "volume", "oi", "--portfolio", "trend"])
    ['roll', 'ES', '--compare', 'volume', '--compare', 'oi', '--portfolio', 'trend']
    """
    out, taking = [], False
    for word in arguments:
        taking = word == option or (taking and not word.startswith("-"))
        out += [option, word] if taking and word != option and out[-1] != option else [word]
    return out


def main(arguments=None):
    """Run the command; returns only by `sys.exit`; as a process of its own (without `arguments`), not at all."""
    own = arguments is None  # a process of its own
    began = None if own else time.perf_counter()
    if own:
        gc.set_threshold(FEW, 20, 20)
    words, before = repeated(hoisted(sys.argv[1:] if arguments is None else arguments)), len(_made())
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a terminal that lacks a letter shows another one, and the work goes on
    try:
        # The number of a `typer.Exit`, else None.
        code = app(words, prog_name="frontmonth", standalone_mode=False, obj=began)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: nothing to tell
        code = 0
    except Exception as error:  # noqa: BLE001  the one place where a failure becomes a sentence
        code = _failed(error, "--debug" in words)
    if code == INTERRUPTED:  # newer versions of typer return it, older ones raise
        _say(f"interrupted; {'; '.join(sweeps.left) or _stands(_made()[before:])}", code)
    code = code if isinstance(code, int) else 0
    if own:
        _leave(code)
    sys.exit(code)


def _leave(code):
    """End the process at once: to take apart all that was imported takes as long as to import a part of it. What is to
    be done at the end is done: threads are waited for, files and streams are written."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)


def _made():
    """Numbers of the snapshots that this process made."""
    manifest = sys.modules.get("store.manifest")
    return manifest.made if manifest else []


def _stands(numbers):
    """What an interrupted command leaves.

    >>> _stands([]), _stands([7])
    ('nothing was left half done', 'snapshot 7 was made and stands; `frontmonth undo 6` takes that back')
    """
    if not numbers:
        return "nothing was left half done"
    which = f"snapshot {numbers[0]} was made and stands" if len(numbers) == 1 else f"snapshots {numbers} stand"
    return f"{which}; `frontmonth undo {numbers[0] - 1}` takes that back"


def _failed(error, debug):
    if hasattr(error, "format_message"):  # of the option parser: wrong usage
        text = error.format_message().replace("Value error, ", "").rstrip(".")
        verb = getattr(getattr(error, "ctx", None), "command_path", None) or "frontmonth"
        return _say(f"{text}; see `{verb} --help`", 2)
    if debug:
        raise error
    return _say(reason(error), 1)


def reason(error):
    """Why the work failed, in one line.

    >>> reason(ValueError("rate is 0;\\n allowed: above 0")), reason(FileNotFoundError(2, "No such file", "x.toml"))
    ('rate is 0; allowed: above 0', 'x.toml: No such file')
    >>> reason(KeyError("fast"))
    "KeyError: 'fast' (an error of frontmonth; --debug shows where)"
    """
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    told = type(error).__module__.partition(".")[0] in OURS or type(error) in (ValueError, LookupError, RuntimeError)
    if text and (told or isinstance(error, OSError)):
        return text
    return f"{type(error).__name__}: {text} (an error of frontmonth; --debug shows where)"


def _say(text, code):
    print(f"frontmonth: {text}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
