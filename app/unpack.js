// Brings scripts, models and numbers of a report back and starts it. The scripts become one element of the page, as its
// policy allows no other way; numbers become typed arrays.
(async function () {
  "use strict"
  const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%.()*+-;,=>?@^_`{|}~"
  function letters(text) {
    const value = new Uint8Array(128)
    for (let k = 0; k < 85; k++) value[ALPHABET.charCodeAt(k)] = k
    const groups = Math.ceil(text.length / 5)
    const out = new DataView(new ArrayBuffer(groups * 4))
    for (let g = 0; g < groups; g++) {
      let word = 0
      for (let k = 5 * g; k < 5 * g + 5; k++) word = word * 85 + (k < text.length ? value[text.charCodeAt(k)] : 84)
      out.setUint32(4 * g, word)
    }
    return new Uint8Array(out.buffer, 0, Math.floor((text.length * 4) / 5))
  }
  async function bytes(id) {
    const packed = letters(document.getElementById(id).textContent)
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))
    return new Uint8Array(await new Response(stream).arrayBuffer())
  }
  const TYPES = {uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array, int32: Int32Array, int64: BigInt64Array, float32: Float32Array, float64: Float64Array}
  function arrays(data) {
    const line = data.indexOf(10)
    const found = {}
    let at = line + 1
    for (const {name, type, length} of JSON.parse(new TextDecoder().decode(data.subarray(0, line)))) {
      const kind = TYPES[type]
      const width = kind.BYTES_PER_ELEMENT
      const mixed = new Uint8Array(length * width)
      for (let place = 0; place < width; place++) {
        for (let k = 0, from = at + place * length; k < length; k++) mixed[k * width + place] = data[from + k]
      }
      found[name] = new kind(mixed.buffer)
      at += length * width
    }
    return found
  }
  // A frame, where there are any: a page in the background has none.
  const frame = () => new Promise((done) => {
    requestAnimationFrame(() => setTimeout(done))
    setTimeout(done, 200)
  })
  const parsed = () => new Promise((done) => {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", done, {once: true})
    else done()
  })
  async function begin() {
    const [scripts, meta, head] = await Promise.all(["scripts", "meta", "head"].map(bytes))
    const script = document.createElement("script")
    script.textContent = new TextDecoder().decode(scripts)
    document.head.appendChild(script)
    FrontmonthPage.turn()
    const told = JSON.parse(new TextDecoder().decode(meta))
    const doc = Bokeh.require("document").Document.from_json(told.document)
    const models = Object.fromEntries(Object.entries(told.models).map(([name, id]) => [name, doc.get_model_by_id(id)]))
    const roots = Object.fromEntries(Object.entries(told.places).map(([name, id]) => [name, doc.get_model_by_id(id)]))
    const page = [...told.always, ...(told.pages[document.documentElement.dataset.page] ?? [])]
    const first = page.includes("equity") ? [...told.hidden, "equity"] : told.hidden
    const views = doc.views_manager = new (Bokeh.require("core/view_manager").ViewManager)([], Bokeh.index)
    const draw = async (names) => {
      for (const name of names) (await views.build_view(roots[name])).build(document.getElementById(`root-${name}`))
    }
    await draw(first)
    const early = arrays(head)
    if (first.includes("equity") && !new URL(location.href).searchParams.has("pick")) {
      Frontmonth.look(early, told, models)
      await frame()
    }
    await parsed()
    const data = Frontmonth.unpack({...early, ...arrays(await bytes("data"))}, told)
    await draw(page.filter((name) => !first.includes(name)))
    Frontmonth.start(data, models)
    for (const name of Object.keys(roots)) {
      if (first.includes(name) || page.includes(name)) continue
      await frame() // other pages, one view after the other
      await draw([name])
    }
  }
  try {
    await begin()
  } catch (error) {
    const words = document.createElement("p")
    words.className = "failure"
    words.textContent = `This report cannot be shown: ${error}. It needs a browser of 2023 or newer.`
    document.querySelector("main").prepend(words)
    throw error
  }
})()
