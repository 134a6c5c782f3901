// What page and report share: pages, theme, wishes and answers, the address, undo, downloads. No name from data is run
// as code here: buttons carry what they ask for as data, and what they may ask for is checked where it is done.
(function () {
  "use strict"
  const THEME = "frontmonth-theme"
  const root = document.documentElement
  const every = (selector, where = document) => [...where.querySelectorAll(selector)]

  // --------------------------------------------------------------------------------------------------------- theme
  function stored() {
    try {
      return localStorage.getItem(THEME)
    } catch (refused) {
      return null // a browser may refuse storage to a file: then the system's theme holds
    }
  }
  function remember(theme) {
    try {
      localStorage.setItem(THEME, theme)
    } catch (refused) {
      return // the choice then lasts as long as the page
    }
  }
  const documents = () => (window.Bokeh && window.Bokeh.documents) || []
  function repaint() {
    for (const doc of documents()) {
      for (const model of doc.roots().flatMap((top) => [...top.references()])) {
        if (model.type === "Figure") model.change.emit()
      }
    }
  }
  function show(theme) {
    root.dataset.theme = theme
    for (const button of every("button[data-do=theme]")) button.setAttribute("aria-pressed", String(theme === "dark"))
    repaint()
  }
  const system = window.matchMedia("(prefers-color-scheme: dark)")
  show(stored() || (system.matches ? "dark" : "light"))
  system.addEventListener("change", (event) => stored() || show(event.matches ? "dark" : "light"))

  // ------------------------------------------------------------------------------------------- wishes and answers
  function model(name) {
    for (const doc of documents()) {
      const found = doc.get_model_by_name(name)
      if (found) return found
    }
    return null
  }
  function ask(fields) {
    const wish = model("frontmonth-wish")
    const early = fields.do === "page" && !(wish && documents().every((doc) => doc.is_idle)) // a page waits for the first
    if (early) setTimeout(() => root.dataset.page === fields.name && ask(fields), 50)
    else if (wish) wish.value = JSON.stringify({...fields, n: Math.round(performance.timeOrigin + performance.now())})
  }
  let [popped, run] = [false, null]
  function told(text) {
    const said = JSON.parse(text)
    if (window.FrontmonthLive) window.FrontmonthLive.waiting = false
    if (said.n !== undefined) return // an answer while the mouse moves: nothing was chosen yet
    for (const name of ["undo", "redo"]) for (const button of every(`button[data-do=${name}]`)) button.disabled = !said[name]
    const here = new URL(location.href)
    run = said.run
    const now = (name) => here.searchParams.get(name) || ""
    const [picked, same] = [now("pick") !== said.pick, now("view") === said.view]
    if (!picked && same) return
    for (const name of ["pick", "view"]) {
      if (said[name]) here.searchParams.set(name, said[name])
      else here.searchParams.delete(name)
    }
    if (run) here.searchParams.set("run", run)
    if (picked && !popped) history.pushState(null, "", here)
    else history.replaceState(history.state, "", here) // how it is shown is no step back
    popped = false
  }
  window.addEventListener("popstate", () => {
    popped = true
    ask({do: "link", pick: new URL(location.href).searchParams.get("pick") || ""})
    setTimeout(() => (popped = false), 1000)
  })

  // ----------------------------------------------------------------------------------------------------- the server
  const LOOK = 2000 // from one look for a server that went away to the next [ms]
  const linked = () => { // without the run a link would lead to the newest one of another day
    const link = new URL(location.href)
    const shown = run ?? document.querySelector("select.run option[selected]:not([disabled])")?.value
    if (shown) link.searchParams.set("run", shown)
    return link.href
  }
  function lost() {
    if (document.querySelector(".lost")) return
    const bar = document.body.appendChild(document.createElement("div"))
    bar.className = "lost"
    bar.setAttribute("role", "alert")
    bar.textContent = "The server does not answer: nothing that is picked or pressed here counts any more. Start it again with frontmonth serve."
    const back = () => {
      bar.textContent = "The connection to the server was lost, and it answers again. "
      const button = bar.appendChild(document.createElement("button"))
      button.textContent = "Load this page again"
      button.onclick = () => {
        history.replaceState(null, "", linked())
        location.reload()
      }
      bar.append(" What is picked stays.")
    }
    const look = () => fetch("static/js/bokeh.min.js", {method: "HEAD", cache: "no-store"}).then(back, () => setTimeout(look, LOOK))
    look()
  }

  // --------------------------------------------------------------------------------------------------------- pages
  function unknown(page, names) {
    document.getElementById("no-page")?.remove()
    if (!page || names.includes(page)) return
    const said = document.createElement("div")
    said.id = "no-page"
    said.className = "failure"
    said.textContent = `There is no page “${page}” here; there are ${names.join(", ")}.`
    document.querySelector(".notices")?.prepend(said)
  }
  function turn() {
    const pages = every("div.page")
    if (!pages.length) return
    const names = pages.map((page) => page.id.slice(5))
    if (root.dataset.page && location.hash && !location.hash.startsWith("#/")) return // a place within the page
    const asked = location.hash.startsWith("#/") ? location.hash.slice(2).split("?")[0] : ""
    unknown(asked, names)
    const name = names.includes(asked) ? asked : names[0]
    if (root.dataset.page === name) return
    root.dataset.page = name
    for (const page of pages) page.hidden = page.id !== `page-${name}`
    for (const link of every("nav a[data-page]")) {
      if (link.dataset.page === name) link.setAttribute("aria-current", "page")
      else link.removeAttribute("aria-current")
    }
    window.scrollTo(0, 0)
    ask({do: "page", name})
    window.dispatchEvent(new Event("resize")) // what was drawn out of sight takes its width now
  }
  window.addEventListener("hashchange", turn)

  // ---------------------------------------------------------------------------------------------------------- paper
  // A printer does not wait for frames: before it looks, figures are laid out and stand there as drawings, tables as HTML.
  const ROWS = 40 // of a table of thousands
  function table(view) {
    const {columns, source} = view.model
    const rows = Object.values(source.data)[0]?.length ?? 0
    const made = document.createElement("table")
    const line = (kind, texts) => {
      const row = made.insertRow()
      for (const text of texts) row.appendChild(document.createElement(kind)).textContent = text
    }
    const shown = (name, value) => (typeof value !== "number" || DATED.test(name) ? cell(name, value)
      : Number.isFinite(value) ? value.toLocaleString("en-US", {maximumFractionDigits: 4, maximumSignificantDigits: 8}) : "–")
    line("th", columns.map((one) => one.title))
    for (let k = 0; k < Math.min(rows, ROWS); k++) line("td", columns.map(({field}) => shown(field, source.data[field][k])))
    if (rows > ROWS) made.createCaption().textContent = `The first ${ROWS} of ${rows.toLocaleString("en-US")} rows.`
    made.style.cssText = "border-collapse: collapse; font-size: 8.5px; width: 100%; text-align: right; caption-side: bottom"
    return made
  }
  const stand_ins = new Map() // view -> what stands in its place on paper
  const hosts = () => every("section.card [data-root-id]").filter((one) => one.offsetWidth)
  function draw() {
    if (root.classList.contains("report")) ask({do: "paper"})
    const all = (view) => [view, ...(view.child_views ?? []).flatMap(all)]
    for (const host of hosts()) {
      const top = Bokeh.index.get_by_id(host.dataset.rootId)
      top?.compute_layout?.()
      for (const view of top ? all(top) : []) {
        if (view.model.type === "Figure") {
          view.paint()
          const drawing = view.export("svg").ctx.get_svg()
          drawing.setAttribute("viewBox", `0 0 ${view.bbox.width} ${view.bbox.height}`)
          drawing.style.cssText = "width: 100%; height: auto"
          stand_ins.set(view, drawing)
        }
        if (view.model.type === "DataTable") stand_ins.set(view, table(view))
      }
    }
    for (const [view, drawing] of stand_ins) {
      const place = view.model.type === "DataTable" ? view.el.getRootNode().host ?? view.el : view.el
      place.after(drawing)
      drawing.hides = place
      place.style.setProperty("display", "none", "important")
    }
  }
  function paper(on) {
    if (on === (root.dataset.paper !== undefined)) return
    if (on) {
      root.dataset.paper = root.dataset.theme
      root.dataset.theme = "light"
    } else {
      root.dataset.theme = root.dataset.paper
      delete root.dataset.paper
    }
    if (on && window.Bokeh) draw()
    else if (!on) {
      for (const drawing of stand_ins.values()) {
        drawing.hides.style.removeProperty("display")
        drawing.remove()
      }
      stand_ins.clear()
      for (const host of hosts()) Bokeh.index.get_by_id(host.dataset.rootId)?.compute_layout?.()
      repaint()
    }
  }
  window.addEventListener("beforeprint", () => paper(true))
  window.addEventListener("afterprint", () => paper(false))

  // ------------------------------------------------------------------------------------------------------ downloads
  function views(section) {
    const found = []
    const walk = (view) => {
      if (view.model.type === "Figure") found.push(view)
      for (const child of view.child_views || []) walk(child)
    }
    for (const host of every("[data-root-id]", section)) {
      const top = Bokeh.index.get_by_id(host.dataset.rootId)
      if (top) walk(top)
    }
    return found
  }
  function give(name, kind, parts) {
    const link = document.createElement("a")
    link.href = URL.createObjectURL(new Blob(parts, {type: kind}))
    link.download = name
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 1000)
  }
  const ground = () => getComputedStyle(root).getPropertyValue("--card").trim() || "#ffffff"
  async function png(section, name) {
    const drawn = views(section).map((view) => view.export("png", true).canvas)
    const canvas = document.createElement("canvas")
    canvas.width = Math.max(...drawn.map((one) => one.width))
    canvas.height = drawn.reduce((sum, one) => sum + one.height, 0)
    const brush = canvas.getContext("2d")
    brush.fillStyle = ground()
    brush.fillRect(0, 0, canvas.width, canvas.height)
    let top = 0
    for (const one of drawn) {
      brush.drawImage(one, 0, top)
      top += one.height
    }
    give(name, "image/png", [await new Promise((done) => canvas.toBlob(done))])
  }
  function svg(section, name) {
    let [top, width, body] = [0, 0, ""]
    for (const view of views(section)) {
      const box = view.bbox
      const text = new XMLSerializer().serializeToString(view.export("svg").ctx.get_svg())
      body += `<g transform="translate(0,${top})">${text}</g>`
      top += box.height
      width = Math.max(width, box.width)
    }
    const open = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top}"><rect width="100%" height="100%" fill="${ground()}"/>`
    give(name, "image/svg+xml", [open, body, "</svg>"])
  }
  const DATED = /^(day|date|entry_day|exit_day|from|to|left|right)$/
  function cell(name, value) {
    if (value === null || value === undefined || Number.isNaN(value)) return ""
    if (DATED.test(name) && typeof value === "number") return new Date(value).toISOString().slice(0, 10)
    const text = String(value)
    return /[",\n]/.test(text) || /^[=+@-](?![\d.])/.test(text) ? `"${(/^[=+@-]/.test(text) ? "'" : "") + text.replaceAll('"', '""')}"` : text
  }
  function sources(section) {
    const found = new Set()
    for (const view of views(section)) {
      for (const renderer of view.model.renderers) if (renderer.data_source) found.add(renderer.data_source)
    }
    for (const host of every("[data-root-id]", section)) {
      const top = Bokeh.index.get_by_id(host.dataset.rootId)
      for (const one of top ? top.model.references() : []) if (one.type === "DataTable") found.add(one.source)
    }
    const rows = (source) => (Object.values(source.data)[0] ?? []).length
    return [...found].sort((a, b) => rows(b) - rows(a)) // what is drawn over the days before what is behind it
  }
  function lines(source) {
    const names = Object.keys(source.data).filter((name) => !/^(index|level_0|color|alpha|.*_tone)$/.test(name))
    const columns = names.map((name) => source.data[name])
    const count = columns.length ? columns[0].length : 0
    const rows = Array.from({length: count}, (_, k) => columns.map((column, j) => cell(names[j], column[k])).join(","))
    return [names.map((name) => cell("", name)).join(","), ...rows].join("\n") + "\n"
  }
  function tables(section) {
    const found = []
    const walk = (node) => {
      if (node.tagName === "TABLE") found.push(node)
      else for (const child of [...(node.shadowRoot ? node.shadowRoot.children : []), ...node.children]) walk(child)
    }
    walk(section)
    return found.map((table) => [...table.rows].map((row) =>
      [...row.cells].map((one) => cell("", one.textContent.trim())).join(",")).join("\n") + "\n")
  }
  function save(section, kind) {
    const name = `${document.title.replace(/[^\w.-]+/g, "-")}-${section.id}.${kind}`
    if (kind === "csv") give(name, "text/csv", [[...sources(section).map(lines), ...tables(section)].join("\n")])
    else if (kind === "svg") svg(section, name)
    else png(section, name)
  }

  // ------------------------------------------------------------------------------------------------ clicks and keys
  function copied(button) {
    navigator.clipboard.writeText(linked()).then(() => {
      button.classList.add("done")
      button.title = "Copied"
      setTimeout(() => button.classList.remove("done"), 1500)
    })
  }
  function act(button) {
    const {do: verb, save: kind, ...fields} = button.dataset
    if (kind) save(button.closest("section"), kind)
    else if (verb === "theme") {
      const theme = root.dataset.theme === "dark" ? "light" : "dark"
      show(theme)
      remember(theme)
    } else if (verb === "copy") copied(button)
    else ask({do: verb, ...fields})
  }
  document.addEventListener("click", (event) => {
    const button = event.composedPath().find((node) => node.dataset && (node.dataset.do || node.dataset.save))
    if (button && !button.disabled) act(button)
  })
  document.addEventListener("keydown", (event) => {
    const typing = event.composedPath().some((node) => /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName) && node.type !== "checkbox")
    if (typing) return
    const key = event.key.toLowerCase()
    const held = event.ctrlKey || event.metaKey
    const verb = held && key === "z" ? (event.shiftKey ? "redo" : "undo") : held && key === "y" ? "redo" : key === "escape" ? "reset" : null
    if (!verb || !model("frontmonth-wish")) return
    event.preventDefault()
    ask({do: verb})
  })
  document.addEventListener("DOMContentLoaded", () => {
    show(root.dataset.theme)
    for (const button of every("button[data-do=undo], button[data-do=redo]")) button.disabled = true
    const filters = document.querySelector("details.filters")
    if (filters && window.matchMedia("(max-width: 1080px)").matches) filters.open = false
    turn()
  }, {once: true}) // es-module-shims, which Panel loads, tells it a second time
  window.FrontmonthPage = {told, ask, lost, save, sources, turn, views}
})()
