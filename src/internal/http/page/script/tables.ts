/** Durations, failures, holders and slow statements. */
export const tables = /* js */ String.raw`
/** From a tenth of a millisecond to ten seconds, each power of ten as wide as the others; in percent. */
function onScale(millis) {
  return Math.min(Math.max((Math.log10(Math.max(millis, 0.1)) + 1) / 5, 0), 1) * 100
}

function table(name, columns, stacked) {
  const body = element("tbody")
  const head = columns.map(([text, kind]) => element("th", { scope: "col", class: kind || "" }, text))
  return {
    body,
    element: element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": name },
      element("table", { class: stacked ? "stacked" : "" }, element("thead", {}, element("tr", {}, ...head)), body)
    )
  }
}

const measured = [
  ["operation", "Statement"],
  ["wait", "Waiting"],
  ["use", "Borrowed"],
  ["create", "Opening"]
]

function makeDurations() {
  const scale = element(
    "span",
    { class: "scale", "aria-hidden": "true" },
    ...["0.1 ms", "10 s"].map((text) => element("span", {}, text))
  )
  const { body, element: whole } = table("Durations", [
    ["What"],
    ["Median", "number"],
    ["95 %", "number"],
    ["99 %", "number"],
    ["Most", "number"],
    [scale]
  ], true)
  return {
    element: element("div", { class: "durations" }, whole),
    update(durations) {
      const known = measured.filter(([name]) => durations[name] !== undefined)
      keep(body, known, ([name]) => name, ([, title]) => {
        const row = element("tr", {}, element("th", { scope: "row" }, title))
        for (const what of ["median", "95 %", "99 %", "most"]) {
          row.append(element("td", { class: "number", "data-what": what }))
        }
        row.append(
          element("td", { "aria-hidden": "true" }, element("span", { class: "range" }, element("i"), element("u"), element("u")))
        )
        return row
      }, (row, [name]) => {
        const { maxMillis, percentiles } = durations[name]
        const some = percentiles !== undefined && percentiles !== null
        const texts = some
          ? [percentiles.p50, percentiles.p95, percentiles.p99, maxMillis].map(duration)
          : ["-", "-", "-", "-"]
        texts.forEach((text, index) => write(row.children[index + 1], text))
        const [band, median, high] = row.querySelectorAll("i, u")
        const range = band.parentElement
        range.hidden = !some
        if (some) {
          const from = onScale(percentiles.p50)
          band.style.left = from + "%"
          band.style.width = Math.max(onScale(percentiles.p99) - from, 1) + "%"
          median.style.left = from + "%"
          high.style.left = onScale(percentiles.p95) + "%"
        }
      })
    }
  }
}

function makeFailures() {
  const bars = element("ul", { class: "bars" })
  const none = element("p", { class: "empty" }, "None.")
  return {
    element: element("div", {}, bars, none),
    update(failures) {
      const items = Object.entries(failures).sort((a, b) => b[1] - a[1])
      none.hidden = items.length > 0
      keep(bars, items, ([reason]) => reason, ([reason]) =>
        element("li", {}, element("span", {}, reason), element("b"), element("i", { "aria-hidden": "true" })),
        (item, [, n]) => {
          write(item.children[1], count(n))
          item.children[2].style.width = (100 * n / items[0][1]) + "%"
        })
    }
  }
}

/** Held for so long, in milliseconds, that it is worth a look. */
const oldAge = 10000

/** So many rows are shown before somebody asks for all. */
const firstRows = 8

/** The button that shows the others, where there are others. */
function makeMore(onToggle) {
  let all = false
  const button = element("button", { type: "button", class: "more", "aria-expanded": "false", hidden: "" })
  button.addEventListener("click", () => {
    all = !all
    mark(button, "aria-expanded", String(all))
    onToggle()
  })
  return {
    element: button,
    of(items) {
      button.hidden = items.length <= firstRows
      write(button, all ? "Show fewer" : "Show all " + count(items.length))
      return all ? items : items.slice(0, firstRows)
    }
  }
}

function makeHolders() {
  const { body, element: whole } = table("Holders", [["Who"], ["For", "number"], ["Last statement", "wide"]], true)
  const none = element("p", { class: "empty" }, "Nobody.")
  let last = []
  const more = makeMore(() => view.update(last))
  const view = {
    element: element("div", {}, whole, more.element, none),
    update(holders) {
      last = holders
      const items = holders.slice().sort((a, b) => b.heldForMillis - a.heldForMillis)
      none.hidden = items.length > 0
      whole.hidden = items.length === 0
      keep(body, more.of(items), (_, index) => String(index), () =>
        element(
          "tr",
          {},
          element("td", {}, element("span", { class: "who" }), element("span", { class: "sub" })),
          element("td", { class: "number" }),
          element("td", { class: "wide" }, element("code"))
        ), (row, holder) => {
          const [who, held, statement] = row.children
          write(who.children[0], holder.span || holder.fiber)
          write(who.children[1], holder.state + (holder.span ? ", " + holder.fiber : ""))
          write(held, age(holder.heldForMillis))
          held.classList.toggle("old", holder.heldForMillis >= oldAge)
          write(statement.children[0], holder.statement || "none yet")
        })
    }
  }
  return view
}

function makeSlow() {
  const { body, element: whole } = table("Slow statements", [["Where"], ["Took", "number"], ["Statement", "wide"]], true)
  const none = element("p", { class: "empty" }, "None.")
  let last = [[], 0]
  const more = makeMore(() => view.update(...last))
  const view = {
    element: element("div", {}, whole, more.element, none),
    update(statements, now) {
      last = [statements, now]
      none.hidden = statements.length > 0
      whole.hidden = statements.length === 0
      keep(body, more.of(statements), (one) => one.at + " " + one.millis + " " + one.text, (one) =>
        element(
          "tr",
          {},
          element("td", {}, element("span", { class: "who" }, one.span || one.fiber || "-"), element("span", { class: "sub" })),
          element("td", { class: "number" }, duration(one.millis)),
          element("td", { class: "wide" }, element("code", {}, one.text))
        ), (row, one) => {
          write(row.children[0].children[1], age(now - one.at) + " ago" + (one.error ? ", " + one.error : ""))
        })
    }
  }
  return view
}
`
