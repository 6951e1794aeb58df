/**
 * PostgreSQL for tests. The fast way:
 *
 * - `describePostgres(name, body)`: a suite that needs the shared server; skipped, with the reason, where there is none.
 *   `describePostgresTls(name, body)`: one that needs its certificate's authority, too.
 * - `freshDatabase`: `Effect<TestDatabase, never, Scope>`; an empty database of one's own on the shared server,
 *   dropped when the scope closes. `TestDatabase`: `url` (with the password), `name`, `host`, `port`, `user`, `password`.
 * - `query(url, text, params?)`: `Effect<Array<any row>>`; one statement on a connection of its own, by `pg` alone. For
 *   looking at the server from outside (`pg_stat_activity`, `pg_terminate_backend`).
 * - `observer(url)`: `Effect<(text, params?) => Effect<rows>, never, Scope>`; the same on one lasting connection.
 * - `eventually(effect, predicate)`: asks again until the predicate holds; dies with the last value after 5 seconds.
 * - `sharedPostgres()`: url, certificate authority and socket folder of the shared server.
 * - `describePrivatePostgres(name, body)`, `PrivatePostgres.make(options?)`: a server of one's own that can be stopped and
 *   started; ends with the scope. Starting one takes about a second: use it only where the server itself must change.
 *
 * Faults of the kit are defects: they fail the test and stay out of its error types.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { randomBytes } from "node:crypto"
import pg from "pg"
import { describe, inject } from "vitest"
import { type Server, type ServerOptions, startServer, type StopMode } from "./postgresServer.js"

const suite = (name: string, body: () => void, reason: string | undefined): void => {
  if (reason === undefined) describe(name, body)
  else describe.skip(`${name} (skipped: ${reason})`, body)
}

/** A suite that needs the shared server. Where there is none it is skipped, and its name says why. */
export const describePostgres = (name: string, body: () => void): void =>
  suite(name, body, inject("postgresUnavailable"))

/** A suite that needs the shared server with TLS. Where there is none it is skipped, and its name says why. */
export const describePostgresTls = (name: string, body: () => void): void =>
  suite(
    name,
    body,
    inject("postgresUnavailable") ??
      (inject("caCert") === undefined ? "TEST_POSTGRES_CA does not name the given server's authority" : undefined)
  )

/** A suite that starts servers of its own. Where that is impossible it is skipped, and its name says why. */
export const describePrivatePostgres = (name: string, body: () => void): void =>
  suite(name, body, inject("privatePostgresUnavailable"))

/** The shared server, as a superuser. */
export interface SharedPostgres {
  readonly url: string
  /** PEM text; `undefined` where the server has no certificate of ours. */
  readonly caCert: string | undefined
  readonly socketDirectory: string | undefined
}

/** The shared server. Throws where there is none: use it within {@link describePostgres}. */
export const sharedPostgres = (): SharedPostgres => {
  const url = inject("postgresUrl")
  if (url === undefined) throw new Error(`no PostgreSQL: ${inject("postgresUnavailable")}`)
  return { url, caCert: inject("caCert"), socketDirectory: inject("postgresSocketDirectory") }
}

/** A database to test with. */
export interface TestDatabase {
  readonly url: string
  readonly name: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}

const databaseAt = (url: string, name: string): TestDatabase => {
  const parsed = new URL(url)
  parsed.pathname = `/${name}`
  return {
    url: parsed.href,
    name,
    host: parsed.hostname,
    port: Number(parsed.port === "" ? 5432 : parsed.port),
    user: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password)
  }
}

/** A row as `pg` gives it. */
export interface Row {
  readonly [column: string]: any
}

/** Sends a statement and gives its rows. */
export interface Query {
  (text: string, params?: ReadonlyArray<unknown>): Effect.Effect<ReadonlyArray<Row>>
}

const connect = (url: string): Effect.Effect<pg.Client, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new pg.Client({ connectionString: url, application_name: "test observer" })
      // A server that is stopped under the observer is the test's business, not a crash of the process.
      client.on("error", () => {})
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.end().catch(() => {}))
  )

