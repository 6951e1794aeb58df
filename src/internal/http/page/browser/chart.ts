/** The pool over time: connections in use, idle ones on top of them, and above the limit the waiters. */
import type { PoolSample } from "../report.js"
import { drawn, element, mark, write } from "./dom.js"
import { count } from "./format.js"
import { remembered } from "./history.js"

const width = 600
const height = 100

/** In milliseconds. */
const longestHold = 5000

const line = (name: string) => drawn("line", { class: name, x1: "0", x2: String(width), y1: "100", y2: "100" })

export const makeChart = () => {
  const open = drawn("path", { class: "open" })
  const used = drawn("path", { class: "used" })
  const waiting = drawn("path", { class: "waiting" })
  const limit = line("limit")
  const svg = drawn(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img" },
    waiting,
    open,
    used,
    line("floor"),
    limit
  )
  const top = element("span", { class: "top" })
  const past = element("span")
  const axis = element("div", { class: "axis", "aria-hidden": "true" }, past, element("span", {}, "now"))
  return {
    element: element("div", { class: "over-time" }, element("div", { class: "chart" }, svg, top), axis),
    update(samples: ReadonlyArray<PoolSample>) {
      const first = samples[0]
      const last = samples.at(-1)
      if (first === undefined || last === undefined) {
        return
      }
      const { at: now, capacity } = last
      const most = Math.max(capacity, 1, ...samples.map((sample) => sample.inUse + sample.idle + sample.waiting))
      // As long as there is something to show, and a minute at least.
      const span = Math.min(Math.max(now - first.at, 60_000), remembered)
      const x = (at: number) => (width * (1 - (now - at) / span)).toFixed(1)
      const y = (n: number) => (height * (1 - n / most)).toFixed(1)
      // A value holds until the next one is seen, but not through a time in which the database was not open.
      const area = (valueOf: (sample: PoolSample) => number) =>
        samples.map((sample, index) => {
          const until = Math.min(samples[index + 1]?.at ?? now, sample.at + longestHold)
          return `M${x(sample.at)} ${height}V${y(valueOf(sample))}H${x(until)}V${height}Z`
        }).join("")
      open.setAttribute("d", area((sample) => sample.inUse + sample.idle))
      used.setAttribute("d", area((sample) => sample.inUse))
      // Behind the others, so that only what stands above them is seen; and nothing where there are no waiters.
      waiting.setAttribute("d", area((sample) => sample.waiting > 0 ? sample.inUse + sample.idle + sample.waiting : 0))
      limit.setAttribute("y1", y(capacity))
      limit.setAttribute("y2", y(capacity))
      top.style.top = `${y(capacity)}%`
      write(top, `limit ${count(capacity)}`)
      write(past, `${span < 120_000 ? `${count(span / 1000)} s` : `${count(span / 60_000)} min`} ago`)
      mark(
        svg,
        "aria-label",
        `The pool in the last minutes: at most ${Math.max(...samples.map((sample) => sample.inUse))} in use and ` +
          `${Math.max(...samples.map((sample) => sample.waiting))} waiting, of ${capacity}`
      )
    }
  }
}
