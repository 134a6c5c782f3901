"""The one command: frontmonth VERB.

Exit code 0 done; 1 the work failed, its reason in one line on stderr; 2 wrong usage; 130 interrupted, nothing changed.
`--store`, `--json` and `--debug` work before or after the verb. Results go to stdout, progress and reasons to stderr.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from app.commands import data, runs

app = typer.Typer(
    name="frontmonth",
    help="Backtests portfolios of futures as they are really traded. `frontmonth demo` shows it on simulated prices.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (data, runs):
    group.register(app)

ANYWHERE = {"--store": True, "--json": False, "--debug": False}  # option -> takes a value


@dataclass(frozen=True)
class Settings:
    """What the options before or after any verb say."""

    store: Path
    json: bool = False
    debug: bool = False


@app.callback()
def settings(
    context: typer.Context,
    store: Annotated[
        Path, typer.Option(envvar="FRONTMONTH_STORE", help="Folder of the store.", show_default=True)
    ] = Path("frontmonth-store"),
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
):
    """Options of every verb; they may also stand after it."""
    context.obj = Settings(store, json, debug)


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
            front += [word, *(value for value in [next(words, None)] if value is not None)]
        else:
            rest.append(word)
    return front + rest


def main(arguments=None):
    """Run the command; returns only by `sys.exit`."""
    arguments = hoisted(sys.argv[1:] if arguments is None else arguments)
    try:
        app(arguments, standalone_mode=False)
    except typer.Exit as end:
        sys.exit(end.exit_code)
    except KeyboardInterrupt:
        sys.exit(_say("interrupted; the store is as it was", 130))
    except (typer.Abort, EOFError):
        sys.exit(_say("interrupted; the store is as it was", 130))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: nothing to tell
        sys.exit(0)
    except Exception as error:  # noqa: BLE001  the one place where a failure becomes a sentence
        sys.exit(_failed(error, "--debug" in arguments))
    sys.exit(0)


def _failed(error, debug):
    if hasattr(error, "format_message"):  # of the option parser: wrong usage
        return _say(f"{error.format_message()} (see `frontmonth --help`)", 2)
    if debug:
        raise error
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, (ValueError, OSError, LookupError, RuntimeError)):
        text = f"{type(error).__name__}: {text}"
    return _say(text, 1)


def _say(text, code):
    print(f"frontmonth: {text}", file=sys.stderr)
    return code
