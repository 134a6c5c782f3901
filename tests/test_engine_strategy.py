"""Strategies: the list, their four kinds, and the user's own files beside the store."""

import re
import warnings

import numba
import numpy as np
import param
import pytest
import strategy_market
import synthetic_market

from engine.backtest import backtest
from engine.portfolio import Portfolio, Sleeve
from engine.signals import Signals
from engine.strategies import STRATEGIES
from engine.strategy import Strategy, StrategyError, load_user, program, snake_name, source_hash
from tests.small_runs import market, portfolio

GOOD = '''
import numpy as np
import param
from engine.strategy import Strategy


class AlwaysLong(Strategy):
    """Holds every market."""

    size = param.Number(default=1.0, bounds=(0, 2), doc="Forecast. [1]")

    def forecast(self, market):
        return np.full(market.mark.shape, self.size)
'''


@pytest.fixture(autouse=True)
def list_as_it_was():
    """Takes the user's strategies off the list again."""
    before = dict(STRATEGIES)
    yield
    STRATEGIES.clear()
    STRATEGIES.update(before)


def test_names_on_the_list_are_the_snake_case_of_the_classes():
    for name, kind in STRATEGIES.items():
        assert name == snake_name(kind) and issubclass(kind, Strategy)


@pytest.mark.parametrize(
    "name, snake", [("MovingAverageCross", "moving_average_cross"), ("EWMACross", "ewma_cross"), ("Carry2", "carry2")]
)
def test_snake_names(name, snake):
    assert snake_name(type(name, (Strategy,), {})) == snake


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_param_has_a_doc_with_its_unit_and_bounds(name):
    for key in set(STRATEGIES[name].param) - {"name"}:
        parameter = STRATEGIES[name].param[key]
        assert "[" in parameter.doc and len(parameter.doc) > 10, key
        if isinstance(parameter, param.Number) and not isinstance(parameter, param.Boolean):
            assert parameter.bounds and None not in parameter.bounds, key


@pytest.mark.parametrize("name", STRATEGIES)
def test_t14_t45_no_strategy_reads_the_future_or_the_level_of_the_adjusted_price(name):
    market, strategy = strategy_market.market(bars=600), STRATEGIES[name]()
    whole = strategy.forecast(market)
    assert whole.shape == market.mark.shape and whole.dtype == np.float64 and whole.flags.c_contiguous
    for t in (1, 199, 200, 450, 599):
        np.testing.assert_array_equal(strategy.forecast(strategy_market.prefix(market, t)), whole[:t])
        np.testing.assert_array_equal(strategy.forecast(strategy_market.other_future(market, t))[:t], whole[:t])
    np.testing.assert_array_equal(strategy.forecast(strategy_market.lifted(market)), whole)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_decision_is_finite_and_leaves_the_market_as_it_was(name):
    market, strategy = strategy_market.market(bars=400), STRATEGIES[name]()
    kept = {k: v.copy() for k, v in vars(market).items() if isinstance(v, np.ndarray)}
    made = strategy.decision(market)
    assert np.isfinite(made.forecast).all() and made.forecast.shape == market.mark.shape
    assert made.episode.shape == market.mark.shape and made.episode.dtype == np.int32
    assert (made.program is not None) == (strategy.kind() == "decide")
    assert made.resize == (made.signals is None)
    for key, values in kept.items():
        np.testing.assert_array_equal(getattr(market, key), values, err_msg=key)
    assert 0 <= strategy.warm_up() < 10_000


def test_t45_a_strategy_that_looks_ahead_is_caught_by_both_tests():
    class Peeks(Strategy):
        def forecast(self, market):
            return np.sign(np.roll(market.adjusted, -1, axis=0) - market.adjusted)

    market = synthetic_market.market(holidays=0.0, markets=1)
    whole = Peeks().forecast(market)
    assert not np.array_equal(Peeks().forecast(synthetic_market.prefix(market, 200)), whole[:200])
    changed = [Peeks().forecast(synthetic_market.other_future(market, 200, seed))[:200] for seed in range(5)]
    assert any(not np.array_equal(forecast, whole[:200]) for forecast in changed)


