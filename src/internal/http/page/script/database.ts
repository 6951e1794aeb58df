/** One database: everything that is known of it. */
export const database = /* js */ String.raw`
const families = { sqlite: "SQLite", postgresql: "PostgreSQL", mysql: "MySQL", mariadb: "MariaDB", mssql: "SQL Server" }

function panel(title, note, kind, ...content) {
  const heading = element("h3", {}, title)
  if (note) {
    heading.append(element("span", { class: "note" }, " " + note))
  }
  return element("section", { class: "panel " + kind }, heading, ...content)
}

function makeFigures(titles) {
  const values = titles.map(() => element("dd"))
  const boxes = titles.map((title, index) => element("div", {}, element("dt", {}, title), values[index]))
  return {
    element: element("dl", { class: "figures-row" }, ...boxes),
    update(figures) {
      figures.forEach((figure, index) => {
        const [text, small, alarm] = figure
        const whole = text + (small ? " " + small : "")
        if (values[index].textContent !== whole) {
          values[index].replaceChildren(text, ...(small ? [" ", element("small", {}, small)] : []))
        }
        boxes[index].classList.toggle("alarm", alarm === true)
      })
    }
  }
}

function makeDatabase(name, panelId, tabId) {
  const history = makeHistory()
  const status = element("span", { class: "status" })
  const facts = element("p", { class: "facts" })
  const why = element("p", { class: "why" })
  const figures = makeFigures(["Statements", "Transactions", "Rolled back", "Sessions", "Failures", "Retries", "Health check"])
  const meter = makeMeter()
  const chart = makeChart()
  const durations = makeDurations()
  const failures = makeFailures()
  const holders = makeHolders()
  const slow = makeSlow()
  const grid = element(
    "div",
    { class: "grid" },
    panel("Since the start", "", "whole", figures.element),
    panel("Pool", "", "pool", meter.element, chart.element),
    panel("Durations", "", "", durations.element),
    panel("Failures", "by reason", "", failures.element),
    panel("Who holds a connection", "the longest first", "whole", holders.element),
    panel("Slow statements", "the newest first", "whole", slow.element)
  )
  const whole = element(
    "section",
    { class: "database", id: panelId, "aria-label": name },
    element("div", { class: "title" }, element("h2", {}, name), status),
    facts,
    why,
    grid
  )
  return {
    element: whole,
    /** With several databases each is the panel of a tab. */
    asPanel(shown, isOne) {
      whole.hidden = !shown
      if (isOne) {
        mark(whole, "role", "tabpanel")
        mark(whole, "aria-labelledby", tabId)
        mark(whole, "tabindex", "0")
      }
    },
    update(database, now) {
      const { health, info, metrics, pool } = database
      write(status, health.status)
      mark(status, "data-status", health.status)
      mark(why, "data-status", health.status)
      why.hidden = !health.error
      write(why, health.error || "")
      write(
        facts,
        [
          [families[health.database_type] || health.database_type, info && info.serverVersion].filter(Boolean).join(" "),
          info && info.uri,
          info && info.access === "read-only" ? "read-only" : "",
          health.migration_status ? "migrations: " + health.migration_status.replaceAll("_", " ") : ""
        ].filter(Boolean).join(" \u00b7 ")
      )
      // A database that could not be opened has no pool yet, and nothing was counted.
      grid.hidden = !metrics
      if (!metrics) {
        return
      }
      history.add(now, database)
      const { transactions } = metrics
      const failed = Object.values(metrics.failures).reduce((sum, n) => sum + n, 0)
      figures.update([
        [count(metrics.statements), rate(history.rateOf("statements")) + " / s"],
        [count(transactions.committed), rate(history.rateOf("committed")) + " / s"],
        [count(transactions.rolledBack), transactions.unknown > 0 ? "+ " + count(transactions.unknown) + " unknown" : "", transactions.unknown > 0],
        [count(metrics.sessions.active), "open of " + count(metrics.sessions.opened)],
        [count(failed)],
        [count(metrics.retries)],
        [duration(health.response_time_ms)]
      ])
      meter.update(pool)
      chart.update(history.samples)
      holders.update(pool.holders)
      durations.update(metrics.durations || {})
      failures.update(metrics.failures)
      slow.update(metrics.slowStatements || [], now)
    }
  }
}
`
