"""Arrays of a report: few bytes, and a plain reading of their rules gives the columns of the run back."""

import json

import numpy as np
import pytest

from app.columns import Columns
from app.packing import STEP, packed
from app.report import blob
from tests import analysed
from tests.naive_crossfilter import OddRun
from tests.synthetic_run import EmptyRun, SyntheticRun

RUNS = {
    "made": lambda: SyntheticRun(years=2), "odd": lambda: OddRun(3), "empty": lambda: EmptyRun(years=1),
    "of the engine": lambda: analysed.made(4, 700, sleeves=2)[0],
}  # fmt: skip


@pytest.fixture(params=RUNS, scope="module")
def columns(request):
    return Columns.of(RUNS[request.param]())


def told(data):
    """The arrays of a blob, brought back as `unpack.js` does it."""
    line, _, rest = data.partition(b"\n")
    found, at = {}, 0
    for one in json.loads(line):
        kind = np.dtype(one["type"])
        size = one["length"] * kind.itemsize
        mixed = np.frombuffer(rest[at : at + size], np.uint8).reshape(kind.itemsize, one["length"])
        found[one["name"]] = np.ascontiguousarray(mixed.T).view(kind).ravel()
        at += size
    assert at == len(rest)
    return found


def test_a_blob_gives_every_bit_back_and_is_the_same_again(columns):
    arrays = packed(columns)
    back = told(blob(arrays))
    assert back.keys() == arrays.keys()
    assert all(np.array_equal(back[name], arrays[name], equal_nan=arrays[name].dtype.kind == "f") for name in arrays)
    assert blob(arrays) == blob(packed(columns))


def quotes(arrays):
    """Rows (mark in parts, worth, margin, contract) of the quotes, and the last one of each market by day."""
    rows, last, k = [], {}, 0
    for market, count in enumerate(arrays["quote_count"]):
        parts, day = float(arrays["quote_begin"][market]), 0
        for _ in range(int(count)):
            parts += float(arrays["quote_step"][k]) * arrays["quote_tick"][market]
            day += int(arrays["quote_day"][k])
            rows.append([parts, *(float(arrays[f"quote_{name}"][k]) for name in ("worth", "margin", "contract"))])
            last.setdefault(market, []).append((day, k))
            k += 1
    return rows, last


def latest(last, market, day):
    """The number of a market's last quote by a day; None before the first."""
    return next((k for at, k in reversed(last.get(market, [])) if at <= day), None)


def test_what_was_held_comes_back_to_twelve_digits(columns):
    arrays, held = packed(columns), columns.held
    rows, _ = quotes(arrays)
    odd = {int(k): n for n, k in enumerate(arrays["held_odd"])}
    found, k, q = [], 0, -1
    for line, count in enumerate(arrays["held_line"]):
        day = 0
        for _ in range(int(count)):
            day, q = day + int(arrays["held_day"][k]), q + int(arrays["held_quote"][k]) + 1
            contracts = float(arrays["held_contracts"][k])
            if k in odd:
                own = [arrays[f"held_odd_{name}"][odd[k]] for name in ("contract", "mark", "notional", "margin")]
            else:
                parts, worth, margin, contract = rows[q]
                own = [contract, parts / STEP, abs(contracts * parts) / STEP * worth, abs(contracts) * margin]
            found.append([day, line, contracts, *own])
            k += 1
    order = np.argsort(held["line"], kind="stable")
    names = ("day", "line", "contracts", "contract", "mark", "notional", "margin")
    expected = np.column_stack([held[name][order] for name in names])
    np.testing.assert_allclose(np.array(found).reshape(expected.shape), expected, rtol=2e-12, atol=0.0)


def test_cells_and_prices_come_back_to_twelve_digits_and_results_to_the_last_bit(columns):
    arrays, trade, cell = packed(columns), columns.trade, columns.cell
    rows, last = quotes(arrays)
    starts = columns.owner["start"]
    market = columns.line_root[columns.owner["line"]]
    turn, amounts = {0: 0, 1: 0}, []
    for owner in range(len(starts) - 1):
        day = int(trade["entry"][owner]) if owner < len(trade["entry"]) else 0
        for c in range(starts[owner], starts[owner + 1]):
            day += int(arrays["cell_day"][c])
            assert day == cell["day"][c]
            part, amount = int(arrays["cell_part"][c]), 0.0
            quote = latest(last, market[owner], day)
            worth = rows[quote][1] if quote is not None else 0.0
            if part == 0:
                tick = float(arrays["quote_tick"][market[owner]]) if quote is not None else 0.0
                amount = float(arrays["cell_ticks"][turn[0]]) * (worth * tick / STEP)
            elif part == 1:
                amount = float(arrays["cell_rates"][arrays["cell_code"][turn[1]]]) * worth
            if part < 2:
                turn[part] += 1
            amounts.append(amount)
    amounts = np.array(amounts, float)
    amounts[arrays["cell_odd"]] = arrays["cell_odd_amount"]
    np.testing.assert_allclose(amounts, cell["amount"], rtol=2e-12, atol=0.0)
    of = {"gross": 0, "costs": 1}
    for k in range(len(trade["net"])):
        mine = slice(starts[k], starts[k + 1])
        for name in ("gross", "costs", "net"):
            sum_ = sum(
                [x for x, part in zip(amounts[mine], cell["part"][mine], strict=True) if part == of.get(name)], 0.0
            )
            sum_ = trade["gross"][k] + trade["costs"][k] if name == "net" else sum_
            value = (np.array([sum_]).view(np.int64) + int(arrays[f"result_{name}"][k])).view(float)[0]
            if k in arrays[f"result_{name}_odd"]:
                value = arrays[f"result_{name}_odd_value"][np.flatnonzero(arrays[f"result_{name}_odd"] == k)[0]]
            assert value == trade[name][k]
    for name in ("entry", "exit"):
        if f"{name}_price" not in columns.table.columns:
            assert f"price_{name}" not in arrays
            continue
        odd = list(arrays[f"price_{name}_odd"])
        for k, price in enumerate(columns.table[f"{name}_price"].fill_null(0.0)):
            m = columns.line_root[trade["line"][k]]
            quote = latest(last, m, trade[name][k])
            mark = rows[quote][0] if quote is not None else 0.0
            value = (mark + float(arrays[f"price_{name}"][k]) * float(arrays["quote_tick"][m])) / STEP
            value = arrays[f"price_{name}_odd_value"][odd.index(k)] if k in odd else value
            assert value == pytest.approx(price, rel=2e-12, abs=0.0, nan_ok=True)


def test_few_numbers_of_a_run_of_the_engine_are_odd_and_codes_take_one_byte():
    columns = Columns.of(RUNS["of the engine"]())
    arrays = packed(columns)
    inside = columns.line_root[columns.owner["line"]][
        np.repeat(np.arange(len(arrays["owner_cells"])), arrays["owner_cells"])
    ]
    traded = (inside < len(columns.roots)).sum()
    assert (inside[arrays["cell_odd"]] < len(columns.roots)).sum() < 0.1 * traded
    assert len(arrays["held_odd"]) == len(arrays["price_entry_odd"]) == 0
    assert arrays["trade_line"].dtype == arrays["cell_part"].dtype == arrays["held_day"].dtype == "uint8"
    assert arrays["cell_odd_amount"].dtype == arrays["equity"].dtype == "float64"