def test_a_strategy_without_a_forecast_says_so():
    with pytest.raises(StrategyError, match=r"Strategy has no forecast\(market\), signals\(market\)"):
        Strategy().forecast(None)


def test_a_strategy_of_two_kinds_is_an_error_and_a_nearer_class_replaces_the_kind():
    class Both(Strategy):
        def forecast(self, market):
            return market.mark

        def targets(self, market):
            return market.mark

    class Nearer(Both):
        def targets(self, market):
            return 2.0 * np.ones(market.mark.shape)

    with pytest.raises(StrategyError, match="Both has forecast and targets; allowed: one of"):
        Both().decision(strategy_market.market(bars=10))
    assert Nearer.kind() == "targets"
    made = Nearer().decision(strategy_market.market(bars=10))
    assert made.contracts and made.resize and (made.forecast == 2.0).all()


def test_what_a_strategy_returns_is_checked():
    class Wrong(Strategy):
        def forecast(self, market):
            return market.mark[0]

    class Tuple(Strategy):
        def signals(self, market):
            return market.mark, market.mark

    class Plain(Strategy):
        def decide(self, t):
            return t

    market = strategy_market.market(bars=10)
    with pytest.raises(StrategyError, match=r"Wrong: forecast\(market\) has shape \(4,\); allowed: .*\(10, 4\)"):
        Wrong().decision(market)
    with pytest.raises(StrategyError, match=r"Tuple: .* make it by Signals\.build"):
        Tuple().decision(market)
    with pytest.raises(StrategyError, match="Plain: decide is no program"):
        Plain().decision(market)


def test_no_opinion_is_held_as_nothing():
    class Unsure(Strategy):
        def forecast(self, market):
            return np.full(market.mark.shape, [np.nan, np.inf, -np.inf, 0.5])

    assert Unsure().decision(strategy_market.market(bars=3)).forecast[0].tolist() == [0.0, 0.0, 0.0, 0.5]


def test_signals_tell_the_side_and_the_orders():
    class Enters(Strategy):
        def signals(self, market):
            return Signals.build(market, np.arange(len(market.mark))[:, None] == 3, stop=5.0)

    made = Enters().decision(strategy_market.of(np.full((6, 2), 10.0)))
    assert made.forecast[:, 0].tolist() == [0, 0, 0, 1, 1, 1] and not made.resize and made.signals.ordered().all()


class Counts(Strategy):
    """Asks for one more each bar, times `scale`; nothing once 3 are held."""

    flag = param.Boolean(default=True, doc="No number of its own. [true or false]")
    scale = param.Number(default=2.0, bounds=(0, 9), doc="Times this. [1]")
    word = param.String(default="x", doc="No number at all.")

    @program
    def decide(t, columns, adjusted, mark, position, equity, params, memory, forecast):
        for j in range(len(columns)):
            memory[j, 0] += 1.0
            forecast[j] = memory[j, 0] * params[1] if position[j] < 3.0 else 0.0


class Fails(Strategy):
    @program
    def decide(t, columns, adjusted, mark, position, equity, params, memory, forecast):
        forecast[len(columns) + 1] = 1.0


@numba.njit
def call_one(functions, which, t, columns, adjusted, mark, position, equity, params, memory, forecast):
    functions[which](t, columns, adjusted, mark, position, equity, params, memory, forecast)


