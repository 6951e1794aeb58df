/** Durations, failures, holders and slow statements. */
import type { Failure, Holder, Measured, Metrics, Replica, SlowStatement } from "../report.js"
import { element, makeList, mark, type View, write } from "./dom.js"
import { age, count, duration } from "./format.js"

type Column = readonly [title: string | Node, kind?: string]

const makeTable = (name: string, columns: ReadonlyArray<Column>) => {
  const body = element("tbody")
  const head = columns.map(([title, kind = ""]) => element("th", { scope: "col", class: kind }, title))
  const table = element("table", { class: "stacked" }, element("thead", {}, element("tr", {}, ...head)), body)
  return {
    body,
    element: element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, table)
  }
}

// -----------------------------------------------------------------------------
// durations
// -----------------------------------------------------------------------------

/** From a tenth of a millisecond to ten seconds, each power of ten as wide as the others; in percent. */
const onScale = (millis: number): number => Math.min(Math.max((Math.log10(Math.max(millis, 0.1)) + 1) / 5, 0), 1) * 100

const measured: ReadonlyArray<readonly [name: Measured, title: string]> = [
  ["operation", "Statement"],
  ["wait", "Waiting"],
  ["use", "In use"],
  ["create", "Opening"]
]

type Timing = readonly [title: string, durations: Metrics["durations"][Measured]]

const makeTiming = (title: string): View<Timing> => {
  const cells = ["median", "95 %", "99 %", "most"].map((what) => element("td", { class: "number", "data-what": what }))
  const [band, median, high] = [element("i"), element("u"), element("u")]
  const range = element("span", { class: "range" }, band, median, high)
  return {
    element: element(
      "tr",
      {},
      element("th", { scope: "row" }, title),
      ...cells,
      element("td", { "aria-hidden": "true" }, range)
    ),
    update([, { maxMillis, percentiles }]) {
      const texts = percentiles === undefined
        ? undefined
        : [percentiles.p50, percentiles.p95, percentiles.p99, maxMillis].map(duration)
      cells.forEach((cell, index) => write(cell, texts?.[index] ?? "-"))
      range.hidden = percentiles === undefined
      if (percentiles !== undefined) {
        const from = onScale(percentiles.p50)
        band.style.left = `${from}%`
        band.style.width = `${Math.max(onScale(percentiles.p99) - from, 1)}%`
        median.style.left = `${from}%`
        high.style.left = `${onScale(percentiles.p95)}%`
      }
    }
  }
}

export const makeDurations = (): View<Metrics["durations"]> => {
  const ends = ["0.1 ms", "10 s"].map((text) => element("span", {}, text))
  const { body, element: whole } = makeTable("Durations", [
    ["What"],
    ["Median", "number"],
    ["95 %", "number"],
    ["99 %", "number"],
    ["Most", "number"],
    [element("span", { class: "scale", "aria-hidden": "true" }, ...ends)]
  ])
  const list = makeList<Timing>(body, ([title]) => title, ([title]) => makeTiming(title))
  return {
    element: element("div", { class: "durations" }, whole),
    update: (durations) => list(measured.map(([name, title]) => [title, durations[name]]))
  }
}

// -----------------------------------------------------------------------------
// failures
// -----------------------------------------------------------------------------

export const makeFailures = (): View<Metrics["failures"]> => {
  const bars = element("ul", { class: "bars" })
  const none = element("p", { class: "empty" }, "None.")
  let most = 1
  const list = makeList<readonly [reason: string, n: number]>(bars, ([reason]) => reason, ([reason]) => {
    const figure = element("b")
    const bar = element("i", { "aria-hidden": "true" })
    return {
      element: element("li", {}, element("span", {}, reason), figure, bar),
      update([, n]) {
        write(figure, count(n))
        bar.style.width = `${100 * n / most}%`
      }
    }
  })
  return {
    element: element("div", {}, bars, none),
    update(failures) {
      const items = Object.entries(failures).sort((a, b) => b[1] - a[1])
      most = items[0]?.[1] ?? 1
      none.hidden = items.length > 0
      list(items)
    }
  }
}

// -----------------------------------------------------------------------------
// lists of which the first rows are shown
// -----------------------------------------------------------------------------

/** So many rows are shown until all are asked for. */
const firstRows = 8

interface Rows<Item> {
  readonly name: string
  readonly columns: ReadonlyArray<Column>
  /** What stands there instead of no rows. */
  readonly none: string
  readonly keyOf: (item: Item, index: number) => string
  readonly row: (item: Item) => View<Item>
}

