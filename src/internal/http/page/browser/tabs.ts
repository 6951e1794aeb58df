/** Several databases: tabs as the ARIA authoring practices describe them. */
import type { Database } from "../report.js"
import { element, makeList, mark, write } from "./dom.js"

export const makeTabs = (
  list: HTMLElement,
  idsOf: (name: string) => Readonly<Record<string, string>>,
  onSelect: (name: string | undefined) => void
) => {
  const tabs = new Map<string, HTMLElement>()
  let names: ReadonlyArray<string> = []
  let selected: string | undefined
  const select = (name: string | undefined) => {
    selected = name
    for (const [other, tab] of tabs) {
      mark(tab, "aria-selected", String(other === name))
      tab.tabIndex = other === name ? 0 : -1
    }
    onSelect(name)
  }
  list.addEventListener("keydown", (event) => {
    const at = names.findIndex((name) => name === selected)
    const steps: Readonly<Record<string, number>> = {
      ArrowRight: at + 1,
      ArrowDown: at + 1,
      ArrowLeft: at - 1,
      ArrowUp: at - 1,
      Home: 0,
      End: names.length - 1
    }
    const to = steps[event.key]
    if (to !== undefined) {
      event.preventDefault()
      const name = names.at(to % names.length)
      select(name)
      tabs.get(name ?? "")?.focus()
    }
  })
  const show = makeList<Database>(list, ({ name }) => name, ({ name }) => {
    const status = element("span", { class: "status" })
    const figures = element("span", { class: "figures" })
    const tab = element(
      "button",
      { type: "button", role: "tab", class: "tab", ...idsOf(name) },
      element("b", {}, name),
      status,
      figures
    )
    tab.addEventListener("click", () => select(name))
    tabs.set(name, tab)
    return {
      element: tab,
      update({ health, pool }) {
        write(status, health.status)
        mark(status, "data-status", health.status)
        const waiting = pool !== undefined && pool.waiting > 0 ? `, ${pool.waiting} waiting` : ""
        write(figures, pool === undefined ? "not open" : `${pool.inUse} of ${pool.capacity} in use${waiting}`)
      }
    }
  })
  return {
    /** The name of the one that is shown. */
    update(databases: ReadonlyArray<Database>): string | undefined {
      names = databases.map(({ name }) => name)
      list.hidden = names.length < 2
      for (const name of tabs.keys()) {
        if (!names.includes(name)) {
          tabs.delete(name)
        }
      }
      show(databases)
      if (selected === undefined || !names.includes(selected)) {
        select(names[0])
      }
      return selected
    }
  }
}
