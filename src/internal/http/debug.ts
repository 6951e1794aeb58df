/**
 * The debug routes: everything that is known, as JSON and as a page; behind the application's guard.
 */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { randomBytes } from "node:crypto"
import * as DbHealth from "../../DbHealth.js"
import type { Databases, Details } from "./databases.js"
import { worst } from "./health.js"
import type { History } from "./history.js"
import { document, policy } from "./page/document.js"
import type { Report } from "./page/report.js"

const encode = Schema.encodeSync(DbHealth.Report)

/** Without what no JSON holds: a schema, and a generator of keys. */
const plain = (details: Details | undefined) =>
  details === undefined ? undefined : { ...details, info: { ...details.info, primaryKey: undefined } }

/** All of it; of the pools' history what came after `since`. Those that are open are looked at after their health was, so that one opened for it shows its figures. */
export const figures = (
  databases: Databases,
  history: History,
  since: number
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.gen(function*() {
    const looked = yield* Effect.forEach(
      databases.all,
      (database) =>
        Effect.gen(function*() {
          const report = yield* database.health
          const details = report.pool.capacity === 0 ? undefined : yield* database.details
          return { name: database.name, report, details, poolHistory: yield* history.since(database, since) }
        }),
      { concurrency: "unbounded" }
    )
    const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    const report: Report = {
      at: new Date(now).toISOString(),
      status: worst(looked.map((_) => _.report)),
      process: { id: process.pid, uptimeMillis: Math.round(process.uptime() * 1000) },
      databases: looked.map(({ details, name, poolHistory, report }) => ({
        name,
        health: encode(report),
        ...plain(details),
        poolHistory
      }))
    }
    return HttpServerResponse.unsafeJson(report, { headers: { "cache-control": "no-store" } })
  })

/** The page that shows it. */
export const page: Effect.Effect<HttpServerResponse.HttpServerResponse> = Effect.sync(() => {
  const nonce = randomBytes(18).toString("base64")
  return HttpServerResponse.text(document(nonce), {
    contentType: "text/html; charset=utf-8",
    headers: {
      "cache-control": "no-store",
      "content-security-policy": policy(nonce),
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY"
    }
  })
})
