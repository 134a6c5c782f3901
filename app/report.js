// Twin of the views' `patch`, and the gestures: makes a report answer with the network off. Needs crossfilter.js.
const Frontmonth = (function () {
  "use strict"
  const {DAY, FIELDS, crossfilter, prepared, names, drawdown, esc, iso, lowest, mean, money, number, percent, price, formatted, sum} = Crossfilter
  const LISTS = {
    m: "markets", s: "sectors", n: "strategies", d: "directions", i: "entry_reasons", o: "exit_reasons", r: "regimes",
  }
  const RANGES = {h: "holding", p: "results"}

  // ------------------------------------------------------------------------------------------- patches of the views
  function span(values, floor = null) {
    let [low, high] = [Infinity, -Infinity]
    for (const x of values) if (Number.isFinite(x)) [low, high] = [Math.min(low, x), Math.max(high, x)]
    if (low > high) [low, high] = [0, 0]
    if (floor !== null) [low, high] = [Math.min(low, floor), Math.max(high, floor)]
    if (low === high) return [low - 1, high + 1]
    const air = (high - low) * 0.05
    return [low === floor ? low : low - air, high === floor ? high : high + air]
  }
  function strip(data, slice) {
    const {meta} = data
    const {chosen} = slice
    const dates = slice.count ? `${iso(data.day[slice.first])} to ${iso(data.day[slice.last])}, ${number(slice.count)} days` : "no day"
    const what = ["sectors", "markets", "strategies", "directions"].filter((name) => chosen[name].length)
      .map((name) => [...chosen[name]].sort().join(", "))
    const warned = slice.warning ? `<p class="warning" role="status">${esc(slice.warning)}</p>` : ""
    const tiles = meta.tiles.map(([name, label, kind, meaning, signed]) => {
      const value = slice.statistics[name]
      const tone = !signed ? "" : value > 0 ? " gain" : value < 0 ? " loss" : ""
      return `<div title="${esc(meaning)}"><dt>${esc(label)}</dt><dd class="num${tone}">${esc(formatted(value, kind, meta))}</dd></div>`
    })
    return `<p class="note" role="status">${esc(dates)} · ${esc(what.join(" · ") || "all markets")}</p>${warned}` +
      `<dl class="strip">${tiles.join("")}</dl>`
  }
  function equityWords(data, slice, depth) {
    const {curve} = slice
    const worst = depth.some(Number.isNaN) ? 0 : depth.indexOf(lowest(depth))
    const [first, last] = [iso(data.day[0]), iso(data.day[data.day.length - 1])]
    return `<p class="note">From ${esc(money(curve[0], data.meta))} to ${esc(money(curve[curve.length - 1], data.meta))}, ` +
      `${first} to ${last}; deepest drawdown ${percent(depth[worst])} on ${iso(data.day[worst])}. ` +
      "Drag over days to pick them; a click picks all again.</p>"
  }
  function monthTable(data, slice) {
    if (!slice.months.size) return '<p class="note">No month is picked.</p>'
    const cell = (value, year) => {
      if (!Number.isFinite(value)) return "<td></td>"
      const depth = data.meta.steps.filter((step) => Math.abs(value) > step).length
      const tone = depth && !year ? `${value > 0 ? "g" : "l"}${depth}` : ""
      return `<td class="${[year ? "year" : "", tone].filter(Boolean).join(" ")}">${number(value * 100, 1)}</td>`
    }
    const head = data.meta.month_names.map((name) => `<th scope="col">${name}</th>`).join("")
    const rows = [...slice.months.keys()].sort((a, b) => b - a).map((year) =>
      `<tr><th scope="row">${year}</th>${slice.months.get(year).map((v, k) => cell(v, k === 12)).join("")}</tr>`)
    return '<div class="scroll"><table class="months"><caption>Return in percent: profit of the days picked over the equity ' +
      `before them</caption><thead><tr><th></th>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`
  }
  function bars(data, kind, values, ok) {
    const {meta} = data
    const order = meta.order[kind]
    const amounts = order.map(([, row]) => values[row])
    const names = order.map(([name]) => name)
    const [low, high] = span(amounts, 0)
    const full = amounts.filter((x, k) => ok[order[k][1]] && x !== 0)
    let words = '<p class="note">No profit and no loss in what is picked.</p>'
    if (full.length) {
      const told = [Math.max(...full), Math.min(...full)].map((x) => `${esc(names[amounts.indexOf(x)])} ${esc(money(x, meta))}`)
      words = `<p class="note">Best ${told[0]}, worst ${told[1]}; sum ${esc(money(sum(full), meta))}.</p>`
    }
    return {
      [`by_${kind}`]: {data: {
        name: names, profit: amounts, color: amounts.map((x) => (x < 0 ? meta.loss : meta.gain)),
        alpha: order.map(([, row]) => (ok[row] ? 0.95 : 0.28)),
      }},
      [`by_${kind}_x`]: {start: low, end: high},
      [`by_${kind}_text`]: {text: words},
    }
  }
  const size = (x) => number(x, Number.isInteger(x) ? 0 : 2)
  function book(data, slice) {
    if (!slice.count) return ""
    const {meta, held} = data
    const title = `<h3>Positions on ${iso(data.day[slice.last])}</h3>`
    if (!slice.book.length) return title + '<p class="note">None.</p>'
    const names = meta.book_head.map((name, k) => `<th scope="col"${k < 3 ? " class=text" : ""}>${esc(name)}</th>`).join("")
    const rows = slice.book.map((k) => {
      const m = held.line[k]
      const texts = [meta.roots[meta.line_root[m]], meta.strategies[meta.line_strategy[m]], held.contract[k] || ""]
      const numbers = [size(held.contracts[k]), price(held.mark[k]), number(held.notional[k]), number(held.margin[k])]
      return `<tr>${texts.map((x) => `<td class="text">${esc(x)}</td>`).join("")}${numbers.map((x) => `<td>${x}</td>`).join("")}</tr>`
    })
    return `${title}<div class="scroll"><table><thead><tr>${names}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`
  }
  function positions(data, slice) {
    const {first, last, count, span: length, used, long, short} = slice
    const days = length ? Array.from(data.day.slice(first, last + 1)) : []
    const [low, high] = span([...long, ...short], 0)
    let words = '<p class="note">No day is picked.</p>'
    if (count) {
      const peak = used.indexOf(Math.max(...used))
      words = `<p class="note">Margin used: ${percent(mean(used))} of equity in the mean, at most ${percent(used[peak])} on ` +
        `${iso(data.day[first + peak])}.</p>`
    }
    const sectors = Object.fromEntries(slice.margin.map((values, k) => [`s${k}`, values]))
    return {
      held: {data: {day: days, total: used, long, short, ...sectors}},
      held_x: days.length > 1 ? {start: days[0], end: days[days.length - 1]} : {start: 0, end: DAY},
      margin_y: {start: 0, end: span(used, 0)[1]},
      notional_y: {start: low, end: high},
      positions_text: {text: words},
      book: {text: book(data, slice)},
    }
  }
  function tradeWords(data, slice) {
    const net = slice.account.net
    return `<p class="note">${number(net.length)} of ${number(data.trade.net.length)} trades ended on the days picked or, open, with the run, ` +
      `${number(net.filter((x) => x > 0).length)} with a gain; net ${esc(money(sum(net), data.meta))}. A trade lasts from flat to flat, ` +
      "rolls and resizes are inside it; click a heading to sort.</p>"
  }
  function controls(data, slice) {
    const {meta} = data
    const [low, high] = [data.day[Math.min(1, data.day.length - 1)], Math.max(data.day[data.day.length - 1], data.day[0] + DAY)]
    const value = (slice.chosen.days || []).map((day) => Math.min(Math.max(Date.parse(day), low), high))
    const active = (names, chosen) => names.flatMap((name, k) => (chosen.includes(name) ? [k] : []))
    const {chosen} = slice
    return {
      days: {value: value.length ? value : [low, high]},
      markets: {active: active(meta.roots, chosen.markets)}, sectors: {active: active(meta.sectors, chosen.sectors)},
      strategies: {active: active(meta.strategies, chosen.strategies)},
      directions: {active: active(["long", "short"], chosen.directions)},
    }
  }
  function patches(data, slice) {
    const depth = drawdown(slice.grown)
    const [low, high] = span(slice.curve)
    const [bottom] = span(depth, 0)
    const end = data.day[data.day.length - 1]
    const [left, right] = slice.count ? [data.day[slice.first - 1], data.day[slice.last]] : [end, end]
    const some = slice.chosen.days !== null
    const found = {
      strip: {text: strip(data, slice)},
      curve: {data: {day: Array.from(data.day), equity: slice.curve, drawdown: depth}},
      equity_y: {start: low, end: high}, drawdown_y: {start: bottom, end: 0},
      equity_text: {text: equityWords(data, slice, depth)},
      months: {text: monthTable(data, slice)},
      ...bars(data, "sector", slice.bySector, slice.ok.sector), ...bars(data, "root", slice.byRoot, slice.ok.root),
      ...positions(data, slice),
      trades: {indices: Array.from(slice.trades)}, trades_text: {text: tradeWords(data, slice)},
      ...controls(data, slice),
    }
    for (const k of [0, 1]) {
      found[`veil_left_${k}`] = {right: left, visible: some}
      found[`veil_right_${k}`] = {left: right, visible: some}
    }
    return found
  }

  // ------------------------------------------------------------------------------------- the selection and its link
  const everything = () => ({
    days: null, holding: null, results: null, ...Object.fromEntries(Object.values(LISTS).map((name) => [name, []])),
    regime: DEFAULT, trade: null,
  })
  const DEFAULT = "volatility"
  const KINDS = [DEFAULT, "trend", "term", "risk", "states"]
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
      else if (letter === "k" && KINDS.includes(value)) chosen.regime = value
      else if (letter === "t" && /^\d+$/.test(value)) chosen.trade = Number(value)
    }
    const known = {...Object.fromEntries(Object.entries(FIELDS).map(([kind, name]) => [name, names(data, kind)])),
      regimes: (data.regimes[chosen.regime] ?? {names: []}).names}
    for (const [name, all] of Object.entries(known)) chosen[name] = chosen[name].filter((value) => all.includes(value))
    return chosen
  }
  function range(...texts) {
    const ends = texts.map((text) => (text === "" ? null : Number(text)))
    if (ends.some(Number.isNaN)) return null
    return ends.includes(null) ? ends : ends.sort((a, b) => a - b)
  }

  // ------------------------------------------------------------------------------------------------------- gestures
  function start(data, models) {
    const state = {data, models, chosen: everything(), shown: {}, busy: false}
    function show() {
      state.busy = true // widgets that are set here must not answer
      try {
        const found = patches(data, crossfilter(data, state.chosen))
        for (const [name, properties] of Object.entries(found)) {
          const text = JSON.stringify(properties)
          if (models[name] && state.shown[name] !== text) {
            if (name === "trades") setTimeout(() => models[name].setv(properties)) // the table last: it draws longest
            else models[name].setv(properties)
          }
          state.shown[name] = text
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
    function pick(fields) {
      if (state.busy) return
      Object.assign(state.chosen, fields)
      const query = toQuery(state.chosen)
      history.replaceState(null, "", query ? "#pick=" + encodeURIComponent(query) : location.pathname + location.search)
      show()
    }
    const dates = (from, to) => [from, to].sort((a, b) => a - b).map((ms) => iso(Math.floor(ms / DAY) * DAY))
    for (const plot of [models.equity_plot, models.drawdown_plot]) {
      plot.on_event("selectiongeometry", (event) => {
        if (event.final && event.geometry.type === "rect") pick({days: dates(event.geometry.x0, event.geometry.x1)})
      })
      plot.on_event("tap", () => pick({days: null}))
    }
    for (const [plot, name, names] of [[models.sector_plot, "sectors", data.meta.sectors], [models.root_plot, "markets", data.meta.roots]]) {
      plot.on_event("tap", (event) => {
        const value = plot.y_range.factors[Math.floor(event.y)]
        const chosen = state.chosen[name]
        if (names.includes(value)) pick({[name]: chosen.includes(value) ? chosen.filter((x) => x !== value) : [...chosen, value]})
      })
    }
    const slider = models.days
    slider.properties.value_throttled.change.connect(() => {
      const [from, to] = slider.value
      pick({days: from <= slider.start && to >= slider.end ? null : dates(from, to)})
    })
    for (const [name, names] of Object.entries({
      markets: data.meta.roots, sectors: data.meta.sectors, strategies: data.meta.strategies, directions: ["long", "short"],
    })) {
      models[name].properties.active.change.connect(() => pick({[name]: [...models[name].active].sort((a, b) => a - b).map((k) => names[k])}))
    }
    models.reset.on_event("button_click", () => pick({...everything(), regime: state.chosen.regime, trade: state.chosen.trade}))
    const asked = decodeURIComponent(location.hash).match(/^#pick=(.*)$/)
    if (asked) Object.assign(state.chosen, fromQuery(asked[1], data))
    if (asked) show()
    return Object.assign(api, {state})
  }
  function unpack(sources, meta) {
    const column = (name) => sources[name].data
    const {day, equity, paid} = column("days")
    const codes = column("regimes")
    const regimes = Object.fromEntries(Object.entries(meta.regimes).map(([kind, known]) => [kind, {names: known, code: codes[kind]}]))
    return prepared({
      meta, regimes, day: Array.from(day), equity: Array.from(equity), paid: Array.from(paid),
      cell: {...column("cells")}, owner: {...column("owners")}, held: {...column("holdings")}, trade: {...column("trades")},
    })
  }
  const api = {crossfilter, patches, start, unpack, toQuery, fromQuery, everything}
  return api
})()
