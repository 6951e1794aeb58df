/** The status page in a real browser, before a real server and a real database. */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { transformSync } from "esbuild"
import type { Page } from "playwright-core"
import { describe } from "vitest"
import { Db } from "../../src/Db.js"
import * as DbHttp from "../../src/DbHttp.js"
import { document } from "../../src/internal/http/page/document.js"
import { folder } from "../databases/folder.js"
import { eventually } from "../kit/postgres.js"
import { browser, describeBrowser, openPage } from "./browser.js"
import { serve } from "./serve.js"

class Archive extends Db.Tag("archive")<Archive>() {}

const opened = Effect.gen(function*() {
  const at = yield* folder
  const context = yield* Layer.build(Layer.mergeAll(
    Db.layer({ filename: `${at}/notes.db`, pool: { size: 3, overflow: 0, acquireTimeout: "5 seconds" } }),
    Archive.layer({ filename: `${at}/archive.db` })
  ))
  return context
})

/** A guard that the test can close. */
const makeGuard = () => {
  const guard = { open: true }
  const check: DbHttp.Guard = (handler) =>
    guard.open ? handler : Effect.succeed(HttpServerResponse.empty({ status: 401 }))
  return { guard, check }
}

const show = (page: Page, url: string) => Effect.promise(() => page.goto(`${url}/debug/db/ui`))

const text = (page: Page, selector: string) =>
  Effect.promise(() => page.locator(selector).first().textContent()).pipe(Effect.map((_) => _ ?? ""))

/** Waits, as a person would, until it is to be seen. */
const sees = (page: Page, selector: string, text: string | RegExp) =>
  Effect.promise(() => page.locator(selector).filter({ hasText: text, visible: true }).first().waitFor())

const cells = (page: Page, is: string) =>
  Effect.promise(() => page.locator(`#database-0 .meter i[data-is=${is}]`).count())

const hold = (until: Deferred.Deferred<void>, n: number) =>
  Effect.forEach(
    Array.from({ length: n }, (_, i) => i),
    (i) =>
      Db.session(Effect.zipRight(Db.query("SELECT '<b>bold</b>' AS markup"), Deferred.await(until))).pipe(
        Effect.withSpan(`<img src=x onerror="document.title='taken'"> ${i}`),
        Effect.forkScoped
      )
  )

describe("the text of the page", () => {
  const text = document("nonce-canary")

  it("is one document of all its files", () => {
    assert.match(text, /^<!doctype html>/)
    assert.strictEqual(text.match(/<(?:style|script)\b/g)?.length, 2)
    assert.strictEqual(text.match(/<\/(?:style|script)/g)?.length, 2)
    assert.strictEqual(text.match(/nonce="nonce-canary"/g)?.length, 2)
    assert.notMatch(text, /\{nonce\}|<link rel="stylesheet"|src="main\.ts"/)
  })

  it("has a style in which a browser finds no fault of syntax", () => {
    const [, style = ""] = /<style[^>]*>(.*)<\/style>/s.exec(text) ?? []
    assert.include(style, ".chart")
    assert.deepStrictEqual(transformSync(style, { loader: "css", logLevel: "silent" }).warnings, [])
  })

  it("writes nothing as markup, and needs no leave to run texts", () => {
    assert.notMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|\.srcdoc/)
  })
})