def called(functions, which, params, bars=1):
    """What a program of a tuple makes of some bars, as the loop over bars calls it."""
    prices, memory, forecast = np.ones((9, 2)), np.zeros((2, 16)), np.zeros(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", numba.core.errors.NumbaExperimentalFeatureWarning)
        for t in range(bars):
            call_one(functions, which, t, np.arange(2), prices, prices, np.zeros(2), 1.0, params, memory, forecast)
    return forecast.tolist()


def test_a_program_is_called_from_compiled_code_and_keeps_its_memory():
    made = Counts().decision(strategy_market.market(bars=10))
    assert made.params.tolist() == [1.0, 2.0]  # the text is left out
    assert called((made.program,), 0, made.params, bars=3) == [6.0, 6.0]
    assert made.resize and not made.contracts and not made.forecast.any()


def test_an_index_out_of_bounds_in_a_program_is_an_error_and_no_damage():
    two = (Counts().decide.compiled, Fails().decide.compiled)
    assert called(two, 0, np.array([1.0, 5.0])) == [5.0, 5.0]
    with pytest.raises(IndexError):
        called(two, 1, np.zeros(1))


def test_a_program_reads_at_most_sixteen_numbers():
    many = type("Many", (Counts,), {f"p{k}": param.Number(default=k, bounds=(0, 99), doc="A [1]") for k in range(15)})
    with pytest.raises(StrategyError, match="Many: 17 numbers; allowed: at most 16"):
        many().decision(strategy_market.market(bars=5))


def test_a_program_alone_holds_what_it_asked_for():
    forecast = Counts(scale=1.0).forecast(strategy_market.market(bars=6))
    assert forecast[:, 0].tolist() == [1.0, 2.0, 3.0, 0.0, 5.0, 0.0]


def test_the_users_strategies_are_listed_after_ours(tmp_path):
    (tmp_path / "mine.py").write_text(GOOD)
    assert list(load_user(tmp_path)) == ["always_long"]
    assert list(STRATEGIES)[-1] == "always_long" and "moving_average_cross" in STRATEGIES
    market = synthetic_market.market()
    np.testing.assert_array_equal(STRATEGIES["always_long"](size=0.5).forecast(market), np.full((400, 3), 0.5))


PROGRAM = """
from engine.strategy import Strategy, program


class Mine(Strategy):
    @program
    def decide(t, columns, adjusted, mark, position, equity, params, memory, forecast):
        forecast[:] = 1.0
"""


def test_a_users_program_is_compiled_from_its_text_and_again_when_that_is_edited(tmp_path):
    for text, wanted in ((PROGRAM, [1.0, 1.0]), (PROGRAM.replace("= 1.0", "= 2.0"), [2.0, 2.0])):
        (tmp_path / "mine.py").write_text(text)
        load_user(tmp_path)
        assert called((STRATEGIES["mine"]().decide.compiled,), 0, np.zeros(0)) == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]  # nothing is kept beside it


def test_a_program_that_cannot_be_compiled_is_named_with_its_line(tmp_path):
    (tmp_path / "mine.py").write_text(PROGRAM.replace("= 1.0", "= unknown_name"))
    load_user(tmp_path)
    with pytest.raises(StrategyError, match=rf"{tmp_path / 'mine.py'}, line 8: decide: .*unknown_name"):
        STRATEGIES["mine"]().decision(strategy_market.market(bars=5))


def test_every_kind_of_a_users_strategy_is_listed(tmp_path):
    for name, text in (
        ("signals", "def signals(self, market): ..."),
        ("targets", "def targets(self, market): ..."),
        ("decide", "decide = None"),
    ):
        (tmp_path / f"{name}.py").write_text(
            f"from engine.strategy import Strategy\n\n\nclass {name.title()}(Strategy):\n    {text}\n"
        )
    assert list(load_user(tmp_path)) == ["decide", "signals", "targets"]


@pytest.mark.parametrize("signature", ["forecast(self)", "forecast(self, market, fast)"])
def test_a_function_that_cannot_be_called_with_the_market_is_the_users_mistake_and_named(tmp_path, signature):
    (tmp_path / "mine.py").write_text(GOOD.replace("forecast(self, market)", signature))
    load_user(tmp_path)
    line = GOOD.splitlines().index(next(row for row in GOOD.splitlines() if "def forecast" in row)) + 1
    told = f"{tmp_path / 'mine.py'}, line {line}: AlwaysLong: forecast("
    with pytest.raises(StrategyError, match=rf"{re.escape(told)}.*allowed: def forecast\(self, market\)"):
        STRATEGIES["always_long"]().decision(strategy_market.of(np.full((4, 2), 10.0)))


def test_loading_again_shows_an_edited_file(tmp_path):
    for name in ("AlwaysLong", "OftenLong_"):
        (tmp_path / "mine.py").write_text(GOOD.replace("AlwaysLong", name))
        load_user(tmp_path)
    assert "always_long" not in STRATEGIES and "often_long_" in STRATEGIES


