/** The page as a whole: what is connected, which database is shown, and what is worth saying aloud. */
import type { Database, Report, Status } from "../report.js"
import { makeDatabase } from "./database.js"
import { mark, write } from "./dom.js"
import { makeFeed } from "./feed.js"
import { age } from "./format.js"
import { makeTabs } from "./tabs.js"

const at = (id: string): HTMLElement => document.getElementById(id)!
const views = new Map<string, ReturnType<typeof makeDatabase>>()
const statuses = new Map<string, Status>()
let retryAt: number | undefined
let isPaused = false

const colours = { healthy: "#1a9461", degraded: "#d08a00", unhealthy: "#d3362c", unknown: "#8a939e" }

/** The tab of the browser tells, too. */
const showIcon = (status: keyof typeof colours): void => {
  const picture = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>" +
    `<circle cx='8' cy='8' r='6' fill='${colours[status]}'/></svg>`
  mark(at("icon"), "href", `data:image/svg+xml,${encodeURIComponent(picture)}`)
}

/** For screen readers: what has changed, and nothing else. */
const say = (text: string): void => write(at("news"), text)

const showLink = (state: "waiting" | "live" | "lost" | "paused", text: string): void => {
  mark(at("head"), "data-link", state)
  write(at("link"), text)
}

const showPanel = (shown: string | undefined): void => {
  for (const [name, view] of views) {
    view.asPanel(name === shown, views.size > 1)
  }
}

const tabs = makeTabs(
  at("tabs"),
  (name) => {
    // A name is text, an id is not; their order is that of their first appearance.
    const index = Array.from(views.keys()).indexOf(name)
    return { id: `tab-${index}`, "aria-controls": `database-${index}` }
  },
  showPanel
)

const showNews = (databases: ReadonlyArray<Database>): void => {
  const changes = databases.filter(({ health, name }) => statuses.get(name) !== health.status)
  const isFirst = statuses.size === 0
  for (const { health, name } of databases) {
    statuses.set(name, health.status)
  }
  if (changes.length > 0) {
    say(changes.map(({ health, name }) => `${name} is ${isFirst ? "" : "now "}${health.status}`).join(", "))
  }
}

const showDatabases = (databases: ReadonlyArray<Database>, now: number): void => {
  for (const database of databases) {
    let view = views.get(database.name)
    if (view === undefined) {
      view = makeDatabase(database.name, `database-${views.size}`, `tab-${views.size}`)
      views.set(database.name, view)
      at("databases").append(view.element)
    }
    view.update(database, now)
  }
  for (const [name, view] of views) {
    if (!databases.some((database) => database.name === name)) {
      view.element.remove()
      views.delete(name)
      statuses.delete(name)
    }
  }
  at("none").hidden = databases.length > 0
  if (databases.length > 0) {
    showPanel(tabs.update(databases))
  } else {
    write(at("none"), "No database.")
  }
}

const showReport = (report: Report): void => {
  const { databases, process, status } = report
  showDatabases(databases, Date.parse(report.at))
  at("overall").hidden = databases.length < 2
  write(at("overall"), status)
  mark(at("overall"), "data-status", status)
  write(at("process"), `process ${process.id}, up ${age(process.uptimeMillis)}`)
  const bad = databases.filter(({ health }) => health.status !== "healthy").length
  document.title = `${bad > 0 ? `(${bad}) ` : ""}Databases: ${status}`
  showIcon(status)
  showNews(databases)
}

const showRetry = (): void => {
  if (retryAt !== undefined && !isPaused) {
    const wait = Math.max(Math.ceil((retryAt - Date.now()) / 1000), 0)
    showLink("lost", wait > 0 ? `next attempt in ${wait} s` : "trying")
  }
}

const feed = makeFeed(location.pathname.replace(/\/ui\/?$/, ""), {
  report(report) {
    if (retryAt !== undefined) {
      say("connected again")
    }
    retryAt = undefined
    at("lost").hidden = true
    at("main").removeAttribute("data-stale")
    showReport(report)
    if (!isPaused) {
      showLink("live", `live, ${new Date(report.at).toLocaleTimeString()}`)
    }
  },
  failure(why, next) {
    if (retryAt === undefined) {
      say("Not connected. The figures are those of the last answer.")
      showIcon("unknown")
    }
    retryAt = next
    at("lost").hidden = false
    mark(at("main"), "data-stale", "")
    write(at("lost-why"), `${why} The figures below are those of the last answer.`)
    showRetry()
  }
})

setInterval(showRetry, 1000)

at("again").addEventListener("click", () => void feed.ask())

at("pause").addEventListener("click", () => {
  isPaused = !isPaused
  mark(at("pause"), "aria-pressed", String(isPaused))
  showLink(isPaused ? "paused" : "waiting", isPaused ? "paused" : "connecting")
  feed.pause(isPaused)
})

void feed.ask()
