"""The verb that begins something of one's own: new strategy."""

import shlex
from typing import Annotated, Literal

import typer

from app.commands.data import opened, store_words
from app.commands.output import emit, say
from app.commands.portfolios import warn_of

HEAD = '''"""{title}: say here what it does, and where it comes from."""

import numpy as np
import param

'''

FORECAST = """from engine.measures import past_change, side_of
from engine.strategy import Strategy


class {kind}(Strategy):
    \"\"\"Long what has risen over the last `length` bars, short what has fallen.\"\"\"

    length = param.Integer(default=100, bounds=(1, 5000), doc="How far back it looks. [bars]")

    def forecast(self, market) -> np.ndarray:
        \"\"\"-1, 0 or 1, array (time, market): row t reads rows 0..t, and is filled at the next bar.\"\"\"
        return side_of(past_change(market.adjusted, self.length), market)

    def warm_up(self) -> int:
        return self.length + 1
"""

SIGNALS = """from engine.measures import average_range, past_change, side_of
from engine.signals import Signals
from engine.strategy import Strategy


class {kind}(Strategy):
    \"\"\"Enters what has risen or fallen over the last `length` bars; a stop trails it by `stop` average ranges.\"\"\"

    length = param.Integer(default=100, bounds=(1, 5000), doc="How far back it looks. [bars]")
    stop = param.Number(default=3.0, bounds=(0.1, 50), doc="Trailing stop, in average true ranges of 20 bars. [1]")

    def signals(self, market) -> Signals:
        \"\"\"Entries at the market; `Signals.build` also takes kind, price, stop, target, hold and more.\"\"\"
        side = side_of(past_change(market.adjusted, self.length), market)
        turned = side != np.vstack([np.zeros((1, side.shape[1])), side[:-1]])
        trail = self.stop * average_range(market, 20)
        return Signals.build(market, entry=np.where(turned, side, 0.0), exit=turned, trail=trail)

    def warm_up(self) -> int:
        return max(self.length + 1, 21)
"""

TARGETS = """from engine.measures import past_change, side_of
from engine.strategy import Strategy


class {kind}(Strategy):
    \"\"\"So many contracts of what has risen over the last `length` bars, and short of what has fallen.\"\"\"

    length = param.Integer(default=100, bounds=(1, 5000), doc="How far back it looks. [bars]")
    contracts = param.Number(default=1.0, bounds=(0, 10_000), doc="Held of each market. [contracts]")

    def targets(self, market) -> np.ndarray:
        \"\"\"Contracts, array (time, market): no sizing rule has a say; limits and margin do.\"\"\"
        return self.contracts * side_of(past_change(market.adjusted, self.length), market)

    def warm_up(self) -> int:
        return self.length + 1
"""

PROGRAM = """from engine.strategy import Strategy, program


class {kind}(Strategy):
    \"\"\"Long what closes `step` volatilities above its slow average; less of it while money is being lost.\"\"\"

    span = param.Number(default=50.0, bounds=(2, 5000), doc="Memory of average and volatility. [bars]")
    step = param.Number(default=0.5, bounds=(0, 20), doc="Distance from the average. [daily volatilities]")

    @program
    def decide(t, columns, adjusted, mark, position, equity, params, memory, forecast):
        \"\"\"Called at the end of every bar and compiled: numbers and loops only; see `engine.strategy.program`.

        Memory of a market: 0 last price, 1 bars seen, 2 average less price, 3 variance, 4 best equity.
        \"\"\"
        span, step = params[0], params[1]
        share = 2.0 / (span + 1.0)
        for j in range(len(columns)):
            own, price = memory[j], adjusted[t, columns[j]]
            own[4] = max(own[4], equity)
            if np.isnan(price):
                continue  # a holiday: the forecast of the bar before stands
            move = price - own[0] if own[1] > 0.0 else 0.0
            own[0] = price
            own[1] += 1.0
            own[2] = (1.0 - share) * (own[2] - move)
            own[3] += share * (move * move - own[3])
            risen = own[1] > span and -own[2] > step * np.sqrt(own[3])
            forecast[j] = (equity / own[4] if own[4] > 0.0 else 1.0) if risen else 0.0

    def warm_up(self) -> int:
        return int(self.span) + 1
"""

TEMPLATES = {"forecast": FORECAST, "signals": SIGNALS, "targets": TARGETS, "program": PROGRAM}


def new(
    context: typer.Context,
    what: Annotated[Literal["strategy"], typer.Argument(help="What to begin: strategy.", show_default=False)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="As my_trend or MyTrend.", show_default=False)],
    kind: Annotated[
        Literal["forecast", "signals", "targets", "program"],
        typer.Option(help="forecast; signals: entries, exits, orders; targets: contracts; program: called bar by bar."),
    ] = "forecast",
):
    """A strategy of your own, as a file beside the store that runs as it stands: change it.

    A portfolio names it as it names ours. The file is yours, and runs as you do.
    """
    from engine.strategy import load_user, snake_name

    title = _title(name)
    found = snake_name(type(title, (), {}))
    archive, broken = opened(context), []
    folder = archive.path / "strategies"
    load_user(folder, broken)
    from engine.strategies import STRATEGIES

    file = folder / f"{found}.py"
    if found in STRATEGIES or file.exists():
        raise typer.BadParameter(f"{found} is there already; choose another name", param_hint="NAME")
    folder.mkdir(exist_ok=True)
    with file.open("x", encoding="utf-8", newline="\n") as out:
        out.write(HEAD.format(title=title) + TEMPLATES[kind].format(kind=title))
    warn_of(broken)
    run = ["frontmonth", *store_words(context), "run", "trend", "--set", f"strategies.0.name={found}"]
    emit(context, {"strategy": found, "kind": kind, "file": str(file), "run": shlex.join(run)}, _show)


def _show(document):
    say(f"{document['file']}: strategy {document['strategy']}")
    say(document["run"])


def _title(name):
    """Name of the class.

    >>> _title("my_trend"), _title("MyTrend"), _title("rsi 2")
    ('MyTrend', 'MyTrend', 'Rsi2')
    """
    words = name.replace("-", " ").replace("_", " ").split()
    title = "".join(word[0].upper() + word[1:] for word in words)
    if not (title.isascii() and title.isidentifier()):
        raise typer.BadParameter(f"{name!r}; allowed: letters and digits, a letter first", param_hint="NAME")
    return title


VERBS = {
    "new": (new, "Begin a strategy of your own from a template.", "frontmonth new strategy my_trend --kind signals"),
}
