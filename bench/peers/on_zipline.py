"""The portfolio on zipline-reloaded: futures with multipliers in a database in memory, bars in its own daily files.

Its slippage is one size for all markets, so the tick is paid with the commission. Its days are those of its calendar of
American futures: bars are compared by their number. Writing the bars is not timed.
"""

import string
import tempfile
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool
from zipline.algorithm import TradingAlgorithm
from zipline.api import order, set_commission, set_slippage
from zipline.assets import AssetDBWriter, AssetFinder
from zipline.data.bcolz_daily_bars import BcolzDailyBarReader, BcolzDailyBarWriter
from zipline.data.data_portal import DataPortal
from zipline.finance.commission import PerContract
from zipline.finance.slippage import FixedSlippage
from zipline.finance.trading import SimulationParameters
from zipline.utils.calendar_utils import get_calendar

from bench.peers.workload import CAPITAL, FAST, SLOW, TIE

PACKAGE = "zipline-reloaded"
BOOKS_AT_THE_NEXT_BAR = False
FOLDERS = []  # with the bars; they go when the process ends
FIELDS = ("open", "high", "low", "close", "volume")


def prepare(workload, fill):
    """The run, and what it told: equity (time,), fills (bar, market, contracts)."""
    warnings.simplefilter("ignore")
    count = len(workload.names)
    calendar = get_calendar("us_futures")
    sessions = calendar.sessions_in_range("2010-01-04", "2024-12-31")[: len(workload.days)]
    roots = ["".join(letters) for letters in product(string.ascii_uppercase, repeat=3)][:count]
    finder = AssetFinder(assets(workload, roots, sessions))
    folder = tempfile.TemporaryDirectory()
    path = str(Path(folder.name) / "daily.bcolz")
    BcolzDailyBarWriter(path, calendar, sessions[0], sessions[-1]).write(
        (m, pd.DataFrame({name: getattr(workload, name)[:, m] for name in FIELDS}, index=sessions))
        for m in range(count)
    )
    reader = BcolzDailyBarReader(path)
    FOLDERS.append(folder)
    held = finder.retrieve_all(range(count))
    costs = {root: float(cost) for root, cost in zip(roots, workload.side_cost, strict=True)}

    def begin(context):
        set_commission(us_futures=PerContract(cost=costs, exchange_fee=0.0, min_trade_cost=0.0))
        set_slippage(us_futures=FixedSlippage(spread=0.0))
        context.closes, context.seen, context.wanted = np.zeros((count, SLOW)), 0, np.zeros(count)

    def decide(context, data):
        close = data.current(held, "close").to_numpy()
        context.closes[:, context.seen % SLOW] = close
        context.seen += 1
        if context.seen < SLOW:
            return
        newest = np.arange(context.seen - FAST, context.seen) % SLOW
        gap = context.closes[:, newest].mean(axis=1) - context.closes.mean(axis=1)
        wanted = np.where(np.abs(gap) <= TIE * close, 0.0, np.sign(gap))
        for m in np.flatnonzero(wanted != context.wanted):
            order(held[m], int(wanted[m] - context.wanted[m]))
        context.wanted = wanted

    def run():
        return TradingAlgorithm(
            sim_params=SimulationParameters(
                start_session=sessions[0], end_session=sessions[-1], capital_base=CAPITAL, data_frequency="daily",
                emission_rate="daily", trading_calendar=calendar,
            ),
            data_portal=DataPortal(
                finder, calendar, first_trading_day=reader.first_trading_day, future_daily_reader=reader
            ),
            asset_finder=finder, trading_calendar=calendar, namespace={}, initialize=begin, handle_data=decide,
            benchmark_returns=pd.Series(0.0, index=sessions),
        ).run()  # fmt: skip

    def told(days):
        fills = [
            (bar, one["sid"].sid, one["amount"]) for bar, traded in enumerate(days["transactions"]) for one in traded
        ]
        return days["portfolio_value"].to_numpy(), fills

    return run, told


def assets(workload, roots, sessions):
    """The database of the contracts, one a market, which end after the last session."""
    later = sessions[-1] + pd.Timedelta(days=400)
    futures = pd.DataFrame({
        "sid": range(len(roots)), "symbol": [f"{root}Z24" for root in roots], "root_symbol": roots, "asset_name": roots,
        "start_date": sessions[0], "end_date": later, "first_traded": sessions[0], "notice_date": later,
        "expiration_date": later, "auto_close_date": later, "tick_size": workload.tick,
        "multiplier": workload.multiplier, "exchange": "CMES",
    }).set_index("sid")  # fmt: skip
    engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)
    AssetDBWriter(engine).write(
        futures=futures,
        exchanges=pd.DataFrame({"exchange": ["CMES"], "canonical_name": ["CMES"], "country_code": ["US"]}),
        root_symbols=pd.DataFrame({"root_symbol": roots, "root_symbol_id": range(len(roots)), "exchange": "CMES"}),
    )
    return engine