def test_no_folder_holds_no_strategies(tmp_path):
    (tmp_path / "mine.py").write_text(GOOD)
    load_user(tmp_path)
    assert load_user(tmp_path / "none") == {}
    assert "always_long" not in STRATEGIES


@pytest.mark.parametrize(
    "text, line, reason",
    [
        ("import numpy as np\n\n1 / 0\n", 3, "ZeroDivisionError: division by zero"),
        ("import nothing_of_that_name\n", 1, "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("x = 1\ndef f(:\n    pass\n", 2, "SyntaxError: invalid syntax"),
        ("def f():\n    raise SystemExit(3)\nf()\n", 2, "SystemExit: 3"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError: Expecting property name"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named_with_its_line(tmp_path, text, line, reason):
    path = tmp_path / "broken.py"
    path.write_text(text)
    before = dict(STRATEGIES)
    with pytest.raises(StrategyError) as fault:
        load_user(tmp_path)
    assert str(fault.value).startswith(f"{path}, line {line}: {reason}")
    assert "\n" not in str(fault.value)
    assert before == STRATEGIES


def test_a_file_without_a_strategy_is_an_error(tmp_path):
    (tmp_path / "empty.py").write_text(
        "from engine.strategies import STRATEGIES\nfrom engine.strategy import Strategy\n"
    )
    with pytest.raises(StrategyError, match=r"empty\.py: holds no strategy"):
        load_user(tmp_path)


def test_a_name_that_is_taken_is_an_error(tmp_path):
    (tmp_path / "mine.py").write_text(GOOD.replace("AlwaysLong", "MovingAverageCross"))
    with pytest.raises(StrategyError, match="strategy 'moving_average_cross' is already on the list"):
        load_user(tmp_path)


def test_an_edited_strategy_is_another_input_of_the_run(tmp_path):
    prints = []
    for text in (GOOD, GOOD.replace("self.size)", "-self.size)"), GOOD):
        (tmp_path / "mine.py").write_text(text)
        load_user(tmp_path)
        portfolio = Portfolio(strategies=[Sleeve(strategy=STRATEGIES["always_long"]())])
        prints.append((portfolio.to_toml(), portfolio.fingerprint()))
    assert prints[0] == prints[2] and prints[0][0] == prints[1][0] and prints[0][1] != prints[1][1]
    assert source_hash(STRATEGIES["moving_average_cross"]) == ""


SCRIBBLER = '''
import numpy as np
from engine.strategy import Strategy


class Scribbler(Strategy):
    """Long, and writes into what it is shown."""

    def forecast(self, market):
        for name in ("mark", "open", "adjusted", "multiplier"):
            getattr(market, name)[:] = 1.0
        return np.ones(market.mark.shape)
'''


def test_what_a_users_strategy_writes_into_the_market_changes_nothing_that_is_traded(tmp_path):
    (tmp_path / "scribbler.py").write_text(SCRIBBLER)
    (tmp_path / "always_long.py").write_text(GOOD)
    kinds = load_user(tmp_path)
    up = market(100.0 + np.arange(30.0))
    before = {name: values.copy() for name, values in vars(up).items() if isinstance(values, np.ndarray)}
    wrote, plain = (
        backtest(up, portfolio((kinds[name](), {}), settings=["execution.locked=off"]))
        for name in ("scribbler", "always_long")
    )
    assert all(np.array_equal(getattr(up, name), values, equal_nan=values.dtype.kind == "f")
               for name, values in before.items())  # fmt: skip
    assert wrote.equity().equals(plain.equity()) and wrote.fills().drop("strategy").equals(
        plain.fills().drop("strategy")
    )


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("None", "returned nothing; allowed: an array"),
        ("np.full(market.mark.shape, 1j)", "values of the kind complex128; allowed: numbers, or nan"),
        ('[["a"]]', "values of the kind <U1; allowed: numbers, or nan"),
    ],
)
def test_what_is_no_forecast_is_refused(tmp_path, returned, told):
    (tmp_path / "odd.py").write_text(GOOD.replace("np.full(market.mark.shape, self.size)", returned))
    made = load_user(tmp_path)["always_long"]()
    with pytest.raises(StrategyError, match=re.escape(told)):
        made.decision(market(100.0 + np.arange(30.0)))
