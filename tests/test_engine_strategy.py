"""Strategies: the list, and the user's own files beside the store."""

import numpy as np
import pytest
import synthetic_market

from engine.portfolio import Portfolio, Sleeve
from engine.strategies import STRATEGIES
from engine.strategy import Strategy, StrategyError, load_user, snake_name, source_hash

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
        assert "[" in parameter.doc and parameter.bounds, key


@pytest.mark.parametrize("name", STRATEGIES)
def test_t14_t45_no_strategy_reads_the_future_or_the_level_of_the_adjusted_price(name):
    market, strategy = synthetic_market.market(bars=600), STRATEGIES[name]()
    whole = strategy.forecast(market)
    assert whole.shape == market.mark.shape and whole.dtype == np.float64 and whole.flags.c_contiguous
    for t in (1, 199, 200, 450, 599):
        np.testing.assert_array_equal(strategy.forecast(synthetic_market.prefix(market, t)), whole[:t])
        np.testing.assert_array_equal(strategy.forecast(synthetic_market.other_future(market, t))[:t], whole[:t])
    shifted = synthetic_market.of(market.mark, market.offset + 1024.0, market.available)
    np.testing.assert_array_equal(strategy.forecast(shifted), whole)


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
    with pytest.raises(NotImplementedError, match=r"Strategy has no forecast\(market\)"):
        Strategy().forecast(None)


def test_the_users_strategies_are_listed_after_ours(tmp_path):
    (tmp_path / "mine.py").write_text(GOOD)
    assert list(load_user(tmp_path)) == ["always_long"]
    assert list(STRATEGIES)[-1] == "always_long" and "moving_average_cross" in STRATEGIES
    market = synthetic_market.market()
    np.testing.assert_array_equal(STRATEGIES["always_long"](size=0.5).forecast(market), np.full((400, 3), 0.5))


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
