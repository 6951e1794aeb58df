/**
 * Opening a database: with which driver, and what runs from then on until its scope ends.
 */
import type * as Reactivity from "@effect/experimental/Reactivity"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { identity } from "effect/Function"
import { globalValue } from "effect/GlobalValue"
import * as LogLevel from "effect/LogLevel"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type * as DbConfig from "../../DbConfig.js"
import type { ConnectionError, DbError } from "../../DbError.js"
import * as DbRetry from "../../DbRetry.js"
import type * as Driver from "../../driver/Driver.js"
import { creating } from "../driver/creation.js"
import { notLoaded } from "../driver/packages.js"
import { makeSqlError } from "../effect/sqlClient.js"
import { Engine } from "../Engine.js"
import * as Gauges from "../observe/PoolGauges.js"
import { register } from "../observe/registry.js"
import { Replicas } from "../replicas/Replicas.js"
import { reserveSession } from "../session/transaction.js"
import * as Client from "../SqlClient.js"
import { type Database, make as makeDatabase } from "./Database.js"
import * as Health from "./Health.js"

/** A driver's module is loaded when its database is opened, so that the packages of other drivers are not needed. */
export const loadDriver = (
  config: DbConfig.DbConfig
): Effect.Effect<Driver.Make<DbConfig.DbConfig>, ConnectionError> => {
  switch (config.type) {
    case "sqlite":
      return Effect.tryPromise({
        try: () => import("../../driver/Sqlite.js").then((_) => _.make),
        catch: notLoaded(config.name, "sqlite")
      })
    case "postgresql":
      return Effect.tryPromise({
        try: () => import("../../driver/Pg.js").then((_) => _.make),
        catch: notLoaded(config.name, "postgresql")
      })
    case "mysql":
    case "mariadb":
      return Effect.tryPromise({
        try: () => import("../../driver/Mysql.js").then((_) => _.make),
        catch: notLoaded(config.name, "mysql")
      })
    case "mssql":
      return Effect.tryPromise({
        try: () => import("../../driver/Mssql.js").then((_) => _.make),
        catch: notLoaded(config.name, "mssql")
      })
  }
}

/**
 * What a database is opened from.
 */
export interface Opening {
  readonly config: DbConfig.DbConfig
  readonly makeDriver: Driver.Make<DbConfig.DbConfig>
}

/**
 * Changes what every database is opened from, while its layer is built: how test layers put themselves between an
 * engine and its driver.
 */
export const currentOpening: FiberRef.FiberRef<(opening: Opening) => Opening> = globalValue(
  "dblive/Db/currentOpening",
  () => FiberRef.unsafeMake<(opening: Opening) => Opening>(identity)
)

/**
 * What a reader of the log has to know of an opening that went well; every other line of one is for debugging. It is unusual:
 *
 * - that nothing configures the database, so that it is a file of the working folder (tests do that on purpose),
 * - that `prefer` found a server without TLS beyond this machine.
 *
 * What a pooler refuses has a line of its own.
 */
const unusualOf = (config: DbConfig.DbConfig, driver: Driver.Driver): string | undefined =>
  config.isUnconfigured && config.environment !== "test"
    ? "nothing configures the database, so it is this file"
    : driver.unusual?.()

