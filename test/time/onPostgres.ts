/**
 * A test on a fresh PostgreSQL database, in real time: `onPostgres(options, (server) => body)`, with the default `Db` open
 * on it, directly or through a proxy. `server.active` is what runs there on our behalf now, `server.connections` how many
 * connections of ours it knows.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import { eventually, freshDatabase, observer, type Query, type TestDatabase } from "../kit/postgres.js"
import { makeProxy, type Proxy } from "../kit/proxy.js"

export interface Server {
  readonly database: TestDatabase
  /** Asks the server, on a connection of its own. */
  readonly ask: Query
  /** Statements of ours that run now. */
  readonly active: Effect.Effect<ReadonlyArray<string>>
  /** Connections of ours. */
  readonly connections: Effect.Effect<number>
  readonly proxy: Proxy
}

/** Options for the database behind the proxy, or directly. */
export const optionsFor = (
  server: Server,
  options: DbConfig.Options = {},
  way: "direct" | "proxied" = "direct"
): DbConfig.Options => ({
  environment: "production",
  applicationName: "dblive test",
  url: way === "direct" ? server.database.url : server.proxy.url(server.database.url),
  // What is cut or counted must be readable by the proxy.
  ssl: "disable",
  ...options,
  pool: { size: 4, overflow: 0, acquireTimeout: "5 seconds", keepalive: 0, ...options.pool }
})

export const withServer: Effect.Effect<Server, never, Scope.Scope> = Effect.gen(function*() {
  const database = yield* freshDatabase
  const ask = yield* observer(database.url)
  const proxy = yield* makeProxy({ host: database.host, port: database.port })
  const ours = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() " +
    "AND application_name = 'dblive test'"
  return {
    database,
    ask,
    active: Effect.map(
      ask(`SELECT query ${ours} AND state = 'active' ORDER BY query`),
      (rows) => rows.map((row) => String(row["query"]))
    ),
    connections: Effect.map(ask(`SELECT count(*)::int AS n ${ours}`), ([row]) => Number(row!["n"])),
    proxy
  }
})

export const onPostgres = <A, E>(
  options: DbConfig.Options,
  body: (server: Server) => Effect.Effect<A, E, Db | Scope.Scope>,
  way: "direct" | "proxied" = "direct"
): Effect.Effect<A, unknown, Scope.Scope> =>
  Effect.flatMap(withServer, (server) => Effect.provide(body(server), Db.layer(optionsFor(server, options, way))))

/** Waits until the server runs this many statements of ours. */
export const runs = (server: Server, count: number) => eventually(server.active, (active) => active.length === count)

/** How long an effect takes, in milliseconds of real time. */
export const took = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [number, A], E, R> =>
  Effect.suspend(() => {
    const began = performance.now()
    return Effect.map(effect, (value) => [performance.now() - began, value] as const)
  })

/** A pause of real time, for what must not happen. */
export const pause = (millis: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })
