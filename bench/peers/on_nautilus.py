"""The portfolio on nautilus_trader: one strategy on the bars of all markets, futures with a fee a contract.

A strategy acts on a bar when it is complete, and its market orders fill there and then. The bars are made beforehand;
they are put in, sorted and run in the time that is told. Equity is its account's balance after each bar, and what
is open at that close by its own fills.
"""

from decimal import Decimal

import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import FillModel, PerContractFeeModel
from nautilus_trader.config import LoggingConfig, RiskEngineConfig, StrategyConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, AssetClass, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId, Venue
from nautilus_trader.model.instruments import FuturesContract
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from bench.peers.workload import CAPITAL, COMMISSION, FAST, SLOW, TIE

PACKAGE = "nautilus_trader"
BOOKS_AT_THE_NEXT_BAR = False
VENUE = Venue("MADE")


class Settings(StrategyConfig, frozen=True):
    """What the strategy is given."""

    names: tuple
    bars: int


class Crossover(Strategy):
    """Holds one contract of each market on the side of its averages."""

    def on_start(self):
        self.markets = {}
        for name in self.config.names:
            kind, averages = bar_type(name), (SimpleMovingAverage(FAST), SimpleMovingAverage(SLOW))
            for average in averages:
                self.register_indicator_for_bars(kind, average)
            self.markets[kind] = [InstrumentId(Symbol(name), VENUE), *averages, 0, 0]
            self.subscribe_bars(kind)

    def on_bar(self, bar):
        market = self.markets[bar.bar_type]
        instrument, fast, slow, held, seen = market
        market[4] = seen + 1
        if not slow.initialized or seen + 1 == self.config.bars:
            return
        gap = fast.value - slow.value
        wanted = 0 if abs(gap) <= TIE * bar.close.as_double() else 1 if gap > 0 else -1
        if wanted != held:
            way = OrderSide.BUY if wanted > held else OrderSide.SELL
            self.submit_order(self.order_factory.market(instrument, way, Quantity.from_int(abs(wanted - held))))
            market[3] = wanted


def bar_type(name):
    """Daily bars of a market, from outside."""
    return BarType.from_str(f"{name}.{VENUE}-1-DAY-LAST-EXTERNAL")


def prepare(workload, fill):
    """The run, and what it told: equity (time,), fills (bar, market, contracts)."""
    times = workload.days.astype("datetime64[ns]").astype(np.int64).tolist()
    names = workload.names
    instruments = [
        contract(name, tick, multiplier, times[-1])
        for name, tick, multiplier in zip(names, workload.tick.tolist(), workload.multiplier.tolist(), strict=True)
    ]
    bars = [bars_of(workload, m, name, times) for m, name in enumerate(names)]
    kept = []

    def run():
        while kept:
            kept.pop().dispose()
        engine = BacktestEngine(
            BacktestEngineConfig(
                trader_id=TraderId("MADE-1"), logging=LoggingConfig(bypass_logging=True),
                risk_engine=RiskEngineConfig(bypass=True), run_analysis=False,
            )
        )  # fmt: skip
        engine.add_venue(
            VENUE, OmsType.NETTING, AccountType.MARGIN, [Money(CAPITAL, USD)], base_currency=USD,
            default_leverage=Decimal(1), fee_model=PerContractFeeModel(Money(COMMISSION, USD)),
            fill_model=FillModel(prob_fill_on_limit=1.0, prob_slippage=1.0),
        )  # fmt: skip
        for instrument, its in zip(instruments, bars, strict=True):
            engine.add_instrument(instrument)
            engine.add_data(its, validate=False, sort=False)
        engine.add_strategy(Crossover(Settings(names=tuple(names), bars=len(times))))
        engine.sort_data()
        engine.run()
        kept.append(engine)
        return engine

    def told(engine):
        fills = [(times.index(order.ts_last), names.index(order.instrument_id.symbol.value),
                  float(order.filled_qty) * (1 if order.side == OrderSide.BUY else -1), order.avg_px)
                 for order in engine.cache.orders() if order.filled_qty > 0]  # fmt: skip
        equity = balances(engine, times) + unrealised(workload, fills)
        its = sum(float(value) for value in engine.portfolio.unrealized_pnls(VENUE).values())
        its += float(engine.portfolio.account(VENUE).balance_total(USD))
        if abs(its - equity[-1]) >= 0.005:
            raise SystemExit(f"nautilus_trader says {its:.2f} at the end, its balances and fills {equity[-1]:.2f}")
        return equity, [fill[:3] for fill in fills]

    return run, told


def contract(name, tick, multiplier, last):
    """A future that ends after the last bar."""
    digits = decimals(tick)
    return FuturesContract(
        instrument_id=InstrumentId(Symbol(name), VENUE), raw_symbol=Symbol(name), asset_class=AssetClass.COMMODITY,
        currency=USD, price_precision=digits, price_increment=Price(tick, digits),
        multiplier=Quantity.from_int(int(multiplier)), lot_size=Quantity.from_int(1), underlying=name, activation_ns=0,
        expiration_ns=last + 10**15, ts_event=0, ts_init=0, margin_init=Decimal("0.0001"),
        margin_maint=Decimal("0.0001"),
    )  # fmt: skip


def bars_of(workload, m, name, times):
    """The bars of a market as objects."""
    digits, kind, volume = decimals(float(workload.tick[m])), bar_type(name), Quantity.from_int(1_000_000)
    columns = (getattr(workload, field)[:, m].tolist() for field in ("open", "high", "low", "close"))
    rows = zip(times, *columns, strict=True)
    return [Bar(kind, *(Price(price, digits) for price in prices), volume, at, at) for at, *prices in rows]


def decimals(tick):
    """Digits after the point of a tick."""
    return len(f"{tick:g}".partition(".")[2])


def balances(engine, times):
    """Of the account after each bar, (time,)."""
    found = np.full(len(times), np.nan)
    found[0] = CAPITAL
    for event in engine.portfolio.account(VENUE).events:
        bar = int(np.searchsorted(times, event.ts_event))
        found[min(bar, len(times) - 1)] = float(event.balances[0].total)
    last = np.maximum.accumulate(np.where(np.isnan(found), 0, np.arange(len(times))))
    return found[last]


def unrealised(workload, fills):
    """Of what is held at each close, (time,): every fill but those to flat opens at its price."""
    held, entry = np.zeros(workload.close.shape), np.zeros(workload.close.shape)
    for bar, m, contracts, price in sorted(fills):
        held[bar:, m] = held[bar, m] + contracts
        entry[bar:, m] = price
    return (held * (workload.close - entry) * workload.multiplier).sum(axis=1)
