// Ctrl+Enter in the editor is a click on Run.
(function () {
  "use strict"

  function deep(node, wanted) {
    for (const child of node.querySelectorAll("*")) {
      if (wanted(child)) return child
      const found = child.shadowRoot && deep(child.shadowRoot, wanted)
      if (found) return found
    }
    return null
  }

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return
    const section = document.getElementById("question")
    if (!section || !event.composedPath().includes(section)) return
    const run = deep(section, (node) => node.tagName === "BUTTON" && node.textContent.trim() === "Run")
    event.preventDefault()
    if (run && !run.disabled) run.click()
  })
})()
