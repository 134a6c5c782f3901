// Makes columns of a run of the arrays of its report: see packing.py, whose rules these are.
const Columns = (function () {
  "use strict"
  const DAY = 86400000
  const STEP = 1e9 // parts of a point
  const [GROSS, COST, SHORT] = [0, 1, 1]
  const floats = (size) => new Float64Array(size)
  const whole = (size) => new Int32Array(size)

  function parts(arrays, name) {
    const found = {}
    for (const [key, values] of Object.entries(arrays)) if (key.startsWith(`${name}_`)) found[key.slice(name.length + 1)] = values
    return found
  }
  function mend(values, rows, odd) {
    for (let k = 0; k < rows.length; k++) values[rows[k]] = odd[k]
    return values
  }
  // Days, equity and regimes: all that the first curve needs.
  function head(arrays, meta) {
    const codes = parts(arrays, "regime")
    const days = arrays.day.length
    const regimes = Object.fromEntries(Object.entries(meta.regimes).map(([kind, told]) => [kind, {...told, code: codes[kind] ?? new Uint8Array(days)}]))
    const day = Array.from(arrays.day, (one) => Number(one) * DAY)
    const month = Int32Array.from(day, (ms) => {
      const date = new Date(ms)
      return date.getUTCFullYear() * 12 + date.getUTCMonth()
    })
    return {
      meta, regimes, day, month, equity: Array.from(arrays.equity), paid: Array.from(arrays.paid),
      benchmark: Array.from(arrays.benchmark), bodies: new Map(),
    }
  }
  // All columns of the run.
  function unpack(arrays, meta) {
    const data = head(arrays, meta)
    const days = data.day.length
    const [trade, table] = [parts(arrays, "trade"), parts(arrays, "table")]
    const quote = quotes(parts(arrays, "quote"), days)
    const owner = owners(arrays.owner_cells, trade, meta)
    const cell = cells(parts(arrays, "cell"), owner, trade, quote, meta.line_root, days)
    spans(owner, cell, trade)
    Object.assign(trade, results(parts(arrays, "result"), owner, trade.exit.length))
    Object.assign(table, {gross: trade.gross, costs: trade.costs})
    for (const name of ["entry", "exit"]) {
      if (arrays[`price_${name}`]) table[`${name}_price`] = prices(arrays, name, trade, quote, meta.line_root, days)
    }
    trade.result_bin = bins(trade.net, meta.result_bins)
    trade.holding_bin = bins(trade.holding, meta.holding_bins)
    return Object.assign(data, {trade, table, owner, cell, held: held(parts(arrays, "held"), trade, quote, meta, days)})
  }
  // Marks in parts, what a tick and a contract at one are worth, and the last quote of a market by day: `size` for none.
  function quotes({count, day: steps, step, begin, tick, worth: told, contract, margin}, days) {
    const size = steps.length
    const [mark, unit, worth] = [floats(size + 1), floats(size + 1), floats(size + 1)]
    const at = whole((count.length + 1) * days).fill(-1)
    for (let m = 0, k = 0; m < count.length; m++) {
      let [parts, day] = [begin[m], 0]
      for (const end = k + count[m]; k < end; k++) {
        day += steps[k]
        mark[k] = parts += step[k] * tick[m]
        worth[k] = told[k]
        unit[k] = (told[k] * tick[m]) / STEP
        at[m * days + day] = k
      }
    }
    for (let m = 0; m <= count.length; m++) {
      for (let t = 0, last = size; t < days; t++) last = at[m * days + t] = at[m * days + t] < 0 ? last : at[m * days + t]
    }
    return {mark, unit, worth, contract, margin, tick, at}
  }
  function owners(cells, trade, meta) {
    const [trades, lines] = [trade.exit.length, meta.line_root.length]
    const all = (values, last) => {
      const found = whole(trades + lines)
      found.set(values)
      for (let m = 0; m < lines; m++) found[trades + m] = last(m)
      return found
    }
    return {
      cells, line: all(trade.line, (m) => m), side: all(trade.side, () => 2),
      entry_reason: all(trade.entry_reason, () => meta.entry_reasons.length), exit_reason: all(trade.exit_reason, () => meta.exit_reasons.length),
    }
  }
  function cells({day: steps, part, ticks, code, rates, odd, odd_amount}, owner, trade, quote, root, days) {
    const [day, amount] = [whole(part.length), floats(part.length)]
    const {at, unit, worth} = quote
    const {line, cells: count} = owner
    const {entry} = trade
    for (let k = 0, c = 0, tick = 0, cost = 0; k < line.length; k++) {
      const row = root[line[k]] * days
      let t = k < entry.length ? entry[k] : 0
      for (const end = c + count[k]; c < end; c++) {
        day[c] = t += steps[c]
        if (part[c] === GROSS) amount[c] = ticks[tick++] * unit[at[row + t]]
        else if (part[c] === COST) amount[c] = rates[code[cost++]] * worth[at[row + t]]
      }
    }
    return {day, part, amount: mend(amount, odd, odd_amount)}
  }
  // What a brush asks for of each owner (a trade, or a line with what belongs to no trade), worked out once.
  function spans(owner, cell, trade) {
    const [count, trades] = [owner.line.length, trade.exit.length]
    const [start, first, last] = [whole(count + 1), whole(count), whole(count)]
    const [gross, cost, interest] = [0, 1, 2].map(() => floats(count))
    const {day, part, amount} = cell
    for (let k = 0, c = 0; k < count; k++) {
      const end = start[k + 1] = start[k] + owner.cells[k]
      first[k] = k < trades ? trade.entry[k] : (day[start[k]] ?? 0)
      last[k] = k < trades ? trade.exit[k] : (day[end - 1] ?? 0)
      let x = 0, y = 0, z = 0
      for (; c < end; c++) {
        if (part[c] === GROSS) x += amount[c]
        else if (part[c] === COST) y += amount[c]
        else z += amount[c]
      }
      gross[k] = x
      cost[k] = y
      interest[k] = z
    }
    Object.assign(owner, {start, first, last, sums: [gross, cost, interest]})
  }
  function results(told, {sums}, count) {
    const of = (name, sum) => mend(nudged(sum, told[name]), told[`${name}_odd`], told[`${name}_odd_value`])
    const gross = of("gross", sums[0].slice(0, count))
    const costs = of("costs", sums[1].slice(0, count))
    return {gross, costs, net: of("net", gross.map((x, k) => x + costs[k]))}
  }
  // Numbers moved by so many last places.
  function nudged(values, places) {
    const words = new Uint32Array(values.buffer)
    for (let k = 0; k < values.length; k++) {
      if (!places[k]) continue
      const low = words[2 * k] + places[k]
      words[2 * k] = low
      words[2 * k + 1] += Math.floor(low / 4294967296)
    }
    return values
  }
  function prices(arrays, name, trade, {mark, tick, at}, root, days) {
    const [steps, value] = [arrays[`price_${name}`], floats(trade.exit.length)]
    for (let k = 0; k < value.length; k++) {
      const m = root[trade.line[k]]
      value[k] = (mark[at[m * days + trade[name][k]]] + steps[k] * tick[m]) / STEP
    }
    return mend(value, arrays[`price_${name}_odd`], arrays[`price_${name}_odd_value`])
  }
  function bins(values, edges) {
    const found = whole(values.length)
    for (let k = 0; k < found.length; k++) {
      const x = values[k]
      let [low, high] = [1, edges.length - 1]
      while (low < high) {
        const middle = (low + high) >> 1
        if (edges[middle] <= x) low = middle + 1
        else high = middle
      }
      found[k] = low - 1
    }
    return found
  }
  // What was held, by day. Its owner is the last trade of its line that had begun, if that was open: app/cells.py.
  function held(told, trade, quote, meta, days) {
    const size = told.day.length
    const [day, place] = [whole(size), whole(days + 1)]
    for (let m = 0, k = 0; m < told.line.length; m++) {
      let t = 0
      for (const end = k + told.line[m]; k < end; k++) place[1 + (day[k] = t += told.day[k])]++
    }
    for (let t = 0; t < days; t++) place[t + 1] += place[t]
    const rows = whole(size)
    for (let k = 0; k < size; k++) rows[k] = place[day[k]]++
    const [turn, first] = turns(trade, meta.line_root.length, days)
    const trades = trade.exit.length
    const found = {
      day: whole(size), line: whole(size), side: new Uint8Array(size), owner: whole(size), contract: whole(size),
      contracts: floats(size), mark: floats(size), notional: floats(size), margin: floats(size),
    }
    for (let m = 0, k = 0, q = -1; m < told.line.length; m++) {
      let i = first[m]
      for (const end = k + told.line[m]; k < end; k++) {
        const [row, t, contracts] = [rows[k], day[k], told.contracts[k]]
        while (i < first[m + 1] && trade.entry[turn[i]] <= t) i++
        q += told.quote[k] + 1
        const [held, mark] = [Math.abs(contracts), quote.mark[q] / STEP]
        found.day[row] = t
        found.line[row] = m
        found.side[row] = contracts < 0 ? SHORT : 0
        found.owner[row] = i > first[m] && trade.exit[turn[i - 1]] >= t ? turn[i - 1] : trades + m
        found.contract[row] = quote.contract[q]
        found.contracts[row] = contracts
        found.mark[row] = mark
        found.notional[row] = held * Math.abs(mark) * quote.worth[q]
        found.margin[row] = held * quote.margin[q]
      }
    }
    const odd = Array.from(told.odd, (k) => rows[k])
    for (const name of ["contract", "mark", "notional", "margin"]) mend(found[name], odd, told[`odd_${name}`])
    return found
  }
  // Trades by line, entry and exit, the older one first, and each line's first place.
  function turns(trade, lines, days) {
    let order = whole(trade.exit.length)
    for (let k = 0; k < order.length; k++) order[k] = order.length - 1 - k
    let place
    for (const [codes, count] of [[trade.entry, days], [trade.line, lines]]) {
      place = whole(count + 1)
      for (let k = 0; k < codes.length; k++) place[codes[k] + 1]++
      for (let c = 0; c < count; c++) place[c + 1] += place[c]
      const [next, sorted] = [place.slice(), whole(order.length)]
      for (let k = 0; k < order.length; k++) sorted[next[codes[order[k]]]++] = order[k]
      order = sorted
    }
    return [order, place]
  }
  return {head, unpack}
})()
