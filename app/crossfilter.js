// Twin of crossfilter.py and passes.py (and of the number formats of charts.py): what a selection leaves of a run.
// Same rules, same names, same order of all sums; tests/test_app_browser.py holds both side by side.
const Crossfilter = (function () {
  "use strict"
  const DAY = 86400000
  const [GROSS, COST, INTEREST] = [0, 1, 2]
  const UNKNOWN = "–"
  const BODIES = 8 // what filters of trades leave, remembered for brushes over days
  const KINDS = ["root", "sector", "strategy", "side", "entry", "exit"] // of filters by names; their place is their bit
  const FIELDS = {
    root: "markets", sector: "sectors", strategy: "strategies", side: "directions", entry: "entry_reasons", exit: "exit_reasons",
  }
  const [HOLDING, RESULT] = [64, 128] // bits of the filters by numbers

  // ------------------------------------------------------------------------------------------------ number formats
  const known = (x) => x !== null && x !== undefined && Number.isFinite(x)
  const esc = (text) =>
    String(text).replace(/[&<>"'{]/g, (c) => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;", "{": "&#123;"})[c])
  function number(x, digits = 0) {
    if (!known(x)) return UNKNOWN
    const [whole, part] = Math.abs(x).toFixed(digits).split(".")
    const text = whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part ? "." + part : "")
    return x < 0 && /[1-9]/.test(text) ? "-" + text : text
  }
  function money(x, meta, digits = 0) {
    const text = number(x, digits)
    if (text === UNKNOWN) return text
    return text[0] === "-" ? "-" + meta.sign + text.slice(1) : meta.sign + text
  }
  function percent(x, digits = 1) {
    const text = number(known(x) ? x * 100 : null, digits)
    return text === UNKNOWN ? text : text + " %"
  }
  function formatted(x, kind, meta) {
    if (kind === "percent") return percent(x)
    if (kind === "money") return money(x, meta)
    return number(x, kind === "ratio" ? 2 : 0)
  }
  const price = (x) => (known(x) ? plainly(Number(x.toPrecision(10))) : UNKNOWN)
  function plainly(x) {
    const text = String(x).includes("e") ? x.toFixed(20).replace(/\.?0+$/, "") : String(x)
    const [whole, part] = text.split(".")
    return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part ? "." + part : "")
  }
  const iso = (ms) => new Date(ms).toISOString().slice(0, 10)

  // ---------------------------------------------------------------------------------------------------- statistics
  const sum = (values) => values.reduce((total, x) => total + x, 0)
  const mean = (values) => (values.length ? sum(values) / values.length : NaN)
  function deviation(values) {
    if (values.length < 2) return NaN
    const centre = mean(values)
    const largest = values.reduce((most, x) => Math.max(most, Math.abs(x)), 1)
    const spread = Math.sqrt(sum(values.map((x) => (x - centre) ** 2)) / (values.length - 1))
    return spread > 1e-14 * largest ? spread : Number.isNaN(spread) ? NaN : 0
  }
  function unpaid(equity, paid, compounding) {
    if (!paid.some((x) => x !== 0)) return equity
    let [flows, level] = [0, equity[0]]
    return equity.map((x, t) => {
      if (t === 0) return x
      const [before, flow] = [equity[t - 1], paid[t - 1]]
      if (!compounding) return x - (flows += flow)
      return (level *= 1 + (before + flow > 0 ? (x - before - flow) / (before + flow) : NaN))
    })
  }
  function drawdown(equity) {
    let peak = -Infinity
    if (!(equity.length && equity[0] > 0)) return equity.map(() => NaN)
    return equity.map((x) => {
      peak = Math.max(peak, x)
      return (x - peak) / peak
    })
  }
  const lowest = (values) => (values.length ? values.reduce((low, x) => (x < low || Number.isNaN(x) ? x : low), Infinity) : NaN)
  function quantile(values, share) {
    if (!values.length || values.some(Number.isNaN)) return NaN
    const sorted = Float64Array.from(values).sort()
    const place = (sorted.length - 1) * share
    const below = Math.floor(place)
    const above = Math.min(below + 1, sorted.length - 1)
    return sorted[below] + (sorted[above] - sorted[below]) * (place - below)
  }
  function drawdownDays(depth, days) {
    if (!depth.length || depth.some(Number.isNaN)) return NaN
    const trough = depth.indexOf(lowest(depth))
    if (!(depth[trough] < 0)) return 0
    let first = trough
    while (depth[first] !== 0) first--
    let last = trough
    while (last < depth.length - 1 && depth[last] !== 0) last++
    return (days[last] - days[first]) / DAY
  }
  function results(net) {
    let won = 0, lost = 0, wins = 0, losses = 0, total = 0
    for (let k = 0; k < net.length; k++) {
      const x = net[k]
      total += x
      if (x > 0) {
        won += x
        wins++
      } else if (x < 0) {
        lost -= x
        losses++
      }
    }
    return {won, lost, wins, losses, total}
  }
  function statistics(data, slice) {
    const {account, at} = slice
    const {returns, equity, days, net} = account
    const excess = returns.map((r, k) => r - account.interest[k])
    const spread = deviation(excess)
    const below = Math.sqrt(mean(excess.map((r) => Math.min(r, 0) ** 2)))
    const depth = drawdown(equity)
    const deepest = lowest(depth)
    const total = equity.length && equity[0] > 0 ? (equity[equity.length - 1] - equity[0]) / equity[0] : NaN
    const years = days.length ? ((days[days.length - 1] - days[0]) / DAY / 365.25) * account.share : 0
    const annual = annualReturn(total, years, data.meta.compounding)
    const {won, lost, wins, total: netted} = results(net)
    const gross = sum(Array.from(slice.lineGross, (x) => Math.max(x, 0)))
    const used = over(at, (t) => slice.used[t - slice.first])
    const held = at.filter((t) => slice.notional[0][t] !== 0 || slice.notional[1][t] !== 0).length
    return {
      profit: slice.sum,
      final_equity: at.length ? data.equity[at[at.length - 1]] : NaN,
      costs: slice.costs,
      margin_mean: mean(used),
      margin_peak: used.length ? used.reduce((most, x) => (x > most || Number.isNaN(x) ? x : most), -Infinity) : NaN,
      turnover: data.meta.turnover,
      total_return: total,
      annual_return: annual,
      volatility: deviation(returns) * Math.sqrt(252),
      sharpe: spread > 0 ? (mean(excess) / spread) * Math.sqrt(252) : NaN,
      sortino: below > 1e-14 ? (mean(excess) / below) * Math.sqrt(252) : NaN,
      calmar: deepest < 0 ? annual / -deepest : NaN,
      max_drawdown: deepest,
      max_drawdown_days: drawdownDays(depth, days),
      var_95: -quantile(returns, 1 - 0.95),
      trades: net.length,
      win_rate: net.length ? wins / net.length : NaN,
      profit_factor: lost > 0 ? won / lost : NaN,
      expectancy: net.length ? netted / net.length : NaN,
      cost_share: gross > 0 ? slice.costs / gross : NaN,
      time_in_market: at.length ? held / at.length : NaN,
    }
  }
  function annualReturn(total, years, compounding) {
    if (!(years > 0)) return NaN
    if (!compounding) return total / years
    if (!(total > -1)) return NaN
    const growth = Math.log1p(total) / years
    return growth < 700 ? Math.expm1(growth) : NaN
  }

  // ------------------------------------------------------------------------------------------------------- the data
  function names(data, kind) {
    const {meta} = data
    return {
      root: meta.roots, sector: meta.sectors, strategy: meta.strategies, side: ["long", "short"],
      entry: meta.entry_reasons, exit: meta.exit_reasons,
    }[kind]
  }
  const regimesOf = (data, kind) =>
    (data.regimes[kind] ??= {names: [], code: new Uint8Array(data.day.length)})

  // --------------------------------------------------------------------------------------------------- the one pass
  const flags = (all, chosen) => [...all.map((name) => !chosen.length || chosen.includes(name)), !chosen.length]
  function ends(data, days) {
    const {day} = data
    if (!days) return [1, day.length - 1]
    const [from, to] = days.map(Date.parse)
    return [Math.max(placed(day, from), 1), placed(day, to + 1) - 1]
  }
  function placed(sorted, value) {
    let [low, high] = [0, sorted.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (sorted[middle] < value) low = middle + 1
      else high = middle
    }
    return low
  }
  function body(data, ok, chosen) {
    const told = [...Object.values(FIELDS).map((name) => [...chosen[name]].sort()), chosen.holding, chosen.results]
    const key = JSON.stringify(told)
    if (!data.bodies.has(key)) {
      data.bodies.set(key, left(data, ok, chosen))
      if (data.bodies.size > BODIES) data.bodies.delete(data.bodies.keys().next().value)
    }
    return data.bodies.get(key)
  }
  function left(data, ok, chosen) {
    const {meta, cell, held, owner} = data
    const mask = masks(data, ok, chosen)
    const time = data.day.length
    const [profit, interest] = [new Float64Array(time), new Float64Array(time)]
    const [{start}, {day, part, amount}] = [owner, cell]
    const trades = data.trade.exit.length
    let some = false
    for (let k = 0; k < mask.length; k++) {
      if (mask[k]) continue
      some = true
      const end = start[k + 1]
      for (let c = start[k]; c < end; c++) profit[day[c]] += amount[c]
      if (k < trades) continue
      for (let c = start[k]; c < end; c++) if (part[c] === INTEREST) interest[day[c]] += amount[c]
    }
    const margin = new Float64Array((meta.sectors.length + 1) * time) // sector by sector
    const notional = new Float64Array(2 * time)
    const {owner: holder, day: when, line, side, margin: required, notional: worth} = held
    const place = Int32Array.from(meta.line_sector, (sector) => sector * time)
    for (let k = 0; k < when.length; k++) {
      if (mask[holder[k]]) continue
      margin[place[line[k]] + when[k]] += required[k]
      notional[side[k] * time + when[k]] += worth[k]
    }
    const row = (values, k) => values.subarray(k * time, (k + 1) * time)
    return {
      mask, some, profit, interest, margin: meta.sectors.map((_, k) => row(margin, k)), notional: [0, 1].map((k) => row(notional, k)),
    }
  }
  function masks(data, ok, chosen) {
    const {meta, owner, trade} = data
    const bits = KINDS.map((kind, place) => Uint8Array.from(ok[kind], (picked) => (picked ? 0 : 1 << place)))
    const line = Uint8Array.from(meta.line_root, (root, m) => bits[0][root] | bits[1][meta.line_sector[m]] | bits[2][meta.line_strategy[m]])
    const {line: lineOf, side, entry_reason: entry, exit_reason: exit} = owner
    const [ofSide, ofEntry, ofExit] = bits.slice(3)
    const mask = new Uint8Array(lineOf.length)
    for (let k = 0; k < mask.length; k++) mask[k] = line[lineOf[k]] | ofSide[side[k]] | ofEntry[entry[k]] | ofExit[exit[k]]
    for (const [values, range, bit] of [[trade.holding, chosen.holding, HOLDING], [trade.net, chosen.results, RESULT]]) {
      if (!range) continue
      const [least, most] = [range[0] ?? -Infinity, range[1] ?? Infinity]
      for (let k = 0; k < mask.length; k++) {
        if (k >= values.length || !(least <= values[k] && values[k] <= most)) mask[k] |= bit
      }
    }
    return mask
  }
  function counted(data, ok, mask, first, last, picked) {
    const {meta, owner, cell, trade} = data
    const by = Object.fromEntries(KINDS.map((kind) => [kind, new Float64Array(ok[kind].length)]))
    const lineGross = new Float64Array(meta.line_root.length)
    const [byResult, byHolding] = [meta.result_bins, meta.holding_bins].map((edges) => new Int32Array(edges.length - 1))
    const found = {by, lineGross, cost: 0, byResult, byHolding, trades: new Int32Array(0)}
    if (first > last) return found
    const gone = new Int32Array(picked.length + 1) // days before a row that are not picked
    for (let t = 0; t < picked.length; t++) gone[t + 1] = gone[t] + (picked[t] ? 0 : 1)
    const {start, first: opens, last: ends, line, side, entry_reason: entry, exit_reason: exit, sums} = owner
    const [gross, cost, interest] = sums
    const [root, sector, strategy] = [meta.line_root, meta.line_sector, meta.line_strategy].map((codes) => Int32Array.from(codes))
    const {day, part, amount} = cell
    const {root: byRoot, sector: bySector, strategy: byStrategy, side: bySide, entry: byEntry, exit: byExit} = by
    const parts = [0, 0, 0]
    let costs = 0
    for (let k = 0; k < mask.length; k++) {
      const bits = mask[k]
      if (bits & (bits - 1) || ends[k] < first || opens[k] > last) continue
      let x = gross[k], y = cost[k], z = interest[k]
      if (!(first <= opens[k] && ends[k] <= last && gone[ends[k] + 1] === gone[opens[k]])) {
        parts.fill(0)
        for (let c = start[k]; c < start[k + 1] && day[c] <= last; c++) {
          if (day[c] >= first && picked[day[c]]) parts[part[c]] += amount[c]
        }
        x = parts[GROSS]
        y = parts[COST]
        z = parts[INTEREST]
      }
      const total = x + y + z
      const m = line[k]
      if (bits === 0) {
        lineGross[m] += x
        costs += y
        byRoot[root[m]] += total
        bySector[sector[m]] += total
        byStrategy[strategy[m]] += total
        bySide[side[k]] += total
        byEntry[entry[k]] += total
        byExit[exit[k]] += total
      } else if (bits === 1) byRoot[root[m]] += total
      else if (bits === 2) bySector[sector[m]] += total
      else if (bits === 4) byStrategy[strategy[m]] += total
      else if (bits === 8) bySide[side[k]] += total
      else if (bits === 16) byEntry[entry[k]] += total
      else if (bits === 32) byExit[exit[k]] += total
    }
    found.cost = costs
    const {exit: ended, result_bin: result, holding_bin: holding} = trade
    const rows = new Int32Array(ended.length)
    let count = 0
    for (let k = 0; k < rows.length; k++) {
      const bits = mask[k], end = ended[k]
      if (!(bits === 0 || bits === HOLDING || bits === RESULT) || end < first || end > last || !picked[end]) continue
      if (bits === 0) rows[count++] = k
      if (bits === 0 || bits === RESULT) byResult[result[k]]++
      if (bits === 0 || bits === HOLDING) byHolding[holding[k]]++
    }
    found.trades = rows.slice(0, count)
    return found
  }
  function crossfilter(data, chosen) {
    const {meta, held} = data
    const [first, last] = ends(data, chosen.days)
    const ok = Object.fromEntries(KINDS.map((kind) => [kind, flags(names(data, kind), chosen[FIELDS[kind]])]))
    const regimes = regimesOf(data, chosen.regime ?? meta.regime)
    ok.regime = regimes.names.map((name) => !chosen.regimes.length || chosen.regimes.includes(name))
    const none = ok.regime.length ? null : !chosen.regimes.length
    const picked = new Uint8Array(data.day.length)
    for (let t = 0; t < picked.length; t++) picked[t] = (none ?? ok.regime[regimes.code[t]]) ? 1 : 0
    const kept = body(data, ok, chosen)
    const {by, lineGross, cost, byResult, byHolding, trades} = counted(data, ok, kept.mask, first, last, picked)
    const byRegime = new Float64Array(regimes.names.length)
    const at = []
    for (let t = first; t <= last; t++) {
      if (byRegime.length) byRegime[regimes.code[t]] += kept.profit[t]
      if (picked[t]) at.push(t)
    }
    const every = picked.every(Boolean)
    const only = (values) => (every ? values : values.map((x, t) => (picked[t] ? x : 0)))
    const slice = {
      chosen, ok, first, last, at, regimes, count: at.length, span: Math.max(last - first + 1, 0), dayPicked: picked,
      byRoot: by.root, bySector: by.sector, byStrategy: by.strategy, bySide: by.side, byEntry: by.entry, byExit: by.exit, byRegime,
      tradesByResult: byResult, tradesByHolding: byHolding, lineGross, costs: 0 - cost, trades, anyOwner: kept.some,
      linePicked: meta.roots.length
        ? meta.line_root.slice(0, -1).map((root, m) => ok.root[root] && ok.sector[meta.line_sector[m]] && ok.strategy[meta.line_strategy[m]])
        : [],
      profit: only(kept.profit), interest: only(kept.interest), notional: kept.notional.map(only),
    }
    slice.book = []
    if (slice.span) {
      for (let k = placed(held.day, last); k < held.day.length && held.day[k] === last; k++) {
        if (!kept.mask[held.owner[k]]) slice.book.push(k)
      }
    }
    const scale = Array.from({length: slice.span}, (_, t) => (data.equity[first + t] > 0 ? 1 / data.equity[first + t] : NaN))
    const scaled = (values, sign = 1) => scale.map((s, t) => (picked[first + t] ? values[first + t] : 0) * s * sign)
    slice.margin = kept.margin.map((values) => scaled(values))
    slice.used = scale.map((s, t) => slice.margin.reduce((total, values) => total + values[t], 0))
    slice.long = scaled(kept.notional[0])
    slice.short = scaled(kept.notional[1], -1)
    return finish(data, slice)
  }
  function over(rows, f) {
    const out = new Float64Array(rows.length)
    for (let k = 0; k < rows.length; k++) out[k] = f(rows[k])
    return out
  }
  function finish(data, slice) {
    const {first, last, at, profit} = slice
    const capital = data.equity[0]
    let total = 0
    const {compounding} = data.meta
    slice.curve = profit.map((x, t) => capital + (total += x + data.paid[t]))
    slice.grown = unpaid(slice.curve, data.paid.slice(1), compounding)
    const base = (t) => (compounding ? data.equity[t - 1] + data.paid[t] : capital)
    const share = (x, t) => (base(t) > 0 ? x / base(t) : NaN)
    let gained = 0
    const count = at.length
    const start = count ? data.equity[first - 1] : NaN
    slice.account = {
      returns: over(at, (t) => share(profit[t], t)), interest: over(at, (t) => share(slice.interest[t], t)),
      days: count ? over([first - 1, ...at], (t) => data.day[t]) : [],
      equity: count ? unpaid(over([-1, ...at], (t) => (t < 0 ? start : start + (gained += profit[t] + data.paid[t]))), over(at, (t) => data.paid[t]), compounding) : [],
      net: over(slice.trades, (k) => data.trade.net[k]),
      share: count ? count / (at[count - 1] - first + 1) : NaN,
    }
    slice.returns = slice.account.returns
    slice.sum = at.reduce((total, t) => total + profit[t], 0)
    slice.months = months(data, slice, first, last, base)
    slice.everyMonth = months(data, slice, 1, data.day.length - 1, base)
    slice.monthPicked = new Map([...slice.everyMonth.keys()].map((year) => {
      const values = slice.months.get(year)
      return [year, Array.from({length: 13}, (_, k) => values !== undefined && !Number.isNaN(values[k]))]
    }))
    slice.statistics = statistics(data, slice)
    slice.warning = warning(data, slice)
    return slice
  }
  function months(data, slice, first, last, base) {
    const found = new Map()
    const close = (span) => { if (span) found.get(span.year)[span.column] = span.profit / span.start }
    let [month, year] = [null, null]
    for (let t = first; t <= last; t++) {
      const [y, m] = [Math.floor(data.month[t] / 12), data.month[t] % 12]
      if (!found.has(y)) found.set(y, Array(13).fill(NaN))
      if (!month || month.year !== y || month.column !== m) {
        close(month)
        month = {year: y, column: m, start: base(t), profit: 0}
      }
      if (!year || year.year !== y) {
        close(year)
        year = {year: y, column: 12, start: base(t), profit: 0}
      }
      month.profit += slice.profit[t]
      year.profit += slice.profit[t]
    }
    close(month)
    close(year)
    return found
  }
  function warning(data, slice) {
    if (!slice.count) {
      return slice.span ? "No day is picked: none within the dates has these regimes." : "No day is picked: widen the dates."
    }
    if (!data.meta.roots.length) return "Nothing was traded in this run."
    if (!slice.linePicked.some(Boolean)) return "No market is picked: nothing of this run has these filters."
    if (!slice.anyOwner) return "No trade is picked: nothing of this run has these filters."
    const few = []
    const [days, trades] = [slice.count, slice.trades.length]
    if (days < data.meta.few_days) few.push(`${days} ${days === 1 ? "day" : "days"}`)
    if (trades < data.meta.few_trades) few.push(`${trades} ${trades === 1 ? "trade" : "trades"}`)
    return few.length ? `A short selection (${few.join(" and ")}): its ratios say little.` : ""
  }

  return {DAY, FIELDS, crossfilter, names, drawdown, esc, iso, lowest, mean, money, number, percent, price, formatted, regimesOf, results, sum, unpaid}
})()
