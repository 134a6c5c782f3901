// What a gesture on a figure does: it writes a wish, one line of JSON, which Python (page, notebook) or the twin in a
// report fulfils. While the mouse moves, the next wish waits until the last one was answered, or a moment at most.
// Arguments: wish (model), kind ("range", "bar", "cell" or "spot"), field (of the selection), plot,
// verb (of a cell or a spot).
const say = (fields) => { wish.value = JSON.stringify({...fields, n: Math.round(performance.timeOrigin + performance.now())}) }
if (kind === "bar") {
  const place = Math.floor(cb_obj.y)
  const name = (plot.y_range.factors || [])[place]
  if (name !== undefined) say({do: "toggle", field, value: name})
  return
}
if (kind === "cell") {
  const [column, row] = [plot.x_range.factors[Math.floor(cb_obj.x)], plot.y_range.factors[Math.floor(cb_obj.y)]]
  if (column !== undefined && row !== undefined) say({do: verb, column, row})
  return
}
if (kind === "spot") {
  const row = plot.y_range.factors[Math.floor(cb_obj.y)]
  if (row !== undefined) say({do: verb, row, at: cb_obj.x})
  return
}
const {event_name, geometry, final} = cb_obj
if (event_name === "tap") { say({do: "range", field, ends: null}); return }
if (geometry.type !== "rect") return
const ends = [geometry.x0, geometry.x1].sort((a, b) => a - b)
const state = (window.FrontmonthLive ??= {})
clearTimeout(state.timer)
const send = (live) => {
  state.sent = performance.now()
  state.waiting = live
  say({do: "range", field, ends, live})
}
if (final) { send(false); return }
const WAIT = 250 // an answer that takes longer is not waited for [ms]
const held = () => state.waiting && performance.now() - state.sent < WAIT
if (!held()) send(true)
else {
  const again = () => (held() ? (state.timer = setTimeout(again, 10)) : send(true))
  state.timer = setTimeout(again, 10)
}