/** A table, and the button that shows the other rows, where there are others. */
const makeRows = <Item>({ columns, keyOf, name, none, row }: Rows<Item>): View<ReadonlyArray<Item>> => {
  const { body, element: whole } = makeTable(name, columns)
  const empty = element("p", { class: "empty" }, none)
  const button = element("button", { type: "button", class: "more", "aria-expanded": "false", hidden: "" })
  const list = makeList(body, keyOf, row)
  let isWhole = false
  let last: ReadonlyArray<Item> = []
  const update = (items: ReadonlyArray<Item>) => {
    last = items
    empty.hidden = items.length > 0
    whole.hidden = items.length === 0
    button.hidden = items.length <= firstRows
    write(button, isWhole ? "Show fewer" : `Show all ${count(items.length)}`)
    list(isWhole ? items : items.slice(0, firstRows))
  }
  button.addEventListener("click", () => {
    isWhole = !isWhole
    mark(button, "aria-expanded", String(isWhole))
    update(last)
  })
  return { element: element("div", {}, whole, button, empty), update }
}

/** Held for so long, in milliseconds, that it is worth a look. */
const oldAge = 10_000

export const makeHolders = (): View<ReadonlyArray<Holder>> => {
  const rows = makeRows<Holder>({
    name: "Holders",
    columns: [["Holder"], ["For", "number"], ["Last statement", "wide"]],
    none: "None.",
    keyOf: (_, index) => String(index),
    row: () => {
      const who = element("span", { class: "who" })
      const sub = element("span", { class: "sub" })
      const held = element("td", { class: "number" })
      const statement = element("code")
      return {
        element: element("tr", {}, element("td", {}, who, sub), held, element("td", { class: "wide" }, statement)),
        update(holder) {
          write(who, holder.span ?? holder.fiber)
          write(sub, holder.state + (holder.span === undefined ? "" : `, ${holder.fiber}`))
          write(held, age(holder.heldForMillis))
          held.classList.toggle("old", holder.heldForMillis >= oldAge)
          write(statement, holder.statement ?? "none yet")
        }
      }
    }
  })
  return {
    element: rows.element,
    update: (holders) => rows.update([...holders].sort((a, b) => b.heldForMillis - a.heldForMillis))
  }
}

export const makeReplicas = (): View<ReadonlyArray<Replica>> =>
  makeRows({
    name: "Replicas",
    columns: [["Replica"], ["Reads", "number"], ["Behind", "number"], ["In use", "number"], ["Waiting", "number"]],
    none: "None.",
    keyOf: ({ name }) => name,
    row: ({ name }) => {
      const sub = element("span", { class: "sub" })
      const cells = Array.from({ length: 4 }, () => element("td", { class: "number" }))
      return {
        element: element("tr", {}, element("td", {}, element("span", { class: "who" }, name), sub), ...cells),
        update({ available, in_use: inUse, lag_seconds: lag, reads, reason, waiting }) {
          write(sub, available ? "takes reads" : `left out: ${reason ?? "unknown"}`)
          const texts = [count(reads), lag === null ? "-" : duration(lag * 1000), count(inUse), count(waiting)]
          cells.forEach((cell, index) => write(cell, texts[index]!))
        }
      }
    }
  })

/** Something that happened, and the time of the report that tells of it. */
type Dated<Event> = readonly [event: Event, now: number]

export const makeSlow = (): View<ReadonlyArray<Dated<SlowStatement>>> =>
  makeRows({
    name: "Slow statements",
    columns: [["Where"], ["Took", "number"], ["Statement", "wide"]],
    none: "None.",
    keyOf: ([{ at, millis, text }]) => `${at} ${millis} ${text}`,
    row: ([{ fiber, millis, span, text }]) => {
      const sub = element("span", { class: "sub" })
      return {
        element: element(
          "tr",
          {},
          element("td", {}, element("span", { class: "who" }, span ?? fiber ?? "-"), sub),
          element("td", { class: "number" }, duration(millis)),
          element("td", { class: "wide" }, element("code", {}, text))
        ),
        update: ([{ at, error }, now]) => write(sub, `${age(now - at)} ago${error === undefined ? "" : `, ${error}`}`)
      }
    }
  })

export const makeRecentFailures = (): View<ReadonlyArray<Dated<Failure>>> =>
  makeRows({
    name: "Recent failures",
    columns: [["What"], ["When", "number"], ["Statement", "wide"]],
    none: "None.",
    keyOf: ([{ at, error, statement = "" }]) => `${at} ${error} ${statement}`,
    row: ([{ at, code, error, fiber, span, statement }]) => {
      const when = new Date(at)
      const since = element("span", { class: "sub" })
      const place = [code, span ?? fiber].filter((text) => text !== undefined).join(", ")
      return {
        element: element(
          "tr",
          {},
          element("td", {}, element("span", { class: "who" }, error), element("span", { class: "sub" }, place)),
          element(
            "td",
            { class: "number" },
            element("time", { datetime: when.toISOString() }, when.toLocaleTimeString()),
            since
          ),
          element("td", { class: "wide" }, element("code", {}, statement ?? "-"))
        ),
        update: ([, now]) => write(since, `${age(now - at)} ago`)
      }
    }
  })
