/** Several databases: tabs as the ARIA authoring practices describe them. */
export const tabs = /* js */ String.raw`
function makeTabs(list, onSelect) {
  let names = []
  let selected = undefined
  const tabOf = (name) => Array.from(list.children).find((tab) => tab.dataset.key === name)
  const select = (name, focus) => {
    selected = name
    for (const tab of list.children) {
      const is = tab.dataset.key === name
      mark(tab, "aria-selected", String(is))
      tab.tabIndex = is ? 0 : -1
    }
    if (focus) {
      tabOf(name).focus()
    }
    onSelect(name)
  }
  list.addEventListener("keydown", (event) => {
    const at = names.indexOf(selected)
    const to = {
      ArrowRight: at + 1,
      ArrowDown: at + 1,
      ArrowLeft: at - 1,
      ArrowUp: at - 1,
      Home: 0,
      End: names.length - 1
    }[event.key]
    if (to !== undefined) {
      event.preventDefault()
      select(names[(to + names.length) % names.length], true)
    }
  })
  return {
    update(databases, idOf) {
      names = databases.map((database) => database.name)
      list.hidden = names.length < 2
      keep(list, databases, (database) => database.name, (database) => {
        const tab = element(
          "button",
          { type: "button", role: "tab", class: "tab", ...idOf(database.name) },
          element("b", {}, database.name),
          element("span", { class: "status" }),
          element("span", { class: "figures" })
        )
        tab.addEventListener("click", () => select(database.name, false))
        return tab
      }, (tab, { health, pool }) => {
        write(tab.children[1], health.status)
        mark(tab.children[1], "data-status", health.status)
        write(
          tab.children[2],
          pool
            ? pool.inUse + " of " + pool.capacity + " in use" + (pool.waiting > 0 ? ", " + pool.waiting + " waiting" : "")
            : "not open"
        )
      })
      if (!names.includes(selected)) {
        select(names[0], false)
      }
      return selected
    }
  }
}
`
