// Twin of the views' `patch` and of the board: makes a report answer with the network off. Needs crossfilter.js; words
// and columns are those that Python would have put there, tests/test_app_browser.py holds both side by side.
const Frontmonth = (function () {
  "use strict"
  const {DAY, FIELDS, crossfilter, names, drawdown, esc, iso, lowest, mean, money, number, percent, price, formatted, regimesOf, results, sum, unpaid} = Crossfilter
  const LISTS = {
    m: "markets", s: "sectors", n: "strategies", d: "directions", i: "entry_reasons", o: "exit_reasons", r: "regimes",
  }
  const RANGES = {h: "holding", p: "results"}
  const CHOICES = ["days", ...Object.values(LISTS), ...Object.values(RANGES)]
  const DEFAULT = "volatility"
  const MOST = 2000 // rows of the table of trades
  const WINDOW = 252 // days of a rolling year
  const BINS = 41 // of returns of days
  const KEPT = 200 // steps that can be undone
  const UNKNOWN = "–"

  // -------------------------------------------------------------------------------------------------------- words
  function span(values, floor = null) {
    let [low, high] = [Infinity, -Infinity]
    for (const x of values) if (Number.isFinite(x)) [low, high] = [Math.min(low, x), Math.max(high, x)]
    if (low > high) [low, high] = [0, 0]
    if (floor !== null) [low, high] = [Math.min(low, floor), Math.max(high, floor)]
    if (low === high) return [low - 1, high + 1]
    const air = (high - low) * 0.05
    return [low === floor ? low : low - air, high === floor ? high : high + air]
  }
  const digits = (x, most) => String(Number(x.toPrecision(most)))
  function shortMoney(x, meta) {
    if (!Number.isFinite(x)) return UNKNOWN
    const size = Math.abs(Number(x.toPrecision(3)))
    const [unit, letter] = [[1e9, "B"], [1e6, "M"], [1e3, "k"]].find(([least]) => size >= least) ?? [1, ""]
    return `${x < 0 && size ? "-" : ""}${meta.sign}${digits(size / unit, 3)}${letter}`
  }
  const note = (text) => `<p class="note">${text}</p>`
  const plain = (x) => x.toLocaleString("en-US", {maximumSignificantDigits: 15, useGrouping: true})
  function between([least, most]) {
    if (least === null) return most === null ? "any" : `at most ${plain(most)}`
    return most === null ? `at least ${plain(least)}` : `${plain(least)} to ${plain(most)}`
  }
  function picks(chosen) {
    const told = chosen.days ? [["days", chosen.days, chosen.days.join(" to ")]] : []
    const words = {entry_reasons: "begun by ", exit_reasons: "ended by ", regimes: `${chosen.regime}: `}
    for (const name of Object.values(LISTS)) {
      for (const value of [...chosen[name]].sort()) told.push([name, value, (words[name] ?? "") + value])
    }
    if (chosen.holding) told.push(["holding", chosen.holding, `${between(chosen.holding)} bars`])
    if (chosen.results) told.push(["results", chosen.results, `net ${between(chosen.results)}`])
    return told
  }
  function legend(pairs) {
    return `<div class="legend">${pairs.map(([name, colour]) => `<span><i style="background:${colour}"></i>${esc(name)}</span>`).join("")}</div>`
  }
  function choices(verb, options, current, label, key = "value") {
    const made = Object.entries(options).map(([value, words]) =>
      `<button type="button" data-do="${verb}" data-${key}="${value}" aria-pressed="${value === current}">${esc(words)}</button>`)
    return `<span class="switch" role="group" aria-label="${esc(label)}">${made.join("")}</span>`
  }

  // ------------------------------------------------------------------------------------------ patches of the views
  function chips(state, slice) {
    const made = picks(slice.chosen).map(([field, value, label]) =>
      `<button class="chip" type="button" data-do="clear" data-field="${esc(field)}" data-value="${esc(LISTED.has(field) ? value : "")}" ` +
      `aria-label="Take ${esc(label)} out">${esc(label)}<span aria-hidden="true">×</span></button>`)
    const hint = '<span class="note">Everything is picked. Drag over days or click a bar in any view to pick a part.</span>'
    return {chips: {text: `<div class="chips" role="group" aria-label="Picked">${made.join("") || hint}</div>`}}
  }
  const LISTED = new Set(Object.values(LISTS))
  function strip(state, slice) {
    const {data, whole} = state
    const {meta} = data
    const partial = picks(slice.chosen).length > 0
    const dates = slice.count
      ? `${iso(data.day[slice.first])} to ${iso(data.day[slice.last])}, ${number(slice.count)} days` : "no day"
    const tone = (signed, x) => (!signed ? "" : x > 0 ? " gain" : x < 0 ? " loss" : "")
    const tile = ([name, label, kind, meaning, signed], below) =>
      `<div title="${esc(meaning)}"><dt>${esc(label)}</dt><dd class="num${tone(signed, slice.statistics[name])}">` +
      `${esc(formatted(slice.statistics[name], kind, meta))}</dd>${below}</div>`
    const large = meta.first.map((about) => {
      const [name, , kind, meaning] = about
      const short = (x) => (kind === "money" ? shortMoney(x, meta) : formatted(x, kind, meta))
      const ends = partial ? null : meta.bands[name]
      const band = ends ? `<dd class="beside" title="95 % of what the bootstrap drew">${esc(short(ends[0]))} to ${esc(short(ends[1]))}</dd>` : '<dd class="beside"></dd>'
      return tile(about, (partial ? `<dd class="beside">whole ${esc(short(whole.statistics[name]))}</dd>` : "") + band)
    })
    const warned = slice.warning ? `<p class="warning" role="status">${esc(slice.warning)}</p>` : ""
    const text = `<p class="note" role="status">${esc(dates)}, ${number(slice.trades.length)} trades ended</p>${warned}` +
      `<div class="room"><dl class="strip">${large.join("")}</dl></div><dl class="more">${meta.more.map((about) => tile(about, "")).join("")}</dl>`
    return {strip: {text}}
  }
  function scaled(curve, capital, scale, axis) {
    return Array.from(curve, (x) => {
      const value = scale === "money" ? x : x / capital - (axis === "linear" ? 1 : 0)
      return axis === "log" ? (value > 0 ? Math.log10(value) : NaN) : value
    })
  }
  const STEPS = [1, 2, 2.5, 5, 10]
  function ticks(low, high, axis, scale, most = 6) {
    if (!(high > low)) return []
    if (axis === "log" && high - low > 0.6) {
      const found = []
      for (let power = Math.floor(low); power <= Math.ceil(high); power++) {
        for (const step of high - low < 3 ? [1, 2, 5] : [1]) found.push(Math.log10(step * 10 ** power))
      }
      return found.filter((place) => low <= place && place <= high)
    }
    let ends = axis === "log" ? [10 ** low, 10 ** high] : [low, high]
    if (axis === "log" && scale === "percent") ends = ends.map((x) => x - 1)
    const raw = (ends[1] - ends[0]) / most
    const power = 10 ** Math.floor(Math.log10(raw))
    const step = STEPS.find((one) => one * power >= raw * (1 - 1e-12)) * power
    const places = []
    for (let k = Math.ceil(ends[0] / step - 1e-9); k <= Math.floor(ends[1] / step + 1e-9); k++) places.push(k * step)
    return axis === "log" ? places.map((x) => Math.log10(x + (scale === "percent" ? 1 : 0))) : places
  }
  function spells(code, count) {
    const found = []
    for (let k = 0, from = 0; k < code.length; k++) {
      if (k + 1 === code.length || code[k + 1] !== code[k]) {
        if (code[k] < count) found.push([from, k, code[k]])
        from = k + 1
      }
    }
    return found
  }
  function equity(state, slice) {
    const {data, whole} = state
    const {meta} = data
    const {curve, regimes} = slice
    const depth = drawdown(slice.grown)
    const capital = data.equity[0]
    const axis = Math.min(...curve) > 0 ? state.axis : "linear"
    const shown = scaled(state.scale === "money" ? curve : slice.grown, capital, state.scale, axis)
    const partial = picks(slice.chosen).length > 0
    const none = new Array(curve.length).fill(NaN)
    const behind = [partial ? whole.curve : none, data.benchmark].map((line) => scaled(line, capital, state.scale, axis))
    const [low, high] = span([...shown, ...behind[0], ...behind[1]])
    const some = slice.chosen.days !== null
    const end = data.day[data.day.length - 1]
    const [left, right] = slice.span ? [data.day[slice.first - 1], data.day[slice.last]] : [end, end]
    const worst = depth.some(Number.isNaN) ? 0 : depth.indexOf(lowest(depth))
    const count = Math.max(regimes.names.length - 1, 0)
    const told = spells(regimes.code, count)
    const colour = (k) => (count > 2 ? meta.regime_colours[k] : meta.regime_colours[2 * k])
    const lines = [[partial ? "what is picked" : "equity", meta.gain], ...(partial ? [["the whole run", meta.whole_colour]] : []),
      ...(meta.benchmark ? [[`benchmark: ${meta.benchmark}`, meta.loss]] : []),
      ...regimes.names.slice(0, -1).map((name, k) => [name, colour(k) + "55"])]
    const missing = regimes.names.length ? "" : note(esc(regimes.missing))
    const head = `<div class="row">${legend(lines)}<span class="push"></span>` +
      `${choices("regime", meta.kinds, slice.chosen.regime, "Regimes behind the curve by", "kind")}` +
      `${choices("equity", {money: "Money", percent: "Percent"}, state.scale, "Unit")}` +
      `${choices("equity", {linear: "Linear", log: "Log"}, state.axis, "Axis")}</div>${missing}`
    const words = note(`From ${esc(money(curve[0], meta))} to ${esc(money(curve[curve.length - 1], meta))}, ` +
      `${iso(data.day[0])} to ${iso(end)}; deepest drawdown ${percent(depth[worst])} on ${iso(data.day[worst])}. ` +
      "Drag over days to pick them; a click picks all again.")
    const found = {
      curve: {data: {day: Array.from(data.day), equity: shown, amount: curve, drawdown: depth}},
      behind: {data: {day: Array.from(data.day), whole: behind[0], benchmark: behind[1]}},
      equity_regimes: {data: {
        left: told.map(([a]) => data.day[Math.max(a - 1, 0)]), right: told.map(([, b]) => data.day[b]),
        color: told.map(([, , k]) => colour(k)), regime: told.map(([, , k]) => regimes.names[k]),
      }},
      equity_y: {start: low, end: high, tags: [state.scale, axis]}, equity_ticks: {ticks: ticks(low, high, axis, state.scale)},
      drawdown_y: {start: span(depth, 0)[0], end: 0}, equity_head: {text: head}, equity_text: {text: words},
    }
    for (const k of [0, 1]) {
      found[`veil_left_${k}`] = {right: left, visible: some}
      found[`veil_right_${k}`] = {left: right, visible: some}
    }
    return found
  }
  function daysOf(column, year, meta) {
    const k = meta.month_names.indexOf(column)
    const pad = (x) => String(x).padStart(2, "0")
    if (k === 12) return [`${year}-01-01`, `${year}-12-31`]
    return [`${year}-${pad(k + 1)}-01`, `${year}-${pad(k + 1)}-${new Date(Date.UTC(year, k + 1, 0)).getUTCDate()}`]
  }
  function months({data}, slice) {
    const {month_names: columns, full} = data.meta
    const years = [...slice.everyMonth.keys()].sort((a, b) => b - a)
    if (!years.length) return {months: {text: note("No day is picked: widen the filters.")}}
    const cell = (x, year, k) => {
      if (!Number.isFinite(x)) return "<td></td>"
      const strength = Math.min(Math.abs(x) / full[k === 12 ? 1 : 0], 1)
      const framed = JSON.stringify(slice.chosen.days) === JSON.stringify(daysOf(columns[k], year, data.meta))
      return `<td><button type="button" class="${x < 0 ? "loss" : "gain"}${strength > 0.8 ? " strong" : ""}` +
        `${slice.monthPicked.get(year)[k] ? "" : " out"}" style="--a:${strength.toFixed(2)}" data-do="month" data-column="${columns[k]}" ` +
        `data-row="${year}" aria-label="${k < 12 ? `${columns[k]} ${year}` : year}: ${percent(x)}" aria-pressed="${framed}">${number(x * 100, 1)}</button></td>`
    }
    const rows = years.map((year) =>
      `<tr><th scope="row">${year}</th>${Array.from(slice.everyMonth.get(year), (x, k) => cell(x, year, k)).join("")}</tr>`)
    const known = [...slice.everyMonth].flatMap(([year, row]) =>
      Array.from(row).slice(0, 12).flatMap((x, k) => (Number.isFinite(x) ? [[x, `${columns[k]} ${year}`]] : [])))
    const order = (a, b) => a[0] - b[0] || (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0)
    const sorted = known.sort(order)
    const [worst, best] = [sorted[0], sorted[sorted.length - 1]]
    const words = known.length
      ? note(`${known.filter(([x]) => x > 0).length} of ${known.length} months gained; best ${esc(best[1])} ${percent(best[0])}, worst ${esc(worst[1])} ${percent(worst[0])}.`)
      : ""
    const head = columns.map((name) => `<th scope="col">${name}</th>`).join("")
    return {months: {text: `<div class="scroll"><table class="months"><thead><tr><th></th>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div>${words}`}}
  }
  function rolled(values, window, centred) {
    const out = new Array(values.length).fill(NaN)
    for (let t = window - 1; t < values.length; t++) {
      let [total, largest] = [0, 1]
      for (let k = t - window + 1; k <= t; k++) {
        total += values[k]
        largest = Math.max(largest, Math.abs(values[k]))
      }
      const centre = total / window
      let square = 0
      for (let k = t - window + 1; k <= t; k++) square += (values[k] - centre) ** 2
      const spread = Math.sqrt(square / (window - 1))
      const kept = spread > 1e-14 * largest ? spread : Number.isNaN(spread) ? NaN : 0
      out[t] = centred ? (kept > 0 ? (centre / kept) * Math.sqrt(252) : NaN) : kept * Math.sqrt(252)
    }
    return out
  }
  function rolling({data, memory}, slice) {
    if (memory.rolled && same(memory.rolled, slice.profit)) return {}
    memory.rolled = slice.profit
    const base = (t) => (data.meta.compounding ? data.equity[t - 1] + data.paid[t] : data.equity[0])
    const share = (values) => Array.from({length: data.day.length - 1}, (_, k) => (base(k + 1) > 0 ? values[k + 1] / base(k + 1) : NaN))
    const [returns, interest] = [share(slice.profit), share(slice.interest)]
    const sharpe = rolled(returns.map((x, t) => x - interest[t]), WINDOW, true)
    const volatility = rolled(returns, WINDOW, false)
    const days = Array.from(data.day).slice(1)
    const known = sharpe.flatMap((x, t) => (Number.isFinite(x) ? [t] : []))
    let words = note(`Fewer than ${WINDOW} days: there is no whole window.`)
    if (known.length) {
      const last = known[known.length - 1]
      const worst = known.reduce((low, t) => (sharpe[t] < sharpe[low] ? t : low), known[0])
      words = note(`Sharpe ratio ${number(sharpe[last], 2)} and volatility ${percent(volatility[last])} in the year to ${iso(days[last])}; ` +
        `lowest Sharpe ratio ${number(sharpe[worst], 2)}, ${iso(days[worst])}.`)
    }
    const [low, high] = span(sharpe, 0)
    return {
      rolling: {data: {day: days, sharpe, volatility}}, rolling_sharpe: {start: low, end: high},
      rolling_volatility: {start: 0, end: span(volatility, 0)[1]}, rolling_text: {text: words},
    }
  }
  const BAR = 19
  function bars({data, whole}, slice, kind, by) {
    const {meta} = data
    const all = kind === "regime" ? slice.regimes.names : [...names(data, kind), {root: "account", sector: "account", strategy: "account", side: "neither", entry: "none", exit: "none"}[kind]]
    const [amounts, before, ok] = [slice[by], whole[by], slice.ok[kind]]
    const rows = all.map((_, k) => k)
      .filter((k) => k < all.length - 1 || Math.abs(before[k] ?? 0) > 0 || Math.abs(amounts[k]) > 0)
      .sort((a, b) => (before[a] ?? 0) - (before[b] ?? 0) || (all[a] < all[b] ? -1 : all[a] > all[b] ? 1 : 0))
    const [shown, profit, picked] = [rows.map((k) => all[k]), rows.map((k) => amounts[k]), rows.map((k) => Boolean(ok[k]))]
    const [low, high] = span(profit, 0)
    const full = profit.filter((x, k) => picked[k] && x !== 0)
    let words = note(kind === "regime" && !all.length ? esc(slice.regimes.missing) : "No profit and no loss in what is picked.")
    if (full.length) {
      const told = [Math.max(...full), Math.min(...full)].map((x) => `${esc(shown[profit.findIndex((y, k) => picked[k] && y === x)])} ${esc(money(x, meta))}`)
      words = note(`Best ${told[0]}, worst ${told[1]}; sum ${esc(money(sum(full), meta))}.`)
    }
    return {
      [`by_${kind}_y`]: {factors: shown}, [`by_${kind}_plot`]: {height: BAR * Math.max(shown.length, 3) + 44},
      [`by_${kind}`]: {data: {
        name: shown, profit, color: profit.map((x) => (x < 0 ? meta.loss : meta.gain)), alpha: picked.map((x) => (x ? 0.95 : 0.28)),
      }},
      [`by_${kind}_x`]: {start: low, end: high}, [`by_${kind}_text`]: {text: words},
    }
  }
  function binned(values, edges) {
    const count = new Array(edges.length - 1).fill(0)
    const [low, high] = [edges[0], edges[edges.length - 1]]
    for (const x of values) {
      if (!Number.isFinite(x)) continue
      const value = Math.min(Math.max(x, low), high)
      let k = Math.min(Math.floor(((value - low) / (high - low)) * count.length), count.length - 1)
      while (k > 0 && value < edges[k]) k--
      while (k < count.length - 1 && value >= edges[k + 1]) k++
      count[k] += 1
    }
    return count
  }
  function boxes(meta, edges, count, whole, picked) {
    const [all, total] = [sum(Array.from(whole)), sum(Array.from(count))]
    const middle = count.map((_, k) => (edges[k] + edges[k + 1]) / 2)
    return {
      left: edges.slice(0, -1), right: edges.slice(1), count, whole: Array.from(whole, (x) => (all ? x * (total / all) : 0)),
      color: middle.map((x) => (x < 0 ? meta.loss : meta.gain)), alpha: picked.map((x) => (x ? 0.9 : 0.3)),
    }
  }
  const top = (found) => Math.max(...found.count, ...found.whole, 1) * 1.05
  function returns({data, whole}, slice) {
    const {meta} = data
    const edges = meta.return_bins
    const count = binned(slice.account.returns, edges)
    const found = boxes(meta, edges, count, binned(whole.account.returns, edges), count.map(() => true))
    const known = slice.account.returns.filter(Number.isFinite)
    const words = known.length
      ? note(`${percent(known.filter((x) => x > 0).length / known.length, 0)} of ${number(known.length)} days gained; ` +
        `worst ${percent(Math.min(...known), 2)}, best ${percent(Math.max(...known), 2)}.`)
      : note("No day is picked: widen the filters.")
    return {returns: {data: found}, returns_y: {start: 0, end: top(found)}, returns_text: {text: words}}
  }
  function inside(edges, chosen) {
    const picked = Array.from({length: edges.length - 1}, () => true)
    if (!chosen) return picked
    const [low, high] = [chosen[0] ?? -Infinity, chosen[1] ?? Infinity]
    const ends = [-Infinity, ...edges.slice(1, -1), Infinity]
    return picked.map((_, k) => ends[k + 1] > low && ends[k] < high)
  }
  function tradeBins({data, whole}, slice, of, field, by, words) {
    const edges = data.meta[`${of}_bins`]
    const found = boxes(data.meta, edges, Array.from(slice[by]), whole[by], inside(edges, slice.chosen[field]))
    return {[field]: {data: found}, [`${field}_y`]: {start: 0, end: top(found)}, [`${field}_text`]: {text: words}}
  }
  function resultWords({data}, slice) {
    const {net} = slice.account
    if (!net.length) return note("No trade is picked: widen the filters.")
    const {won, lost, wins, losses} = results(net)
    const told = [["gain", won, wins], ["loss", -lost, losses]].filter(([, , count]) => count)
      .map(([word, total, count]) => `mean ${word} ${esc(money(total / count, data.meta))}`)
    return note(`${number(net.length)} trades; ${told.join(", ")}.`)
  }
  function holdingWords({data}, slice) {
    const {trades} = slice
    const count = []
    for (let k = 0; k < trades.length; k++) {
      const bars = data.trade.holding[trades[k]]
      count[bars] = (count[bars] ?? 0) + 1
    }
    if (!trades.length) return note("No trade is picked: widen the filters.")
    const held = Object.keys(count).map(Number) // in order
    const at = (place) => held.find((bars) => (place -= count[bars]) < 0)
    const half = (at((trades.length - 1) >> 1) + at(trades.length >> 1)) / 2
    return note(`Half of the trades were held for ${digits(half, 6)} bars or less, the longest ${held[held.length - 1]}.`)
  }
  function tradeList({data}, slice) {
    const {meta, trade, table, owner} = data
    const rows = Array.from(slice.trades.subarray(0, MOST))
    const of = (values) => rows.map((k) => values[k])
    const line = (k) => owner.line[k]
    const text = (values) => rows.map((k) => (values[k] ? String(values[k]) : ""))
    const known = (values) => (values ? of(values) : rows.map(() => NaN))
    const net = of(trade.net)
    const found = {
      market: rows.map((k) => meta.roots[meta.line_root[line(k)]]), strategy: rows.map((k) => meta.strategies[meta.line_strategy[line(k)]]),
      direction: rows.map((k) => ["long", "short"][owner.side[k]]), contracts: known(table.contracts),
      entry_day: rows.map((k) => data.day[trade.entry[k]]), exit_day: rows.map((k) => data.day[trade.exit[k]]),
      net, net_tone: net.map((x) => (x < 0 ? "var(--loss, #a34a14)" : "var(--gain, #1c659c)")), gross: known(table.gross), gross_tone: rows.map((k) => (table.gross?.[k] < 0 ? "var(--loss, #a34a14)" : "var(--gain, #1c659c)")), costs: known(table.costs),
      entry_reason: rows.map((k) => meta.entry_reasons[owner.entry_reason[k]] ?? ""), exit_reason: rows.map((k) => meta.exit_reasons[owner.exit_reason[k]] ?? ""),
      rolls: known(table.rolls), bars: of(trade.holding), entry_contract: text(table.entry_contract ?? []), exit_contract: text(table.exit_contract ?? []),
      entry_price: known(table.entry_price), exit_price: known(table.exit_price), trade: known(table.trade),
    }
    for (const name of Object.keys(found)) if (!meta.table.includes(name)) delete found[name]
    const [count, all] = [slice.trades.length, trade.net.length]
    const {wins, total} = results(slice.account.net)
    const words = all
      ? note(`${number(count)} of ${number(all)} trades ended on the days picked, ${number(wins)} with a gain; net ` +
        `${esc(money(total, meta))}. ${count > MOST ? `The newest ${number(MOST)} are shown. ` : ""}A trade lasts from flat to ` +
        "flat, rolls and resizes are inside it; click a heading to sort.")
      : note("There is no trade in this run.")
    return {trades: {data: found}, trades_text: {text: words}}
  }
  const size = (x) => number(x, Number.isInteger(x) ? 0 : 2)
  function book(data, slice) {
    if (!slice.count) return ""
    const {meta, held} = data
    const title = `<h3>Positions on ${iso(data.day[slice.last])}</h3>`
    if (!slice.book.length) return title + note("None.")
    const heads = meta.book_head.map((name, k) => `<th scope="col"${k < 3 ? " class=text" : ""}>${esc(name)}</th>`).join("")
    const rows = slice.book.map((k) => {
      const m = held.line[k]
      const texts = [meta.roots[meta.line_root[m]], meta.strategies[meta.line_strategy[m]], held.contract[k] || ""]
      const numbers = [size(held.contracts[k]), price(held.mark[k]), number(held.notional[k]), number(held.margin[k])]
      return `<tr>${texts.map((x) => `<td class="text">${esc(x)}</td>`).join("")}${numbers.map((x) => `<td>${x}</td>`).join("")}</tr>`
    })
    return `${title}<div class="scroll"><table><thead><tr>${heads}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`
  }
  function positions({data}, slice) {
    const {first, last, count, span: length, used, long, short} = slice
    const days = length ? Array.from(data.day.slice(first, last + 1)) : []
    const [low, high] = span([...long, ...short], 0)
    let words = note("No day is picked.")
    if (count) {
      const peak = used.indexOf(Math.max(...used))
      words = note(`Margin used: ${percent(mean(used))} of equity in the mean, at most ${percent(used[peak])} on ${iso(data.day[first + peak])}.`)
    }
    const sectors = Object.fromEntries(slice.margin.map((values, k) => [`s${k}`, values]))
    return {
      held: {data: {day: days, total: used, long, short, ...sectors}},
      held_x: days.length > 1 ? {start: days[0], end: days[days.length - 1]} : {start: 0, end: DAY},
      margin_y: {start: 0, end: span(used, 0)[1]}, notional_y: {start: low, end: high},
      positions_text: {text: words}, book: {text: book(data, slice)},
    }
  }
  function controls({data, models}, slice) {
    const {chosen} = slice
    const found = {}
    const slider = (name, ends) => {
      const {start, end} = models[name]
      const [low, high] = ends ?? [start, end]
      found[name] = {value: [low ?? start, high ?? end].map((x) => Math.min(Math.max(x, start), end))}
    }
    slider("days", chosen.days ? chosen.days.map((day) => Date.parse(day)) : null)
    slider("holding_slider", chosen.holding)
    slider("results_slider", chosen.results)
    for (const [name, all] of Object.entries(listed(data, chosen))) {
      found[name] = {labels: all, active: all.flatMap((value, k) => (chosen[name].includes(value) ? [k] : [])), visible: all.length > 1}
      found[`${name}_heading`] = {visible: all.length > 1}
    }
    return found
  }
  const listed = (data, chosen) => ({
    directions: ["long", "short"], sectors: data.meta.sectors, markets: data.meta.roots, strategies: data.meta.strategies,
    regimes: data.regimes[chosen.regime]?.names ?? [], entry_reasons: data.meta.entry_reasons, exit_reasons: data.meta.exit_reasons,
  })
  const VIEWS = {
    chips, strip, equity, months, rolling, positions, returns, controls, trade_list: tradeList,
    markets: (state, slice) => bars(state, slice, "root", "byRoot"), sectors: (state, slice) => bars(state, slice, "sector", "bySector"),
    strategies: (state, slice) => bars(state, slice, "strategy", "byStrategy"), sides: (state, slice) => bars(state, slice, "side", "bySide"),
    entries: (state, slice) => bars(state, slice, "entry", "byEntry"), exits: (state, slice) => bars(state, slice, "exit", "byExit"),
    by_regime: (state, slice) => bars(state, slice, "regime", "byRegime"),
    results: (state, slice) => tradeBins(state, slice, "result", "results", "tradesByResult", resultWords(state, slice)),
    holding: (state, slice) => tradeBins(state, slice, "holding", "holding", "tradesByHolding", holdingWords(state, slice)),
  }
  // What a slice puts into the models of some views, all that there are if none are named.
  function patches(state, slice, views = state.data.meta.views) {
    return Object.assign({}, ...views.filter((name) => VIEWS[name]).map((name) => VIEWS[name](state, slice)))
  }

  // ------------------------------------------------------------------------------------ the selection and its link
  const everything = () => ({
    days: null, holding: null, results: null, ...Object.fromEntries(Object.values(LISTS).map((name) => [name, []])),
    regime: DEFAULT, trade: null,
  })
  const quoted = (value) => encodeURIComponent(value).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
  function toQuery(chosen) {
    const parts = chosen.days ? [chosen.days.join("~")] : []
    for (const [letter, name] of Object.entries(LISTS)) {
      if (chosen[name].length) parts.push(`${letter}:${[...chosen[name]].sort().map(quoted).join(",")}`)
    }
    for (const [letter, name] of Object.entries(RANGES)) {
      if (chosen[name]) parts.push(`${letter}:${chosen[name].map((end) => end ?? "").join("~")}`)
    }
    if ((chosen.regime ?? DEFAULT) !== DEFAULT) parts.push(`k:${chosen.regime}`)
    if ((chosen.trade ?? null) !== null) parts.push(`t:${chosen.trade}`)
    return parts.join(";")
  }
  function fromQuery(text, data) {
    const chosen = everything()
    for (const part of text.split(";").filter(Boolean)) {
      const [letter, value] = [part[0], part.slice(2)]
      const days = part.match(/^(\d{4}-\d{2}-\d{2})~(\d{4}-\d{2}-\d{2})$/)
      const ends = value.match(/^(-?[\d.e+-]*)~(-?[\d.e+-]*)$/)
      if (days) chosen.days = [days[1], days[2]].sort()
      else if (part[1] !== ":") continue
      else if (LISTS[letter]) chosen[LISTS[letter]] = value.split(",").filter(Boolean).map(decodeURIComponent)
      else if (RANGES[letter] && ends) chosen[RANGES[letter]] = range(ends[1], ends[2])
      else if (letter === "k" && value in data.meta.kinds) chosen.regime = value
      else if (letter === "t" && /^\d+$/.test(value)) chosen.trade = Number(value)
    }
    for (const [name, all] of Object.entries(listed(data, chosen))) chosen[name] = chosen[name].filter((value) => all.includes(value))
    return chosen
  }
  function range(...texts) {
    const ends = texts.map((text) => (text === "" ? null : Number(text)))
    if (ends.some(Number.isNaN)) return null
    return ends.includes(null) ? ends : ends.sort((a, b) => a - b)
  }

  // ------------------------------------------------------------------------------------------------------ the board
  // The equity of the whole run, drawn before the rest is there.
  function look(arrays, meta, models) {
    const data = Columns.head(arrays, meta)
    const last = data.day.length - 1
    const slice = {
      chosen: everything(), regimes: regimesOf(data, DEFAULT), first: 1, last, span: last, curve: data.equity,
      grown: unpaid(data.equity, data.paid.slice(1), meta.compounding),
    }
    const patch = equity({data, whole: slice, scale: "money", axis: "linear"}, slice)
    for (const [name, properties] of Object.entries(patch)) models[name].setv(properties)
  }
  const WAYS = {scale: ["money", "percent"], axis: ["linear", "log"]} // the usual one first, as in app/views/equity.py
  function start(data, models) {
    const state = {data, models, chosen: everything(), shown: {}, memory: {}, busy: false, scale: "money", axis: "linear", past: [], future: [], page: null}
    state.whole = crossfilter(data, everything())
    function show(chosen = state.chosen, pages = [state.page]) {
      state.busy = true // widgets that are set here must not answer
      try {
        const slice = crossfilter(data, chosen)
        const views = ["chips", "controls", ...pages.flatMap((name) => data.meta.pages[name] ?? [])]
        for (const [name, properties] of Object.entries(patches(state, slice, views))) {
          const changed = Object.entries(properties).filter(([key, value]) => !same(state.shown[`${name}.${key}`], value))
          for (const [key, value] of changed) state.shown[`${name}.${key}`] = value
          if (changed.length && models[name]) models[name].setv(Object.fromEntries(changed))
        }
        models.alert.setv({visible: false})
      } catch (error) {
        models.alert.setv({
          text: `<div class="failure" role="alert"><b>The page could not follow the selection.</b> ${esc(error)}</div>`, visible: true,
        })
        console.error(error)
      } finally {
        state.busy = false
      }
    }
    const shown = () => Object.entries({axis: state.axis, scale: state.scale}).filter(([name, value]) => WAYS[name][0] !== value)
    const tell = (more = {}) => FrontmonthPage.told(JSON.stringify({
      pick: toQuery(state.chosen), view: shown().map((pair) => pair.join(":")).join(";"), undo: state.past.length > 0, redo: state.future.length > 0, ...more,
    }))
    function become(chosen, past, future) {
      Object.assign(state, {chosen, past, future})
      show()
      tell()
    }
    function pick(fields) {
      if (state.busy) return
      const chosen = {...state.chosen, ...fields}
      if (toQuery(chosen) !== toQuery(state.chosen)) become(chosen, [...state.past, state.chosen].slice(-KEPT), [])
    }
    const dates = (ends) => [...ends].sort((a, b) => a - b).map((ms) => iso(Math.floor(ms / DAY) * DAY))
    const verbs = {
      toggle({field, value}) {
        if (!LISTED.has(field) || !listed(data, state.chosen)[field].includes(value)) return
        const chosen = state.chosen[field]
        pick({[field]: chosen.includes(value) ? chosen.filter((x) => x !== value) : [...chosen, value]})
      },
      range({field, ends, live, n}) {
        const told = ends === null ? null : field === "days" ? dates(ends) : ends
        if (!live) {
          if (JSON.stringify(told) === JSON.stringify(state.chosen[field])) show()
          pick({[field]: told})
          return
        }
        show({...state.chosen, [field]: told})
        tell({n})
      },
      clear({field, value}) {
        if (LISTED.has(field) && state.chosen[field].includes(value)) verbs.toggle({field, value})
        else if (CHOICES.includes(field)) pick({[field]: everything()[field]})
      },
      reset: () => pick({...everything(), regime: state.chosen.regime, trade: state.chosen.trade}),
      undo() {
        if (state.past.length) become(state.past[state.past.length - 1], state.past.slice(0, -1), [...state.future, state.chosen])
      },
      redo() {
        if (state.future.length) become(state.future[state.future.length - 1], [...state.past, state.chosen], state.future.slice(0, -1))
      },
      link: ({pick: text}) => pick(fromQuery(text, data)),
      regime({kind}) {
        if (kind in data.meta.kinds) pick({regime: kind, regimes: []})
      },
      month({column, row}) {
        const days = daysOf(column, Number(row), data.meta)
        pick({days: JSON.stringify(days) === JSON.stringify(state.chosen.days) ? null : days})
      },
      equity({value}) {
        for (const name of Object.keys(WAYS)) if (WAYS[name].includes(value)) state[name] = value
        show()
        tell()
      },
      paper: () => show(state.chosen, Object.keys(data.meta.pages)), // all pages are printed
      page({name}) {
        state.page = name
        state.memory.rolled = null
        show()
      },
    }
    models.wish.properties.value.change.connect(() => {
      const asked = JSON.parse(models.wish.value)
      if (Object.hasOwn(verbs, asked.do)) verbs[asked.do](asked)
    })
    for (const [name, field] of [["days", "days"], ["holding_slider", "holding"], ["results_slider", "results"]]) {
      const slider = models[name]
      slider.properties.value_throttled.change.connect(() => {
        const [from, to] = slider.value
        const [low, high] = [from <= slider.start, to >= slider.end]
        if (field === "days") pick({days: low && high ? null : dates([from, to])})
        else pick({[field]: low && high ? null : [low ? null : from, high ? null : to]})
      })
    }
    for (const name of Object.keys(listed(data, state.chosen))) {
      models[name].properties.active.change.connect(() => {
        const all = listed(data, state.chosen)[name]
        pick({[name]: [...models[name].active].sort((a, b) => a - b).map((k) => all[k])})
      })
    }
    const asked = new URL(location.href).searchParams
    state.chosen = fromQuery(asked.get("pick") || "", data)
    for (const part of (asked.get("view") || "").split(";")) {
      const [name, value] = part.split(":")
      if (Object.hasOwn(WAYS, name) && WAYS[name].includes(value)) state[name] = value
    }
    verbs.page({name: document.documentElement.dataset.page})
    tell()
    return Object.assign(api, {state})
  }
  function same(old, value) {
    if (typeof old !== typeof value || old === null || typeof value !== "object") return old === value
    if (Array.isArray(value) || ArrayBuffer.isView(value)) {
      return old.length === value.length && value.every((x, k) => Object.is(old[k], x))
    }
    const keys = Object.keys(value)
    return Object.keys(old).length === keys.length && keys.every((key) => key in old && same(old[key], value[key]))
  }
  const api = {crossfilter, patches, look, start, unpack: Columns.unpack, toQuery, fromQuery, everything}
  return api
})()