/** The engine of each server of a database, and what ends with the scope: their figures, and they themselves, all at once. */
const start = Effect.fnUntraced(function*(config: DbConfig.DbConfig, makeDriver: Driver.Make<DbConfig.DbConfig>) {
  const runtime = yield* Effect.runtime<never>()
  const clock = yield* Effect.clock
  const random = yield* Effect.random
  const runFork = Runtime.runFork(runtime)
  const engineOf = (config: DbConfig.DbConfig, driver: Driver.Driver, poolName?: string) =>
    new Engine(
      config,
      driver,
      clock,
      // Layers are built where interruption is masked; what runs beside them must not inherit that.
      (effect) => runFork(Effect.interruptible(effect)),
      { openSchedule: DbRetry.connection, random: () => Effect.runSync(random.next), poolName }
    )
  const driver = creating(yield* makeDriver(config), config)
  const engine = engineOf(config, driver)
  engine.client = yield* Client.make(engine)
  engine.connect = (place) => Client.makeConnection(engine, place)
  const replicas: Array<Engine> = []
  for (const replica of config.replicas) {
    replicas.push(engineOf(replica, yield* makeDriver(replica), `${config.name}/replica-${replicas.length + 1}`))
  }
  if (replicas.length > 0 && driver.replication !== undefined) {
    engine.replicas = new Replicas(engine, replicas, driver.replication, config.replication)
  }
  const servers = [engine, ...replicas]
  for (const server of servers) {
    yield* Effect.acquireRelease(
      Effect.sync(() => [register(server.poolName, () => server.snapshot), Gauges.watch(server.poolName, server)]),
      (registered) => Effect.sync(() => registered.forEach((unregister) => unregister()))
    )
  }
  yield* Effect.addFinalizer(() =>
    Effect.forEach(servers, (server) => server.close, { concurrency: "unbounded", discard: true })
  )
  return engine
})

/**
 * Opens a database with a driver: everything behind the layers. It is closed with the scope: new sessions are refused,
 * running ones are waited for up to `closeTimeout`, then cut.
 */
export const make = (
  given: DbConfig.DbConfig,
  makeGivenDriver: Driver.Make<DbConfig.DbConfig>
): Effect.Effect<
  { readonly database: Database; readonly services: Context.Context<never> },
  DbError,
  Scope.Scope | Reactivity.Reactivity
> =>
  Effect.gen(function*() {
    const change = yield* FiberRef.get(currentOpening)
    const { config, makeDriver } = change({ config: given, makeDriver: makeGivenDriver })
    const clock = yield* Effect.clock
    const started = clock.unsafeCurrentTimeMillis()
    const engine = yield* start(config, makeDriver)
    const { driver } = engine
    if (config.connectOnStart) {
      yield* engine.pool.openOne
      // A replica that is down does not keep the program from starting.
      engine.replicas?.all.forEach((replica) => engine.replicas?.probe(replica))
    }
    engine.metrics.engineCreated()
    const { acquireTimeout, maxLifetime, overflow, size, validateAfter } = config.pool
    const unusual = unusualOf(config, driver)
    yield* engine.log.line(unusual === undefined ? LogLevel.Debug : LogLevel.Info, "database opened", {
      ...(unusual === undefined ? {} : { unusual }),
      operation: "open",
      engine: engine.metrics.engineCreations,
      durationMillis: clock.unsafeCurrentTimeMillis() - started,
      type: config.type,
      uri: driver.target.uri,
      "pool.size": size,
      "pool.overflow": overflow,
      "pool.acquireTimeout": acquireTimeout,
      "pool.validateAfter": validateAfter,
      "pool.maxLifetime": maxLifetime
    })
    const services = yield* driver.services({
      client: engine.client,
      database: config.name,
      connection: reserveSession(engine).pipe(
        Effect.map((session) => session.connection),
        Effect.mapError(makeSqlError)
      )
    })
    const database: Database = makeDatabase(engine, {
      name: config.name,
      sql: engine.client,
      health: Health.make(
        {
          name: config.name,
          type: config.type,
          probe: engine.probe,
          pool: () => engine.pool.figures,
          timedOutAt: () => engine.pool.timedOutAt,
          migrations: Effect.suspend(() => database.migrations),
          replicas: engine.replicas,
          checked: (report) => engine.metrics.healthChecked(report)
        },
        config.health,
        clock,
        engine.fork
      ),
      migrations: Effect.succeed(null)
    })
    return { database, services }
  })

/**
 * Opens a database as its layers do, in a scope: with the driver of its type.
 */
export const open = (config: DbConfig.DbConfig): ReturnType<typeof make> =>
  Effect.flatMap(loadDriver(config), (makeDriver) => make(config, makeDriver))
