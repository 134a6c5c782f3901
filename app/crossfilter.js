// Twin of crossfilter.py (and of the number formats of charts.py): what a selection leaves of a run.
// Same rules, same names, same numbers; tests/test_app_browser.py holds both side by side.
const Crossfilter = (function () {
  "use strict"
  const DAY = 86400000
  const [GROSS, COST, INTEREST] = [0, 1, 2]
  const UNKNOWN = "–"

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
    if (!values.length) return NaN
    const sorted = [...values].sort((a, b) => a - b)
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
  function statistics(data, slice) {
    const {account} = slice
    const {returns, equity, days, net} = account
    const excess = returns.map((r, k) => r - account.interest[k])
    const spread = deviation(excess)
    const below = Math.sqrt(mean(excess.map((r) => Math.min(r, 0) ** 2)))
    const depth = drawdown(equity)
    const deepest = lowest(depth)
    const total = equity.length && equity[0] > 0 ? (equity[equity.length - 1] - equity[0]) / equity[0] : NaN
    const years = days.length ? (days[days.length - 1] - days[0]) / DAY / 365.25 : 0
    const annual = annualReturn(total, years, data.meta.compounding)
    const won = sum(net.filter((x) => x > 0))
    const lost = -sum(net.filter((x) => x < 0))
    const gross = sum(Array.from(slice.lineGross, (x) => Math.max(x, 0)))
    const used = slice.used
    const held = slice.long.map((x, k) => x !== 0 || slice.short[k] !== 0)
    return {
      profit: slice.sum,
      final_equity: slice.count ? data.equity[slice.last] : NaN,
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
      win_rate: mean(net.map((x) => (x > 0 ? 1 : 0))),
      profit_factor: lost > 0 ? won / lost : NaN,
      expectancy: mean(net),
      cost_share: gross > 0 ? slice.costs / gross : NaN,
      time_in_market: mean(held.map(Number)),
    }
  }
  function annualReturn(total, years, compounding) {
    if (!(years > 0)) return NaN
    if (!compounding) return total / years
    if (!(total > -1)) return NaN
    const growth = Math.log1p(total) / years
    return growth < 700 ? Math.expm1(growth) : NaN
  }

  // --------------------------------------------------------------------------------------------------- the one pass
  const flags = (names, chosen) => [...names.map((name) => !chosen.length || chosen.includes(name)), !chosen.length]
  function ends(data, days) {
    if (!days) return [1, data.day.length - 1]
    let first = 1
    while (first < data.day.length && data.day[first] < Date.parse(days[0])) first++
    let last = data.day.length - 1
    while (last >= 0 && data.day[last] > Date.parse(days[1])) last--
    return [first, last]
  }
  function crossfilter(data, chosen) {
    const {meta, cell, held, trade} = data
    const [first, last] = ends(data, chosen.days)
    const [time, lines] = [data.day.length, meta.line_root.length]
    const ok = {
      root: flags(meta.roots, chosen.markets), sector: flags(meta.sectors, chosen.sectors),
      strategy: flags(meta.strategies, chosen.strategies), side: flags(["long", "short"], chosen.directions),
    }
    const daily = [0, 1, 2].map(() => new Float64Array(time))
    const byRoot = new Float64Array(ok.root.length)
    const bySector = new Float64Array(ok.sector.length)
    const byLine = [0, 1, 2].map(() => new Float64Array(lines))
    const {day, line: lineOf, side, part, amount} = cell
    const failedRoot = meta.line_root.map((root) => (ok.root[root] ? 0 : 1))
    const failedSector = meta.line_sector.map((sector) => (ok.sector[sector] ? 0 : 1))
    const okStrategy = meta.line_strategy.map((strategy) => ok.strategy[strategy])
    for (let k = 0; k < day.length; k++) {
      const m = lineOf[k]
      if (!(okStrategy[m] && ok.side[side[k]])) continue
      const t = day[k]
      const outside = t < first || t > last ? 1 : 0
      const failed = outside + failedRoot[m] + failedSector[m]
      if (failed > 1) continue
      if (failed === 0 || outside) daily[part[k]][t] += amount[k]
      if (failed === 0 || failedRoot[m]) byRoot[meta.line_root[m]] += amount[k]
      if (failed === 0 || failedSector[m]) bySector[meta.line_sector[m]] += amount[k]
      if (failed === 0) byLine[part[k]][m] += amount[k]
    }
    const line = Array.from({length: lines}, (_, m) =>
      ok.strategy[meta.line_strategy[m]] && ok.root[meta.line_root[m]] && ok.sector[meta.line_sector[m]])
    const slice = {
      chosen, ok, first, last, count: Math.max(last - first + 1, 0), byRoot, bySector, lineGross: byLine[GROSS],
      costs: 0 - sum(byLine[COST]), linePicked: line.slice(0, -1),
      profit: Array.from(daily[0], (x, t) => x + daily[COST][t] + daily[INTEREST][t]), interest: daily[INTEREST],
    }
    slice.trades = []
    for (let k = 0; k < trade.line.length; k++) {
      if (trade.exit[k] >= first && trade.exit[k] <= last && line[trade.line[k]] && ok.side[trade.side[k]]) slice.trades.push(k)
    }
    hold(data, slice, line)
    return finish(data, slice)
  }
  function hold(data, slice, line) {
    const {meta, held} = data
    const count = slice.count
    const margin = meta.sectors.map(() => new Float64Array(count))
    const sides = [new Float64Array(count), new Float64Array(count)]
    slice.book = []
    for (let k = 0; k < held.day.length; k++) {
      const t = held.day[k] - slice.first
      if (t < 0 || t >= count || !line[held.line[k]] || !slice.ok.side[held.side[k]]) continue
      margin[meta.line_sector[held.line[k]]][t] += held.margin[k]
      sides[held.side[k]][t] += held.notional[k]
      if (held.day[k] === slice.last) slice.book.push(k)
    }
    const equity = Array.from({length: count}, (_, t) => data.equity[slice.first + t])
    const scale = equity.map((x) => (x > 0 ? 1 / x : NaN))
    slice.margin = margin.map((values) => scale.map((s, t) => values[t] * s))
    slice.used = scale.map((s, t) => sum(slice.margin.map((values) => values[t])))
    slice.long = scale.map((s, t) => sides[0][t] * s)
    slice.short = scale.map((s, t) => sides[1][t] * s * -1)
  }
  function finish(data, slice) {
    const {first, last, count, profit} = slice
    const capital = data.equity[0]
    let total = 0
    const {compounding} = data.meta
    slice.curve = profit.map((x, t) => capital + (total += x + data.paid[t]))
    slice.grown = unpaid(slice.curve, data.paid.slice(1), compounding)
    const base = (t) => (compounding ? data.equity[t - 1] + data.paid[t] : capital)
    const rows = Array.from({length: count}, (_, k) => first + k)
    const share = (x, t) => (base(t) > 0 ? x / base(t) : NaN)
    let gained = 0
    const start = count ? data.equity[first - 1] : NaN
    slice.account = {
      returns: rows.map((t) => share(profit[t], t)), interest: rows.map((t) => share(slice.interest[t], t)),
      days: count ? Array.from(data.day.slice(first - 1, last + 1)) : [],
      equity: count ? unpaid([start, ...rows.map((t) => start + (gained += profit[t] + data.paid[t]))], rows.map((t) => data.paid[t]), compounding) : [],
      net: slice.trades.map((k) => data.trade.net[k]),
    }
    slice.sum = sum(rows.map((t) => profit[t]))
    slice.months = months(data, slice, rows, base)
    slice.statistics = statistics(data, slice)
    slice.warning = warning(data, slice)
    return slice
  }
  function months(data, slice, rows, base) {
    const found = new Map()
    const spans = {}
    for (const t of rows) {
      const [year, month] = [Number(iso(data.day[t]).slice(0, 4)), Number(iso(data.day[t]).slice(5, 7)) - 1]
      if (!found.has(year)) found.set(year, Array(13).fill(NaN))
      for (const column of [month, 12]) {
        const span = (spans[`${year} ${column}`] ??= {year, column, start: base(t), profit: 0})
        span.profit += slice.profit[t]
      }
    }
    for (const span of Object.values(spans)) found.get(span.year)[span.column] = span.profit / span.start
    return found
  }
  function warning(data, slice) {
    if (!slice.count) return "No day is picked: widen the dates."
    if (!data.meta.roots.length) return "Nothing was traded in this run."
    if (!slice.linePicked.some(Boolean)) return "No market is picked: nothing of this run has these filters."
    const few = []
    const [days, trades] = [slice.count, slice.trades.length]
    if (days < data.meta.few_days) few.push(`${days} ${days === 1 ? "day" : "days"}`)
    if (trades < data.meta.few_trades) few.push(`${trades} ${trades === 1 ? "trade" : "trades"}`)
    return few.length ? `A short selection (${few.join(" and ")}): its ratios say little.` : ""
  }

  return {DAY, crossfilter, drawdown, esc, iso, lowest, mean, money, number, percent, price, formatted, sum}
})()
