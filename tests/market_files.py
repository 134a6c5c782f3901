"""Files as vendors send them, made of numbers: a zip of Barchart's a market, loose ones, one of currencies.

SP500_micro is MES (dollars), CORN is ZC (cents, physical, first notice), BUND is FGBL (euro); PLUTONIUM nobody knows.
Quarterly contracts over two years; volume leaves a contract some days before its last allowed day.
"""

import zipfile
from datetime import date, timedelta

import numpy as np

from store.contracts import Master, last_allowed

START, END = date(2021, 1, 4), date(2022, 12, 30)
MARKETS = {  # vendor's name -> root, delivery months, level, what a later contract costs more
    "SP500_micro": ("MES", (3, 6, 9, 12), 4000.0, 4.0),
    "CORN": ("ZC", (3, 5, 7, 9, 12), 500.0, 2.5),
    "BUND": ("FGBL", (3, 6, 9, 12), 170.0, 0.5),
}
UNKNOWN = "PLUTONIUM"
HEADER = "Time,Open,High,Low,Close,Volume"


def weekdays(start=START, end=END):
    """All weekdays from `start` to `end`."""
    every = (start + timedelta(days=k) for k in range((end - start).days + 1))
    return [day for day in every if day.weekday() < 5]


def stamp(day):
    """Midnight in Chicago, in UTC, as Barchart writes a daily bar."""
    summer = date(day.year, 3, 14) <= day < date(day.year, 11, 7)
    return f"{day}T0{5 if summer else 6}:00:00+0000"


def contracts(name):
    """(contract, last day, text of its file) of a market."""
    root, months, level, carry = MARKETS.get(name, ("", (3, 6, 9, 12), 80.0, 0.25))
    spec = Master.load().spec(root) if root else None
    days = weekdays()
    steps = np.random.default_rng(len(name)).normal(0.0003, 0.01, len(days))
    spot = level * np.exp(np.cumsum(steps))
    months = [year * 100 + month for year in (2021, 2022, 2023) for month in months][: 3 * len(months) - 1]
    for number, contract in enumerate(months):
        end = last_allowed(spec, contract) if spec else date(contract // 100, contract % 100, 14)
        rows = [
            row(day, spot[t] + carry * number, 5000 if 8 < (end - day).days <= 110 else 300)
            for t, day in enumerate(days)
            if end - timedelta(days=270) <= day <= end
        ]
        if rows:
            yield contract, "\n".join([HEADER, *rows, ""])


def row(day, price, volume):
    """A line of a file; the settlement is the middle of the bar."""
    price = round(price * 4) / 4
    return f"{stamp(day)},{price - 0.25},{price + 1.5},{price - 1.5},{price},{volume}"


def write(folder):
    """All files into `folder`: prices/*.zip, prices/Day_PLUTONIUM_*.csv, fx/EURUSD.csv; returns it.

    And plain tables: broker-margins.csv, usd/EURUSD.csv, usd/USD.csv.
    """
    prices, fx = folder / "prices", folder / "fx"
    prices.mkdir(parents=True)
    fx.mkdir()
    for name in MARKETS:
        with zipfile.ZipFile(prices / f"{name}.zip", "w") as packed:
            for contract, text in contracts(name):
                packed.writestr(f"Day_{name}_{contract}00.csv", text)
    for contract, text in contracts(UNKNOWN):
        (prices / f"Day_{UNKNOWN}_{contract}00.csv").write_text(text)
    lines = [f"{day} 23:00:00,{1.1 + 0.0001 * k:.4f}" for k, day in enumerate(weekdays(date(2020, 12, 28)))]
    (fx / "EURUSD.csv").write_text("\n".join(["DATETIME,PRICE", *lines, ""]))
    (folder / "usd").mkdir()
    (folder / "usd" / "EURUSD.csv").write_text("date,rate\n2023-01-02,1.07\n2023-01-03,1.06\n")
    (folder / "usd" / "USD.csv").write_text("date,percent\n2020-12-28,0.09\n2022-03-17,0.33\n")
    (folder / "broker-margins.csv").write_text("root,day,initial,maintenance\nMES,2022-01-03,1500,1350\n")
    return folder
