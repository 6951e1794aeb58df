/**
 * What the person on call sees: everything, as JSON and as a page; behind the application's guard.
 */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { randomBytes } from "node:crypto"
import * as DbHealth from "../../DbHealth.js"
import type { Databases, Details } from "./databases.js"
import { worst } from "./health.js"
import { document, policy } from "./page/document.js"

const encode = Schema.encodeSync(DbHealth.Report)

/** Without what no JSON holds: a schema, and a generator of keys. */
const plain = (details: Details | undefined) =>
  details === undefined ? undefined : { ...details, info: { ...details.info, primaryKey: undefined } }

/** All of it. Those that are open are looked at after their health was, so that one opened for it shows its figures. */
export const figures = (databases: Databases): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.gen(function*() {
    const looked = yield* Effect.forEach(
      databases.all,
      ({ details, health, name }) =>
        Effect.flatMap(health, (report) =>
          Effect.map(
            report.pool.capacity === 0 ? Effect.succeed(undefined) : details,
            (details) => ({ name, report, details })
          )),
      { concurrency: "unbounded" }
    )
    const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    return HttpServerResponse.unsafeJson({
      at: new Date(now).toISOString(),
      status: worst(looked.map((_) => _.report)),
      process: { id: process.pid, uptimeMillis: Math.round(process.uptime() * 1000) },
      databases: looked.map(({ details, name, report }) => ({ name, health: encode(report), ...plain(details) }))
    }, { headers: { "cache-control": "no-store" } })
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
