/** The pool now: a cell for each connection, or a bar where they are many. */
import type { Pool } from "../report.js"
import { element, makeList, mark, write } from "./dom.js"
import { count } from "./format.js"

const mostCells = 60
const narrowestCell = 20

/** What connections do, and how many cells wide that is drawn. */
type Share = readonly [is: "used" | "idle" | "busy" | "none", n: number]

export const makeMeter = () => {
  const cells = element("div", {
    role: "meter",
    class: "meter",
    "aria-label": "Connections in use",
    "aria-valuemin": "0"
  })
  const used = element("b")
  const idle = element("b")
  const free = element("b")
  const waiting = element("b")
  const line = element("span", { class: "waiting" }, waiting, " waiting")
  const legend = element(
    "div",
    { class: "legend" },
    element("span", { class: "used" }, used, " in use"),
    element("span", { class: "idle" }, idle, " idle"),
    element("span", {}, free, " not open"),
    line
  )
  let isBar = false
  const list = makeList<Share>(cells, (_, index) => String(index), () => {
    const cell = element("i")
    return {
      element: cell,
      update([is, n]) {
        mark(cell, "data-is", is)
        cell.style.flexGrow = isBar ? String(n) : ""
      }
    }
  })
  return {
    element: element("div", {}, cells, legend),
    update(pool: Pool) {
      // Opening, validating or being reset: open or nearly so, neither in use nor idle.
      const busy = Math.max(pool.open + pool.opening - pool.inUse - pool.idle, 0)
      // The reserved place of health checks can be one more than the capacity.
      const total = Math.max(pool.capacity, pool.inUse + pool.idle + busy)
      const none = total - pool.inUse - pool.idle - busy
      isBar = total > mostCells
      cells.classList.toggle("many", isBar)
      const shares: ReadonlyArray<Share> = [["used", pool.inUse], ["idle", pool.idle], ["busy", busy], ["none", none]]
      list(isBar ? shares : shares.flatMap(([is, n]) => Array.from({ length: n }, (): Share => [is, 1])))
      // Rows of one length, so that the last one does not look different.
      const rows = Math.ceil(total / Math.max(Math.floor((cells.clientWidth || 600) / narrowestCell), 1))
      cells.style.gridTemplateColumns = `repeat(${Math.ceil(total / Math.max(rows, 1))}, minmax(0, 56px))`
      mark(cells, "aria-valuenow", String(pool.inUse))
      mark(cells, "aria-valuemax", String(pool.capacity))
      mark(
        cells,
        "aria-valuetext",
        `${pool.inUse} of ${pool.capacity} connections in use, ${pool.idle} idle, ${pool.waiting} waiting`
      )
      write(used, count(pool.inUse))
      write(idle, count(pool.idle))
      write(free, count(none + busy))
      write(waiting, count(pool.waiting))
      line.classList.toggle("some", pool.waiting > 0)
    }
  }
}
