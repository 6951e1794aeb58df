/** One database: everything that is known of it. */
import type { Database, Health, Info } from "../report.js"
import { makeChart } from "./chart.js"
import { element, mark, type View, write } from "./dom.js"
import { count, duration, rate } from "./format.js"
import { makeHistory } from "./history.js"
import { makeMeter } from "./meter.js"
import { makeDurations, makeFailures, makeHolders, makeRecentFailures, makeReplicas, makeSlow } from "./tables.js"

const families: Readonly<Record<string, string>> = {
  sqlite: "SQLite",
  postgresql: "PostgreSQL",
  mysql: "MySQL",
  mariadb: "MariaDB",
  mssql: "SQL Server"
}

const panel = (title: string, note: string, kind: string, ...content: ReadonlyArray<Node>) => {
  const heading = element("h3", {}, title)
  if (note !== "") {
    heading.append(element("span", { class: "note" }, ` ${note}`))
  }
  return element("section", { class: `panel ${kind}` }, heading, ...content)
}

interface Figure {
  readonly text: string
  readonly note?: string
  readonly isAlarm?: boolean
}

const makeFigures = (titles: ReadonlyArray<string>): View<ReadonlyArray<Figure>> => {
  const boxes = titles.map((title) => {
    const value = element("dd")
    return { value, box: element("div", {}, element("dt", {}, title), value) }
  })
  return {
    element: element("dl", { class: "figures-row" }, ...boxes.map(({ box }) => box)),
    update: (figures) =>
      boxes.forEach(({ box, value }, index) => {
        const { isAlarm = false, note = "", text = "" } = figures[index] ?? {}
        if (value.textContent !== (note === "" ? text : `${text} ${note}`)) {
          value.replaceChildren(text, ...(note === "" ? [] : [" ", element("small", {}, note)]))
        }
        box.classList.toggle("alarm", isAlarm)
      })
  }
}

const factsOf = (health: Health, info: Info | undefined): string =>
  [
    [families[health.database_type] ?? health.database_type, info?.serverVersion].filter(Boolean).join(" "),
    info?.uri,
    info?.access === "read-only" ? "read-only" : "",
    health.migration_status === null ? "" : `migrations: ${health.migration_status.replaceAll("_", " ")}`
  ].filter(Boolean).join(" \u00b7 ")

/** What needs a pool, and what was counted: not there for a database that could not be opened. */
const makeGrid = () => {
  const history = makeHistory()
  const figures = makeFigures([
    "Statements",
    "Transactions",
    "Rolled back",
    "Sessions",
    "Failures",
    "Retries",
    "Health check"
  ])
  const meter = makeMeter()
  const chart = makeChart()
  const durations = makeDurations()
  const failures = makeFailures()
  const recent = makeRecentFailures()
  const holders = makeHolders()
  const slow = makeSlow()
  const replicas = makeReplicas()
  const replicasPanel = panel("Replicas", "", "whole", replicas.element)
  const grid = element(
    "div",
    { class: "grid" },
    panel("Since the start", "", "whole", figures.element),
    panel("Pool", "", "pool", meter.element, chart.element),
    replicasPanel,
    panel("Durations", "", "", durations.element),
    panel("Failures", "by reason", "", failures.element),
    panel("Connections in use", "the longest first", "whole", holders.element),
    panel("Recent failures", "the newest first", "whole", recent.element),
    panel("Slow statements", "the newest first", "whole", slow.element)
  )
  return {
    element: grid,
    update({ health, metrics, pool, poolHistory }: Database, now: number) {
      history.add(poolHistory, now)
      grid.hidden = metrics === undefined
      if (metrics === undefined || pool === undefined) {
        return
      }
      history.count(now, metrics)
      const { committed, rolledBack, unknown } = metrics.transactions
      figures.update([
        { text: count(metrics.statements), note: `${rate(history.rateOf("statements"))} / s` },
        { text: count(committed), note: `${rate(history.rateOf("committed"))} / s` },
        { text: count(rolledBack), note: unknown > 0 ? `+ ${count(unknown)} unknown` : "", isAlarm: unknown > 0 },
        { text: count(metrics.sessions.active), note: `open of ${count(metrics.sessions.opened)}` },
        { text: count(Object.values(metrics.failures).reduce((sum, n) => sum + n, 0)) },
        { text: count(metrics.retries) },
        { text: duration(health.response_time_ms) }
      ])
      meter.update(pool)
      chart.update(history.upTo(now, pool))
      replicasPanel.hidden = health.replicas === undefined
      replicas.update(health.replicas ?? [])
      holders.update(pool.holders)
      durations.update(metrics.durations)
      failures.update(metrics.failures)
      recent.update(metrics.recentFailures.map((failure) => [failure, now]))
      slow.update(metrics.slowStatements.map((statement) => [statement, now]))
    }
  }
}

export const makeDatabase = (name: string, panelId: string, tabId: string) => {
  const status = element("span", { class: "status" })
  const facts = element("p", { class: "facts" })
  const why = element("p", { class: "why" })
  const grid = makeGrid()
  const whole = element(
    "section",
    { class: "database", id: panelId, "aria-label": name },
    element("div", { class: "title" }, element("h2", {}, name), status),
    facts,
    why,
    grid.element
  )
  return {
    element: whole,
    /** With several databases each is the panel of a tab. */
    asPanel(isShown: boolean, hasTab: boolean) {
      whole.hidden = !isShown
      if (hasTab) {
        mark(whole, "role", "tabpanel")
        mark(whole, "aria-labelledby", tabId)
        mark(whole, "tabindex", "0")
      }
    },
    update(database: Database, now: number) {
      const { health, info } = database
      write(status, health.status)
      mark(status, "data-status", health.status)
      mark(why, "data-status", health.status)
      why.hidden = health.error === null
      write(why, health.error ?? "")
      write(facts, factsOf(health, info))
      grid.update(database, now)
    }
  }
}