describeBrowser("the status page", () => {
  it.scopedLive("moves with the pool, asks no other server, and breaks no rule of its policy", () =>
    Effect.gen(function*() {
      const context = yield* opened
      const url = yield* serve(
        DbHttp.layer([Db], { debug: makeGuard().check }).pipe(Layer.provide(Layer.succeedContext(context)))
      )
      const { page, traces } = yield* openPage(yield* browser)
      yield* show(page, url)
      yield* sees(page, ".database h2", "default")
      assert.strictEqual(yield* cells(page, "used"), 0)

      const done = yield* Deferred.make<void>()
      yield* hold(done, 5).pipe(Effect.provide(context))
      yield* sees(page, "#database-0 .legend .used", "3 in use")
      yield* sees(page, "#database-0 .legend .waiting", "2 waiting")
      assert.strictEqual(yield* cells(page, "used"), 3)
      const meter = page.getByRole("meter", { name: "Connections in use" })
      assert.strictEqual(
        yield* Effect.promise(() => meter.getAttribute("aria-valuetext")),
        "3 of 3 connections in use, 0 idle, 2 waiting"
      )
      yield* sees(page, ".title .status", "degraded")
      // What is a statement's or a span's text stays text.
      yield* sees(page, "td code", "SELECT '<b>bold</b>' AS markup")
      yield* sees(page, "td .who", "<img src=x onerror=\"document.title='taken'\"> 0")
      assert.strictEqual(yield* Effect.promise(() => page.locator("main b:text('bold'), main img").count()), 0)
      assert.match(yield* text(page, "#news"), /degraded/)
      assert.match(yield* Effect.promise(() => page.title()), /degraded/)

      yield* Deferred.succeed(done, undefined)
      yield* sees(page, "#database-0 .legend .used", "0 in use")
      yield* sees(page, "#database-0 .legend .waiting", "0 waiting")

      assert.deepStrictEqual(traces.errors, [])
      for (const request of traces.requests) {
        assert.isTrue(request.startsWith(`${url}/debug/db`) || request.startsWith("data:"), request)
      }
    }))

  it.scopedLive("says that it is not connected, tries again, and goes on", () =>
    Effect.gen(function*() {
      const context = yield* opened
      const { check, guard } = makeGuard()
      const url = yield* serve(
        DbHttp.layer([Db], { debug: check }).pipe(Layer.provide(Layer.succeedContext(context)))
      )
      const { page, traces } = yield* openPage(yield* browser)
      yield* Effect.promise(() => page.clock.install())
      yield* show(page, url)
      yield* sees(page, ".database h2", "default")
      guard.open = false
      yield* sees(page, "#lost", /Not connected.*does not let this page pass/s)
      yield* sees(page, "#link", /next attempt in|trying/)
      assert.match(yield* text(page, "#news"), /Not connected/)
      // From here on the page does nothing by itself: what comes is the button's doing.
      yield* Effect.promise(async () => page.clock.pauseAt(await page.evaluate(() => Date.now()) + 1000))
      yield* eventually(Effect.sync(() => traces.answered - traces.requests.length), (waiting) => waiting === 0)
      guard.open = true
      yield* Effect.promise(() => page.getByRole("button", { name: "Try now" }).click())
      yield* sees(page, "#link", /live/)
      assert.isFalse(yield* Effect.promise(() => page.locator("#lost").isVisible()))
    }))

  it.scopedLive("is led by the keyboard, and pauses", () =>
    Effect.gen(function*() {
      const context = yield* opened
      const url = yield* serve(
        DbHttp.layer([Db, Archive], { debug: makeGuard().check }).pipe(Layer.provide(Layer.succeedContext(context)))
      )
      const { page, traces } = yield* openPage(yield* browser, { viewport: { width: 360, height: 740 } })
      yield* show(page, url)
      yield* sees(page, "[role=tab]", "archive")
      const focused = Effect.promise(() => page.evaluate("document.activeElement.textContent"))
      yield* Effect.promise(() => page.keyboard.press("Tab"))
      assert.strictEqual(yield* focused, "Pause")
      yield* Effect.promise(() => page.keyboard.press("Tab"))
      assert.match(String(yield* focused), /^default/)
      yield* Effect.promise(() => page.keyboard.press("ArrowRight"))
      assert.match(String(yield* focused), /^archive/)
      yield* sees(page, ".database h2", "archive")
      assert.isFalse(yield* Effect.promise(() => page.locator("#database-0").isVisible()))
      assert.strictEqual(yield* Effect.promise(() => page.getByRole("tabpanel").count()), 1)
      yield* Effect.promise(() => page.keyboard.press("Home"))
      yield* sees(page, ".database h2", "default")
      // A phone's width is enough: nothing is to be reached by scrolling sideways.
      assert.isTrue(yield* Effect.promise(() => page.evaluate("document.documentElement.scrollWidth <= innerWidth")))

      yield* Effect.promise(() => page.getByRole("button", { name: "Pause" }).press("Enter"))
      yield* sees(page, "#link", "paused")
      const asked = traces.requests.length
      yield* Effect.promise(() => page.waitForTimeout(1_500))
      assert.isAtMost(traces.requests.length - asked, 1)
      yield* Effect.promise(() => page.getByRole("button", { name: "Pause" }).press("Enter"))
      yield* sees(page, "#link", /live/)
      assert.deepStrictEqual(traces.errors, [])
    }))

  it.scopedLive("shows slow statements and failures as texts, whatever is in them", () =>
    Effect.gen(function*() {
      const context = yield* opened
      const url = yield* serve(
        DbHttp.layer([Db], { debug: makeGuard().check }).pipe(Layer.provide(Layer.succeedContext(context)))
      )
      const { page, traces } = yield* openPage(yield* browser)
      const markup = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>"
      // Figures that no real statement gives on command.
      yield* Effect.promise(() =>
        page.route(`${url}/debug/db?*`, async (route) => {
          const answer = await route.fetch()
          const report = await answer.json()
          const { metrics } = report.databases[0]
          metrics.failures = { [markup]: 3 }
          metrics.recentFailures = [
            { error: markup, code: "23505", at: Date.parse(report.at) - 125_000, statement: `INSERT ${markup}` }
          ]
          metrics.slowStatements = Array.from({ length: 20 }, (_, i) => ({
            text: `${i} ${markup}`,
            millis: 1234,
            at: Date.parse(report.at) - 65_000,
            span: "GET /slow",
            error: "TimeoutError.Statement"
          }))
          await route.fulfill({ response: answer, json: report })
        })
      )
      yield* show(page, url)
      yield* sees(page, "td code", `0 ${markup}`)
      yield* sees(page, ".sub", "1 min 5 s ago, TimeoutError.Statement")
      yield* sees(page, "td.number", "1.2 s")
      yield* sees(page, ".bars span", markup)
      const failure = page.getByRole("region", { name: "Recent failures" }).locator("tbody tr")
      yield* sees(page, "td .who", markup)
      assert.match(yield* Effect.promise(() => failure.innerText()), /\d:\d\d:\d\d.*2 min 5 s ago/s)
      assert.include(yield* Effect.promise(() => failure.innerText()), `INSERT ${markup}`)
      const rows = Effect.promise(() =>
        page.getByRole("region", { name: "Slow statements" }).locator("tbody tr").count()
      )
      assert.strictEqual(yield* rows, 8)
      yield* Effect.promise(() => page.getByRole("button", { name: "Show all 20" }).press("Enter"))
      assert.strictEqual(yield* rows, 20)
      assert.strictEqual(yield* Effect.promise(() => page.locator("main script, main img").count()), 0)
      assert.deepStrictEqual(traces.errors, [])
    }))

  it.scopedLive("shows the last ten minutes as soon as it is opened, and asks for what came after", () =>
    Effect.gen(function*() {
      const context = yield* opened
      const url = yield* serve(
        DbHttp.layer([Db], { debug: makeGuard().check }).pipe(Layer.provide(Layer.succeedContext(context)))
      )
      const { page, traces } = yield* openPage(yield* browser, { viewport: { width: 1280, height: 900 } })
      // Ten minutes that no test waits for, in the first answer alone.
      yield* Effect.promise(() =>
        page.route(`${url}/debug/db?since=0`, async (route) => {
          const answer = await route.fetch()
          const report = await answer.json()
          const now = Date.parse(report.at)
          report.databases[0].poolHistory = Array.from({ length: 299 }, (_, i) => ({
            at: now - 598_000 + 2_000 * i,
            capacity: 3,
            inUse: i < 150 ? 2 : 0,
            idle: 0,
            waiting: i === 10 ? 5 : 0
          }))
          await route.fulfill({ response: answer, json: report })
        })
      )
      yield* show(page, url)
      yield* sees(page, ".axis span", "10 min ago")
      const chart = page.getByRole("img", { name: "at most 2 in use and 5 waiting, of 3" })
      const box = yield* Effect.promise(() => chart.boundingBox())
      assert.isAtLeast(box!.height, 120)
      assert.isAtMost(box!.height, 240)
      // In use from the left edge to the middle, as the server remembers it, not as the page has seen it.
      const path = yield* Effect.promise(() => chart.locator("path.used").getAttribute("d"))
      assert.match(path!, /^M(\d|-?0)(\.\d)? 100V71\.4/)
      yield* eventually(
        Effect.sync(() => traces.requests.filter((request) => /\/debug\/db\?since=\d{13}$/.test(request))),
        (requests) => requests.length > 0
      )
      assert.lengthOf(traces.requests.filter((request) => request.endsWith("?since=0")), 1)
    }))

  it.scopedLive("says when a statement failed", () =>
    Effect.gen(function*() {
      const context = yield* opened
      const url = yield* serve(
        DbHttp.layer([Db], { debug: makeGuard().check }).pipe(Layer.provide(Layer.succeedContext(context)))
      )
      yield* Effect.ignore(Db.query("SELECT * FROM nowhere").pipe(Effect.withSpan("GET /nowhere"))).pipe(
        Effect.provide(context)
      )
      const { page } = yield* openPage(yield* browser)
      yield* show(page, url)
      yield* sees(page, "td .who", "QueryError.UndefinedObject")
      const row = page.getByRole("region", { name: "Recent failures" }).locator("tbody tr")
      assert.match(yield* Effect.promise(() => row.innerText()), /GET \/nowhere.*\d s ago.*SELECT \* FROM nowhere/s)
      const time = yield* Effect.promise(() => row.locator("time").getAttribute("datetime"))
      assert.isBelow(Math.abs(Date.now() - Date.parse(time!)), 60_000)
    }))

  for (const colorScheme of ["light", "dark"] as const) {
    it.scopedLive(`is readable in ${colorScheme}: every text has the contrast of WCAG AA`, () =>
      Effect.gen(function*() {
        const context = yield* opened
        const url = yield* serve(
          DbHttp.layer([Db, Archive], { debug: makeGuard().check }).pipe(Layer.provide(Layer.succeedContext(context)))
        )
        const done = yield* Deferred.make<void>()
        yield* hold(done, 4).pipe(Effect.provide(context))
        yield* Effect.ignore(Db.query("SELECT * FROM nowhere")).pipe(Effect.provide(context))
        const { page } = yield* openPage(yield* browser, { colorScheme })
        yield* show(page, url)
        yield* sees(page, "#database-0 .legend .waiting", "1 waiting")
        const faint = yield* Effect.promise(() => page.evaluate(contrast))
        assert.deepStrictEqual(faint, [])
      }))
  }
})

/** Run in the browser: the texts whose contrast with what lies behind them is below 4.5. */
const contrast = String.raw`(() => {
  const parse = (color) => (color.match(/[\d.]+/g) || []).map(Number)
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    return 0.2126 * x + 0.7152 * y + 0.0722 * z
  }
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor)
      if (color.length === 3 || color[3] > 0) return color
    }
    return [255, 255, 255]
  }
  const faint = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || ["SCRIPT", "STYLE"].includes(element.tagName)) continue
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x)
    const ratio = (a + 0.05) / (b + 0.05)
    if (ratio < 4.5) faint.push(element.className + " " + walker.currentNode.data + " " + ratio.toFixed(2))
  }
  return faint
})()`
