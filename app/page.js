// What page and report share: the theme. Colours live in CSS variables; canvases have to be asked to paint again.
(function () {
  "use strict"
  const KEY = "frontmonth-theme"
  const root = document.documentElement

  function stored() {
    try {
      return localStorage.getItem(KEY)
    } catch (refused) {
      return null // a browser may refuse storage to a file: then the system's theme holds
    }
  }

  function repaint() {
    for (const doc of (window.Bokeh && window.Bokeh.documents) || []) {
      for (const model of doc.roots().flatMap((top) => [...top.references()])) {
        if (model.type === "Figure") model.change.emit()
      }
    }
  }

  function show(theme) {
    root.dataset.theme = theme
    const button = document.querySelector("button.theme")
    if (button) {
      button.textContent = theme === "dark" ? "Light" : "Dark"
      button.setAttribute("aria-pressed", String(theme === "dark"))
    }
    repaint()
  }

  const system = window.matchMedia("(prefers-color-scheme: dark)")
  show(stored() || (system.matches ? "dark" : "light"))
  system.addEventListener("change", (event) => stored() || show(event.matches ? "dark" : "light"))
  document.addEventListener("DOMContentLoaded", () => {
    show(root.dataset.theme)
    const filters = document.querySelector("details.filters")
    if (filters && window.matchMedia("(max-width: 1080px)").matches) filters.open = false
    document.querySelector("button.theme").addEventListener("click", () => {
      const theme = root.dataset.theme === "dark" ? "light" : "dark"
      show(theme)
      try {
        localStorage.setItem(KEY, theme)
      } catch (refused) {
        return // the choice then lasts as long as the page
      }
    })
  }, {once: true}) // es-module-shims, which Panel loads, tells it a second time
})()
