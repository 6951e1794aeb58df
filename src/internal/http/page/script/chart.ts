/** The pool over time: what is in use, what is idle on top of it, and above the limit those who wait. */
export const chart = /* js */ String.raw`
const chartWidth = 600
const chartHeight = 100

/** In milliseconds. */
const longestHold = 5000

function makeChart() {
  const open = drawn("path", { class: "open" })
  const used = drawn("path", { class: "used" })
  const waiting = drawn("path", { class: "waiting" })
  const limit = drawn("line", { class: "limit", x1: "0", x2: String(chartWidth) })
  const floor = drawn("line", {
    class: "floor",
    x1: "0",
    x2: String(chartWidth),
    y1: String(chartHeight),
    y2: String(chartHeight)
  })
  const svg = drawn(
    "svg",
    { viewBox: "0 0 " + chartWidth + " " + chartHeight, preserveAspectRatio: "none", role: "img" },
    waiting,
    open,
    used,
    floor,
    limit
  )
  const top = element("span", { class: "top" })
  const past = element("span")
  const axis = element("div", { class: "axis", "aria-hidden": "true" }, past, element("span", {}, "now"))
  return {
    element: element("div", { class: "over-time" }, element("div", { class: "chart" }, svg, top), axis),
    update(samples) {
      const now = samples[samples.length - 1].at
      const capacity = samples[samples.length - 1].capacity
      const most = Math.max(capacity, 1, ...samples.map((sample) => sample.used + sample.idle + sample.waiting))
      // As long as there is something to show, and a minute at least.
      const span = Math.min(Math.max(now - samples[0].at, 60000), remembered)
      const x = (at) => (chartWidth * (1 - (now - at) / span)).toFixed(1)
      const y = (n) => (chartHeight * (1 - n / most)).toFixed(1)
      // A value holds until the next one is seen, but not through a time in which nobody looked.
      const area = (valueOf) =>
        samples.map((sample, index) => {
          const next = samples[index + 1]
          const until = Math.min(next === undefined ? now : next.at, sample.at + longestHold)
          return "M" + x(sample.at) + " " + chartHeight + "V" + y(valueOf(sample)) + "H" + x(until) + "V" + chartHeight + "Z"
        }).join("")
      open.setAttribute("d", area((sample) => sample.used + sample.idle))
      used.setAttribute("d", area((sample) => sample.used))
      // Behind the others, so that only what stands above them is seen; and nothing where nobody waits.
      waiting.setAttribute("d", area((sample) => sample.waiting > 0 ? sample.used + sample.idle + sample.waiting : 0))
      limit.setAttribute("y1", y(capacity))
      limit.setAttribute("y2", y(capacity))
      top.style.top = y(capacity) + "%"
      write(top, "limit " + count(capacity))
      write(past, (span < 120000 ? count(span / 1000) + " s" : count(span / 60000) + " min") + " ago")
      mark(
        svg,
        "aria-label",
        "The pool in the last minutes: at most " + Math.max(...samples.map((sample) => sample.used)) +
          " in use and " + Math.max(...samples.map((sample) => sample.waiting)) + " waiting, of " + capacity
      )
    }
  }
}
`