/** A connection of one's own to look at the server from outside, closed by the scope. */
export const observer = (url: string): Effect.Effect<Query, never, Scope.Scope> =>
  Effect.map(
    connect(url),
    (client): Query => (text, params) => Effect.promise(async () => (await client.query(text, params?.slice())).rows)
  )

/** One statement on a connection of its own. */
export const query = (
  url: string,
  text: string,
  params?: ReadonlyArray<unknown>
): Effect.Effect<ReadonlyArray<Row>> => Effect.scoped(Effect.flatMap(observer(url), (ask) => ask(text, params)))

/**
 * Asks again, 20 milliseconds of real time apart, until the predicate holds; for what an outside process does. Dies
 * with the last value after `limitMillis` (5 seconds).
 */
export const eventually = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  predicate: (value: A) => boolean,
  limitMillis = 5_000
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const until = performance.now() + limitMillis
    // Not Effect.sleep: the clock of a test may stand still.
    const pause = Effect.async<void>((resume) => {
      const timer = setTimeout(() => resume(Effect.void), 20)
      return Effect.sync(() => clearTimeout(timer))
    })
    const loop: Effect.Effect<A, E, R> = Effect.flatMap(effect, (value) =>
      predicate(value)
        ? Effect.succeed(value)
        : performance.now() > until
        ? Effect.dieMessage(`not within ${limitMillis} ms; last: ${JSON.stringify(value)}`)
        : Effect.zipRight(pause, loop))
    return loop
  })

/** A database of one's own on the server at `url`, dropped by the scope with whatever is connected to it. */
export const freshDatabaseAt = (url: string): Effect.Effect<TestDatabase, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const name = `test_${randomBytes(8).toString("hex")}`
      return Effect.as(query(url, `CREATE DATABASE ${name} TEMPLATE template0`), databaseAt(url, name))
    }),
    ({ name }) => query(url, `DROP DATABASE ${name} WITH (FORCE)`)
  )

/** A database of one's own on the shared server, dropped by the scope with whatever is connected to it. */
export const freshDatabase: Effect.Effect<TestDatabase, never, Scope.Scope> = Effect.suspend(() =>
  freshDatabaseAt(sharedPostgres().url)
)

/** A server of one's own. */
export interface PrivatePostgres {
  /** A superuser's URL of its database `postgres`, with the password. It stays the same after a restart. */
  readonly url: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** The folder of its data, for a standby that begins with them. */
  readonly data: string
  readonly caCert: string | undefined
  /** A client's certificate for the user `postgres`. */
  readonly client: Server["client"]
  readonly socketDirectory: string | undefined
  /** Ends when the server accepts connections. */
  readonly start: Effect.Effect<void>
  /** `fast` (the default) ends its sessions with 57P01, `immediate` and `kill` crash the server. Ends when the server is gone. */
  readonly stop: (mode?: StopMode) => Effect.Effect<void>
  /** Stops, `immediate` by default, and starts. */
  readonly restart: (mode?: StopMode) => Effect.Effect<void>
}

/** A server of one's own. */
export const PrivatePostgres = {
  /** Starts one; the scope stops it and removes its folder. */
  make: (options?: ServerOptions): Effect.Effect<PrivatePostgres, never, Scope.Scope> =>
    Effect.map(
      Effect.acquireRelease(
        Effect.promise(() => startServer(options)),
        (server) => Effect.promise(() => server.dispose())
      ),
      (server): PrivatePostgres => {
        const start = Effect.promise(() => server.start())
        const stop = (mode: StopMode = "fast") => Effect.promise(() => server.stop(mode))
        return {
          url: `postgres://${server.user}:${server.password}@${server.host}:${server.port}/postgres`,
          host: server.host,
          port: server.port,
          user: server.user,
          password: server.password,
          data: server.data,
          caCert: server.caCert,
          client: server.client,
          socketDirectory: server.socketDirectory,
          start,
          stop,
          restart: (mode = "immediate") => Effect.zipRight(stop(mode), start)
        }
      }
    )
}
