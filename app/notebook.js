// Runs when an `Ear` is drawn. Buttons carry what they ask for as data, and what they may ask for is checked in Python.
const host = view.parent ? view.parent.el : view.el
host.addEventListener("click", (event) => {
  const button = event.composedPath().find((node) => node.dataset && node.dataset.do)
  if (!button || button.disabled) return
  const {do: verb, ...fields} = button.dataset
  data.wish = JSON.stringify({...fields, do: verb, n: Math.round(performance.timeOrigin + performance.now())})
})
const body = document.body
const dark = () => body.dataset.jpThemeLight === "false" || body.classList.contains("vscode-dark")
function show() {
  host.dataset.theme = dark() ? "dark" : "light"
  for (const top of view.model.document ? view.model.document.roots() : []) {
    for (const model of top.references()) if (model.type === "Figure") model.change.emit()
  }
}
show()
new MutationObserver(show).observe(body, {attributes: true, attributeFilter: ["data-jp-theme-light", "class"]})
