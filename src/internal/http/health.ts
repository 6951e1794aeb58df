/**
 * What a load balancer and a dashboard are told, without a password: whether the databases are well, and no more of
 * what a server says than that.
 */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as DbHealth from "../../DbHealth.js"
import type { Databases } from "./databases.js"
import { isEnding } from "./draining.js"
import { problem } from "./failure.js"

export const Health = Schema.Struct({
  /** The worst of them. */
  status: DbHealth.Status,
  databases: Schema.Array(DbHealth.Report)
})

/** The same, where the worst is that one of them is unhealthy: what comes with 503. */
export const Unhealthy = Schema.Struct({ ...Health.fields, status: Schema.Literal("unhealthy") })

export const Live = Schema.Struct({ status: Schema.Literal("alive") })

export const Ready = Schema.Struct({ status: Schema.Literal("ready") })

export const NotReady = Schema.Struct({ status: Schema.Literal("not ready") })

export const UnknownDatabase = Schema.Struct({
  status: Schema.Literal(404),
  title: Schema.String,
  /** The names there are. */
  known: Schema.Array(Schema.String)
})

const order = { healthy: 0, degraded: 1, unhealthy: 2 } satisfies Record<DbHealth.Status, number>

export const worst = (reports: ReadonlyArray<DbHealth.Report>): DbHealth.Status =>
  reports.reduce<DbHealth.Status>((a, { status }) => order[status] > order[a] ? status : a, "healthy")

/** Why a database is not healthy, in words of ours: those of the server stay on the page behind the guard. */
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

const readiness = (status: DbHealth.Status): HttpServerResponse.HttpServerResponse => {
  const body: typeof Ready.Type | typeof NotReady.Type = { status: status === "unhealthy" ? "not ready" : "ready" }
  return json(body, statusOf(status))
}

/** A server at its end takes no further requests, whatever its databases say. */
export const ready = (
  databases: Databases
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ source }) =>
    isEnding(source)
      ? Effect.succeed(readiness("unhealthy"))
      : Effect.map(reports(databases), (reports) => readiness(worst(reports))))

const encode = Schema.encodeSync(Health)

const answer = (reports: ReadonlyArray<DbHealth.Report>): HttpServerResponse.HttpServerResponse => {
  const status = worst(reports)
  return json(encode({ status, databases: reports.map(discreet) }), statusOf(status))
}

/** Of all, or of the one of a name. */
export const healthOf = (
  databases: Databases,
  name: string | undefined
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  if (name === undefined) {
    return Effect.map(reports(databases), answer)
  }
  const found = databases.find(name)
  return found === undefined
    ? Effect.succeed(problem(404, "No database of this name is known here.", {
      more: { known: databases.all.map((_) => _.name) }
    }))
    : Effect.map(found.health, (report) => answer([report]))
}

/** The same, where the name is asked for in the address; the last one, should there be several. */
export const health = (
  databases: Databases
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.ParsedSearchParams> =>
  Effect.flatMap(
    HttpServerRequest.ParsedSearchParams,
    ({ name }) => healthOf(databases, typeof name === "object" ? name[name.length - 1] : name)
  )
