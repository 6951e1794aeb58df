/** The page as a whole: what is connected, which database is shown, and what is worth saying aloud. */
export const main = /* js */ String.raw`
const at = (id) => document.getElementById(id)
const views = new Map()
const statuses = new Map()
let retryAt = undefined
let paused = false

/** The tab of the browser tells, too. */
function showIcon(status) {
  const colour = { healthy: "#1a9461", degraded: "#d08a00", unhealthy: "#d3362c" }[status] || "#8a939e"
  const picture = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='6' fill='" +
    colour + "'/></svg>"
  at("icon").setAttribute("href", "data:image/svg+xml," + encodeURIComponent(picture))
}

/** For those who do not see it: what has changed, and nothing else. */
function say(text) {
  write(at("news"), text)
}

function showLink(state, text) {
  mark(at("head"), "data-link", state)
  write(at("link"), text)
}

const tabs = makeTabs(at("tabs"), (name) => {
  for (const [other, view] of views) {
    view.asPanel(other === name, views.size > 1)
  }
})

function idsOf(name) {
  // A name is text, an id is not; their order is that of their first appearance.
  const index = Array.from(views.keys()).indexOf(name)
  return { id: "tab-" + index, "aria-controls": "database-" + index }
}

function showNews(databases) {
  const changes = databases.filter(({ health, name }) => statuses.get(name) !== health.status)
  const first = statuses.size === 0
  for (const { health, name } of databases) {
    statuses.set(name, health.status)
  }
  if (changes.length > 0) {
    say(changes.map(({ health, name }) => name + (first ? " is " : " is now ") + health.status).join(", "))
  }
}

function showReport(report) {
  const now = Date.parse(report.at)
  const { databases } = report
  databases.forEach((database, index) => {
    if (!views.has(database.name)) {
      const made = makeDatabase(database.name, "database-" + views.size, "tab-" + views.size)
      views.set(database.name, made)
      at("databases").append(made.element)
    }
    views.get(database.name).update(database, now)
  })
  for (const [name, view] of views) {
    if (!databases.some((database) => database.name === name)) {
      view.element.remove()
      views.delete(name)
      statuses.delete(name)
    }
  }
  at("none").hidden = databases.length > 0
  if (databases.length > 0) {
    const shown = tabs.update(databases, idsOf)
    for (const [name, view] of views) {
      view.asPanel(name === shown, views.size > 1)
    }
  } else {
    write(at("none"), "No database.")
  }
  at("overall").hidden = databases.length < 2
  write(at("overall"), report.status)
  mark(at("overall"), "data-status", report.status)
  write(at("process"), "process " + report.process.id + ", up " + age(report.process.uptimeMillis))
  const bad = databases.filter(({ health }) => health.status !== "healthy").length
  document.title = (bad > 0 ? "(" + bad + ") " : "") + "Databases: " + report.status
  showIcon(report.status)
  showNews(databases)
}

function tellPause() {
  if (retryAt !== undefined && !paused) {
    const wait = Math.max(Math.ceil((retryAt - Date.now()) / 1000), 0)
    showLink("lost", wait > 0 ? "next attempt in " + wait + " s" : "trying")
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
    if (!paused) {
      showLink("live", "live, " + new Date(report.at).toLocaleTimeString())
    }
  },
  failure(why, next) {
    if (retryAt === undefined) {
      say("Not connected. The figures are those of the last answer.")
      showIcon("unknown")
    }
    retryAt = next
    at("lost").hidden = false
    at("main").setAttribute("data-stale", "")
    write(at("lost-why"), why + " The figures below are those of the last answer.")
    tellPause()
  }
})

setInterval(tellPause, 1000)

at("again").addEventListener("click", () => void feed.ask())

at("pause").addEventListener("click", () => {
  paused = !paused
  mark(at("pause"), "aria-pressed", String(paused))
  showLink(paused ? "paused" : "waiting", paused ? "paused" : "connecting")
  feed.pause(paused)
})

void feed.ask()
`
