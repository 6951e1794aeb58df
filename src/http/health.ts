/**
 * What a load balancer and a dashboard are told, without a password: whether the databases are well, and no more of
 * what a server says than that.
 */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as DbHealth from "../DbHealth.js"
import type { Databases } from "./databases.js"
import { problem } from "./failure.js"

export const Health = Schema.Struct({
  /** The worst of them. */
  status: DbHealth.Status,
  databases: Schema.Array(DbHealth.Report)
})

export const Live = Schema.Struct({ status: Schema.Literal("alive") })

export const Ready = Schema.Struct({ status: Schema.Literal("ready", "not ready") })

export const UnknownDatabase = Schema.Struct({
  status: Schema.Literal(404),
  title: Schema.String,
  /** The names there are. */
  known: Schema.Array(Schema.String)
})

const order = { healthy: 0, degraded: 1, unhealthy: 2 } satisfies Record<DbHealth.Status, number>

export const worst = (reports: ReadonlyArray<DbHealth.Report>): DbHealth.Status =>
  reports.reduce<DbHealth.Status>((a, { status }) => order[status] > order[a] ? status : a, "healthy")

/** Why a database is not well, in words of ours: those of the server stay on the page behind the guard. */
const discreet = (report: DbHealth.Report): DbHealth.Report =>
  report.status === "unhealthy"
    ? { ...report, error: report.connection ? "the database failed the test query" : "the database does not answer" }
    : report

const json = (body: unknown, status: number): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(body, { status, headers: { "cache-control": "no-store" } })

const statusOf = (status: DbHealth.Status): number => status === "unhealthy" ? 503 : 200

/** Answers without a look at any database. */
export const live: Effect.Effect<HttpServerResponse.HttpServerResponse> = Effect.sync(() =>
  json({ status: "alive" } satisfies typeof Live.Type, 200)
)

/** All at once: they wait for servers, not for each other. */
export const reports = (databases: Databases): Effect.Effect<ReadonlyArray<DbHealth.Report>> =>
  Effect.forEach(databases.all, (_) => _.health, { concurrency: "unbounded" })

export const ready = (databases: Databases): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.map(reports(databases), (reports) => {
    const status = worst(reports)
    return json(
      { status: status === "unhealthy" ? "not ready" : "ready" } satisfies typeof Ready.Type,
      statusOf(status)
    )
  })

const encode = Schema.encodeSync(Health)

/** The name that is asked for, if one is. The last one, should there be several. */
const asked = Effect.map(
  HttpServerRequest.ParsedSearchParams,
  ({ name }) => Option.fromNullable(typeof name === "object" ? name[name.length - 1] : name)
)

export const health = (
  databases: Databases
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.ParsedSearchParams> =>
  Effect.flatMap(
    asked,
    Option.match({
      onNone: () => Effect.map(reports(databases), answer),
      onSome: (name) => {
        const found = databases.find(name)
        return found === undefined
          ? Effect.succeed(problem(404, "No database of this name is configured.", {
            more: { known: databases.all.map((_) => _.name) }
          }))
          : Effect.map(found.health, (report) => answer([report]))
      }
    })
  )

const answer = (reports: ReadonlyArray<DbHealth.Report>): HttpServerResponse.HttpServerResponse => {
  const status = worst(reports)
  return json(encode({ status, databases: reports.map(discreet) }), statusOf(status))
}
